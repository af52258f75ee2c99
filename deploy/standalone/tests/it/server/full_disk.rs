//! One process on a disk that is full at the start: it reads, says so, and goes on by itself once there is room.

use std::{
    fs::{self, File},
    io::Write,
    path::Path,
    process::Command,
};

use tempfile::TempDir;

use super::on_server::{ask, await_status, place, write};
use crate::process::{Running, huizhen, run, text};

/// A small file system of its own.
struct SmallDisk(TempDir);

impl SmallDisk {
    /// None where this user may not mount one.
    fn mount() -> Option<Self> {
        let folder = tempfile::tempdir().unwrap();
        let mounted = Command::new("mount")
            .args(["-t", "tmpfs", "-o", "size=16m", "tmpfs"])
            .arg(folder.path())
            .output();
        let is_mounted = mounted.is_ok_and(|output| output.status.success());
        if !is_mounted {
            eprintln!("not tested: this user may not mount a file system");
        }
        is_mounted.then_some(Self(folder))
    }

    fn path(&self) -> &Path {
        self.0.path()
    }

    fn fill(&self) {
        let filler = self.path().join("filler");
        let mut filler = File::options().create(true).append(true).open(filler).unwrap();
        while filler.write_all(&[7; 4096]).is_ok() {}
        while filler.write_all(&[7]).is_ok() {}
    }

    fn empty(&self) {
        fs::remove_file(self.path().join("filler")).unwrap();
    }
}

impl Drop for SmallDisk {
    fn drop(&mut self) {
        let _ = Command::new("umount").arg("--lazy").arg(self.path()).status();
    }
}

#[test]
fn a_start_on_a_full_disk_reads_and_goes_on_when_there_is_room() {
    let Some(disk) = SmallDisk::mount() else { return };
    let elsewhere = tempfile::tempdir().unwrap();
    let data = disk.path().join("data");
    let data = data.to_str().unwrap();
    let serve = || {
        let mut serve = Running::start(huizhen(
            elsewhere.path(),
            &["serve", "--drain-s", "1", "--data", data],
        ));
        let admin = place(&serve.wait_for("listening admin="), "admin");
        let rest = place(&serve.wait_for("listening rest="), "rest");
        (serve, admin, rest)
    };
    let (first, admin, rest) = serve();
    await_status(&admin, 200);
    assert!(write(&rest, 1).starts_with("HTTP/1.1 200 "));
    first.signal("TERM");
    assert_eq!(first.end(), Some(0));
    disk.fill();
    let checked = run(huizhen(elsewhere.path(), &["check", "--data", data]), "");
    let lines = text(&checked.stdout) + &text(&checked.stderr);
    assert!(
        lines.contains("free or add disk space") && !lines.contains("chown"),
        "{lines}"
    );
    let (second, admin, rest) = serve();
    await_status(&admin, 503);
    let version = "GET /version HTTP/1.1\r\nhost: x\r\nconnection: close\r\n\r\n";
    assert!(ask(&rest, version).starts_with("HTTP/1.1 200 "));
    let answer = write(&rest, 2);
    assert!(
        answer.starts_with("HTTP/1.1 503 ") && answer.contains("server.read_only"),
        "{answer}"
    );
    assert!(answer.to_lowercase().contains("retry-after: "), "{answer}");
    disk.empty();
    await_status(&admin, 200);
    let answer = write(&rest, 3);
    assert!(answer.starts_with("HTTP/1.1 200 "), "{answer}");
    second.signal("TERM");
    assert_eq!(second.end(), Some(0));
}
