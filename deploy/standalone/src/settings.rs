//! The settings of the one-process server, and of the commands on its database.

use std::path::PathBuf;

use api_server::{MediaPlace, open_media};
use database::sqlite::Layer;
use program::settings::{Common, MediaStore};

/// The settings of the one-process server.
#[derive(clap::Args, Clone, Debug)]
pub(crate) struct Settings {
    #[command(flatten)]
    pub(crate) common: Common,
    /// The folder of all data; created if it is missing
    #[arg(long, value_name = "DIR", default_value = "./data")]
    pub(crate) data: PathBuf,
    /// Use plain SQLite for the database file: its pages are not verified, and a damaged page is read as it is. The next
    /// start without this setting rewrites the file
    #[arg(long)]
    pub(crate) sqlite_plain: bool,
    #[command(flatten)]
    pub(crate) im: im_server::Settings,
    #[command(flatten)]
    pub(crate) api: api_server::Settings,
}

impl Settings {
    /// The configured database, by default a file in the data folder.
    pub(crate) fn database_url(&self) -> String {
        match &self.common.database_url {
            Some(url) => url.clone(),
            None => format!("sqlite://{}", self.data.join("huizhen.db").display()),
        }
    }

    /// The database file; `None` on PostgreSQL.
    pub(crate) fn database_file(&self) -> Option<PathBuf> {
        self.database_url().strip_prefix("sqlite://").map(PathBuf::from)
    }

    /// Where the bytes of media lie, by default a folder in the data folder.
    pub(crate) fn media_place(&self) -> MediaPlace {
        let store = self.common.media_store.as_ref().unwrap_or(&MediaStore::Folder);
        MediaPlace::of(store, &self.data)
    }

    /// Opens the store of media; `None` without one.
    pub(crate) async fn media_store(&self) -> anyhow::Result<Option<media::Store>> {
        open_media(&api_server::Settings {
            media_place: self.media_place(),
            ..self.api.clone()
        })
        .await
    }

    /// Chooses the file layer of this process; call it before a database is opened.
    pub(crate) fn set_layer(&self) {
        if self.sqlite_plain {
            Layer::Plain.set_current();
        }
    }
}
