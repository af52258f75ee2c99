//! Starts that are refused, each with what to do: a role without its privileges, a pooler that shares sessions.

use database::{Database, Error, params};
use testkit::{pooler::PgBouncer, postgres::Postgres};

use crate::{PATIENCE, migrated};

/// The refusal of each kind of start: one that makes the schema, and one that waits for it.
async fn refusals(url: &str) -> [String; 2] {
    let refusal = |opened: Result<Database, Error>| match opened {
        Ok(_) => panic!("it was opened"),
        Err(error) => error.to_string(),
    };
    let made = tokio::time::timeout(PATIENCE, Database::open(url)).await;
    let waited = tokio::time::timeout(PATIENCE, Database::open_when_migrated(url)).await;
    [refusal(made.unwrap()), refusal(waited.unwrap())]
}

fn name_of(url: &str) -> &str {
    url.split('?').next().unwrap().rsplit('/').next().unwrap()
}

/// A database of the superuser's, a role that owns nothing, and the role's address of it.
struct Foreign {
    name: String,
    role: String,
    url: String,
}

impl Foreign {
    fn of(url: &str) -> Self {
        let name = name_of(url).to_owned();
        let role = format!("clinic-{name}");
        Self::run_on(&name, &format!("CREATE ROLE \"{role}\" LOGIN"));
        let url = url.replace("postgres@", &format!("{role}@"));
        Self { name, role, url }
    }

    fn run_on(name: &str, sql: &str) {
        Postgres::shared().psql(name, sql).unwrap();
    }

    /// Runs a statement as the superuser.
    fn run(&self, sql: &str) {
        Self::run_on(&self.name, sql);
    }

    /// Runs the statement that a refusal names, up to its end.
    fn follow(&self, told: &str, statement: &str) {
        let from = told
            .find(statement)
            .unwrap_or_else(|| panic!("{statement} in {told}"));
        let rest = &told[from..];
        let role = format!("TO \"{}\"", self.role);
        let to = rest.find(&role).unwrap_or_else(|| panic!("{role} in {told}"));
        self.run(&rest[..to + role.len()]);
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_role_that_may_not_make_tables_is_told_which_grant() {
    for cure in ["GRANT CREATE ON SCHEMA", "ALTER DATABASE"] {
        let foreign = Foreign::of(&Postgres::shared().empty_database().unwrap());
        let told = Database::open(&foreign.url).await.err().unwrap().to_string();
        assert!(
            told.contains("permission denied") && told.contains("schema \"public\""),
            "{told}"
        );
        assert!(!told.contains("migrations table"), "{told}");
        foreign.follow(&told, cure);
        Database::open(&foreign.url)
            .await
            .unwrap()
            .is_ready()
            .await
            .unwrap();
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_role_that_may_use_no_schema_is_told_which_grant() {
    let url = Postgres::shared().empty_database().unwrap();
    migrated(url.clone()).await.unwrap();
    let foreign = Foreign::of(&url);
    foreign.run("REVOKE ALL ON SCHEMA public FROM PUBLIC");
    for told in refusals(&foreign.url).await {
        assert!(told.contains("may use no schema"), "{told}");
    }
    foreign.follow(&refusals(&foreign.url).await[1], "GRANT USAGE, CREATE ON SCHEMA");
    for told in refusals(&foreign.url).await {
        assert!(told.contains("may not read and write these tables"), "{told}");
    }
}

/// A newer program's tables belong to the role that made them.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_role_that_may_not_use_the_tables_is_told_which_grant() {
    let url = Postgres::shared().empty_database().unwrap();
    migrated(url.clone()).await.unwrap();
    let foreign = Foreign::of(&url);
    let told = refusals(&foreign.url).await;
    foreign.follow(&told[1], "GRANT SELECT, INSERT, UPDATE, DELETE ON ALL TABLES");
    for started in [
        Database::open(&foreign.url).await,
        Database::open_when_migrated(&foreign.url).await,
    ] {
        started.unwrap().fleet().await.unwrap();
    }
    // One table alone, as after an upgrade; and one that is not ours.
    foreign.run("CREATE TABLE note (id BIGINT); ALTER TABLE note OWNER TO pg_monitor");
    Database::open(&foreign.url).await.unwrap();
    foreign.run(&format!("REVOKE INSERT ON fleet FROM \"{}\"", foreign.role));
    for told in refusals(&foreign.url).await {
        assert!(told.contains("these tables: fleet."), "{told}");
    }
    // Rows that are kept for ever may be kept by the server, too: that is no reason not to start.
    foreign.run(&format!(
        "GRANT INSERT ON fleet TO \"{role}\"; REVOKE DELETE ON entry FROM \"{role}\"",
        role = foreign.role
    ));
    Database::open(&foreign.url).await.unwrap();
}

/// The schema is older, and its tables are another role's.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn tables_of_another_role_are_not_changed_and_it_is_said_why() {
    let url = Postgres::shared().empty_database().unwrap();
    migrated(url.clone()).await.unwrap();
    let foreign = Foreign::of(&url);
    foreign.run(&format!(
        "GRANT ALL ON ALL TABLES IN SCHEMA public TO \"{role}\"; GRANT CREATE ON SCHEMA public TO \"{role}\";
         DELETE FROM refinery_schema_history WHERE version > 10",
        role = foreign.role
    ));
    let told = Database::open(&foreign.url).await.err().unwrap().to_string();
    assert!(
        told.contains("must be owner of table") && told.contains("REASSIGN OWNED BY"),
        "{told}"
    );
}

async fn writes_and_reads(database: &Database) {
    let made = database.transaction(|tx| {
        Box::pin(async move {
            tx.execute("CREATE TABLE note (id BIGINT PRIMARY KEY)", vec![])
                .await
        })
    });
    made.await.unwrap();
    let all = (0..40i64).map(|id| {
        database.transaction(move |tx| {
            Box::pin(async move {
                tx.execute("INSERT INTO note (id) VALUES ($1)", params![id])
                    .await?;
                tx.query_first("SELECT id FROM note WHERE id = $1", params![id])
                    .await
            })
        })
    });
    for written in futures_util::future::join_all(all).await {
        assert!(written.unwrap().is_some());
    }
    let refused = database.query("INSERT INTO note (id) VALUES (100)", vec![]).await;
    assert!(matches!(refused, Err(Error::Engine(told)) if told.contains("read-only")));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_pooler_in_session_mode_is_as_good_as_the_server() {
    let server = Postgres::shared();
    let pooler = PgBouncer::start(server, "session", &[]).unwrap();
    let direct = server.empty_database().unwrap();
    let url = pooler.url(name_of(&direct));
    // Twice: the second program gets processes that the first one has used.
    for _ in 0..2 {
        let database = Database::open(&url).await.unwrap();
        let row = database
            .query_first("SELECT current_setting('lock_timeout')", vec![])
            .await
            .unwrap();
        assert_eq!(row.unwrap().get::<String>(0).unwrap(), "4s");
        writes_and_reads(&database).await;
        let sql = "DROP TABLE note";
        let gone = database.transaction(move |tx| Box::pin(async move { tx.execute(sql, vec![]).await }));
        gone.await.unwrap();
        database.close().await;
    }
    Database::open_when_migrated(&url).await.unwrap();
    // The URL's own options are a startup parameter, as in PostgreSQL's own clients.
    let with_options = format!("{url}&options=-c%20jit%3Don");
    for told in refusals(&with_options).await {
        assert!(told.contains("options"), "{told}");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_pooler_that_lets_sessions_share_processes_is_refused() {
    let server = Postgres::shared();
    let direct = server.empty_database().unwrap();
    migrated(direct.clone()).await.unwrap();
    for (mode, settings) in [
        ("transaction", &[][..]),
        ("transaction", &["server_round_robin = 1", "min_pool_size = 5"]),
        ("transaction", &["default_pool_size = 1"]),
        ("statement", &[]),
    ] {
        let pooler = PgBouncer::start(server, mode, settings).unwrap();
        for told in refusals(&pooler.url(name_of(&direct))).await {
            assert!(
                told.contains("pool_mode = session"),
                "{mode} {settings:?}: {told}"
            );
        }
        // Nothing of ours stays with the processes that others use.
        let shown = lock_timeout(&pooler.url(name_of(&direct))).await;
        assert_eq!(shown, "0", "{mode} {settings:?}");
    }
}

/// The lock_timeout of a process of the pooler's.
async fn lock_timeout(url: &str) -> String {
    let (client, connection) = tokio_postgres::connect(url, tokio_postgres::NoTls).await.unwrap();
    let driver = tokio::spawn(connection);
    let shown = client.simple_query("SHOW lock_timeout").await.unwrap();
    driver.abort();
    shown
        .iter()
        .find_map(|message| match message {
            tokio_postgres::SimpleQueryMessage::Row(row) => row.get(0).map(str::to_owned),
            _ => None,
        })
        .unwrap()
}
