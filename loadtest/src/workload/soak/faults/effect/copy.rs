//! Another server beside the one of the run. On a copy with a flipped bit it must refuse to start, refuse to answer, or
//! serve only what is right and all of it. On a restored backup it must serve all that was acknowledged before. On the
//! same data it must not start.

use std::fs::{self, OpenOptions};
use std::os::unix::fs::FileExt;
use std::path::Path;
use std::sync::Arc;

use anyhow::{Context, Result};
use tempfile::TempDir;

use crate::arguments::fault::Fault;
use crate::server::Ports;
use crate::server::own::OwnServer;
use crate::workload::bare::Bare;
use crate::workload::soak::notes::{Notes, Reader};
use crate::workload::soak::verdict::audit;
use crate::world::rest::Rest;

/// How many journals of the copy are read.
const READ_CONVERSATIONS: usize = 12;

/// Kills the server and copies its data.
pub(in crate::workload::soak::faults) fn kill_and_copy(own: &mut OwnServer) -> Result<TempDir> {
    own.kill()?;
    let folder = tempfile::Builder::new().prefix("loadtest-copy-").tempdir()?;
    let data = folder.path().join("data");
    fs::create_dir(&data)?;
    for file in fs::read_dir(own.folder().join("data"))? {
        let file = file?;
        // The lock is of the server that was killed, and the index beside the log is made anew.
        let name = file.file_name().to_string_lossy().into_owned();
        if file.file_type()?.is_file() && !name.ends_with("-shm") && !name.contains("lock") {
            fs::copy(file.path(), data.join(name))?;
        }
    }
    Ok(folder)
}

/// Flips a bit in the copy, starts a server on it and reads journals there; `promised` is what each conversation must
/// have.
pub(in crate::workload::soak::faults) async fn serve_flipped(
    own: &OwnServer,
    folder: &TempDir,
    fault: Fault,
    target: usize,
    promised: Vec<i64>,
    notes: &Arc<Notes>,
) -> Result<()> {
    let name = if fault == Fault::FlipLog {
        "huizhen.db-wal"
    } else {
        "huizhen.db"
    };
    if !flip(&folder.path().join("data").join(name), target)? {
        return Ok(());
    }
    // One that does not start has seen it.
    let Ok((mut copy, ports)) = own.start_copy(folder.path()).await else {
        return Ok(());
    };
    for (reader, promised) in some_readers(notes, target, &promised) {
        // One that refuses to answer has seen it, too.
        let _ = read(&ports, reader, promised, notes).await;
    }
    copy.kill()
}

/// Makes a backup while the server runs, restores it, starts a server on it and reads journals there; `promised` was
/// acknowledged before.
pub(in crate::workload::soak::faults) async fn serve_backup(
    own: &OwnServer,
    target: usize,
    promised: Vec<i64>,
    notes: &Arc<Notes>,
) -> Result<()> {
    let folder = tempfile::Builder::new().prefix("loadtest-backup-").tempdir()?;
    let at = |name: &str| folder.path().join(name).display().to_string();
    let data = own.folder().join("data").display().to_string();
    own.command(&["backup", "--data", &data, "--to", &at("backup")])
        .await?;
    own.command(&[
        "restore",
        "--from",
        &at("backup"),
        "--data",
        &at("data"),
        "--keep-logins",
    ])
    .await?;
    let (mut copy, ports) = own.start_copy(folder.path()).await?;
    for (reader, promised) in some_readers(notes, target, &promised) {
        read(&ports, reader, promised, notes)
            .await
            .context("a restored backup does not answer")?;
    }
    copy.kill()
}

/// Starts another server on the same data, which must refuse.
pub(in crate::workload::soak::faults) async fn start_beside(own: &OwnServer, notes: &Notes) -> Result<()> {
    let logs = tempfile::Builder::new().prefix("loadtest-beside-").tempdir()?;
    if own.start_beside(logs.path()).await.is_ok() {
        notes.fault("a second server has started on the data of the first".to_owned());
    }
    Ok(())
}

/// Some readers from `target` on, each with what its conversation must have.
fn some_readers<'a>(
    notes: &'a Notes,
    target: usize,
    promised: &'a [i64],
) -> impl Iterator<Item = (&'a Reader, i64)> {
    let readers = notes.readers();
    let first = target % readers.len().max(1);
    readers
        .iter()
        .cycle()
        .skip(first)
        .take(READ_CONVERSATIONS.min(readers.len()))
        .map(|reader| (reader, promised[reader.conversation]))
}

/// Flips one bit somewhere in the middle half; false when there is nothing to flip.
fn flip(path: &Path, target: usize) -> Result<bool> {
    let Ok(file) = OpenOptions::new().read(true).write(true).open(path) else {
        return Ok(false);
    };
    let length = file.metadata()?.len();
    if length < 4096 {
        return Ok(false);
    }
    let place = length / 4 + (target as u64).wrapping_mul(0x9e37_79b9_7f4a_7c15) % (length / 2);
    let mut byte = [0];
    file.read_exact_at(&mut byte, place)?;
    byte[0] ^= 1 << (target % 8);
    file.write_all_at(&byte, place)?;
    Ok(true)
}

async fn read(ports: &Ports, reader: &Reader, promised: i64, notes: &Notes) -> Result<()> {
    let rest = Rest::new(&format!("http://{}", ports.rest.context("no REST")?))?;
    let password = rest.im_password(&reader.user.access_token).await?;
    let mut bare = Bare::log_in(ports.im.context("no listener")?, &reader.user, &password).await?;
    audit::pages(&mut bare, notes, reader, promised).await
}
