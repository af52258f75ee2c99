//! The newest advice of a consult, as its record shows it.

use journal::{Entry, Journal, history::Direction};
use prost::Message;
use proto::{ConversationId, Seq, UserId, mime, wire::AdviceCard};
use serde::Serialize;
use utoipa::ToSchema;

use crate::http::error::Error;

/// A doctor's advice. It is no prescription.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, ToSchema)]
#[schema(as = ConsultAdvice)]
pub(crate) struct Advice {
    /// Its entry in the conversation.
    seq: i64,
    doctor_id: i64,
    title: String,
    text: String,
    /// The diagnosis as the doctor saw it.
    impression: String,
    /// Medicines as text.
    medicines: String,
    /// When to come again, YYYY-MM-DD; empty for no such day.
    follow_up_date: String,
    /// Epoch milliseconds.
    created_ms: i64,
}

impl Advice {
    /// The advice of an entry, or the newest correction of it, as far as a user sees it. Recalled advice is none.
    pub(in crate::consult) async fn of(
        journal: &Journal,
        consult: ConversationId,
        user: UserId,
        seq: Seq,
    ) -> Result<Option<Self>, Error> {
        let corrections = journal.corrections(consult, user, (seq, seq)).await?;
        if let Some(newest) = corrections.get(&seq)
            && let Some(advice) = read(journal, consult, user, *newest).await?
        {
            return Ok(Some(advice));
        }
        read(journal, consult, user, seq).await
    }
}

async fn read(
    journal: &Journal,
    consult: ConversationId,
    user: UserId,
    seq: Seq,
) -> Result<Option<Advice>, Error> {
    let found = journal
        .history(consult, user, Direction::Before(seq.next()), 1)
        .await;
    match found {
        Ok(page) => Ok(page
            .entries
            .into_iter()
            .find(|entry| entry.seq == seq)
            .and_then(advice)),
        Err(journal::Error::NoAccess) => Ok(None),
        Err(error) => Err(error.into()),
    }
}

fn advice(entry: Entry) -> Option<Advice> {
    if entry.recalled || entry.mime_type != mime::ADVICE {
        return None;
    }
    let card = AdviceCard::decode(entry.body).ok()?;
    Some(Advice {
        seq: entry.seq.get(),
        doctor_id: entry.sender.get(),
        title: card.title,
        text: card.text,
        impression: card.impression,
        medicines: card.medicines,
        follow_up_date: card.follow_up_date,
        created_ms: entry.created_ms,
    })
}
