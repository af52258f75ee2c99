//! The schema, as numbered steps that every engine runs. A step that has been released is never changed.

/// `V{number}__{name}` and the text of each step. In the text, `{without_rowid}` stands where SQLite should keep a
/// narrow table as one B-tree; other engines see nothing there. A line that begins with `{in_file}` is SQLite's alone, one
/// with `{on_server}` PostgreSQL's.
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
];

/// Steps that change nothing but how a file keeps what every engine holds; others run them as nothing.
const OF_FILES: &[&str] = &["V9__entry_index"];

/// What a file alone has, for the same reason: tables, and columns of others. All of it follows from the rest.
pub(crate) const TABLES_OF_FILES: &[&str] = &["entry_index"];
pub(crate) const COLUMNS_OF_FILES: &[(&str, &str)] = &[
    ("conversation", "unclaimed_entry_id"),
    ("entry", "id"),
    ("entry", "previous_id"),
];

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
pub(crate) fn of_files() -> Result<Vec<refinery::Migration>, refinery::Error> {
    steps(|_, sql| {
        let sql = sql.replace("{without_rowid}", "WITHOUT ROWID");
        without_lines(&sql, "{on_server}").replace("{in_file}", "")
    })
}

/// The steps for PostgreSQL.
pub(crate) fn of_servers() -> Result<Vec<refinery::Migration>, refinery::Error> {
    steps(|name, sql| match OF_FILES.contains(&name) {
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
