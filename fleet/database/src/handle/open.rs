//! Opening a database by its URL.

use std::{path::PathBuf, sync::Arc};

use super::{Database, Engine};
use crate::{
    Error,
    migrations::Schema,
    postgres::{Postgres, is_postgres},
    sqlite::{Layer, Sqlite},
};

impl Database {
    /// Opens the database of a URL and migrates its schema to [`crate::LATEST_VERSION`]. `sqlite://path/to/file` is
    /// created when it is missing; its folder must exist. `postgres://user:password@host:5432/database` must exist;
    /// a newer schema is left as it is, and several programs may open it at once.
    ///
    /// # Errors
    /// [`Error::Url`] when the URL names neither engine; [`Error::Open`] when the database cannot be opened, is a file
    /// in use by another process, or a file newer than this program.
    pub async fn open(url: &str) -> Result<Self, Error> {
        Self::open_with(url, Schema::Migrate, Layer::current()).await
    }

    /// The same, with a file layer of the caller's choice.
    ///
    /// # Errors
    /// As [`Self::open`].
    pub async fn open_by(url: &str, layer: Layer) -> Result<Self, Error> {
        Self::open_with(url, Schema::Migrate, layer).await
    }

    /// The same for a program that does not migrate a shared database: it waits for the server and for the version that it
    /// needs as long as it takes, and logs that it waits. A SQLite file is migrated as above, since no other program can.
    ///
    /// # Errors
    /// As [`Self::open`], but for a server that cannot be reached yet.
    pub async fn open_when_migrated(url: &str) -> Result<Self, Error> {
        Self::open_with(url, Schema::Await, Layer::current()).await
    }

    /// The same without migrating: whatever its version. A SQLite file must exist.
    ///
    /// # Errors
    /// As [`Self::open`], but for a file of another version.
    pub async fn open_as_it_is(url: &str) -> Result<Self, Error> {
        Self::open_with(url, Schema::Leave, Layer::current()).await
    }

    /// Opens a database for reading only: a SQLite file also while another process serves it.
    ///
    /// # Errors
    /// As [`Self::open_as_it_is`].
    pub async fn look(url: &str) -> Result<Self, Error> {
        if is_postgres(url) {
            return Self::open_as_it_is(url).await;
        }
        Ok(Self::on(Engine::Sqlite(Sqlite::look(sqlite_path(url)?).await?)))
    }

    async fn open_with(url: &str, schema: Schema, layer: Layer) -> Result<Self, Error> {
        Ok(Self::on(if is_postgres(url) {
            Engine::Postgres(Postgres::open(url, schema).await?)
        } else {
            Engine::Sqlite(Sqlite::open(sqlite_path(url)?, schema, layer).await?)
        }))
    }

    fn on(engine: Engine) -> Self {
        Self {
            engine,
            ids: Arc::default(),
        }
    }
}

fn sqlite_path(url: &str) -> Result<PathBuf, Error> {
    let Some(path) = url.strip_prefix("sqlite://") else {
        return Err(Error::Url(format!(
            "the database URL must begin with sqlite:// or postgres://, as in sqlite://data/huizhen.db or \
             postgres://user:password@host:5432/huizhen; got a URL with the scheme {:?}",
            url.split_once("://").map_or("", |(scheme, _)| scheme)
        )));
    };
    // SQLite reads these as databases in memory, one for each connection, or as options.
    if path.is_empty() || path.starts_with(":memory:") || path.starts_with("file:") {
        return Err(Error::Url(format!(
            "the database URL must name a file, as in sqlite://data/huizhen.db; got {url:?}"
        )));
    }
    Ok(path.into())
}
