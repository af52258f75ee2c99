//! Marks of random users in random conversations, against the naive model.

use journal::marks::Mark;
use proto::{ConversationId, UserId};

use crate::{
    dice::Random,
    model::Model,
    random::USERS,
    world::{World, seq},
};

pub(crate) async fn save_marks(world: &World, random: &mut Random, models: &mut [(ConversationId, Model)]) {
    let mut marks = Vec::new();
    let mut wanted = Vec::new();
    for (id, model) in models.iter_mut() {
        let person = 1 + random.below(USERS);
        let (received, read) = (random.below(model.last() + 3), random.below(model.last() + 3));
        marks.push(Mark {
            conversation: *id,
            user: UserId::from_database(person),
            received_seq: seq(received),
            read_seq: seq(read),
        });
        if let Some((received, read)) = model.mark(person, received, read) {
            wanted.push((*id, person, received, read));
        }
    }
    let saved = world.journal.save_marks(marks).await.unwrap();
    let found: Vec<_> = saved
        .iter()
        .map(|mark| {
            let (received, read) = (mark.received_seq.get(), mark.read_seq.get());
            (mark.conversation, mark.user.get(), received, read)
        })
        .collect();
    assert_eq!(found, wanted);
}
