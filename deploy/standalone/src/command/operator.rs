//! `huizhen operator`: accounts of the platform's operators, who log in by `POST /operator/login`.

use std::process::ExitCode;

use anyhow::bail;
use database::{Database, sqlite::is_served};
use program::{say, telemetry};

use crate::{
    access::make_private_folder,
    operator_channel::{self, Answer, Request},
    settings::Settings,
};

pub(super) const EXAMPLES: &str = "\
Examples:
  huizhen operator add 张伟                make an account; its password is shown once
  huizhen operator list
  huizhen operator disable 张伟
  huizhen operator reset 张伟              a new password; one who was disabled may log in again
  huizhen operator second-factor 张伟      a secret for an authenticator app: logins need its codes

The server may run meanwhile: one that has a SQLite file does it itself. Each of these is in the audit log.";

#[derive(clap::Subcommand, Debug)]
pub(crate) enum Command {
    /// Make an account; its password is shown once and kept nowhere
    Add(Box<Named>),
    /// Show all accounts
    List(Box<Settings>),
    /// Refuse an operator's logins and end their tokens
    Disable(Box<Named>),
    /// Set a new password, shown once, and end the tokens; a disabled operator may log in again
    Reset(Box<Named>),
    /// Set a new second factor, shown once, and end the tokens; logins need its codes from then on
    SecondFactor(Box<Named>),
}

/// An operator's name, and the database.
#[derive(clap::Args, Clone, Debug)]
pub(crate) struct Named {
    /// The operator's login name
    #[arg(value_name = "NAME")]
    name: String,
    #[command(flatten)]
    settings: Settings,
}

/// Carries out a request on the database, or asks the process that serves the file to do so.
pub(super) async fn run(command: Command) -> anyhow::Result<ExitCode> {
    let (settings, request) = match command {
        Command::Add(named) => (named.settings, Request::Add { name: named.name }),
        Command::Reset(named) => (named.settings, Request::Reset { name: named.name }),
        Command::Disable(named) => (named.settings, Request::Disable { name: named.name }),
        Command::SecondFactor(named) => (named.settings, Request::Enrol { name: named.name }),
        Command::List(settings) => (*settings, Request::List),
    };
    telemetry::start(settings.common.log, "warn")?;
    let served = settings
        .database_file()
        .filter(|file| file.exists() && is_served(file).unwrap_or(false));
    let answer = match served {
        Some(file) => operator_channel::ask(&file, &request).await?,
        None => {
            make_private_folder(&settings.data)?;
            settings.set_layer();
            let database = Database::open(&settings.database_url()).await?;
            let answer = operator_channel::carry_out(&database, &request).await;
            database.close().await;
            answer
        }
    };
    show(&request, answer)?;
    Ok(ExitCode::SUCCESS)
}

fn show(request: &Request, answer: Answer) -> anyhow::Result<()> {
    match (request, answer) {
        (_, Answer::Refused(why)) => bail!("{why}"),
        (Request::Add { name } | Request::Reset { name }, Answer::Made { user_id, password }) => {
            say!("operator {name}, user {user_id}");
            say!("password {password}");
            say!("it is shown this once and kept nowhere");
        }
        (Request::Enrol { name }, Answer::Enrolled(address)) => {
            say!("operator {name} logs in with a code of an authenticator app, which takes in this address:");
            say!("{address}");
            say!("it is shown this once and kept nowhere else");
        }
        (Request::Disable { name }, Answer::Disabled) => say!("{name} is disabled"),
        (Request::List, Answer::Listed(accounts)) => {
            if accounts.is_empty() {
                say!("there are no operators; make one with `huizhen operator add NAME`");
            }
            for account in accounts {
                let state = if account.disabled { "disabled" } else { "good" };
                let factor = if account.has_second_factor {
                    ""
                } else {
                    "  (no second factor)"
                };
                say!("{:>8}  {:<8}  {}{factor}", account.user_id, state, account.name);
            }
        }
        _ => bail!("the running server answered something else; is it of another version?"),
    }
    Ok(())
}
