//! Starting the program, in folders of its own and on free ports.

use std::{
    io::{BufRead, BufReader, Read, Write},
    path::{Path, PathBuf},
    process::{Child, ChildStdin, Command, Output, Stdio},
    sync::mpsc,
    time::{Duration, Instant},
};

use serde_json::Value;
use testkit::port::Port;

pub(crate) use testkit::PATIENCE;

/// A command in a folder, with all ports free.
pub(crate) fn huizhen(folder: &Path, arguments: &[&str]) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_huizhen"));
    command.args(arguments);
    in_folder(&mut command, folder);
    command
}

/// Makes a command run in a folder, with all ports free.
pub(crate) fn in_folder(command: &mut Command, folder: &Path) {
    command.current_dir(folder);
    for address in ["IM", "WS", "TLS", "REST", "ADMIN"] {
        command.env(format!("HUIZHEN_{address}_ADDR"), "127.0.0.1:0");
    }
    // Not the settings of the user who runs the tests.
    for name in [
        "RUST_LOG",
        "LC_ALL",
        "LC_MESSAGES",
        "LANG",
        "HUIZHEN_CONFIG",
        "HUIZHEN_DATABASE_URL",
    ] {
        command.env_remove(name);
    }
}

/// A library made of a source in C, which `LD_PRELOAD` loads before libc.
pub(crate) fn shim(folder: &Path, source: &str) -> PathBuf {
    let (text, library) = (folder.join("shim.c"), folder.join("shim.so"));
    std::fs::write(&text, source).unwrap();
    let made = Command::new("cc")
        .args(["-shared", "-fPIC", "-O1", "-o"])
        .args([&library, &text])
        .arg("-ldl")
        .status();
    assert!(made.unwrap().success());
    library
}

/// Where a server listens that clients find again after a restart: nobody else gets these ports meanwhile.
pub(crate) struct Places {
    im: Port,
    rest: Port,
}

impl Places {
    pub(crate) fn take() -> Self {
        Self {
            im: Port::take().unwrap(),
            rest: Port::take().unwrap(),
        }
    }

    /// The address of REST.
    pub(crate) fn rest(&self) -> String {
        format!("http://{}", self.rest.address())
    }

    /// Makes a command listen there.
    pub(crate) fn on(&self, mut command: Command) -> Command {
        command.env("HUIZHEN_IM_ADDR", self.im.address().to_string());
        command.env("HUIZHEN_REST_ADDR", self.rest.address().to_string());
        command
    }
}

/// Runs to the end with some input.
pub(crate) fn run(mut command: Command, input: &str) -> Output {
    let mut child = command
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    // A program that does not read its input closes it.
    let _ = child.stdin.take().unwrap().write_all(input.as_bytes());
    child.wait_with_output().unwrap()
}

/// One request on a connection of its own, by its method and path; the whole answer. Further headers end with CRLF.
pub(crate) fn ask(address: &str, call: &str, headers: &str, body: &str) -> String {
    let mut stream = std::net::TcpStream::connect(address).unwrap();
    let length = body.len();
    write!(
        stream,
        "{call} HTTP/1.1\r\nhost: x\r\nconnection: close\r\ncontent-type: application/json\r\n\
         content-length: {length}\r\n{headers}\r\n{body}"
    )
    .unwrap();
    let mut answer = String::new();
    stream.read_to_string(&mut answer).unwrap();
    answer
}

pub(crate) fn text(bytes: &[u8]) -> String {
    String::from_utf8_lossy(bytes).into_owned()
}

/// A process whose standard output is read line by line. Killed when dropped.
pub(crate) struct Running {
    child: Child,
    input: Option<ChildStdin>,
    lines: mpsc::Receiver<String>,
    seen: Vec<String>,
}

impl Running {
    pub(crate) fn start(command: Command) -> Self {
        Self::start_logging(command, Stdio::inherit())
    }

    /// The same with the log elsewhere.
    pub(crate) fn start_logging(mut command: Command, log: impl Into<Stdio>) -> Self {
        let mut child = command
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(log)
            .spawn()
            .unwrap();
        let output = BufReader::new(child.stdout.take().unwrap());
        let (told, lines) = mpsc::sync_channel(1024);
        std::thread::spawn(move || {
            for line in output.lines().map_while(Result::ok) {
                if told.send(line).is_err() {
                    return;
                }
            }
        });
        Self {
            input: child.stdin.take(),
            child,
            lines,
            seen: Vec::new(),
        }
    }

    /// Waits for a line that holds a text.
    pub(crate) fn wait_for(&mut self, wanted: &str) -> String {
        self.wait_until(wanted, |line| line.contains(wanted))
    }

    /// Waits for a line of JSON.
    pub(crate) fn wait_for_event(&mut self, about: &str, mut wanted: impl FnMut(&Value) -> bool) -> Value {
        let line = self.wait_until(about, |line| {
            serde_json::from_str(line).is_ok_and(|value| wanted(&value))
        });
        serde_json::from_str(&line).unwrap()
    }

    fn wait_until(&mut self, about: &str, mut wanted: impl FnMut(&str) -> bool) -> String {
        let end = Instant::now() + PATIENCE;
        loop {
            let left = end.saturating_duration_since(Instant::now());
            match self.lines.recv_timeout(left) {
                Ok(line) => {
                    self.seen.push(line.clone());
                    if wanted(&line) {
                        return line;
                    }
                }
                Err(_) => panic!("{about:?} did not come; there was:\n{}", self.seen.join("\n")),
            }
        }
    }

    pub(crate) fn type_line(&mut self, line: &str) {
        let input = self.input.as_mut().unwrap();
        writeln!(input, "{line}").unwrap();
        input.flush().unwrap();
    }

    pub(crate) fn end_input(&mut self) {
        self.input = None;
    }

    pub(crate) fn signal(&self, name: &str) {
        let killed = Command::new("sh")
            .args(["-c", &format!("kill -{name} {}", self.child.id())])
            .status()
            .unwrap();
        assert!(killed.success());
    }

    /// Waits for the end, and tells the exit status.
    pub(crate) fn end(mut self) -> Option<i32> {
        let end = Instant::now() + PATIENCE;
        while Instant::now() < end {
            if let Some(status) = self.child.try_wait().unwrap() {
                return status.code();
            }
            std::thread::sleep(Duration::from_millis(10));
        }
        panic!("it does not end; there was:\n{}", self.seen.join("\n"));
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}
