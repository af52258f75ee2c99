//! Lines of standard input.

use std::io::BufRead;

use tokio::sync::mpsc;

/// Lines that wait to be sent.
const CAPACITY: usize = 16;

/// Lines as they are typed; the channel closes at the end of input.
pub(super) fn lines() -> mpsc::Receiver<String> {
    let (typed, lines) = mpsc::channel(CAPACITY);
    // A thread of its own: a blocking read cannot be cancelled, and this one ends with the process.
    std::thread::spawn(move || {
        for line in std::io::stdin().lock().lines().map_while(Result::ok) {
            if typed.blocking_send(line).is_err() {
                return;
            }
        }
    });
    lines
}
