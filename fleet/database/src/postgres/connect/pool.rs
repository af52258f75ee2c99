//! The pool: connections that are lent for one statement or one transaction.

use std::sync::Arc;

use deadpool::managed::{self, Metrics, RecycleError, RecycleResult};
use deadpool_postgres::ClientWrapper;

use super::hosts::{Away, Hosts};

/// Connections of the pool: statements here take a millisecond, so they serve some thousand requests a second. Each is a
/// process of the server, and each program of a fleet has as many.
pub(crate) const CONNECTIONS: usize = 10;

/// Makes connections, and recycles those that are still good.
pub(crate) struct Manager {
    pub(crate) hosts: Arc<Hosts>,
    /// Statements that set a session up.
    pub(crate) session: String,
}

/// A connection that is lent.
pub(crate) type Object = managed::Object<Manager>;
pub(crate) type Pool = managed::Pool<Manager>;

impl managed::Manager for Manager {
    type Type = ClientWrapper;
    type Error = Away;

    async fn create(&self) -> Result<ClientWrapper, Away> {
        let (client, driver) = self.hosts.connect(&self.session).await?;
        Ok(ClientWrapper::new(client, driver))
    }

    async fn recycle(&self, client: &mut ClientWrapper, metrics: &Metrics) -> RecycleResult<Away> {
        if client.is_closed() {
            return Err(RecycleError::message("it has ended"));
        }
        if self.hosts.has_left_since(metrics.created) {
            return Err(RecycleError::message("its server accepts no writes any more"));
        }
        Ok(())
    }
}
