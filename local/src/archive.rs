//! `koala export` and `koala import`: all that a collector keeps as JSON lines, and into another store, of whichever engine.

use std::fs::File;
use std::io::{self, BufReader, BufWriter, IsTerminal, Read};
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use anyhow::{Context, Result, bail};
use clap::Args;
use indicatif::{ProgressBar, ProgressStyle};
use koala_collector::store::archive::{self, Dump, Restore};
use koala_collector::store::postgres::DatabaseUrl;
use koala_collector::store::sqlite::SqliteStore;
use koala_destination::plural::counted;
use secrecy::{ExposeSecret, SecretString};

use crate::database;
use crate::output::notice;

/// What stands for standard input or output.
const STANDARD: &str = "-";

#[derive(Args)]
#[command(after_help = "Examples:
  koala export koala.jsonl                              of the set's file, which no set may run on meanwhile
  koala export --data other.db | gzip > koala.jsonl.gz
  koala export --database postgres://koala@db/koala koala.jsonl

The file has everybody's data, and what tells who was deleted: it is written for its owner alone. Stop whoever writes to a
database before it is exported. Queues, settings and messages of alerts are not in it.

Exit status: 0 all is written, 2 it could not be.")]
pub struct ExportOptions {
    /// Where to write; `-` is standard output.
    #[arg(default_value = STANDARD, value_name = "FILE")]
    archive: PathBuf,
    #[command(flatten)]
    store: StoreOptions,
}

#[derive(Args)]
#[command(after_help = "Examples:
  koala import --database postgres://koala@db/koala koala.jsonl
  gunzip < koala.jsonl.gz | koala import --data other.db

The store has to be empty: where an import was broken off, give it a new file or database. Who is whose and what counts is
computed again; what intent rules count is there once the set has looked back.

Exit status: 0 all is read, 2 it could not be.")]
pub struct ImportOptions {
    /// What to read; `-` is standard input.
    #[arg(default_value = STANDARD, value_name = "FILE")]
    archive: PathBuf,
    #[command(flatten)]
    store: StoreOptions,
}

#[derive(Args)]
struct StoreOptions {
    /// The file that keeps visitors where there is no database.
    #[arg(long, default_value = ".koala/koala.db", value_name = "FILE")]
    data: PathBuf,
    /// The PostgreSQL database that keeps visitors in place of the file.
    #[arg(long, env = "DATABASE_URL", hide_env_values = true, value_name = "postgres://…")]
    database: Option<SecretString>,
}

impl StoreOptions {
    /// The database, unless the variable is set to nothing.
    fn database(&self) -> Result<Option<DatabaseUrl>> {
        let url = self.database.as_ref().map(ExposeSecret::expose_secret).filter(|url| !url.is_empty());
        url.map(DatabaseUrl::parse).transpose().context("--database or DATABASE_URL")
    }

    fn file(&self) -> Result<SqliteStore> {
        SqliteStore::open(&self.data).with_context(|| format!("cannot use {}", self.data.display()))
    }
}

/// Runs `koala export`.
pub async fn export(options: ExportOptions) -> Result<ExitCode> {
    let database_url = options.store.database()?;
    if database_url.is_none() && !options.store.data.exists() {
        bail!("{} not found: name the file of the set with --data", options.store.data.display());
    }
    let store: Box<dyn Dump> = match &database_url {
        Some(url) => Box::new(database::open(url).await?),
        None => Box::new(options.store.file()?),
    };
    let bar = ProgressBar::new_spinner();
    style(&bar, "{spinner} {human_pos} records  {per_sec}");
    let written = if options.archive == Path::new(STANDARD) {
        archive::export(store.as_ref(), BufWriter::new(io::stdout().lock()), |records| bar.set_position(records)).await
    } else {
        let file = new_file(&options.archive)?;
        let written = archive::export(store.as_ref(), BufWriter::new(&file), |records| bar.set_position(records)).await;
        file.sync_all()?;
        written
    };
    bar.finish_and_clear();
    let records = written.with_context(|| format!("cannot write {}", options.archive.display()))?;
    notice!("{} written", counted(records, "record"));
    Ok(ExitCode::SUCCESS)
}

/// Runs `koala import`.
pub async fn import(options: ImportOptions) -> Result<ExitCode> {
    let (archive, bytes): (Box<dyn Read>, u64) = if options.archive == Path::new(STANDARD) {
        (Box::new(io::stdin().lock()), 0)
    } else {
        let file =
            File::open(&options.archive).with_context(|| format!("cannot read {}", options.archive.display()))?;
        let bytes = file.metadata()?.len();
        (Box::new(file), bytes)
    };
    let store: Box<dyn Restore> = if let Some(url) = &options.store.database()? {
        Box::new(database::open(url).await?)
    } else {
        if let Some(folder) = options.store.data.parent() {
            std::fs::create_dir_all(folder)?;
        }
        Box::new(options.store.file()?)
    };
    let bar = if bytes > 0 { ProgressBar::new(bytes) } else { ProgressBar::new_spinner() };
    style(&bar, if bytes > 0 { "{bar:40} {bytes}/{total_bytes}  {eta} left" } else { "{spinner} {bytes} read" });
    let read = archive::import(store.as_ref(), BufReader::new(archive), |bytes| bar.set_position(bytes)).await;
    bar.finish_and_clear();
    let records = read.with_context(|| format!("cannot import {}", options.archive.display()))?;
    notice!("{} read", counted(records, "record"));
    Ok(ExitCode::SUCCESS)
}

/// A file that is new, for its owner alone: what is there is not written over.
fn new_file(path: &Path) -> Result<File> {
    use std::os::unix::fs::OpenOptionsExt;
    let mut options = File::options();
    options.write(true).create_new(true).mode(0o600);
    options.open(path).with_context(|| format!("cannot make {}", path.display()))
}

/// A bar on a terminal alone.
fn style(bar: &ProgressBar, template: &str) {
    if !io::stderr().is_terminal() {
        bar.set_draw_target(indicatif::ProgressDrawTarget::hidden());
    }
    if let Ok(style) = ProgressStyle::with_template(template) {
        bar.set_style(style);
    }
}
