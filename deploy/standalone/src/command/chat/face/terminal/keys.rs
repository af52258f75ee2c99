//! Keys, signals, and the terminal's raw mode.

use std::io;

use crossterm::{
    event::{self, DisableBracketedPaste, EnableBracketedPaste, Event},
    execute, terminal,
};
use rustix::process::{Signal, kill_current_process_group};
use tokio::{
    signal::unix::{SignalKind, signal},
    sync::mpsc,
};

/// The capacity of pending keys: more than a user types ahead; a paste is one.
const CAPACITY: usize = 256;

/// Input of a terminal.
#[derive(Debug)]
pub(in super::super::super) enum Input {
    /// A key, a paste or a resize.
    Event(Event),
    /// The process continues after a stop.
    Continued,
    /// The terminal has hung up, or the process must end.
    Ended,
}

/// Starts to listen.
pub(super) fn listen() -> io::Result<mpsc::Receiver<Input>> {
    let (heard, input) = mpsc::channel(CAPACITY);
    let keys = heard.clone();
    // A separate thread: a blocking read cannot be cancelled, and ends with the process.
    std::thread::spawn(move || {
        while let Ok(event) = event::read() {
            if keys.blocking_send(Input::Event(event)).is_err() {
                return;
            }
        }
        let _ = keys.blocking_send(Input::Ended);
    });
    let mut continued = signal(SignalKind::from_raw(Signal::CONT.as_raw()))?;
    let mut hang_up = signal(SignalKind::hangup())?;
    let mut terminated = signal(SignalKind::terminate())?;
    // Ends with its receiver.
    tokio::spawn(async move {
        loop {
            let input = tokio::select! {
                _ = continued.recv() => Input::Continued,
                _ = hang_up.recv() => Input::Ended,
                _ = terminated.recv() => Input::Ended,
            };
            if heard.send(input).await.is_err() {
                return;
            }
        }
    });
    Ok(input)
}

/// Raw mode: the terminal delivers each key at once and echoes none. Dropping it restores the mode.
pub(super) struct RawMode(());

impl RawMode {
    pub(super) fn enter() -> io::Result<Self> {
        enter()?;
        Ok(Self(()))
    }

    /// Stops the process, as Ctrl-Z does elsewhere; [`Input::Continued`] follows when it continues.
    pub(super) fn suspend(&self) {
        leave();
        // The whole process group: the shell waits for all of it.
        let _ = kill_current_process_group(Signal::TSTP);
    }

    /// Enters raw mode again after a stop, since the shell has left it.
    pub(super) fn enter_again(&self) -> io::Result<()> {
        terminal::disable_raw_mode()?;
        enter()
    }
}

impl Drop for RawMode {
    fn drop(&mut self) {
        leave();
    }
}

fn enter() -> io::Result<()> {
    terminal::enable_raw_mode()?;
    execute!(io::stdout(), EnableBracketedPaste)
}

fn leave() {
    // A terminal that is gone needs no mode.
    let _ = execute!(io::stdout(), DisableBracketedPaste);
    let _ = terminal::disable_raw_mode();
}
