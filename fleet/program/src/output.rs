//! What commands print. A reader that goes away early (`| head`) ends nothing: the command does its work to the end, and
//! its exit status says how that went. A disk that is full under `> file` is told, and is a failure.

use std::{
    fmt::Arguments,
    io::{self, Write},
    sync::OnceLock,
};

/// Why text was lost, when it was not for a reader that went away.
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
    // There is no other place to tell it.
    let _ = out.write_fmt(text).and_then(|()| out.write_all(b"\n"));
}

/// Prints text that brings its line ends along.
pub fn text(text: &str) {
    keep(io::stdout().lock().write_all(text.as_bytes()));
}

/// Ends printing.
///
/// # Errors
/// When something could not be written that somebody would have read.
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
