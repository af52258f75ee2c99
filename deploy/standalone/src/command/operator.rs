//! `huizhen operator`: accounts of those who run the platform. They log in by `POST /operator/login`.

use std::process::ExitCode;

use api_server::operator::{self, Made};
use database::Database;
use program::telemetry;

use super::serve;
use crate::access::make_private_folder;

pub(super) const EXAMPLES: &str = "\
Examples:
  huizhen operator add 张伟                make an account; its password is shown once
  huizhen operator list
  huizhen operator disable 张伟
  huizhen operator reset 张伟              a new password; one who was disabled may log in again

A SQLite file belongs to one process: stop `huizhen serve` first. Each of these is in the audit log.";

/// What to do.
#[derive(clap::Subcommand, Debug)]
pub(crate) enum Command {
    /// Make an account; its password is shown once and kept nowhere
    Add(Box<Named>),
    /// Show all accounts
    List(Box<serve::Arguments>),
    /// Refuse an operator's logins and end their tokens
    Disable(Box<Named>),
    /// Give a new password, shown once, and end the tokens; one who was disabled may log in again
    Reset(Box<Named>),
}

/// An operator, and where the database is.
#[derive(clap::Args, Clone, Debug)]
pub(crate) struct Named {
    /// What the operator logs in by
    #[arg(value_name = "NAME")]
    name: String,
    #[command(flatten)]
    settings: serve::Arguments,
}

/// Does it on the database, which no `huizhen serve` may have open when it is a SQLite file.
pub(super) async fn run(command: Command) -> anyhow::Result<ExitCode> {
    match command {
        Command::Add(named) => {
            let database = open(&named.settings).await?;
            let made = operator::add(&database, &named.name).await;
            database.close().await;
            show(&named.name, &made?);
        }
        Command::Reset(named) => {
            let database = open(&named.settings).await?;
            let made = operator::reset(&database, &named.name).await;
            database.close().await;
            show(&named.name, &made?);
        }
        Command::Disable(named) => {
            let database = open(&named.settings).await?;
            let disabled = operator::disable(&database, &named.name).await;
            database.close().await;
            disabled?;
            println!("{} is disabled", named.name);
        }
        Command::List(settings) => {
            let database = open(&settings).await?;
            let listed = operator::list(&database).await;
            database.close().await;
            let listed = listed?;
            if listed.is_empty() {
                println!("there are no operators; make one with `huizhen operator add NAME`");
            }
            for operator in listed {
                let state = if operator.disabled { "disabled" } else { "good" };
                println!("{:>8}  {:<8}  {}", operator.user_id, state, operator.name);
            }
        }
    }
    Ok(ExitCode::SUCCESS)
}

async fn open(settings: &serve::Arguments) -> anyhow::Result<Database> {
    telemetry::start(settings.common.log, "warn")?;
    make_private_folder(&settings.data)?;
    settings.set_layer();
    Ok(Database::open(&settings.database_url()).await?)
}

fn show(name: &str, made: &Made) {
    println!("operator {name}, user {}", made.user_id);
    println!("password {}", made.password);
    println!("it is shown this once and kept nowhere");
}
