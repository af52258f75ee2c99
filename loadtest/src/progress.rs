//! How far a run is: a bar on a terminal, plain lines elsewhere.

use std::io::IsTerminal;
use std::time::{Duration, Instant};

use indicatif::{ProgressBar, ProgressStyle};

/// How often a plain line is written.
const LINE_EVERY: Duration = Duration::from_secs(5);

/// How far one thing is.
#[derive(Debug)]
pub struct Progress {
    bar: Option<ProgressBar>,
    what: String,
    total: u64,
    last_line: Instant,
}

impl Progress {
    /// Begins something that is finished at `total`.
    pub fn begin(what: &str, total: u64) -> Self {
        let bar = std::io::stderr().is_terminal().then(|| {
            let bar = ProgressBar::new(total);
            if let Ok(style) = ProgressStyle::with_template("{prefix:24} {bar:30} {pos}/{len} {msg}") {
                bar.set_style(style);
            }
            bar.set_prefix(what.to_owned());
            bar
        });
        if bar.is_none() {
            eprintln!("{what} …");
        }
        Self {
            bar,
            what: what.to_owned(),
            total,
            last_line: Instant::now(),
        }
    }

    /// It is at `position`; `message` says more.
    pub fn at(&mut self, position: u64, message: &str) {
        match &self.bar {
            Some(bar) => {
                bar.set_position(position.min(self.total));
                bar.set_message(message.to_owned());
            }
            None if self.last_line.elapsed() >= LINE_EVERY => {
                self.last_line = Instant::now();
                eprintln!("{}: {position}/{} {message}", self.what, self.total);
            }
            None => {}
        }
    }
}

impl Drop for Progress {
    fn drop(&mut self) {
        if let Some(bar) = &self.bar {
            bar.finish_and_clear();
        }
    }
}
