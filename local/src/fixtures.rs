//! Events from files: one JSON event, an array of them, or JSON lines.

use std::io::Read;
use std::path::{Path, PathBuf};
use std::{fs, io};

use anyhow::{Context, Result, bail};
use koala_destination::clock;
use serde_json::value::{RawValue, to_raw_value};
use serde_json::{Map, Value};

/// The times that Segment's events carry.
const TIMES: [&str; 4] = ["timestamp", "originalTimestamp", "sentAt", "receivedAt"];

/// An event with the file that it stood in.
#[derive(Debug)]
pub struct Fixture {
    /// The file, `-` for standard input.
    pub file: PathBuf,
    /// The event as it stands there.
    pub event: Box<RawValue>,
}

/// Reads the events of files in their order; a folder stands for its `.json` and `.jsonl` files, `-` for standard input.
///
/// # Errors
/// When a file cannot be read, is not JSON, or there is no event in any.
pub fn read(files: &[PathBuf]) -> Result<Vec<Fixture>> {
    let mut fixtures = Vec::new();
    for file in files {
        if file.is_dir() {
            for file in files_of(file)? {
                read_file(&file, &mut fixtures)?;
            }
        } else {
            read_file(file, &mut fixtures)?;
        }
    }
    if fixtures.is_empty() {
        bail!("there is no event in what was named: name files with JSON events, an array of them, or JSON lines");
    }
    Ok(fixtures)
}

/// Moves the events in time, all by the same, so that the newest happens at `now` (milliseconds since 1970).
///
/// # Errors
/// When an event cannot be written again.
pub fn move_to(now: i64, fixtures: &mut [Fixture]) -> Result<()> {
    let read = |event: &RawValue| serde_json::from_str::<Map<String, Value>>(event.get()).ok();
    let time = |event: &Map<String, Value>, name| event.get(name)?.as_str().and_then(clock::milliseconds);
    let times = fixtures.iter().filter_map(|fixture| time(&read(&fixture.event)?, TIMES[0]));
    let Some(newest) = times.max() else { return Ok(()) };
    for fixture in fixtures {
        // What is not an object has no time.
        let Some(mut event) = read(&fixture.event) else { continue };
        for name in TIMES {
            if let Some(at) = time(&event, name) {
                event.insert(name.to_owned(), clock::from_milliseconds(at + now - newest).into());
            }
        }
        fixture.event = to_raw_value(&event)?;
    }
    Ok(())
}

fn files_of(folder: &Path) -> Result<Vec<PathBuf>> {
    let entries = fs::read_dir(folder).with_context(|| folder.display().to_string())?;
    let mut files = entries.map(|entry| Ok(entry?.path())).collect::<io::Result<Vec<_>>>()?;
    files.retain(|file| file.is_file() && file.extension().is_some_and(|kind| kind == "json" || kind == "jsonl"));
    files.sort();
    Ok(files)
}

fn read_file(file: &Path, fixtures: &mut Vec<Fixture>) -> Result<()> {
    let mut text = String::new();
    if file == Path::new("-") {
        io::stdin().read_to_string(&mut text).context("standard input")?;
    } else {
        text = fs::read_to_string(file).with_context(|| file.display().to_string())?;
    }
    let mut add = |event| fixtures.push(Fixture { file: file.to_owned(), event });
    // Several values in a row are JSON lines, or one event over many lines: a stream of values reads both.
    for value in serde_json::Deserializer::from_str(&text).into_iter::<Box<RawValue>>() {
        let value = value.with_context(|| format!("{} is not JSON", file.display()))?;
        match serde_json::from_str::<Vec<Box<RawValue>>>(value.get()) {
            Ok(events) => events.into_iter().for_each(&mut add),
            Err(_) => add(value),
        }
    }
    Ok(())
}
