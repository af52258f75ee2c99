//! A consult in a list: with its last message, what is unread and its deadline.
//!
//! The journal is asked once for a whole page. What the reader does not see on the wire is not here either.

use std::collections::BTreeMap;

use journal::{
    Entry, Journal,
    glimpse::{Glimpse, Seen},
};
use proto::{ConversationId, UserId};
use serde::Serialize;
use utoipa::ToSchema;

use super::{Consult, Deadline, Doctor, Record, Status, words::first_words};
use crate::http::{
    answer::Page,
    error::{Error, Language},
};

/// The newest message of a consult that a user sees.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, ToSchema)]
#[schema(as = ConsultLastMessage)]
pub(crate) struct LastMessage {
    seq: i64,
    sender_id: i64,
    /// Of the moment when the sender came in; empty where it is not known.
    sender_name: String,
    /// Epoch milliseconds.
    created_ms: i64,
    /// Empty when it was taken back.
    mime_type: String,
    /// Its first 60 characters; of voice and pictures, words that say so; empty when it was taken back.
    text: String,
    /// The message was taken back; what it said is withheld.
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    #[schema(required = false)]
    recalled: bool,
}

/// A row of a team's desk.
#[derive(Clone, Debug, Serialize, ToSchema)]
pub(crate) struct DeskRow {
    #[schema(value_type = Status)]
    status: &'static str,
    /// Also the id of its main conversation on the wire.
    consultation_id: i64,
    /// Who opened it; all names are those of the moment.
    creator_member_id: i64,
    creator_member_name: String,
    /// For whom.
    target_member_id: i64,
    target_member_name: String,
    /// The patient as the creator's relative: self, or a relation of their family. Absent where it is not known.
    #[serde(skip_serializing_if = "String::is_empty")]
    #[schema(required = false)]
    relation: String,
    /// The complaint's first 60 characters; of voice and pictures, words that say so.
    complaint: String,
    /// The MIME type of the complaint, as on the wire.
    symptom_type: String,
    /// The doctors in it, in the order of joining.
    doctors: Vec<Doctor>,
    /// When it was opened, epoch milliseconds.
    created: i64,
    /// The newest message that the caller sees; absent where they see none.
    #[serde(skip_serializing_if = "Option::is_none")]
    last_message: Option<LastMessage>,
    /// Messages of others that the caller has not read, counted up to 100; absent where they never were in it.
    #[serde(skip_serializing_if = "Option::is_none")]
    unread: Option<i64>,
    /// The deadline that comes next; absent when there is none.
    #[serde(skip_serializing_if = "Option::is_none")]
    deadline: Option<Deadline>,
}

/// The journal's part of a page of consults, for one reader.
pub(in crate::consult) struct Glimpsed {
    found: BTreeMap<ConversationId, Glimpse>,
    language: Language,
}

impl Glimpsed {
    pub(in crate::consult) async fn of(
        journal: &Journal,
        user: UserId,
        page: &Page<Record>,
        language: Language,
    ) -> Result<Self, Error> {
        let ids: Vec<ConversationId> = page.items.iter().map(|record| record.id).collect();
        Ok(Self {
            found: journal.glimpses(user, &ids).await?,
            language,
        })
    }

    /// As an item of a list: without the staff room.
    pub(in crate::consult) fn item(&mut self, record: Record) -> Consult {
        let mut shown = record.shown;
        let (seen, deadline) = self.take(record.id);
        shown.staff_conversation_id = None;
        shown.complaint = Some(self.complaint(&shown));
        // For a user who left the clock has stopped.
        shown.deadline = deadline.filter(|_| shown.left_ms.is_none());
        shown.unread = seen.as_ref().map(|seen| seen.unread);
        shown.last_message = seen.and_then(|seen| self.last(seen, &shown));
        shown
    }

    pub(in crate::consult) fn row(&mut self, record: Record) -> DeskRow {
        let shown = self.item(record);
        DeskRow {
            status: shown.status,
            consultation_id: shown.consultation_id,
            creator_member_id: shown.creator_member_id,
            creator_member_name: shown.creator_member_name,
            target_member_id: shown.target_member_id,
            target_member_name: shown.target_member_name,
            relation: shown.relation,
            complaint: shown.complaint.unwrap_or_default(),
            symptom_type: shown.symptom_type,
            doctors: shown.doctors,
            created: shown.created,
            last_message: shown.last_message,
            unread: shown.unread,
            deadline: shown.deadline,
        }
    }

    fn take(&mut self, consult: ConversationId) -> (Option<Seen>, Option<Deadline>) {
        let Some(glimpse) = self.found.remove(&consult) else {
            return (None, None);
        };
        let deadline = Deadline::of(&glimpse);
        (glimpse.seen, deadline)
    }

    fn complaint(&self, shown: &Consult) -> String {
        first_words(
            &shown.symptom_type,
            shown.symptom_content.as_bytes(),
            self.language,
        )
    }

    fn last(&self, seen: Seen, shown: &Consult) -> Option<LastMessage> {
        let Seen {
            last_message,
            sender_name,
            ..
        } = seen;
        let entry = last_message.map(Entry::into_wire)?;
        let text = match entry.recalled {
            true => String::new(),
            false => first_words(&entry.mime_type, &entry.body, self.language),
        };
        Some(LastMessage {
            seq: entry.seq,
            sender_id: entry.sender_id,
            sender_name: match sender_name.is_empty() {
                true => shown.name_of(entry.sender_id),
                false => sender_name,
            },
            created_ms: entry.created_ms,
            mime_type: entry.mime_type,
            text,
            recalled: entry.recalled,
        })
    }
}

impl Deadline {
    pub(in crate::consult) fn of(glimpse: &Glimpse) -> Option<Self> {
        glimpse.deadline.as_ref().map(|due| Self {
            kind: due.kind.clone(),
            due_ms: due.due_ms,
        })
    }
}

impl Consult {
    /// The name of a user in it; empty when it is not known.
    fn name_of(&self, user: i64) -> String {
        if user == self.creator_member_id {
            return self.creator_member_name.clone();
        }
        let doctor = self.doctors.iter().find(|doctor| doctor.doctor_id == user);
        doctor.map(|doctor| doctor.name.clone()).unwrap_or_default()
    }
}
