//! A server that refuses what Citus refuses: a proxy before a plain PostgreSQL that reads each statement on its way.
//!
//! - A statement that breaks a rule gets 0A000 when it is parsed. Citus plans at the first execution, so a statement that is
//!   prepared and never run passes there.
//! - `INSERT … SELECT` by COPY passes. Its 23505 comes back as XX000, without the name of the constraint.
//! - Settings of a session that matter where rows lie stay on the coordinator: they are taken out of the text. `ALTER ROLE` set
//!   the longest wait for a lock on each machine, and here each connection begins with it. This is harder than Citus is: on its
//!   coordinator a session's settings hold for the coordinator's own rows.
//! - `plan_cache_mode = force_generic_plan` is refused by itself, as each statement with parameters behind it would be.
//!
//! Machines behind the coordinator are not there: a test that wants one reaches the same server by a [`Proxy`](crate::proxy).

mod connection;
mod message;
mod text;

#[cfg(test)]
mod tests;

use std::{
    collections::HashMap,
    fs,
    io::Write,
    net::{Ipv4Addr, SocketAddr, TcpListener},
    path::PathBuf,
    sync::{Arc, Mutex, MutexGuard, OnceLock, PoisonError},
    thread,
};

use tokio::sync::oneshot;

pub use self::text::OF_A_TEST;
use self::text::Verdict;
use super::Refusal;
use crate::postgres::Postgres;

/// The variable that lets databases of tests lie behind one for this process: it names a file, which gets each
/// statement that is refused or copied.
const ASKED_FOR: &str = "HUIZHEN_TEST_STAND_IN";

/// It ends when it is dropped, and its connections with it.
#[derive(Debug)]
pub struct StandIn {
    address: SocketAddr,
    seen: Arc<Seen>,
    /// The thread ends with it.
    _end: oneshot::Sender<()>,
}

/// A refused statement.
#[derive(Clone, Debug)]
pub struct Refused {
    /// Its text.
    pub sql: String,
    /// The rule.
    pub refusal: Refusal,
}

/// The statements that all connections sent, and the file that a caller reads.
#[derive(Debug, Default)]
struct Seen {
    verdicts: Mutex<HashMap<String, Verdict>>,
    /// A refusal's number is its place.
    reasons: Mutex<Vec<String>>,
    refused: Mutex<Vec<Refused>>,
    copied: Mutex<Vec<String>>,
    report: Option<PathBuf>,
}

impl StandIn {
    /// Listens on a free port of 127.0.0.1, before a server on this machine.
    ///
    /// # Errors
    /// When there is no port or no thread.
    pub fn start(server: u16) -> std::io::Result<Self> {
        Self::reporting(server, None)
    }

    fn reporting(server: u16, report: Option<PathBuf>) -> std::io::Result<Self> {
        if let Some(report) = &report {
            fs::File::options().create(true).append(true).open(report)?;
        }
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0))?;
        listener.set_nonblocking(true)?;
        let address = listener.local_addr()?;
        let seen = Arc::new(Seen {
            report,
            ..Seen::default()
        });
        let (end, ended) = oneshot::channel::<()>();
        // It outlives the runtime of the test that started it.
        let runtime = tokio::runtime::Builder::new_current_thread()
            .enable_all()
            .build()?;
        let carried = seen.clone();
        thread::Builder::new()
            .name("stand-in".to_owned())
            .spawn(move || {
                runtime.block_on(async {
                    tokio::select! {
                        _ = ended => {}
                        _ = connection::accept(listener, (Ipv4Addr::LOCALHOST, server).into(), carried) => {}
                    }
                });
            })?;
        Ok(Self {
            address,
            seen,
            _end: end,
        })
    }

    /// Before the server that this process shares, where the variable asks for it.
    ///
    /// # Panics
    /// When it cannot be started.
    pub fn asked_for() -> Option<&'static Self> {
        static SHARED: OnceLock<Option<StandIn>> = OnceLock::new();
        let shared = SHARED.get_or_init(|| {
            let report = std::env::var_os(ASKED_FOR)?;
            let started = Self::reporting(Postgres::shared().port(), Some(report.into()));
            Some(started.unwrap_or_else(|error| panic!("no stand-in: {error}")))
        });
        shared.as_ref()
    }

    /// The variable for a process whose databases shall lie behind one, and the file that it writes.
    pub fn asking(report: PathBuf) -> (&'static str, PathBuf) {
        (ASKED_FOR, report)
    }

    /// The address of a database behind it, whose conversations lie on several machines.
    pub fn url(&self, database: &str) -> String {
        distributed(&format!(
            "postgres://postgres@127.0.0.1:{}/{database}?sslmode=disable",
            self.address.port()
        ))
    }

    /// The statements that were refused since the last call.
    pub fn take_refused(&self) -> Vec<Refused> {
        std::mem::take(&mut locked(&self.seen.refused))
    }

    /// The statements that passed by COPY since the last call.
    pub fn take_copied(&self) -> Vec<String> {
        std::mem::take(&mut locked(&self.seen.copied))
    }
}

/// The address of a plain server's database as one whose conversations lie on several machines.
pub fn distributed(url: &str) -> String {
    let joint = if url.contains('?') { '&' } else { '?' };
    format!("{url}{joint}options=-c%20huizhen.distributed%3Don")
}

fn locked<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

impl Seen {
    fn verdict(&self, sql: &str) -> Verdict {
        let known = locked(&self.verdicts).get(sql).cloned();
        let verdict = known.unwrap_or_else(|| {
            let verdict = text::verdict(sql);
            locked(&self.verdicts).insert(sql.to_owned(), verdict.clone());
            verdict
        });
        if verdict.copies {
            self.report(&format!("Copies:\n    {sql}"));
            locked(&self.copied).push(sql.to_owned());
        }
        verdict
    }

    fn report(&self, line: &str) {
        let Some(report) = &self.report else { return };
        let file = fs::File::options().append(true).open(report);
        let written = file.and_then(|mut file| writeln!(file, "{line}"));
        written.unwrap_or_else(|error| panic!("{} cannot be written: {error}", report.display()));
    }

    /// Keeps a refusal; its number finds it again.
    fn refuse(&self, sql: &str, refusal: &Refusal) -> usize {
        self.report(&format!("{refusal}\n    {sql}"));
        locked(&self.refused).push(Refused {
            sql: sql.to_owned(),
            refusal: refusal.clone(),
        });
        let mut reasons = locked(&self.reasons);
        reasons.push(refusal.to_string());
        reasons.len() - 1
    }

    fn reason(&self, number: usize) -> Option<String> {
        locked(&self.reasons).get(number).cloned()
    }
}
