//! The lines that commands print, and the [`Advice`] that operators get. A reader that goes away early (`| head`) stops no
//! command: it finishes its work, and its exit status reports the outcome. A full disk under `> file` is reported as a failure.

mod advice;

use std::{
    fmt::Arguments,
    io::{self, Write},
    sync::OnceLock,
};

pub use advice::{Advice, Severity};

/// Why text was lost, other than by a reader that went away.
static LOST: OnceLock<String> = OnceLock::new();

/// Prints a line to standard output.
#[macro_export]
macro_rules! say {
    ($($text:tt)*) => { $crate::output::line(format_args!($($text)*)) };
}

/// Prints a line to standard error.
#[macro_export]
macro_rules! complain {
    ($($text:tt)*) => { $crate::output::complaint(format_args!($($text)*)) };
}

/// See [`say`](crate::say).
pub fn line(text: Arguments<'_>) {
    let mut out = io::stdout().lock();
    keep(out.write_fmt(text).and_then(|()| out.write_all(b"\n")));
}

/// See [`complain`](crate::complain).
pub fn complaint(text: Arguments<'_>) {
    let mut out = io::stderr().lock();
    // No other place is left to report it.
    let _ = out.write_fmt(text).and_then(|()| out.write_all(b"\n"));
}

/// Prints text that contains its own line ends.
pub fn text(text: &str) {
    keep(io::stdout().lock().write_all(text.as_bytes()));
}

/// Flushes standard output.
///
/// # Errors
/// When text was lost and its reader was still there.
pub fn finish() -> anyhow::Result<()> {
    keep(io::stdout().lock().flush());
    match LOST.get() {
        None => Ok(()),
        Some(why) => anyhow::bail!("standard output cannot be written: {why}"),
    }
}

fn keep(written: io::Result<()>) {
    if let Err(error) = written
        && error.kind() != io::ErrorKind::BrokenPipe
    {
        let _ = LOST.set(error.to_string());
    }
}
