//! A value-added service, in REST and in the journal.

use database::Row;
use journal::record::Event;
use proto::{ConversationId, UserId, wire::VasEvent};
use serde::Serialize;
use utoipa::ToSchema;

use super::life::State;
use crate::http::{error::Error, input::Cursor};

/// A value-added service (增值服务).
#[derive(Clone, Debug, Serialize, ToSchema)]
pub(crate) struct Vas {
    vas_id: i64,
    /// The consult that it was proposed in.
    consultation_id: i64,
    team_id: i64,
    team_name: String,
    /// The doctor who proposed it.
    doctor_id: i64,
    doctor_name: String,
    /// The patient, who decides.
    member_id: i64,
    member_name: String,
    name: String,
    description: String,
    price_fen: i64,
    #[schema(value_type = State)]
    state: &'static str,
    /// When it was proposed, epoch milliseconds.
    created_ms: i64,
    /// When it was confirmed, declined or withdrawn, epoch milliseconds; absent while it is proposed.
    #[serde(skip_serializing_if = "Option::is_none")]
    decided_ms: Option<i64>,
}

/// A service's row.
#[derive(Clone, Debug)]
pub(super) struct Record {
    pub(super) state: State,
    shown: Vas,
}

/// The columns of [`Record::from_row`]; `v` is the service.
pub(super) const COLUMNS: &str =
    "v.id, v.consult_id, v.team_id, t.name, v.doctor_id, doctor.name, v.member_id, member.name,
     v.name, v.description, v.price_fen, v.state, v.created_ms, v.decided_ms";

/// The joins of [`COLUMNS`].
pub(super) const JOINS: &str = "JOIN team t ON t.id = v.team_id
     JOIN account doctor ON doctor.id = v.doctor_id
     JOIN account member ON member.id = v.member_id";

impl Record {
    pub(super) fn from_row(row: &Row) -> Result<Self, Error> {
        let state: String = row.get(11)?;
        let state = State::from_database(&state).ok_or_else(|| Error::internal("vas.state is unknown"))?;
        Ok(Self {
            state,
            shown: Vas {
                vas_id: row.get(0)?,
                consultation_id: row.get(1)?,
                team_id: row.get(2)?,
                team_name: row.get(3)?,
                doctor_id: row.get(4)?,
                doctor_name: row.get(5)?,
                member_id: row.get(6)?,
                member_name: row.get(7)?,
                name: row.get(8)?,
                description: row.get(9)?,
                price_fen: row.get(10)?,
                state: state.as_str(),
                created_ms: row.get(12)?,
                decided_ms: row.get(13)?,
            },
        })
    }

    pub(super) fn id(&self) -> i64 {
        self.shown.vas_id
    }

    /// The conversation of its consult.
    pub(super) fn conversation(&self) -> ConversationId {
        ConversationId::from_database(self.shown.consultation_id)
    }

    /// The doctor who proposed it.
    pub(super) fn doctor(&self) -> UserId {
        UserId::from_database(self.shown.doctor_id)
    }

    pub(super) fn is_by(&self, user: UserId) -> bool {
        self.doctor() == user
    }

    pub(super) fn is_for(&self, user: UserId) -> bool {
        self.shown.member_id == user.get()
    }

    /// The order of lists.
    pub(super) fn place(&self) -> Cursor {
        Cursor {
            at: self.shown.created_ms,
            id: self.shown.vas_id,
        }
    }

    /// The row after a decision.
    pub(super) fn decided(mut self, state: State, now_ms: i64) -> Self {
        self.state = state;
        self.shown.state = state.as_str();
        self.shown.decided_ms = Some(now_ms);
        self
    }

    /// The journal entry of its state.
    pub(super) fn event(&self) -> Event {
        Event::Vas(
            self.state.entry(),
            VasEvent {
                vas_id: self.shown.vas_id,
                name: self.shown.name.clone(),
                price_fen: self.shown.price_fen,
                state: self.shown.state.to_owned(),
                doctor_id: self.shown.doctor_id,
                description: self.shown.description.clone(),
            },
        )
    }

    pub(super) fn show(self) -> Vas {
        self.shown
    }
}
