//! A member, their family, and each user who shares a conversation with them see their photo, and that of a dependant.

use proto::UserId;

use crate::{
    family,
    media::{Record, Watch},
};

pub(crate) const WATCH: Watch = Watch {
    record: Record::Member,
    sees: |app, id, user| {
        Box::pin(async move {
            let member = UserId::from_database(id);
            if member == user.id || family::is_relative(&app.database, user.id, member).await? {
                return Ok(true);
            }
            let sharing = app.journal.sharing_a_conversation(user.id, &[member]).await?;
            Ok(!sharing.is_empty())
        })
    },
};
