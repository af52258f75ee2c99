//! `huizhen serve`.

use std::{path::PathBuf, process::ExitCode};

use database::sqlite::Layer;
use program::{settings::Common, shutdown, telemetry, wall_clock};

use crate::standalone::Standalone;

pub(crate) const EXAMPLES: &str = "\
Examples:
  huizhen serve
  huizhen serve --config data/huizhen.toml
  huizhen serve --rest-addr 127.0.0.1:0 --ports-file ports.json
  huizhen serve --print-config";

/// The settings of the one-process server.
#[derive(clap::Args, Clone, Debug)]
pub(crate) struct Arguments {
    #[command(flatten)]
    pub(crate) common: Common,
    /// The folder of everything that is kept; made when it is not there
    #[arg(long, value_name = "DIR", default_value = "./data")]
    pub(crate) data: PathBuf,
    /// Leave the database file to SQLite alone: nothing verifies its pages, and a page that is damaged is read as it is. The
    /// next start without it writes the file anew
    #[arg(long)]
    pub(crate) sqlite_plain: bool,
    #[command(flatten)]
    pub(crate) im: im_server::Settings,
    #[command(flatten)]
    pub(crate) api: api_server::Settings,
}

impl Arguments {
    /// The database: the one that is set, or a file in the data folder.
    pub(crate) fn database_url(&self) -> String {
        match &self.common.database_url {
            Some(url) => url.clone(),
            None => format!("sqlite://{}", self.data.join("huizhen.db").display()),
        }
    }

    /// The database's file; none when it is a server's.
    pub(crate) fn database_file(&self) -> Option<PathBuf> {
        self.database_url().strip_prefix("sqlite://").map(PathBuf::from)
    }

    /// Sets how this process opens files. To be called before it opens one.
    pub(crate) fn set_layer(&self) {
        if self.sqlite_plain {
            Layer::Plain.set_current();
        }
    }
}

/// Serves until a signal.
pub(crate) async fn run(arguments: Arguments) -> anyhow::Result<ExitCode> {
    let metrics = telemetry::start_server("huizhen", arguments.common.log)?;
    wall_clock::refuse_past()?;
    let signal = shutdown::on_signal()?;
    let running = Standalone::start(&arguments, metrics).await?;
    running.announce(arguments.common.ports_file.as_deref(), arguments.common.log)?;
    running.until(signal).await?;
    Ok(ExitCode::SUCCESS)
}
