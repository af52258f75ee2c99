//! The consults of a team, for those who may see them: the caller decides who that is.

use proto::UserId;

use super::{
    record::{Consult, Known},
    table,
};
use crate::{
    app::App,
    http::{
        answer::{Answer, Page},
        error::Error,
        input::{Cursor, PageQuery},
    },
};

/// The consults that a team has finished.
pub(crate) async fn list_finished(app: &App, team: i64, page: &PageQuery) -> Result<Answer, Error> {
    let total = if page.count {
        Some(table::count_finished(&app.database, team).await?)
    } else {
        None
    };
    answer(table::finished(&app.database, team, page).await?, page, total)
}

/// The consults of a team that a doctor is in, whatever their state.
pub(crate) async fn list_served(
    app: &App,
    team: i64,
    doctor: UserId,
    page: &PageQuery,
) -> Result<Answer, Error> {
    let total = if page.count {
        Some(table::count_seated(&app.database, team, doctor).await?)
    } else {
        None
    };
    answer(
        table::served(&app.database, team, doctor, page).await?,
        page,
        total,
    )
}

fn answer(mut found: Vec<Known>, page: &PageQuery, total: Option<i64>) -> Result<Answer, Error> {
    let next_cursor = page.cut(&mut found, |last| {
        let (at, id) = last.place();
        Cursor { at, id }
    });
    Answer::page(Page {
        items: found.into_iter().map(Known::into_item).collect::<Vec<Consult>>(),
        next_cursor,
        total,
    })
}
