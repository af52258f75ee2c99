//! The schema, as numbered steps that both engines run. A step that has been released is never changed.

/// `V{number}__{name}` and the text of each step. In the text, `{without_rowid}` stands where SQLite should keep a
/// narrow table as one B-tree; PostgreSQL sees nothing there. A statement ends its line with a semicolon. A line that begins with `{in_file}` is for SQLite only, one
/// with `{on_server}` for PostgreSQL only.
pub const MIGRATIONS: &[(&str, &str)] = &[
    ("V1__journal", include_str!("../migrations/V1__journal.sql")),
    ("V2__account", include_str!("../migrations/V2__account.sql")),
    ("V3__team", include_str!("../migrations/V3__team.sql")),
    ("V4__consult", include_str!("../migrations/V4__consult.sql")),
    ("V5__chat", include_str!("../migrations/V5__chat.sql")),
    ("V6__people", include_str!("../migrations/V6__people.sql")),
    ("V7__vas", include_str!("../migrations/V7__vas.sql")),
    ("V8__search", include_str!("../migrations/V8__search.sql")),
    (
        "V9__entry_index",
        include_str!("../migrations/V9__entry_index.sql"),
    ),
    ("V10__fleet", include_str!("../migrations/V10__fleet.sql")),
    (
        "V11__entry_checksum",
        include_str!("../migrations/V11__entry_checksum.sql"),
    ),
    ("V12__order", include_str!("../migrations/V12__order.sql")),
    ("V13__access", include_str!("../migrations/V13__access.sql")),
    (
        "V14__invitation",
        include_str!("../migrations/V14__invitation.sql"),
    ),
    ("V15__text", include_str!("../migrations/V15__text.sql")),
    ("V16__ledger", include_str!("../migrations/V16__ledger.sql")),
    (
        "V17__clinic_day",
        include_str!("../migrations/V17__clinic_day.sql"),
    ),
    ("V18__machines", include_str!("../migrations/V18__machines.sql")),
    ("V19__hiding", include_str!("../migrations/V19__hiding.sql")),
    (
        "V20__clinic_operators",
        include_str!("../migrations/V20__clinic_operators.sql"),
    ),
    (
        "V21__open_consults",
        include_str!("../migrations/V21__open_consults.sql"),
    ),
    (
        "V22__media_machines",
        include_str!("../migrations/V22__media_machines.sql"),
    ),
    (
        "V23__income_postings",
        include_str!("../migrations/V23__income_postings.sql"),
    ),
];

/// Steps that only change how SQLite keeps the rows that both engines hold; PostgreSQL runs them as nothing.
const SQLITE_ONLY: &[&str] = &["V9__entry_index"];

/// Tables, and columns of other tables, that SQLite alone has for the same reason. All of them follow from the rest.
pub(crate) const SQLITE_TABLES: &[&str] = &["entry_index"];
pub(crate) const SQLITE_COLUMNS: &[(&str, &str)] = &[
    ("conversation", "unclaimed_entry_id"),
    ("entry", "id"),
    ("entry", "previous_id"),
];

/// The migration at a start.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Schema {
    /// This program, at its start.
    Migrate,
    /// Another program, where another can: this one waits until it is done.
    Await,
    /// None: the database is opened as it is.
    Leave,
}

/// The version that this program works with.
pub const LATEST_VERSION: i64 = number(MIGRATIONS[MIGRATIONS.len() - 1].0);

/// The number in the name of a step.
const fn number(name: &str) -> i64 {
    let name = name.as_bytes();
    let (mut at, mut number) = (1, 0);
    while name[at].is_ascii_digit() {
        number = number * 10 + (name[at] - b'0') as i64;
        at += 1;
    }
    number
}

/// The steps for SQLite.
pub(crate) fn for_sqlite() -> Result<Vec<refinery::Migration>, refinery::Error> {
    steps(|_, sql| {
        let sql = sql.replace("{without_rowid}", "WITHOUT ROWID");
        without_lines(&sql, "{on_server}").replace("{in_file}", "")
    })
}

/// The steps for PostgreSQL.
pub(crate) fn for_postgres() -> Result<Vec<refinery::Migration>, refinery::Error> {
    steps(|name, sql| match SQLITE_ONLY.contains(&name) {
        true => String::new(),
        false => without_lines(&sql.replace("{without_rowid}", ""), "{in_file}").replace("{on_server}", ""),
    })
}

/// A text without such a line stays byte for byte: its history knows its checksum.
fn without_lines(sql: &str, marked: &str) -> String {
    sql.split_inclusive('\n')
        .filter(|line| !line.starts_with(marked))
        .collect()
}

fn steps(text: impl Fn(&str, &str) -> String) -> Result<Vec<refinery::Migration>, refinery::Error> {
    MIGRATIONS
        .iter()
        .map(|(name, sql)| refinery::Migration::unapplied(name, &text(name, sql)))
        .collect()
}
