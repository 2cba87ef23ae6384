//! The logs: JSON lines for functions, plain lines for people. Never a secret, an email, an IP or event data in them.

use std::io::{self, Write};
use std::panic;
use std::sync::atomic::{AtomicU64, Ordering};

use rustix::event::{PollFd, PollFlags, Timespec, poll};
use tracing_subscriber::EnvFilter;
use tracing_subscriber::fmt::format::FmtSpan;

/// What is logged where `RUST_LOG` says nothing: our own events (what begins with `koala`) from `info` on, others' from `warn` on. The HTTP and AWS
/// crates log whole requests at `debug`, so that level is never a default.
const DEFAULT_FILTER: &str = "warn,koala=info";

/// JSON lines on standard output, where Lambda takes them; for the functions.
pub fn init_json() {
    tracing_subscriber::fmt()
        .json()
        .flatten_event(true)
        .with_current_span(true)
        .with_span_list(false)
        .with_env_filter(filter(DEFAULT_FILTER))
        .with_span_events(FmtSpan::NONE)
        .log_internal_errors(false)
        .with_writer(|| Unfailing(io::stdout()))
        .init();
    log_panics();
}

/// Plain lines on standard error, coloured on a terminal; for the `koala` command. `quiet` commands tell their story
/// themselves: they log nothing unless `RUST_LOG` asks for it.
pub fn init_plain(coloured: bool, quiet: bool) {
    tracing_subscriber::fmt()
        .with_env_filter(filter(if quiet { "off" } else { DEFAULT_FILTER }))
        .with_ansi(coloured)
        .with_target(false)
        .log_internal_errors(false)
        .with_writer(|| Unfailing(Unblocking(io::stderr())))
        .init();
    log_panics();
}

/// A writer that never fails: a log that cannot be written (its reader is gone, the disk is full) loses its lines and ends nothing.
struct Unfailing<W>(W);

impl<W: Write> Write for Unfailing<W> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        // Whole or not at all: where it failed nothing better can be done with the rest.
        let _ = self.0.write_all(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        let _ = self.0.flush();
        Ok(())
    }
}

/// Standard error without waiting for who reads it: a reader that stops (`| less`, Ctrl-S in a terminal, a log driver that hangs)
/// would stop everything. Lines that find no room are lost, and how many is said before the next one.
struct Unblocking(io::Stderr);

/// Lines that were lost since the last one that was written.
static LOST: AtomicU64 = AtomicU64::new(0);
/// A pipe that has room has room for this much (`PIPE_BUF` of Linux, by `poll`'s contract).
const ROOM: usize = 4096;

impl Write for Unblocking {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let mut out = self.0.lock();
        if !has_room(&out) {
            LOST.fetch_add(1, Ordering::Relaxed);
            return Ok(bytes.len());
        }
        let lost = LOST.swap(0, Ordering::Relaxed);
        if lost > 0 {
            let lines = if lost == 1 { "line" } else { "lines" };
            writeln!(out, "({lost} {lines} of the log lost: the reader did not read)")?;
            if !has_room(&out) {
                LOST.fetch_add(1, Ordering::Relaxed);
                return Ok(bytes.len());
            }
        }
        if bytes.len() > ROOM {
            out.write_all(&bytes[..ROOM - 1])?;
            out.write_all(b"\n")?;
        } else {
            out.write_all(bytes)?;
        }
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        self.0.flush()
    }
}

/// Whether what has no more than [`ROOM`] can be written at once. What is no pipe and no terminal always has room.
fn has_room(out: &io::StderrLock<'_>) -> bool {
    let mut asked = [PollFd::new(out, PollFlags::OUT)];
    // A reader that is gone: the write fails, and does not wait.
    poll(&mut asked, Some(&Timespec::default())).is_ok_and(|ready| ready > 0)
}

fn filter(default: &str) -> EnvFilter {
    EnvFilter::try_from_default_env().unwrap_or_else(|_| EnvFilter::new(default))
}

/// Logs the place of a panic, not its message: that may repeat a piece of an event.
fn log_panics() {
    panic::set_hook(Box::new(|panicked| {
        let place = panicked.location().map(ToString::to_string).unwrap_or_default();
        tracing::error!(place, "panic");
    }));
}
