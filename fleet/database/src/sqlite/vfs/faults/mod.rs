//! A disk that hangs, for tests of what must hold meanwhile.

#[cfg(test)]
pub(super) mod mock;

use std::{
    collections::BTreeMap,
    fs,
    path::{Path, PathBuf},
    sync::Arc,
};

use parking_lot::{Condvar, Mutex};

/// The disks of files that tests control.
static DISKS: Mutex<BTreeMap<PathBuf, Arc<Disk>>> = Mutex::new(BTreeMap::new());

/// An operation on a database file or its log.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Operation {
    /// Reading.
    Read,
    /// Writing.
    Write,
    /// Syncing.
    Sync,
}

/// Controls the disk under one database file and its log, for tests. Create it before the file is opened.
pub struct Faults {
    path: PathBuf,
    disk: Arc<Disk>,
}

/// A fault; dropping it ends it.
#[must_use = "the disk hangs no longer than this lives"]
pub struct Hang {
    disk: Arc<Disk>,
    operation: Operation,
}

#[derive(Default)]
pub(super) struct Disk {
    state: Mutex<State>,
    changed: Condvar,
}

#[derive(Default)]
struct State {
    /// Hangs of each operation.
    hangs: [usize; 3],
    /// Operations that wait.
    waiting: [usize; 3],
}

impl Faults {
    /// Controls the disk under the file at `path`, whose folder must exist.
    pub fn on(path: &Path) -> Self {
        let path = resolved(path);
        let disk = Arc::<Disk>::default();
        DISKS.lock().insert(path.clone(), disk.clone());
        Self { path, disk }
    }

    /// Lets an operation hang from now on.
    pub fn hang(&self, operation: Operation) -> Hang {
        self.disk.state.lock().hangs[operation as usize] += 1;
        Hang {
            disk: self.disk.clone(),
            operation,
        }
    }

    /// How many calls of an operation hang now.
    pub fn hanging(&self, operation: Operation) -> usize {
        self.disk.state.lock().waiting[operation as usize]
    }
}

impl Drop for Faults {
    fn drop(&mut self) {
        DISKS.lock().remove(&self.path);
    }
}

impl Drop for Hang {
    fn drop(&mut self) {
        self.disk.state.lock().hangs[self.operation as usize] -= 1;
        self.disk.changed.notify_all();
    }
}

impl Disk {
    /// Returns when the operation does not hang any more.
    pub(super) fn pass(&self, operation: Operation) {
        let at = operation as usize;
        let mut state = self.state.lock();
        state.waiting[at] += 1;
        self.changed.wait_while(&mut state, |state| state.hangs[at] > 0);
        state.waiting[at] -= 1;
    }
}

/// The disk of a file that is being opened, if a test controls it.
pub(super) fn disk_of(name: &str) -> Option<Arc<Disk>> {
    DISKS.lock().get(Path::new(name)).cloned()
}

/// The path as SQLite names the file.
fn resolved(path: &Path) -> PathBuf {
    let folder = path.parent().filter(|folder| !folder.as_os_str().is_empty());
    let folder = fs::canonicalize(folder.unwrap_or(Path::new(".")));
    match (folder, path.file_name()) {
        (Ok(folder), Some(name)) => folder.join(name),
        _ => path.to_owned(),
    }
}
