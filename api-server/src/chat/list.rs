//! One's private chats. The journal says which of them are hidden: where conversations lie on several machines, no statement
//! asks both.

use axum::extract::State;
use proto::UserId;

use super::{Chat, table};
use crate::{
    app::App,
    caller::User,
    http::{
        answer::{Answer, ListEnvelope, Page},
        docs::PageParams,
        error::Error,
        input::{Cursor, PageQuery},
    },
};

/// Chats of one read.
const AT_ONCE: i64 = 200;

/// Which chats a list has.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Which {
    Shown,
    /// Hidden ones, too.
    All,
}

/// One's private chats
///
/// Without those that are hidden.
#[utoipa::path(
    operation_id = "listChats",
    get, path = "/chat_list", tag = "chat", params(PageParams),
    responses((status = 200, body = ListEnvelope<Chat>)),
    security(("access_token" = []), ("bearer" = []))
)]
pub(crate) async fn list(State(app): State<App>, user: User, page: PageQuery) -> Result<Answer, Error> {
    Answer::page(page_of(&app, user.id, &page, Which::Shown).await?)
}

/// A page of a user's chats, the newest first.
pub(crate) async fn page_of(
    app: &App,
    user: UserId,
    query: &PageQuery,
    which: Which,
) -> Result<Page<Chat>, Error> {
    let total = match query.count {
        true => Some(count(app, user, which).await?),
        false => None,
    };
    // One more than the page holds shows whether another page follows.
    let wanted = usize::try_from(query.limit)
        .unwrap_or(usize::MAX)
        .saturating_add(1);
    let mut walk = Walk::new(user, query.start());
    let mut found = Vec::new();
    let mut limit = query.limit + 1;
    while found.len() < wanted {
        let Some(read) = walk.next(app, limit).await? else {
            break;
        };
        found.extend(read.into_iter().filter(|chat| which.has(chat)));
        // Many may be hidden.
        limit = AT_ONCE;
    }
    Ok(Page::cut(found, total, query, Chat::place))
}

async fn count(app: &App, user: UserId, which: Which) -> Result<i64, Error> {
    let mut walk = Walk::new(user, Cursor::NEWEST);
    let mut count = 0;
    while let Some(read) = walk.next(app, AT_ONCE).await? {
        count += read.iter().filter(|chat| which.has(chat)).count();
    }
    Ok(i64::try_from(count).unwrap_or(i64::MAX))
}

impl Which {
    const fn has(self, chat: &Chat) -> bool {
        matches!(self, Self::All) || !chat.hidden
    }
}

/// A walk over all chats of a user.
struct Walk {
    user: UserId,
    after: Option<Cursor>,
}

impl Walk {
    const fn new(user: UserId, after: Cursor) -> Self {
        let after = Some(after);
        Self { user, after }
    }

    /// The next chats, with what the journal says of them; `None` behind the last one.
    async fn next(&mut self, app: &App, limit: i64) -> Result<Option<Vec<Chat>>, Error> {
        let Some(after) = self.after else { return Ok(None) };
        let limit = limit.min(AT_ONCE);
        let mut chats = table::next(&app.database, self.user, after, limit).await?;
        let is_full = i64::try_from(chats.len()).is_ok_and(|read| read == limit);
        self.after = chats.last().filter(|_| is_full).map(Chat::place);
        let conversations: Vec<_> = chats.iter().map(Chat::conversation).collect();
        let hidden = app.journal.hidden_among(self.user, &conversations).await?;
        for chat in &mut chats {
            chat.hidden = hidden.contains(&chat.conversation());
        }
        Ok(Some(chats))
    }
}
