//! The backplane: the same tests on all engines, and what only Redis does.

#![allow(clippy::unwrap_used, reason = "a test that fails says where")]

mod books;
mod cluster;
mod examination;
mod faults;
mod fleets;
mod forgeries;
mod listening;
mod refusals;
mod sentinel;
mod writes;

use std::time::SystemTime;

use backplane::{Backplane, Identity};
use testkit::{PATIENCE, cluster::Cluster, eventually, redis::Redis};

/// The fleet of all tests that need one only.
const IDENTITY: Identity = Identity::new(0x1d, [0x1d; 32]);

/// The engine that a test runs on.
#[derive(Clone, Copy, Debug)]
enum Engine {
    Memory,
    Redis,
    Cluster,
}

impl Engine {
    /// A backplane of the test's own, connected.
    async fn open(self) -> Backplane {
        match self {
            Self::Memory => Backplane::memory(),
            Self::Redis => open(&Redis::shared().prefixed_url()).await,
            Self::Cluster => open(&Cluster::shared().prefixed_url()).await,
        }
    }
}

/// A backplane that is connected.
async fn open(url: &str) -> Backplane {
    open_as(url, &IDENTITY).await
}

/// The same for a fleet.
async fn open_as(url: &str, identity: &Identity) -> Backplane {
    let backplane = Backplane::open(url, identity).await.unwrap();
    eventually("it is connected", async || backplane.is_available().await).await;
    backplane
}

/// The name of a key or channel of [`IDENTITY`] under the default prefix.
fn named(name: &str) -> String {
    format!("huizhen:{}:{name}", IDENTITY.id())
}

fn now_ms() -> i64 {
    let since = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).unwrap();
    i64::try_from(since.as_millis()).unwrap()
}

/// Makes of each async function named, which takes an [`Engine`], a test on each.
macro_rules! on_each {
    ($($test:ident),* $(,)?) => {
        mod on_memory {
            $(#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
            async fn $test() { Box::pin(super::$test(crate::Engine::Memory)).await; })*
        }
        mod on_redis {
            $(#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
            async fn $test() { Box::pin(super::$test(crate::Engine::Redis)).await; })*
        }
        mod on_cluster {
            $(#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
            async fn $test() { Box::pin(super::$test(crate::Engine::Cluster)).await; })*
        }
    };
}
use on_each;
