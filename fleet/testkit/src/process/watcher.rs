//! Ends a server whose starter is gone, whatever way it went.

use std::{
    os::unix::process::CommandExt,
    path::Path,
    process::{Child, ChildStdin, Command, Stdio},
};

use anyhow::Context;

/// A shell that waits for the end of its input, which this process holds. `PR_SET_PDEATHSIG` would not do: it fires at
/// the end of the thread that started the child, and tests have a thread each.
#[derive(Debug)]
pub(crate) struct Watcher {
    shell: Child,
    input: Option<ChildStdin>,
}

impl Watcher {
    /// Once this process is gone, runs `end`, to which the folder is `$1`, and removes the folder.
    pub(crate) fn over(folder: &Path, end: &str) -> anyhow::Result<Self> {
        let script = format!(
            "trap '' INT TERM HUP
            read -r _
            {end}
            rm -rf \"$1\" 2>/dev/null || {{ sleep 1; rm -rf \"$1\"; }}"
        );
        let mut shell = Command::new("/bin/sh")
            .args(["-c", &script, "huizhen-watcher"])
            .arg(folder)
            .current_dir("/")
            .stdin(Stdio::piped())
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .process_group(0)
            .spawn()
            .context("/bin/sh cannot be run")?;
        let input = shell.stdin.take();
        Ok(Self { shell, input })
    }
}

impl Drop for Watcher {
    fn drop(&mut self) {
        drop(self.input.take());
        let _ = self.shell.wait();
    }
}
