//! The pool: connections that are lent for one statement or one transaction.

use std::sync::Arc;

use deadpool::managed::{self, Metrics, RecycleError, RecycleResult};
use deadpool_postgres::ClientWrapper;

use super::hosts::{Away, Hosts};

/// Makes connections, and takes back those that are still good.
pub(super) struct Manager {
    pub(super) hosts: Arc<Hosts>,
    /// Statements that set a session up.
    pub(super) session: String,
}

/// A connection that is lent.
pub(super) type Object = managed::Object<Manager>;
pub(super) type Pool = managed::Pool<Manager>;

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
            return Err(RecycleError::message("its server takes no writes any more"));
        }
        Ok(())
    }
}
