//! Arguments of `loadtest limit`.

use std::time::Duration;

use clap::{Args, Subcommand};

use super::word::duration;
use super::{ChatShape, DirectShape, Load, Output, QuietShape, RoomShape};
use crate::server::relay::Fault;

/// `loadtest limit`
#[derive(Clone, Debug, Args)]
pub struct LimitArguments {
    /// The shape.
    #[command(subcommand)]
    pub shape: LimitShape,
}

/// A shape on the bare relay.
#[derive(Clone, Debug, Subcommand)]
pub enum LimitShape {
    /// Chats of two; acknowledged after a group commit into SQLite.
    Direct(LimitDirect),
    /// Conversations of a few members, in memory.
    Chat(LimitChat),
    /// One conversation with many members, in memory.
    Room(LimitRoom),
    /// Connections that do nothing.
    Idle(LimitIdle),
    /// A storm of logins.
    Login(LimitLogin),
}

/// `loadtest limit direct`
#[derive(Clone, Debug, Args)]
pub struct LimitDirect {
    /// The load.
    #[command(flatten)]
    pub shape: DirectShape,
    /// How it is measured.
    #[command(flatten)]
    pub load: Load,
}

/// `loadtest limit chat`
#[derive(Clone, Debug, Args)]
pub struct LimitChat {
    /// The load.
    #[command(flatten)]
    pub shape: ChatShape,
    /// How it is measured.
    #[command(flatten)]
    pub load: Load,
    /// The relay does this wrong, as in `loadtest relay`: shows that the run fails.
    #[arg(long, hide = true, value_enum)]
    pub fault: Option<Fault>,
}

/// `loadtest limit room`
#[derive(Clone, Debug, Args)]
pub struct LimitRoom {
    /// The load.
    #[command(flatten)]
    pub shape: RoomShape,
    /// How it is measured.
    #[command(flatten)]
    pub load: Load,
}

/// `loadtest limit idle`
#[derive(Clone, Debug, Args)]
pub struct LimitIdle {
    /// The connections; over TCP only.
    #[command(flatten)]
    pub shape: QuietShape,
    /// How long the connections are held before memory is read.
    #[arg(long, visible_alias = "duration", default_value = "60s", value_parser = duration)]
    pub hold: Duration,
    /// Where reports go.
    #[command(flatten)]
    pub output: Output,
}

/// `loadtest limit login`
#[derive(Clone, Debug, Args)]
pub struct LimitLogin {
    /// The connections; over TCP only.
    #[command(flatten)]
    pub shape: QuietShape,
    /// Accepted for symmetry with the other shapes; a storm lasts as long as it lasts.
    #[arg(long, hide = true, value_parser = duration)]
    pub duration: Option<Duration>,
    /// Where reports go.
    #[command(flatten)]
    pub output: Output,
}
