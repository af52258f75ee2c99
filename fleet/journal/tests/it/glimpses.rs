//! A list of conversations shows as the naive model has it.

use journal::overview::UNREAD_CAP;
use proto::{ConversationId, wire::EntryKind};

use crate::{
    model::Model,
    random::{USERS, assert_entry},
    world::{World, user},
};

/// Of all conversations at once, and of one that does not exist.
pub(crate) async fn assert_glimpses(world: &World, models: &[(ConversationId, Model)]) {
    let mut ids: Vec<ConversationId> = models.iter().map(|(id, _)| *id).collect();
    ids.push(ConversationId::from_database(i64::MAX));
    for person in 1..=USERS + 1 {
        let glimpses = world.journal.glimpses(user(person), &ids).await.unwrap();
        assert_eq!(glimpses.len(), models.len());
        for (id, model) in models {
            let seen = &glimpses[id].seen;
            assert_eq!(seen.is_some(), model.spans.contains_key(&person));
            let Some(seen) = seen else {
                continue;
            };
            assert_eq!(
                seen.unread,
                model.unread(person).min(UNREAD_CAP),
                "unread of {person}"
            );
            let is_message = |seq: &i64| model.entries[(*seq - 1) as usize].kind == EntryKind::Message;
            let last = model.visible(person).into_iter().rfind(is_message);
            let found = seen.last_message.as_ref();
            assert_eq!(found.map(|entry| entry.seq.get()), last, "of user {person}");
            if let Some(entry) = found {
                assert_entry(entry, model);
            }
        }
    }
}
