//! Stores in a server of S3.

use tokio::net::TcpListener;

use super::s3::{BUCKET, PREFIX, settings};
pub(super) use super::s3::{Illness, S3Server, files};
use crate::store::{S3Settings, Store};

impl S3Server {
    /// A store in it.
    pub(super) fn store(&self) -> Store {
        self.store_of(BUCKET, "secret")
    }

    /// A store with another key, or in another bucket.
    pub(super) fn store_of(&self, bucket: &str, secret: &str) -> Store {
        open(&self.settings(secret), bucket)
    }
}

fn open(settings: &str, bucket: &str) -> Store {
    Store::s3(S3Settings::parse(settings).unwrap(), bucket, PREFIX).unwrap()
}

/// A store on an ill server.
pub(super) async fn ill(illness: Illness) -> (Store, S3Server) {
    let server = S3Server::start().await;
    server.fall_ill(illness);
    (server.store(), server)
}

/// A store on a port where nothing listens.
pub(super) async fn nowhere() -> Store {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    open(&settings(listener.local_addr().unwrap(), "secret"), BUCKET)
}
