//! A value-added service, in REST and in the journal.

use database::Row;
use journal::record::Event;
use ledger::{Commission, Fen, Movement};
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
    /// The doctor who proposed it; the names are those of that moment.
    doctor_id: i64,
    doctor_name: String,
    /// The patient, who decides.
    member_id: i64,
    member_name: String,
    name: String,
    description: String,
    price_fen: i64,
    /// Whether the confirmation moves the price from the patient's wallet to the team's income.
    charged: bool,
    /// How much of the price went back to the patient.
    refunded_fen: i64,
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
    /// None when nothing is charged.
    commission: Option<Commission>,
    shown: Vas,
}

/// The columns of [`Record::from_row`]; `v` is the service. A row that an earlier release wrote has no names.
pub(super) const COLUMNS: &str = "v.id, v.consult_id, v.team_id, t.name,
     v.doctor_id, CASE WHEN v.doctor_name <> '' THEN v.doctor_name ELSE
         (SELECT a.name FROM account a WHERE a.id = v.doctor_id) END,
     v.member_id, CASE WHEN v.member_name <> '' THEN v.member_name ELSE
         (SELECT a.name FROM account a WHERE a.id = v.member_id) END,
     v.name, v.description, v.price_fen, v.state, v.created_ms, v.decided_ms,
     v.commission_per_mille, v.refunded_fen";

/// The joins of [`COLUMNS`].
pub(super) const JOINS: &str = "JOIN team t ON t.id = v.team_id";

impl Record {
    pub(super) fn from_row(row: &Row) -> Result<Self, Error> {
        let state: String = row.get(11)?;
        let state = State::from_database(&state).ok_or_else(|| Error::internal("vas.state is unknown"))?;
        let per_mille: Option<i64> = row.get(14)?;
        let price_fen: i64 = row.get(10)?;
        Ok(Self {
            state,
            commission: per_mille.and_then(Commission::new),
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
                price_fen,
                charged: per_mille.is_some() && price_fen > 0,
                refunded_fen: row.get(15)?,
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

    fn price(&self) -> Result<Fen, Error> {
        Fen::new(self.shown.price_fen).ok_or_else(|| Error::internal("vas.price_fen is no amount"))
    }

    /// The movement of its confirmation; none when nothing is charged.
    pub(super) fn charge(&self) -> Result<Option<Movement>, Error> {
        let Some(commission) = self.commission else {
            return Ok(None);
        };
        let (vas, team) = (self.shown.vas_id, self.shown.team_id);
        let member = UserId::from_database(self.shown.member_id);
        Ok(Some(Movement::vas(vas, team, member, self.price()?, commission)))
    }

    /// The platform's part of its price.
    pub(super) fn commission(&self) -> Result<Fen, Error> {
        let price = self.price()?;
        Ok(self
            .commission
            .map_or(Fen::ZERO, |commission| commission.of(price)))
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
