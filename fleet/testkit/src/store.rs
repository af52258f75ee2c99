//! Which database a test runs on: each test is written once and runs on all of them.

use std::{
    fs::{self, Permissions},
    path::Path,
};

use anyhow::ensure;
use tempfile::TempDir;
use tokio::sync::OnceCell;

use crate::{citus::StandIn, postgres::Postgres};

/// The name of a file.
const FILE: &str = "test.db";

/// A kind of database.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Store {
    /// A file in a folder of the test's own.
    Sqlite,
    /// A database of the test's own in the instance that this process shares.
    Postgres,
}

/// A database of a test's own; a file goes with it.
#[derive(Debug)]
pub struct Place {
    url: String,
    folder: Option<TempDir>,
}

impl Store {
    /// A new database: a copy of one that `prepare`, given its address, has filled once for this process, leaving no connection
    /// behind. So all calls of a process have the same `prepare`. Where `HUIZHEN_TEST_STAND_IN` asks for it, a server's lies
    /// behind a [`StandIn`].
    ///
    /// # Panics
    /// When there is none to be had.
    pub async fn place<F>(self, prepare: impl FnOnce(String) -> F) -> Place
    where
        F: Future<Output = anyhow::Result<()>>,
    {
        match self {
            Self::Sqlite => {
                let copy = Place::prepared(prepare).await;
                copy.unwrap_or_else(|error| panic!("{error:#}"))
            }
            Self::Postgres => {
                let url = Postgres::shared().prepared_database(prepare).await;
                let place = Place::on_server(url.unwrap_or_else(|error| panic!("{error:#}")));
                match StandIn::asked_for() {
                    Some(stand_in) => Place::on_server(stand_in.url(place.database())),
                    None => place,
                }
            }
        }
    }
}

/// The bytes of a prepared file, and who may read it. Making the schema takes longer than most tests.
static PREPARED: OnceCell<(Vec<u8>, Permissions)> = OnceCell::const_new();

impl Place {
    /// A file like the one that `prepare` has filled once for this process.
    async fn prepared<F>(prepare: impl FnOnce(String) -> F) -> anyhow::Result<Self>
    where
        F: Future<Output = anyhow::Result<()>>,
    {
        let make = || async {
            let template = Self::in_temporary(tempfile::tempdir()?);
            prepare(template.url.clone()).await?;
            let file = template.folder().join(FILE);
            ensure!(
                !file.with_extension("db-wal").exists(),
                "the prepared file is still open"
            );
            Ok((fs::read(&file)?, fs::metadata(file)?.permissions()))
        };
        let (bytes, permissions) = PREPARED.get_or_try_init(make).await?;
        let place = Self::in_temporary(tempfile::tempdir()?);
        let file = place.folder().join(FILE);
        fs::write(&file, bytes)?;
        fs::set_permissions(file, permissions.clone())?;
        Ok(place)
    }

    /// The file in a folder that stays; its first opener makes it.
    pub fn in_folder(folder: &Path) -> Self {
        Self {
            url: format!("sqlite://{}/{FILE}", folder.display()),
            folder: None,
        }
    }

    /// The file in a folder that goes with it.
    pub fn in_temporary(folder: TempDir) -> Self {
        let place = Self::in_folder(folder.path());
        Self {
            folder: Some(folder),
            ..place
        }
    }

    /// Another handle on a server's database.
    ///
    /// # Panics
    /// When it is a file.
    pub fn beside(&self) -> Self {
        assert!(self.url.starts_with("postgres://"), "a file");
        Self {
            url: self.url.clone(),
            folder: None,
        }
    }

    /// A database on a server of the test's own.
    pub fn on_server(url: String) -> Self {
        Self { url, folder: None }
    }

    /// Its address.
    pub fn url(&self) -> &str {
        &self.url
    }

    /// The folder of a file.
    ///
    /// # Panics
    /// When it is a server's.
    pub fn folder(&self) -> &Path {
        self.folder.as_ref().unwrap_or_else(|| panic!("no file")).path()
    }

    /// The name of a server's database.
    ///
    /// # Panics
    /// When it is a file.
    pub fn database(&self) -> &str {
        assert!(self.url.starts_with("postgres://"), "a file");
        let path = self.url.split('?').next().unwrap_or_default();
        path.rsplit('/').next().unwrap_or_default()
    }
}

/// Makes of each async function named, which takes a [`Store`], a test on SQLite and one on PostgreSQL.
#[macro_export]
macro_rules! on_both {
    ($($test:ident),* $(,)?) => {
        mod on_sqlite {
            $(#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
            async fn $test() {
                Box::pin(super::$test($crate::store::Store::Sqlite)).await;
            })*
        }
        mod on_postgres {
            $(#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
            async fn $test() {
                Box::pin(super::$test($crate::store::Store::Postgres)).await;
            })*
        }
    };
}
