//! The service on a database whose conversations lie on several machines, behind a server that refuses what Citus refuses
//! (docs/decisions/0019-distributed.md). All tests run so by hand: `HUIZHEN_TEST_STAND_IN=<file> it on_postgres::`; the file
//! gets each statement that is refused.

use std::{fs, process::Command};

use testkit::citus::StandIn;

/// Tests whose transactions write to conversations and to records beside them.
const AREAS: [&str; 10] = [
    "chats",
    "closings",
    "consult_acts",
    "deadlines",
    "exporting",
    "hiding",
    "media_rights",
    "operators",
    "vas",
    "vas_steps",
];

/// Runs tests of this program in a process of its own. None of their statements may be refused.
fn runs_behind_it(arguments: &[String]) {
    let folder = tempfile::tempdir().unwrap();
    let (variable, report) = StandIn::asking(folder.path().join("refused"));
    let output = Command::new(std::env::current_exe().unwrap())
        .env(variable, &report)
        .args(arguments)
        .output()
        .unwrap();
    let refused = fs::read_to_string(&report).unwrap_or_else(|_| "no statement came by".to_owned());
    let log = String::from_utf8_lossy(&output.stdout);
    assert!(refused.is_empty(), "{refused}\n{log}");
    assert!(output.status.success() && !log.contains(" 0 passed"), "{log}");
}

#[test]
fn every_statement_of_the_service_is_one_that_citus_takes() {
    let test = "on_postgres::statements::every_statement_runs";
    runs_behind_it(&["--ignored", "--exact", test].map(str::to_owned));
}

#[test]
fn the_service_lives_behind_a_server_that_refuses_so() {
    let tests = AREAS.map(|area| format!("on_postgres::{area}::"));
    runs_behind_it(&tests);
}
