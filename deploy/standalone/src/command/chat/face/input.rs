//! Lines of standard input.

use std::io::BufRead;

use tokio::sync::mpsc;

/// Capacity, lines.
const CAPACITY: usize = 16;

/// Reads lines; the channel closes at the end of input.
pub(super) fn lines() -> mpsc::Receiver<String> {
    let (typed, lines) = mpsc::channel(CAPACITY);
    // A separate thread: a blocking read cannot be cancelled, and ends with the process.
    std::thread::spawn(move || {
        for line in std::io::stdin().lock().lines().map_while(Result::ok) {
            if typed.blocking_send(line).is_err() {
                return;
            }
        }
    });
    lines
}
