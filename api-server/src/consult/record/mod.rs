//! A consult, as the seed document shows it.

mod advice;
mod item;
mod words;

use database::Row;
use proto::{ConversationId, Seq, UserId};
use serde::Serialize;
use utoipa::ToSchema;

pub(super) use advice::Advice;
pub(super) use item::{DeskRow, Glimpsed, LastMessage};

use super::{
    act::rate::Rating,
    life::{self, ChargeState, Life, Seat, Status},
};
use crate::http::{answer::Answer, docs, error::Error, input::Cursor};

/// A consult (1.3 to 1.6).
#[derive(Clone, Debug, Serialize, ToSchema)]
pub(crate) struct Consult {
    #[schema(value_type = Status)]
    status: &'static str,
    /// Also the id of its main conversation on the wire.
    consultation_id: i64,
    creator_member_id: i64,
    /// All names are those of the moment: a rename does not change a record.
    creator_member_name: String,
    target_member_id: i64,
    target_member_name: String,
    /// The patient as the creator's relative: self, or a relation of their family. Absent where it is not known.
    #[serde(skip_serializing_if = "String::is_empty")]
    #[schema(required = false)]
    relation: String,
    team_id: i64,
    team_name: String,
    /// The doctors in it, in the order of joining.
    doctor_ids: Vec<i64>,
    /// The same doctors, with name and title of the moment when they came in.
    doctors: Vec<Doctor>,
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
    /// The price that the patient paid when it began, fen; absent when nothing was charged.
    #[serde(skip_serializing_if = "Option::is_none")]
    price_fen: Option<i64>,
    /// Where the price is; absent when nothing was charged.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<ChargeState>, required = false)]
    charge_state: Option<&'static str>,
    /// When the caller, a doctor, left it, epoch milliseconds: the record is shown as it was then.
    #[serde(skip_serializing_if = "Option::is_none")]
    left_ms: Option<i64>,
    /// The deadline that comes next; absent when there is none.
    #[serde(skip_serializing_if = "Option::is_none")]
    deadline: Option<Deadline>,
    /// When the first doctor came in, epoch milliseconds.
    #[serde(skip_serializing_if = "Option::is_none")]
    accepted_ms: Option<i64>,
    /// When a doctor wrote first, epoch milliseconds; known once a deadline was due or the consult ended.
    #[serde(skip_serializing_if = "Option::is_none")]
    answered_ms: Option<i64>,
    /// The finished consult that this one asks further questions about.
    #[serde(skip_serializing_if = "Option::is_none")]
    follow_up_of: Option<i64>,
    /// Of one consult: the newest advice of a doctor.
    #[serde(skip_serializing_if = "Option::is_none")]
    advice: Option<Advice>,
    /// Of one consult: the patient's rating.
    #[serde(skip_serializing_if = "Option::is_none")]
    rating: Option<Rating>,
    /// In lists: the complaint's first 60 characters; of voice and pictures, words that say so.
    #[serde(skip_serializing_if = "Option::is_none")]
    complaint: Option<String>,
    /// In lists: the newest message that the caller sees.
    #[serde(skip_serializing_if = "Option::is_none")]
    last_message: Option<LastMessage>,
    /// In lists: messages of others that the caller has not read, counted up to 100; absent where they never were in it.
    #[serde(skip_serializing_if = "Option::is_none")]
    unread: Option<i64>,
    /// In about_me_list: whether the caller refuses further consults that this creator begins about them.
    #[serde(skip_serializing_if = "Option::is_none")]
    refused: Option<bool>,
}

/// A doctor of a consult.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, ToSchema)]
#[schema(as = ConsultDoctor)]
pub(crate) struct Doctor {
    doctor_id: i64,
    name: String,
    title: String,
}

/// A deadline of a consult.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, ToSchema)]
#[schema(as = ConsultDeadline)]
pub(crate) struct Deadline {
    kind: String,
    /// Epoch milliseconds.
    due_ms: i64,
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
    /// The entry of the newest advice.
    pub(super) advice: Option<Seq>,
    shown: Consult,
}

/// The columns of [`Record::from_row`]. `c` is the consult; `{in}` says whether `d` is one of its doctors, `{left}` when the
/// reader left it.
///
/// A row that an earlier release wrote has no names until a job writes them.
const TEMPLATE: &str = "c.id, c.status,
     c.creator_id, CASE WHEN c.creator_name <> '' THEN c.creator_name ELSE
         (SELECT a.name FROM account a WHERE a.id = c.creator_id) END,
     c.target_id, CASE WHEN c.target_name <> '' THEN c.target_name ELSE
         (SELECT a.name FROM account a WHERE a.id = c.target_id) END,
     c.team_id, CASE WHEN c.team_name <> '' THEN c.team_name ELSE
         (SELECT t.name FROM team t WHERE t.id = c.team_id) END,
     c.symptom_content, c.symptom_type, c.images, c.created_ms, c.staff_conversation_id,
     (SELECT string_agg(CAST(d.user_id AS TEXT) || '\u{1f}' || CASE WHEN d.name <> '' THEN d.name ELSE
             (SELECT a.name FROM account a WHERE a.id = d.user_id) END || '\u{1f}' || d.title,
             '\u{1e}' ORDER BY d.joined_ms, d.user_id)
      FROM consult_person d WHERE d.consult_id = c.id AND d.role = 'doctor' AND {in}),
     h.price_fen, h.state, c.relation, {left}, c.accepted_ms, c.answered_ms, c.follow_up_of,
     c.advice_seq";

/// How many columns there are.
pub(super) const COLUMNS: usize = 22;

/// The columns for readers who see the consult as it is.
pub(super) fn columns() -> String {
    let now = TEMPLATE.replace("{in}", "d.shelf <> 'removed'");
    now.replace("{left}", "CAST(NULL AS BIGINT)")
}

/// The columns for the user of `p`, a row of consult_person: one who left sees it as it was then.
pub(super) fn columns_as_of_p() -> String {
    let then = TEMPLATE.replace(
        "{in}",
        "CASE WHEN p.shelf = 'removed'
              THEN ',' || p.left_doctors || ',' LIKE '%,' || CAST(d.user_id AS TEXT) || ',%'
              ELSE d.shelf <> 'removed' END",
    );
    then.replace(
        "{left}",
        "CASE WHEN p.shelf = 'removed' THEN COALESCE(p.left_ms, p.joined_ms) END",
    )
}

/// The join of the columns.
pub(super) const JOINS: &str = "LEFT JOIN consult_charge h ON h.consult_id = c.id";

impl Record {
    pub(super) fn from_row(row: &Row) -> Result<Self, Error> {
        let left_ms: Option<i64> = row.get(17)?;
        let status: String = row.get(1)?;
        let status =
            Status::from_database(&status).ok_or_else(|| Error::internal("consult.status is unknown"))?;
        // A doctor comes in and goes while it is in process, and at no other time.
        let status = left_ms.map_or(status, |_| Status::InProcess);
        let images: String = row.get(10)?;
        let staff_room: i64 = row.get(12)?;
        let price_fen: Option<i64> = row.get(14)?;
        let charge_state: Option<String> = row.get(15)?;
        let charge_state = charge_state.map(|state| {
            let known = ChargeState::from_database(&state);
            known.ok_or_else(|| Error::internal("consult_charge.state is unknown"))
        });
        let charge_state = charge_state.transpose()?;
        let charge_state = match left_ms {
            Some(_) => charge_state.map(|_| ChargeState::of(status)),
            None => charge_state,
        };
        let doctors = doctors(row.get(13)?)?;
        Ok(Self {
            id: ConversationId::from_database(row.get(0)?),
            status,
            team_id: row.get(6)?,
            staff_room: ConversationId::from_database(staff_room),
            advice: row.get::<Option<i64>>(21)?.map(Seq::from_database),
            shown: Consult {
                status: status.as_str(),
                consultation_id: row.get(0)?,
                creator_member_id: row.get(2)?,
                creator_member_name: row.get(3)?,
                target_member_id: row.get(4)?,
                target_member_name: row.get(5)?,
                relation: row.get(16)?,
                team_id: row.get(6)?,
                team_name: row.get(7)?,
                doctor_ids: doctors.iter().map(|doctor| doctor.doctor_id).collect(),
                doctors,
                symptom_content: row.get(8)?,
                symptom_type: row.get(9)?,
                images: serde_json::from_str(&images).map_err(Error::internal)?,
                created: row.get(11)?,
                staff_conversation_id: Some(staff_room),
                price_fen,
                charge_state: charge_state.map(ChargeState::as_str),
                left_ms,
                deadline: None,
                accepted_ms: row.get(18)?,
                answered_ms: row.get(19)?,
                follow_up_of: row.get(20)?,
                advice: None,
                rating: None,
                complaint: None,
                last_message: None,
                unread: None,
                refused: None,
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
            is_charged: self.shown.price_fen.is_some(),
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
        self.shown.doctors.retain(|one| one.doctor_id != doctor.get());
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

    /// For a relative whom it is about, who is not in it: without the staff's conversation, and without what it costs.
    pub(super) fn into_record_alone(self) -> Consult {
        Consult {
            staff_conversation_id: None,
            price_fen: None,
            charge_state: None,
            ..self.shown
        }
    }

    /// The price that the patient paid, fen; zero when nothing was charged.
    pub(super) fn price(&self) -> i64 {
        self.shown.price_fen.unwrap_or_default()
    }

    /// As the answer to a user on a seat.
    pub(super) fn answer(self, seat: Seat) -> Result<Answer, Error> {
        self.show(seat).answer()
    }
}

impl Consult {
    /// With the choice of the reader about further consults of its creator.
    pub(super) fn refused(mut self, refused: bool) -> Self {
        self.refused = Some(refused);
        self
    }

    /// With its next deadline.
    pub(super) fn due(mut self, deadline: Option<Deadline>) -> Self {
        self.deadline = deadline.filter(|_| self.left_ms.is_none());
        self
    }

    /// With what doctor and patient said about it in the end.
    pub(super) fn closed_by(mut self, advice: Option<Advice>, rating: Option<Rating>) -> Self {
        self.advice = advice;
        self.rating = rating;
        self
    }

    pub(super) fn answer(self) -> Result<Answer, Error> {
        Answer::whole(&ConsultEnvelope {
            success: true,
            code: 200,
            created: self.created,
            result: self,
        })
    }
}

/// Parses the doctors of [`TEMPLATE`].
fn doctors(text: Option<String>) -> Result<Vec<Doctor>, Error> {
    let text = text.unwrap_or_default();
    let doctors = text.split_terminator('\u{1e}').map(|doctor| {
        let mut parts = doctor.splitn(3, '\u{1f}');
        let mut part = || parts.next().unwrap_or_default();
        Ok(Doctor {
            doctor_id: part().parse().map_err(Error::internal)?,
            name: part().to_owned(),
            title: part().to_owned(),
        })
    });
    doctors.collect()
}
