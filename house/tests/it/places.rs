//! The table *One place for each* of ARCHITECTURE.md.

use crate::links::{matches, table};
use crate::source::Source;
use crate::{allowed, tree};

/// The places that the row of this thing names.
fn stated(thing: &str) -> Vec<String> {
    let text = tree::read("ARCHITECTURE.md");
    assert!(
        text.contains(&format!("\n| {thing} | ")),
        "ARCHITECTURE.md has no row {thing}"
    );
    let head = format!("| {thing} | ");
    let row = text.lines().find(|line| line.starts_with(&head)).unwrap();
    row.split('`').skip(1).step_by(2).map(str::to_owned).collect()
}

/// Holds that what `finds` sees in a file is seen in the stated places alone, and that each of them has some.
fn only(thing: &str, finds: impl Fn(&Source) -> Option<usize>) {
    let places = stated(thing);
    let mut astray = Vec::new();
    let mut used = vec![false; places.len()];
    for source in tree::product() {
        let Some(line) = finds(source) else { continue };
        let place = places.iter().position(|place| matches(place, &source.path));
        match place {
            Some(place) => used[place] = true,
            None => astray.push(format!("{}:{line}", source.path)),
        }
    }
    let idle = places.iter().zip(&used).filter(|(_, used)| !**used);
    astray.extend(idle.map(|(place, _)| format!("{place} has none, though ARCHITECTURE.md names it")));
    allowed::check(
        &format!("places of {thing} that ARCHITECTURE.md has wrong"),
        &astray,
    );
}

#[test]
fn sql_stands_where_architecture_md_says() {
    let starts = ["SELECT ", "INSERT INTO ", "INSERT OR ", "DELETE FROM ", "WITH "];
    only("SQL statements", |source| {
        if source.path.starts_with("loadtest/") || source.path.starts_with("fleet/testkit/") {
            return None;
        }
        let is_sql = |text: &str| {
            let text = text.trim_start();
            starts.iter().any(|start| text.starts_with(start))
                || (text.starts_with("UPDATE ") && text.contains(" SET "))
        };
        source
            .strings
            .iter()
            .find(|string| is_sql(&string.text))
            .map(|string| string.line)
    });
}

#[test]
fn unsafe_code_stands_where_architecture_md_says() {
    only("unsafe code", |source| {
        source
            .words()
            .find(|(_, word)| *word == "unsafe")
            .map(|(line, _)| line)
    });
}

#[test]
fn the_wall_clock_is_read_where_architecture_md_says() {
    only("the wall clock, in the fleet and its servers", |source| {
        let reads = ["SystemTime::now(", "Timestamp::now("];
        is_of_servers(source).then(|| line_of(source, &reads)).flatten()
    });
}

/// Decisions are pure, and a secret comes from one of few places.
#[test]
fn random_numbers_are_drawn_where_architecture_md_says() {
    only("random numbers, in the fleet and its servers", |source| {
        let draws = [
            "rand::random",
            "rand::rng(",
            "rand::SystemRandom",
            "rand::{",
            "RandomState",
            "OsRng",
            "getrandom",
        ];
        is_of_servers(source).then(|| line_of(source, &draws)).flatten()
    });
}

#[test]
fn status_codes_stand_where_architecture_md_says() {
    only("HTTP status codes, in api-server", |source| {
        source
            .path
            .starts_with("api-server/")
            .then(|| line_of(source, &["StatusCode::"]))
            .flatten()
    });
}

#[test]
fn outages_are_recognized_where_architecture_md_says() {
    only(
        "outages of the database by their kind, in the servers",
        |source| {
            let is_here = source.path.starts_with("api-server/") || source.path.starts_with("im-server/");
            is_here
                .then(|| line_of(source, &[".outage()", "Kind::Outage"]))
                .flatten()
        },
    );
}

#[test]
fn tasks_are_started_where_architecture_md_says() {
    only(TASKS, |source| starts(source).first().map(|(line, _)| *line));
}

/// A task whose handle is dropped may end unseen: the comment above it names what ends it.
#[test]
fn a_started_task_has_an_owner_or_names_its_end() {
    let mut ownerless = Vec::new();
    for source in tree::product() {
        for (line, is_owned) in starts(source) {
            let above = source.text.lines().nth(line - 2).unwrap_or("").trim();
            if !is_owned && !above.starts_with("// Ends with ") {
                ownerless.push(format!("{}:{line}", source.path));
            }
        }
    }
    allowed::check("started tasks without an owner", &ownerless);
}

const TASKS: &str = "started tasks that are not vital, in the fleet and its servers";
/// Ways to start a task whose handle nothing keeps by itself: sets and trackers own theirs.
const STARTS: [&str; 5] = [
    "tokio::spawn",
    "task::spawn(",
    "task::spawn_local",
    "Handle::current().spawn",
    "runtime.spawn",
];

/// The lines that start a task, and whether its handle goes anywhere: a statement of its own that is not awaited drops it.
fn starts(source: &Source) -> Vec<(usize, bool)> {
    let code = &source.code;
    let mut found = Vec::new();
    if ["loadtest/", "fleet/testkit/"]
        .iter()
        .any(|room| source.path.starts_with(room))
    {
        return found;
    }
    for start in STARTS {
        for (at, _) in code.match_indices(start) {
            let line = code[..at].matches('\n').count() + 1;
            let before = code[..at].trim_end().trim_end_matches("tokio::").trim_end();
            let is_statement = before.ends_with(['{', '}', ';']);
            let rest = &code[at..];
            let is_dropped = is_statement && rest[closing(rest)..].trim_start().starts_with(';');
            found.push((line, !is_dropped));
        }
    }
    found
}

/// The place after the parenthesis that closes the first one.
fn closing(code: &str) -> usize {
    let mut depth = 0usize;
    for (at, byte) in code.bytes().enumerate() {
        match byte {
            b'(' => depth += 1,
            b')' if depth == 1 => return at + 1,
            b')' => depth -= 1,
            _ => {}
        }
    }
    code.len()
}

#[test]
fn a_dropped_handle_is_seen() {
    let text = "fn a() {\n    tokio::spawn(b());\n    let _c = tokio::spawn(c());\n    tokio::spawn(d()).await;\n    \
                tokio::task::spawn_local(e(()));\n    f(tokio::spawn(g()))\n}\n";
    let dropped: Vec<usize> = starts(&Source::new("x/src/a.rs", text))
        .into_iter()
        .filter(|(_, is_owned)| !is_owned)
        .map(|(line, _)| line)
        .collect();
    assert_eq!(dropped, [2, 5]);
}

fn is_of_servers(source: &Source) -> bool {
    let rooms = ["fleet/", "im-server/", "api-server/"];
    rooms.iter().any(|room| source.path.starts_with(room)) && !source.path.starts_with("fleet/testkit/")
}

/// The first line of code that has one of these.
fn line_of(source: &Source, texts: &[&str]) -> Option<usize> {
    let has = |line: &str| texts.iter().any(|text| line.contains(text));
    source.code.lines().position(has).map(|index| index + 1)
}

#[test]
fn the_tables_have_rows() {
    assert!(table("ARCHITECTURE.md", "| thing | stands in |").len() >= 2);
}
