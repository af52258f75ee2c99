//! A consult, as the seed document shows it.

use database::Row;
use proto::{ConversationId, UserId};
use serde::Serialize;
use utoipa::ToSchema;

use super::life::{self, Life, Seat, Status};
use crate::{
    http::{answer::Answer, docs, error::Error, input::Cursor},
    team,
};

/// A consult (1.3 to 1.6).
#[derive(Clone, Debug, Serialize, ToSchema)]
pub(crate) struct Consult {
    #[schema(value_type = Status)]
    status: &'static str,
    /// Also the id of its main conversation on the wire.
    consultation_id: i64,
    creator_member_id: i64,
    creator_member_name: String,
    target_member_id: i64,
    target_member_name: String,
    team_id: i64,
    team_name: String,
    /// The doctors in it, in the order of joining.
    doctor_ids: Vec<i64>,
    /// Text, or the uri of a voice upload.
    symptom_content: String,
    /// The MIME type of symptom_content, as on the wire.
    symptom_type: String,
    images: Vec<String>,
    /// Epoch milliseconds.
    created: i64,
    /// The conversation of the staff on the wire; only for the assistant and the doctors.
    #[serde(skip_serializing_if = "Option::is_none")]
    staff_conversation_id: Option<i64>,
}

/// The envelope of one consult: 1.3 and 1.4 show `created` beside `result`.
#[derive(Serialize, ToSchema)]
pub(crate) struct ConsultEnvelope {
    #[schema(schema_with = docs::yes)]
    success: bool,
    #[schema(schema_with = docs::ok_status)]
    code: u16,
    result: Consult,
    /// As in `result`.
    created: i64,
}

/// A consult's row.
#[derive(Clone, Debug)]
pub(crate) struct Record {
    pub(crate) id: ConversationId,
    pub(crate) status: Status,
    pub(crate) team_id: i64,
    pub(super) staff_room: ConversationId,
    shown: Consult,
}

/// The columns of [`Record::from_row`]; `c` is the consult.
pub(super) const COLUMNS: &str =
    "c.id, c.status, c.creator_id, creator.name, c.target_id, target.name, c.team_id, t.name,
     c.symptom_content, c.symptom_type, c.images, c.created_ms, c.staff_conversation_id,
     (SELECT string_agg(CAST(d.user_id AS TEXT), ',' ORDER BY d.joined_ms, d.user_id)
      FROM consult_person d WHERE d.consult_id = c.id AND d.role = 'doctor' AND d.shelf <> 'removed')";

/// The joins of [`COLUMNS`].
pub(super) const JOINS: &str = "JOIN team t ON t.id = c.team_id
     JOIN account creator ON creator.id = c.creator_id
     JOIN account target ON target.id = c.target_id";

impl Record {
    pub(super) fn from_row(row: &Row) -> Result<Self, Error> {
        let status: String = row.get(1)?;
        let status =
            Status::from_database(&status).ok_or_else(|| Error::internal("consult.status is unknown"))?;
        let images: String = row.get(10)?;
        let staff_room: i64 = row.get(12)?;
        Ok(Self {
            id: ConversationId::from_database(row.get(0)?),
            status,
            team_id: row.get(6)?,
            staff_room: ConversationId::from_database(staff_room),
            shown: Consult {
                status: status.as_str(),
                consultation_id: row.get(0)?,
                creator_member_id: row.get(2)?,
                creator_member_name: row.get(3)?,
                target_member_id: row.get(4)?,
                target_member_name: row.get(5)?,
                team_id: row.get(6)?,
                team_name: row.get(7)?,
                doctor_ids: team::ids(row.get(13)?)?,
                symptom_content: row.get(8)?,
                symptom_type: row.get(9)?,
                images: serde_json::from_str(&images).map_err(Error::internal)?,
                created: row.get(11)?,
                staff_conversation_id: Some(staff_room),
            },
        })
    }

    /// The order of lists.
    pub(super) fn place(&self) -> Cursor {
        Cursor {
            at: self.shown.created,
            id: self.id.get(),
        }
    }

    /// The member who opened it, and decides about its value-added services.
    pub(crate) fn patient(&self) -> UserId {
        UserId::from_database(self.shown.creator_member_id)
    }

    /// The facts on which decisions rest.
    pub(super) fn life(&self) -> Life {
        let ids = self.shown.doctor_ids.iter();
        Life {
            status: self.status,
            doctors: ids.map(|id| UserId::from_database(*id)).collect(),
        }
    }

    pub(super) fn conversation(&self, conversation: life::Conversation) -> ConversationId {
        match conversation {
            life::Conversation::Main => self.id,
            life::Conversation::Staff => self.staff_room,
        }
    }

    /// The record once a doctor has left.
    pub(super) fn without(mut self, doctor: UserId) -> Self {
        self.shown.doctor_ids.retain(|id| *id != doctor.get());
        self
    }

    /// In the form that a seat may see.
    pub(super) fn show(self, seat: Seat) -> Consult {
        let mut shown = self.shown;
        if !seat.is_staff() {
            shown.staff_conversation_id = None;
        }
        shown
    }

    /// As an item of a list: with the fields of the seed document alone.
    pub(super) fn into_item(self) -> Consult {
        Consult {
            staff_conversation_id: None,
            ..self.shown
        }
    }

    /// As the answer to a user on a seat.
    pub(super) fn answer(self, seat: Seat) -> Result<Answer, Error> {
        let result = self.show(seat);
        Answer::whole(&ConsultEnvelope {
            success: true,
            code: 200,
            created: result.created,
            result,
        })
    }
}
