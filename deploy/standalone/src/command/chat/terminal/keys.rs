//! Keys, signals, and the mode of the terminal that brings keys one by one.

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

/// Keys that wait to be taken up: more than anybody types ahead; a paste is one of them.
const CAPACITY: usize = 256;

/// Input of a terminal.
#[derive(Debug)]
pub(in super::super) enum Input {
    /// A key, a paste or another size.
    Event(Event),
    /// The process goes on after it was stopped.
    Continued,
    /// The terminal is gone, or the process is to end.
    Ended,
}

/// Starts to listen.
pub(super) fn listen() -> io::Result<mpsc::Receiver<Input>> {
    let (heard, input) = mpsc::channel(CAPACITY);
    let keys = heard.clone();
    // A thread of its own: a blocking read cannot be cancelled, and this one ends with the process.
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

/// The terminal gives each key at once and echoes none; it is as before when this is dropped.
pub(super) struct RawMode(());

impl RawMode {
    pub(super) fn enter() -> io::Result<Self> {
        enter()?;
        Ok(Self(()))
    }

    /// Stops the process, as Ctrl-Z does elsewhere; [`Input::Continued`] tells when it goes on.
    pub(super) fn suspend(&self) {
        leave();
        // Of the whole group: the shell waits for all of it.
        let _ = kill_current_process_group(Signal::TSTP);
    }

    /// After the process was stopped: others have set the terminal meanwhile.
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
    // Nothing can be done about a terminal that is gone.
    let _ = execute!(io::stdout(), DisableBracketedPaste);
    let _ = terminal::disable_raw_mode();
}
