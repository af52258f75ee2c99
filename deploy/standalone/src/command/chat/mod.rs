//! `huizhen chat`: a terminal client on `proto::client`.

mod attachments;
mod command;
mod face;
mod json;
mod language;
mod participants;
mod talk;
mod waiting;

use std::{path::PathBuf, process::ExitCode, time::Duration};

use anyhow::Context;
use proto::{
    client::{Backoff, Settings},
    rest::{Patience, Rest},
    wire::Platform,
};

use self::{
    face::Face,
    language::Language,
    talk::{Caller, Talk},
};
use crate::access::Access;

pub(super) const EXAMPLES: &str = "\
At a terminal: type a line and press Enter; /help lists the commands, Ctrl-D leaves. Each line of a pipe is sent as it
is. With --json each event is one line of JSON, and each line read is a text or
{\"text\": …, \"conversation_id\": …, \"client_msg_id\": …, \"mime_type\": …, \"body_hex\": …, \"reply_to_seq\": …,
\"corrects_seq\": …},
{\"send_file\": PATH} or {\"save_seq\": SEQ, \"path\": PATH}, each with a conversation_id where it is not the first one.
A token file stands for one device: a second chat with it pauses the first, and /resume continues there.

Examples:
  huizhen chat data/demo/patient.token
  echo 你好 | huizhen chat data/demo/doctor.token
  echo '{\"text\": \"hello\"}' | huizhen chat data/demo/patient.token --json";

/// The number of entries shown at the start.
const SHOWN_AT_START: u32 = 50;
/// A user at a terminal waits for the server, so that it reconnects sooner than a phone in a pocket.
const BACKOFF: Backoff = Backoff {
    first: Duration::from_millis(500),
    longest: Duration::from_millis(1500),
};

/// The user, and the conversation.
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
    /// The language of this program's words; without it that of LC_ALL, LC_MESSAGES or LANG
    #[arg(long, value_enum)]
    lang: Option<Language>,
}

/// Runs the chat until the user leaves or the input ends, and every message is acknowledged.
pub(super) async fn run(arguments: Arguments) -> anyhow::Result<ExitCode> {
    let me = Access::read(&arguments.token)?;
    let rest = Rest::new(&me.api, Patience::default())?.by(&me.access_token);
    let mut settings = Settings::new(me.user_id, me.device_id.clone(), Platform::Desktop);
    settings.app_version = concat!("huizhen-chat/", env!("CARGO_PKG_VERSION")).into();
    settings.sync_limit = SHOWN_AT_START;
    settings.backoff = BACKOFF;
    let language = arguments.lang.unwrap_or_else(Language::of_environment);
    settings.language = language.tag().into();
    let face = if arguments.json {
        Face::json()
    } else {
        Face::text().context("the terminal cannot be used")?
    };
    let (talk, events) = Talk::start(
        me,
        Caller { rest, settings },
        face,
        arguments.conversation,
        language,
    );
    let well = Box::pin(talk.run(events)).await?;
    Ok(if well {
        ExitCode::SUCCESS
    } else {
        ExitCode::FAILURE
    })
}
