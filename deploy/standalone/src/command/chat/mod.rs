//! `huizhen chat`: a terminal client on `proto::client`.

mod directory;
mod input;
mod json;
mod language;
mod screen;
mod talk;

use std::{path::PathBuf, process::ExitCode};

use proto::{
    client::{Client, Settings, Snapshot},
    wire::Platform,
};

use self::{directory::Rested, language::Language, talk::Talk};
use crate::{access::Access, rest::Rest};

pub(super) const EXAMPLES: &str = "\
Type a line to send it; Ctrl-D leaves. With --json each event is one line of JSON, and each line read is a text or
{\"text\": …, \"conversation_id\": …, \"client_msg_id\": …, \"mime_type\": …, \"body_hex\": …, \"reply_to_seq\": …}.

Examples:
  huizhen chat data/demo/patient.token
  echo 你好 | huizhen chat data/demo/doctor.token
  echo '{\"text\": \"hello\"}' | huizhen chat data/demo/patient.token --json";

/// Entries of a conversation that are shown at the start.
const SHOWN_AT_START: u32 = 50;

/// Who talks, and where.
#[derive(clap::Args, Debug)]
pub(crate) struct Arguments {
    /// The token file of the one who talks; `huizhen demo` makes some
    token: PathBuf,
    /// The conversation; without it the first open consult
    #[arg(long, value_name = "ID")]
    conversation: Option<i64>,
    /// Print each event as a line of JSON, and read JSON or text lines to send
    #[arg(long)]
    json: bool,
}

/// Talks until the end of input, when everything is acknowledged.
pub(super) async fn run(arguments: Arguments) -> anyhow::Result<ExitCode> {
    let me = Access::read(&arguments.token)?;
    let rest = Rest::new(&me.api)?.by(&me.access_token);
    let mut settings = Settings::new(me.user_id, me.device_id.clone(), Platform::Desktop);
    settings.app_version = concat!("huizhen-chat/", env!("CARGO_PKG_VERSION")).into();
    settings.sync_limit = SHOWN_AT_START;
    let (client, events) = Client::start(Rested::new(rest.clone()), settings, Snapshot::default());
    let talk = Talk::new(
        me,
        client,
        rest,
        arguments.conversation,
        arguments.json,
        Language::of_environment(),
    );
    let well = Box::pin(talk.run(events, input::lines())).await?;
    Ok(if well {
        ExitCode::SUCCESS
    } else {
        ExitCode::FAILURE
    })
}
