//! Nodes that share a database and a Redis and nothing else.

use backplane::{Backplane, Identity};
use database::Database;
use journal::Journal;
use testkit::eventually;

use super::fleet::Fleet;

/// Of nodes that share a Redis.
const IDENTITY: Identity = Identity::new(1, [1; 32]);

/// The name of a key or channel in Redis.
pub fn named(name: &str) -> String {
    format!("huizhen:{}:{name}", IDENTITY.id())
}

/// A connection to Redis that is up.
pub async fn over_redis(url: &str, identity: &Identity) -> Backplane {
    let backplane = Backplane::open(url, identity).await.unwrap();
    eventually("Redis is there", async || backplane.is_available().await).await;
    backplane
}

impl Fleet {
    /// Nodes that share a database and a Redis and nothing else; the fleet's own handles stand for an api-server.
    pub async fn start_apart(redis_url: &str, nodes: usize) -> Self {
        let place = super::STORE.place(crate::migrated).await;
        let open = async || {
            let backplane = over_redis(redis_url, &IDENTITY).await;
            Journal::new(Database::open(place.url()).await.unwrap(), backplane)
        };
        let journal = open().await;
        let mut journals = Vec::new();
        for _ in 0..nodes {
            journals.push(open().await);
        }
        let mut fleet = Self::over(journal, place);
        for journal in journals {
            fleet.add_node_over(journal, &[]).await;
        }
        fleet
    }
}
