//! chat, direct, room: who talks where, and how fast.

use anyhow::Result;

use crate::arguments::{ChatShape, DirectShape, Load, Rate, RoomShape};
use crate::generator::schedule::Pace;
use crate::report::Report;
use crate::world::{Builder, World};

/// The default rate of `chat`, sends/s.
const CHAT_PER_SECOND: f64 = 2000.0;
/// The default rate of `room`, sends/s.
const ROOM_PER_SECOND: f64 = 50.0;

/// A shape of load.
#[derive(Clone, Debug)]
pub(in crate::workload) enum Shape {
    Chat(ChatShape),
    Direct(DirectShape),
    Room(RoomShape),
}

impl Shape {
    pub(in crate::workload) fn name(&self) -> &'static str {
        match self {
            Self::Chat(_) => "chat",
            Self::Direct(_) => "direct",
            Self::Room(_) => "room",
        }
    }

    /// The number of conversations, and of members in each.
    pub(in crate::workload) fn size(&self) -> (u32, u32) {
        match self {
            Self::Chat(chat) => (chat.conversations, chat.members),
            Self::Direct(direct) => (direct.pairs, 2),
            Self::Room(room) => (1, room.members),
        }
    }

    pub(in crate::workload) fn connections(&self) -> usize {
        let (conversations, members) = self.size();
        conversations as usize * members as usize + self.stopped_readers() as usize
    }

    /// How many are logged in beside those, from other processes.
    pub(in crate::workload) fn idle_connections(&self) -> usize {
        match self {
            Self::Chat(chat) => chat.idle_connections as usize,
            Self::Direct(_) | Self::Room(_) => 0,
        }
    }

    /// How many are in it beside those and read nothing.
    pub(in crate::workload) fn stopped_readers(&self) -> u32 {
        match self {
            Self::Room(room) => room.stopped_readers,
            Self::Chat(_) | Self::Direct(_) => 0,
        }
    }

    /// The rate that was asked for; none when the shape has a pace of its own.
    pub(in crate::workload) fn rate(&self) -> Option<Rate> {
        match self {
            Self::Chat(chat) => Some(chat.rate.unwrap_or(Rate::PerSecond(CHAT_PER_SECOND))),
            Self::Direct(_) => None,
            Self::Room(room) => Some(room.rate.unwrap_or(Rate::PerSecond(ROOM_PER_SECOND))),
        }
    }

    /// The same at the saturated rate when nothing else was asked for: what a limit is measured at.
    pub(in crate::workload) fn saturated_by_default(mut self) -> Self {
        match &mut self {
            Self::Chat(ChatShape { rate, .. }) | Self::Room(RoomShape { rate, .. }) => {
                rate.get_or_insert(Rate::Max);
            }
            Self::Direct(_) => {}
        }
        self
    }

    /// As fast as it goes.
    pub(in crate::workload) fn saturating(&self) -> Pace {
        match self {
            Self::Chat(ChatShape { window, .. }) | Self::Room(RoomShape { window, .. }) => {
                Pace::Outstanding { window: *window }
            }
            Self::Direct(direct) => Pace::Windows {
                window: direct.window,
            },
        }
    }

    pub(in crate::workload) async fn build(&self, builder: &Builder) -> Result<World> {
        match self {
            Self::Chat(chat) => builder.consults(chat.conversations, chat.members).await,
            Self::Direct(direct) => builder.pairs(direct.pairs).await,
            Self::Room(room) => builder.room(room.members + room.stopped_readers).await,
        }
    }

    /// The target, for the report.
    pub(in crate::workload) fn describe(&self, mut report: Report, load: &Load) -> Report {
        report = report
            .parameter("payload_bytes", load.payload_bytes)
            .parameter("warm_up_s", load.warm_up.as_secs_f64())
            .parameter("threads", load.threads);
        match self {
            Self::Chat(chat) => report
                .parameter("conversations", chat.conversations)
                .parameter("members", chat.members)
                .parameter("rate", rate_text(self.rate()))
                .parameter("idle_connections", chat.idle_connections),
            Self::Direct(direct) => report
                .parameter("pairs", direct.pairs)
                .parameter("window", direct.window),
            Self::Room(room) => report
                .parameter("members", room.members)
                .parameter("stopped_readers", room.stopped_readers)
                .parameter("rate", rate_text(self.rate())),
        }
    }
}

fn rate_text(rate: Option<Rate>) -> String {
    match rate {
        Some(Rate::PerSecond(rate)) => rate.to_string(),
        Some(Rate::Percent(percent)) => format!("{percent}%"),
        Some(Rate::Max) | None => "max".to_owned(),
    }
}
