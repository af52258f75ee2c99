//! The parts of the file, one after the other.

use axum::extract::State;
use bytes::Bytes;
use proto::ConversationId;
use serde::Deserialize;
use serde_json::{Value, json};
use tokio::sync::mpsc::Sender;

use super::pieces::Pieces;
use crate::{
    account::own,
    app::App,
    caller::{Member, Role, User},
    chat::list::{Which, page_of},
    clinic, consult,
    consult::Own,
    doctor, family,
    http::{
        answer::Answer,
        error::{Error, ErrorCode},
        input::{Cursor, Id, PageQuery, PathId},
    },
    media, member, team, vas, wallet,
};

/// Items of one read.
const PAGE: i64 = 100;

pub(super) struct Writing {
    app: App,
    user: User,
    pieces: Pieces,
}

/// The answer of an endpoint with one result.
#[derive(Deserialize)]
struct One {
    result: Value,
}

/// The answer of a list.
#[derive(Deserialize)]
struct Listed {
    result: Vec<Value>,
    next_cursor: Option<String>,
}

impl Writing {
    pub(super) fn new(app: App, user: User, sender: Sender<Bytes>) -> Self {
        Self {
            app,
            user,
            pieces: Pieces::new(sender),
        }
    }

    /// Writes the whole file.
    pub(super) async fn write(mut self, now_ms: i64) -> Result<(), Error> {
        self.pieces.open('{');
        self.field("format", &json!("huizhen-export-1"))?;
        self.field("created_ms", &json!(now_ms))?;
        let account = own::show::whole(&self.app, &self.user).await?;
        self.one("account", &account)?;
        let (app, user) = (self.app.clone(), self.user.clone());
        self.list("notices", |page| {
            own::notice::list(State(app.clone()), user.clone(), page)
        })
        .await?;
        match self.user.role {
            Role::Member => Box::pin(self.member()).await?,
            _ => Box::pin(self.doctor()).await?,
        }
        self.list("teams", |page| {
            team::find::mine::list(State(app.clone()), user.clone(), page)
        })
        .await?;
        Box::pin(self.consults()).await?;
        self.list("services", |page| {
            vas::list::own(State(app.clone()), user.clone(), page)
        })
        .await?;
        self.list("hidden_services", |page| {
            vas::list::hidden(State(app.clone()), user.clone(), page)
        })
        .await?;
        Box::pin(self.chats()).await?;
        self.list("media", |page| media::own(&app, user.id, page)).await?;
        self.field("complete", &json!(true))?;
        self.pieces.close('}');
        self.pieces.end().await
    }

    async fn member(&mut self) -> Result<(), Error> {
        let (app, user) = (&self.app.clone(), &self.user.clone());
        let shown = member::show::show(State(app.clone()), Member::of(user)?).await?;
        self.one("member", &shown)?;
        self.list("family", |page| async move {
            family::one::list(State(app.clone()), Member::of(user)?, page).await
        })
        .await?;
        self.list("consults_about_me", |page| async move {
            consult::read::about_me::list(State(app.clone()), Member::of(user)?, page).await
        })
        .await?;
        self.list("wallet", |page| async move {
            wallet::consumption::list(State(app.clone()), Member::of(user)?, page).await
        })
        .await?;
        self.list("orders", |page| async move {
            wallet::order::read::list(State(app.clone()), Member::of(user)?, page).await
        })
        .await?;
        self.list("refunds", |page| async move {
            wallet::refund::list::list(State(app.clone()), Member::of(user)?, page).await
        })
        .await
    }

    async fn doctor(&mut self) -> Result<(), Error> {
        let (app, user) = (self.app.clone(), self.user.clone());
        let page = doctor::show::show(State(app.clone()), user.clone(), path(user.id.get())?).await?;
        self.one("doctor", &page)?;
        let verification = doctor::verification::ask::shown(&app, user.id).await?;
        self.one("verification", &verification)?;
        self.list("clinics", |page| {
            clinic::find::mine::list(State(app.clone()), user.clone(), page)
        })
        .await
    }

    async fn consults(&mut self) -> Result<(), Error> {
        self.pieces.name("consults");
        self.pieces.open('[');
        let mut after = Cursor::NEWEST;
        loop {
            let own = consult::own(&self.app.database, self.user.id, after, PAGE).await?;
            let Some(last) = own.last() else { break };
            after = last.place();
            for consult in own {
                Box::pin(self.consult(&consult)).await?;
            }
        }
        self.pieces.close(']');
        Ok(())
    }

    async fn consult(&mut self, own: &Own) -> Result<(), Error> {
        let (app, user) = (self.app.clone(), self.user.clone());
        let shown = consult::read::show::show(State(app), user, path(own.id.get())?).await?;
        self.pieces.open('{');
        self.one("consult", &shown)?;
        self.entries("entries", own.id).await?;
        if self.user.role == Role::Doctor {
            self.entries("staff_entries", own.staff_room).await?;
        }
        self.pieces.close('}');
        Ok(())
    }

    async fn chats(&mut self) -> Result<(), Error> {
        self.pieces.name("chats");
        self.pieces.open('[');
        let mut page = first();
        loop {
            let found = page_of(&self.app, self.user.id, &page, Which::All).await?;
            for chat in found.items {
                self.pieces.open('{');
                self.pieces.name("chat");
                self.pieces.value(&chat)?;
                self.entries("entries", chat.conversation()).await?;
                self.pieces.close('}');
            }
            let Some(cursor) = found.next_cursor else { break };
            page.cursor = Cursor::decode(&cursor);
        }
        self.pieces.close(']');
        Ok(())
    }

    /// The entries of a conversation that the user sees, the newest first; none when they never were in it.
    async fn entries(&mut self, name: &str, conversation: ConversationId) -> Result<(), Error> {
        self.pieces.name(name);
        self.pieces.open('[');
        let mut page = first();
        loop {
            let found = consult::read::messages::entries(&self.app, conversation, self.user.id, &page).await;
            let found = match found {
                Err(error) if error.code() == ErrorCode::ConsultNotFound => break,
                found => found?,
            };
            for entry in &found.items {
                self.pieces.value(entry)?;
                self.pieces.pass_on().await?;
            }
            let Some(cursor) = found.next_cursor else { break };
            page.cursor = Cursor::decode(&cursor);
        }
        self.pieces.close(']');
        Ok(())
    }

    fn field(&mut self, name: &str, value: &Value) -> Result<(), Error> {
        self.pieces.name(name);
        self.pieces.value(value)
    }

    fn one(&mut self, name: &str, answer: &Answer) -> Result<(), Error> {
        let one: One = serde_json::from_slice(answer.body()).map_err(Error::internal)?;
        self.field(name, &one.result)
    }

    /// All pages of a list, as its endpoint answers them.
    async fn list<F>(&mut self, name: &str, list: impl Fn(PageQuery) -> F) -> Result<(), Error>
    where
        F: Future<Output = Result<Answer, Error>>,
    {
        self.pieces.name(name);
        self.pieces.open('[');
        let mut page = first();
        loop {
            let answer = list(page.clone()).await?;
            let listed: Listed = serde_json::from_slice(answer.body()).map_err(Error::internal)?;
            for item in &listed.result {
                self.pieces.value(item)?;
            }
            self.pieces.pass_on().await?;
            let Some(cursor) = listed.next_cursor else { break };
            page.cursor = Cursor::decode(&cursor);
        }
        self.pieces.close(']');
        Ok(())
    }
}

/// The first page of a list.
fn first() -> PageQuery {
    PageQuery {
        limit: PAGE,
        cursor: None,
        count: false,
    }
}

fn path(id: i64) -> Result<PathId, Error> {
    Id::new(id)
        .map(PathId)
        .ok_or_else(|| Error::internal("an id is out of range"))
}
