//! What the commands print. A reader that goes away (`… | head -1`) ends a command quietly, as it ends `cat`.

use std::fmt::Arguments;
use std::io::{self, ErrorKind, Write};
use std::process;

/// What a shell reports of a command that SIGPIPE ended: 128 + 13. Rust ignores that signal, so the write fails instead.
const ENDED_BY_SIGPIPE: i32 = 141;
/// As every other failure of a command.
const FAILED: i32 = 2;

/// Prints a line on standard output, or ends the command where that is not possible.
#[macro_export]
macro_rules! outln {
    ($($text:tt)*) => { $crate::output::line(format_args!($($text)*)) };
}
pub use outln;

/// Prints a line on standard output where that is possible: for what goes on without a reader, as `koala up` does.
#[macro_export]
macro_rules! say {
    ($($text:tt)*) => { $crate::output::line_if_possible(format_args!($($text)*)) };
}
pub use say;

/// Prints a line on standard error where that is possible.
#[macro_export]
macro_rules! notice {
    ($($text:tt)*) => { $crate::output::notice_line(format_args!($($text)*)) };
}
pub use notice;

/// What [`outln!`] does. When nobody reads any more the command ends with the status that SIGPIPE would give
/// it; when it cannot be written (a full disk) the command ends with status 2 and says why.
pub fn line(text: Arguments<'_>) {
    if let Err(error) = write_line(&mut io::stdout().lock(), text) {
        if error.kind() == ErrorKind::BrokenPipe {
            process::exit(ENDED_BY_SIGPIPE);
        }
        notice!("koala: standard output cannot be written: {error}");
        process::exit(FAILED);
    }
}

/// What [`say!`] does.
pub fn line_if_possible(text: Arguments<'_>) {
    // Nobody who reads is nobody who misses it.
    let _ = write_line(&mut io::stdout().lock(), text);
}

/// What [`notice!`] does.
pub fn notice_line(text: Arguments<'_>) {
    // There is no other place to say that this one is gone.
    let _ = write_line(&mut io::stderr().lock(), text);
}

fn write_line(out: &mut impl Write, text: Arguments<'_>) -> io::Result<()> {
    out.write_fmt(text)?;
    out.write_all(b"\n")?;
    out.flush()
}
