//! Through `psql`: simple queries. Prepared statements are tried by the tests of the crate `journal`.

#![allow(clippy::unwrap_used, reason = "a test that cannot go on has failed")]

use super::*;

struct Behind {
    stand_in: StandIn,
    database: String,
}

impl Behind {
    fn new() -> Self {
        let server = Postgres::shared();
        let url = server.empty_database().unwrap();
        let database = url
            .rsplit('/')
            .next()
            .unwrap()
            .split('?')
            .next()
            .unwrap()
            .to_owned();
        let tables = "CREATE TABLE sent (conversation_id BIGINT PRIMARY KEY); INSERT INTO sent VALUES (1)";
        server.psql(&database, tables).unwrap();
        let stand_in = StandIn::start(server.port()).unwrap();
        Self { stand_in, database }
    }

    fn psql(&self, sql: &str) -> anyhow::Result<String> {
        let url = self.stand_in.url(&self.database);
        let options = [
            "-X",
            "-q",
            "-A",
            "-t",
            "-v",
            "VERBOSITY=verbose",
            "-d",
            &url,
            "-c",
            sql,
        ];
        Postgres::shared().run("psql", &self.database, &options)
    }

    fn error(&self, sql: &str) -> String {
        self.psql(sql).unwrap_err().to_string()
    }
}

#[test]
fn a_refused_statement_gets_its_reason_and_the_connection_goes_on() {
    let behind = Behind::new();
    assert_eq!(
        behind
            .psql("SELECT 1 FROM sent WHERE conversation_id = 1")
            .unwrap(),
        "1"
    );
    let error = behind.error("SELECT count(*) FROM sent");
    assert!(
        error.contains("0A000: AsksAll: no conversation is named for sent"),
        "{error}"
    );
    let refused = behind.stand_in.take_refused();
    assert_eq!(refused.len(), 1);
    assert_eq!(refused[0].sql, "SELECT count(*) FROM sent");
}

#[test]
fn a_broken_key_of_copied_rows_has_no_name() {
    let behind = Behind::new();
    let error = behind.error("INSERT INTO sent (conversation_id) VALUES (1)");
    assert!(
        error.contains("23505") && error.contains("CONSTRAINT NAME"),
        "{error}"
    );
    let error = behind.error("INSERT INTO sent (conversation_id) SELECT 1");
    assert!(
        error.contains("XX000: duplicate key") && !error.contains("CONSTRAINT NAME"),
        "{error}"
    );
    assert_eq!(behind.stand_in.take_copied().len(), 1);
    assert!(behind.stand_in.take_refused().is_empty());
}

#[test]
fn a_setting_of_a_session_reaches_no_machine_and_the_roles_does() {
    let behind = Behind::new();
    assert_eq!(behind.psql("SHOW lock_timeout").unwrap(), "4s");
    assert_eq!(
        behind.psql("SET lock_timeout = '1s'; SHOW lock_timeout").unwrap(),
        "4s"
    );
    assert_eq!(behind.psql("SHOW huizhen.distributed").unwrap(), "on");
    let error = behind.error("SET plan_cache_mode = force_generic_plan");
    assert!(error.contains("0A000"), "{error}");
}
