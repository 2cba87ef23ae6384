//! How long it takes from an event's bytes to the body of its request, with the two presets: one JSON line, microseconds
//! an event. `benches/peer/run` runs it beside the reference.

use std::time::Instant;

use koala_destination::koala::{CollectorKind, Delivered, EntryOptions, entry, request};
use koala_destination::segment::{Event, Mapping};

const ROUNDS: usize = 200_000;

fn body(event: &str, presets: &[Mapping], options: &EntryOptions) -> Option<String> {
    let event = Event::from_json(event).ok()?;
    let mapping = presets.iter().find(|mapping| mapping.takes(&event))?;
    let delivered = Delivered { received_at: "2026-11-20T09:15:01.150Z", another: false };
    let entry = entry(&event, mapping, delivered, options).ok()?;
    Some(request(&entry.subject, &[&entry]).1)
}

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let events = std::env::args().skip(1).map(std::fs::read_to_string).collect::<Result<Vec<_>, _>>()?;
    let presets = Mapping::presets(CollectorKind::Koala);
    let options = EntryOptions::default();
    let run = |rounds: usize| -> usize {
        (0..rounds)
            .filter_map(|round| body(&events[round % events.len()], &presets, &options))
            .map(|body| body.len())
            .sum()
    };
    if run(ROUNDS / 4) == 0 {
        return Err("no event makes a body".into());
    }
    let begun = Instant::now();
    std::hint::black_box(run(ROUNDS));
    #[allow(clippy::cast_precision_loss)] // a small count
    let microseconds = begun.elapsed().as_secs_f64() * 1e6 / ROUNDS as f64;
    println!("{{\"entry\":{microseconds:.3}}}");
    Ok(())
}
