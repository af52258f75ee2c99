//! A program on a terminal of its own, and what stands on its screen.

use std::{
    fs::File,
    io::{Read, Write},
    num::NonZeroU16,
    os::fd::OwnedFd,
    process::{Child, Command, Stdio},
    sync::mpsc,
    time::Instant,
};

use rustix::{
    fs::{Mode, OFlags},
    pty::{self, OpenptFlags},
    termios::{self, LocalModes, Winsize},
};

use crate::process::PATIENCE;

/// A process with its terminal. Killed when dropped.
pub(crate) struct Terminal {
    child: Child,
    master: File,
    /// Keeps the terminal, and its modes, when the process has ended.
    slave: OwnedFd,
    output: mpsc::Receiver<Vec<u8>>,
    parser: vt100::Parser,
}

impl Terminal {
    pub(crate) fn start(command: &Command, columns: u16, rows: u16) -> Self {
        let master = pty::openpt(OpenptFlags::RDWR | OpenptFlags::NOCTTY).unwrap();
        pty::grantpt(&master).unwrap();
        pty::unlockpt(&master).unwrap();
        let name = pty::ptsname(&master, Vec::new()).unwrap();
        let slave = rustix::fs::open(&name, OFlags::RDWR | OFlags::NOCTTY, Mode::empty()).unwrap();
        termios::tcsetwinsize(&master, size(columns, rows)).unwrap();
        let side = || Stdio::from(slave.try_clone().unwrap());
        let child = controlled(command)
            .stdin(side())
            .stdout(side())
            .stderr(side())
            .spawn()
            .unwrap();
        let master = File::from(master);
        let mut reader = master.try_clone().unwrap();
        let (told, output) = mpsc::sync_channel(1024);
        std::thread::spawn(move || {
            let mut bytes = [0; 4096];
            while let Ok(count) = reader.read(&mut bytes) {
                if count == 0 || told.send(bytes[..count].to_vec()).is_err() {
                    return;
                }
            }
        });
        Self {
            child,
            master,
            slave,
            output,
            parser: vt100::Parser::new(count(rows), count(columns), 0),
        }
    }

    /// Types, as a keyboard does.
    pub(crate) fn keys(&mut self, keys: &str) {
        self.master.write_all(keys.as_bytes()).unwrap();
    }

    pub(crate) fn resize(&mut self, columns: u16, rows: u16) {
        // Bytes that are on their way were drawn for the old size.
        while let Ok(bytes) = self.output.try_recv() {
            self.parser.process(&bytes);
        }
        self.parser.screen_mut().set_size(count(rows), count(columns));
        termios::tcsetwinsize(&self.master, size(columns, rows)).unwrap();
    }

    /// The rows of the screen down to the last one that is not empty.
    pub(crate) fn rows(&self) -> Vec<String> {
        let screen = self.parser.screen();
        let (_, columns) = screen.size();
        let mut rows: Vec<String> = screen
            .rows(0, columns.get())
            .map(|row| row.trim_end().to_owned())
            .collect();
        while rows.last().is_some_and(String::is_empty) {
            rows.pop();
        }
        rows
    }

    /// Row and column of the cursor.
    pub(crate) fn cursor(&self) -> (u16, u16) {
        self.parser.screen().cursor_position()
    }

    /// How many rows hold a text.
    pub(crate) fn count(&self, text: &str) -> usize {
        self.rows().iter().filter(|row| row.contains(text)).count()
    }

    /// Waits for a row that holds a text.
    pub(crate) fn wait_for(&mut self, text: &str) {
        self.wait_until(text, |rows| rows.iter().any(|row| row.contains(text)));
    }

    /// Waits for the last rows to be these.
    pub(crate) fn wait_for_end(&mut self, wanted: &[&str]) {
        self.wait_until(&wanted.join("\n"), |rows| {
            let rows: Vec<&str> = rows.iter().map(String::as_str).collect();
            rows.ends_with(wanted)
        });
    }

    pub(crate) fn wait_until(&mut self, about: &str, wanted: impl Fn(&[String]) -> bool) {
        let end = Instant::now() + PATIENCE;
        while !wanted(&self.rows()) {
            let left = end.saturating_duration_since(Instant::now());
            match self.output.recv_timeout(left) {
                Ok(bytes) => self.parser.process(&bytes),
                Err(_) => panic!(
                    "this did not come:\n{about}\nthere is:\n{}",
                    self.rows().join("\n")
                ),
            }
        }
    }

    /// Waits for the end, and tells the exit status; the terminal is as it was before.
    pub(crate) fn end(mut self) -> Option<i32> {
        let end = Instant::now() + PATIENCE;
        let status = loop {
            while let Ok(bytes) = self.output.try_recv() {
                self.parser.process(&bytes);
            }
            if let Some(status) = self.child.try_wait().unwrap() {
                break status;
            }
            assert!(
                Instant::now() < end,
                "it does not end; there is:\n{}",
                self.rows().join("\n")
            );
            std::thread::sleep(std::time::Duration::from_millis(10));
        };
        let modes = termios::tcgetattr(&self.slave).unwrap().local_modes;
        assert!(
            modes.contains(LocalModes::ICANON | LocalModes::ECHO),
            "the terminal stays raw"
        );
        status.code()
    }
}

impl Drop for Terminal {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// The command under `setsid`, which makes the terminal the one that controls it: only such a process hears of another
/// size.
fn controlled(command: &Command) -> Command {
    let mut controlled = Command::new("setsid");
    controlled
        .arg("--ctty")
        .arg(command.get_program())
        .args(command.get_args())
        .env("TERM", "xterm-256color");
    if let Some(folder) = command.get_current_dir() {
        controlled.current_dir(folder);
    }
    for (name, value) in command.get_envs() {
        match value {
            Some(value) => controlled.env(name, value),
            None => controlled.env_remove(name),
        };
    }
    controlled
}

fn count(number: u16) -> NonZeroU16 {
    NonZeroU16::new(number).unwrap()
}

fn size(columns: u16, rows: u16) -> Winsize {
    Winsize {
        ws_row: rows,
        ws_col: columns,
        ws_xpixel: 0,
        ws_ypixel: 0,
    }
}
