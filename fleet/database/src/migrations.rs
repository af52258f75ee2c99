//! The schema, as numbered steps that every engine runs. A step that has been released is never changed.

/// `V{number}__{name}` and the text of each step. In the text, `{without_rowid}` stands where SQLite should keep a
/// narrow table as one B-tree; other engines see nothing there.
pub const MIGRATIONS: [(&str, &str); 8] = [
    ("V1__journal", include_str!("../migrations/V1__journal.sql")),
    ("V2__account", include_str!("../migrations/V2__account.sql")),
    ("V3__team", include_str!("../migrations/V3__team.sql")),
    ("V4__consult", include_str!("../migrations/V4__consult.sql")),
    ("V5__chat", include_str!("../migrations/V5__chat.sql")),
    ("V6__people", include_str!("../migrations/V6__people.sql")),
    ("V7__vas", include_str!("../migrations/V7__vas.sql")),
    ("V8__search", include_str!("../migrations/V8__search.sql")),
];

/// The version that this program works with.
pub const LATEST_VERSION: i64 = MIGRATIONS.len() as i64;

pub(crate) fn steps(without_rowid: &str) -> Result<Vec<refinery::Migration>, refinery::Error> {
    MIGRATIONS
        .iter()
        .map(|(name, sql)| {
            refinery::Migration::unapplied(name, &sql.replace("{without_rowid}", without_rowid))
        })
        .collect()
}
