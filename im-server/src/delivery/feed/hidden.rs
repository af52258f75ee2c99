//! Which conversations the user has taken off their lists. Only lists are concerned.

// protocol: "Entries come as ever, live and by Sync"

use proto::ConversationId;

use super::{
    Request,
    source::{Source, Stopped},
};
use crate::delivery::Receiver;

// protocol: "Sync sends Hidden before any Conversation"
/// Tells what the app may not know. A session that has synced conversations hears of later changes by notices.
pub(super) async fn sync<S: Source>(source: &S, request: &Request, synced_from: i64) -> Result<(), Stopped> {
    let mut before = request.before.min(ConversationId::from_database(synced_from));
    while before > request.from {
        let page = source
            .hidden(before, request.from, request.copies.known_below())
            .await?;
        let Some(last) = page.last() else { break };
        before = last.conversation;
        for hidden in page {
            source.tell(hidden).await?;
        }
    }
    Ok(())
}

// protocol: "A live session gets Hidden when another device hides a conversation"
/// Tells how it stands now, unless the app knows. It is read here, so that of two changes the last one counts.
///
/// # Errors
/// [`Stopped`].
pub(crate) async fn look<S: Source>(source: &S, id: ConversationId) -> Result<(), Stopped> {
    let books = source.receiver().books();
    if !books.lock().is_passed(id) {
        return Ok(());
    }
    let beyond = ConversationId::from_database(id.get() + 1);
    // protocol: "It may come twice"
    for hidden in source.hidden(beyond, id, 0).await? {
        if !books.lock().has_heard(id, hidden.through) {
            source.tell(hidden).await?;
            books.lock().note_heard(id, hidden.through);
        }
    }
    Ok(())
}
