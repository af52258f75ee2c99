//! Vital tasks: a process cannot do its work without one of them. When one panics, the panic is logged and counted,
//! `/readyz` fails with the task's name, and the process ends: a supervisor starts it anew.
//!
//! A vital task ends otherwise only by [`Stopped`], which its code returns where it was asked to stop.

use std::{
    any::Any,
    future::Future,
    io,
    panic::{AssertUnwindSafe, catch_unwind},
    sync::OnceLock,
};

use futures_util::FutureExt;
use tokio::{sync::watch, task::JoinHandle};

use crate::events::program::Event;
pub use crate::name::Name;

/// The end of a vital task whose owner asked it to stop.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Stopped;

/// Spawns a task that must live until it is asked to stop.
pub fn vital<F>(name: Name, future: F) -> JoinHandle<()>
where
    F: Future<Output = Stopped> + Send + 'static,
{
    tokio::spawn(async move {
        let future = AssertUnwindSafe(future).catch_unwind();
        let outcome = tokio::select! {
            outcome = future => outcome,
            outcome = AssertUnwindSafe(plant::asynchronous(name)).catch_unwind() => outcome,
        };
        if let Err(panic) = outcome {
            fail(name, &*panic);
        }
    })
}

/// Spawns work that must live until `stop` is ready, or that ends with the parts that it serves.
pub fn vital_until<S, F>(name: Name, stop: S, work: F) -> JoinHandle<()>
where
    S: Future<Output = ()> + Send + 'static,
    F: Future<Output = ()> + Send + 'static,
{
    vital(name, async move {
        tokio::select! {
            () = stop => {}
            () = work => {}
        }
        Stopped
    })
}

/// Starts a thread that must live until it is asked to stop. Its loop calls [`plant::here`] each time around.
///
/// # Errors
/// When the system starts no more threads.
pub fn vital_thread<F>(name: Name, body: F) -> io::Result<std::thread::JoinHandle<()>>
where
    F: FnOnce() -> Stopped + Send + 'static,
{
    std::thread::Builder::new()
        .name(name.as_str().to_owned())
        .spawn(move || {
            if let Err(panic) = catch_unwind(AssertUnwindSafe(body)) {
                fail(name, &*panic);
            }
        })
}

fn state() -> &'static watch::Sender<Option<Name>> {
    static STATE: OnceLock<watch::Sender<Option<Name>>> = OnceLock::new();
    STATE.get_or_init(|| watch::Sender::new(None))
}

fn fail(name: Name, panic: &(dyn Any + Send)) {
    let message = panic
        .downcast_ref::<&str>()
        .map(|text| (*text).to_owned())
        .or_else(|| panic.downcast_ref::<String>().cloned())
        .unwrap_or_else(|| "a panic without a message".to_owned());
    Event::VitalTaskFailed {
        task: name,
        message: &message,
    }
    .emit();
    state().send_if_modified(|first| first.is_none() && first.replace(name).is_none());
}

/// The first vital task that failed in this process; `/readyz` fails with it.
#[must_use]
pub fn failed() -> Option<Name> {
    *state().borrow()
}

/// Waits until a vital task fails: the process has to end then.
pub async fn failure() -> Name {
    let mut failures = state().subscribe();
    let failed = failures.wait_for(Option::is_some).await;
    // The sender is a static, so that it is never dropped.
    failed.ok().and_then(|name| *name).unwrap_or(Name::Unknown)
}

/// Panics that a test plants in a running process: only debug builds have them. `HUIZHEN_PLANT_PANIC=<task>@<file>`
/// panics in the task of that name once the file exists.
pub mod plant {
    use super::Name;

    #[cfg(debug_assertions)]
    fn planted(name: Name) -> Option<&'static std::path::Path> {
        use std::{path::PathBuf, sync::OnceLock};
        static PLANTED: OnceLock<Option<(String, PathBuf)>> = OnceLock::new();
        let planted = PLANTED.get_or_init(|| {
            let text = std::env::var("HUIZHEN_PLANT_PANIC").ok()?;
            let (task, file) = text.split_once('@')?;
            Some((task.to_owned(), PathBuf::from(file)))
        });
        match planted {
            Some((task, file)) if task == name.as_str() => Some(file),
            _ => None,
        }
    }

    /// Panics when a test has planted it in this task and its file exists; a thread calls it in its loop.
    pub fn here(name: Name) {
        #[cfg(debug_assertions)]
        if planted(name).is_some_and(std::path::Path::exists) {
            panic!("a test has planted this panic in {name}");
        }
        #[cfg(not(debug_assertions))]
        let _ = name;
    }

    /// The same for a task, beside its own future.
    #[cfg_attr(
        not(debug_assertions),
        expect(clippy::unused_async, reason = "waits in debug builds")
    )]
    pub(super) async fn asynchronous(name: Name) -> super::Stopped {
        #[cfg(debug_assertions)]
        if planted(name).is_some() {
            loop {
                here(name);
                tokio::time::sleep(std::time::Duration::from_millis(20)).await;
            }
        }
        let _ = name;
        std::future::pending().await
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// One test for all: a failure is the whole process's.
    #[tokio::test]
    async fn a_panic_is_a_failure_and_an_end_that_was_asked_for_is_none() {
        vital(Name::NodeLag, async { Stopped }).await.unwrap();
        let aborted = vital(Name::NodeMarks, std::future::pending());
        aborted.abort();
        assert!(aborted.await.unwrap_err().is_cancelled());
        assert_eq!(failed(), None);

        let panicking = vital(Name::NodeCompare, async { panic!("out of paper") });
        assert_eq!(failure().await, Name::NodeCompare);
        panicking.await.unwrap();
        let thread = vital_thread(Name::SqliteWriter, || panic!("{}", "later")).unwrap();
        thread.join().unwrap();
        assert_eq!(failed(), Some(Name::NodeCompare), "the first is kept");
    }

    #[test]
    fn names_are_unique() {
        let names: std::collections::HashSet<_> = Name::ALL.iter().map(|name| name.as_str()).collect();
        assert_eq!(names.len(), Name::ALL.len());
    }
}
