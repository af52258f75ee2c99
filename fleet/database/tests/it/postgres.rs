//! Properties of PostgreSQL alone: its address, TLS and passwords, a schema that many programs bring up to date, waits for locks.

use std::time::Duration;

use database::{Database, Engine, Error, LATEST_VERSION, MIGRATIONS, params};
use testkit::{
    postgres::{Certificate, Options, Postgres},
    store::Store,
};

use crate::{PATIENCE, Scratch, eventually_ok, migrated};

async fn refusal(url: &str) -> String {
    match tokio::time::timeout(PATIENCE, Database::open(url)).await {
        Ok(Ok(_)) => panic!("it was opened"),
        Ok(Err(error)) => error.to_string(),
        Err(_) => panic!("no answer"),
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn programs_that_start_together_bring_the_schema_up_to_date_once() {
    let url = Postgres::shared().empty_database().unwrap();
    let waiting = tokio::spawn({
        let url = url.clone();
        async move { Database::open_when_migrated(&url).await }
    });
    let opening: Vec<_> = (0..8)
        .map(|_| {
            let url = url.clone();
            tokio::spawn(async move { Database::open(&url).await })
        })
        .collect();
    for opened in opening {
        let database = opened.await.unwrap().unwrap();
        assert_eq!(database.schema_version().await.unwrap(), LATEST_VERSION);
        database.is_ready().await.unwrap();
        let sql = "SELECT count(*) FROM refinery_schema_history";
        let rows = database.query_first(sql, vec![]).await.unwrap().unwrap();
        assert_eq!(rows.get::<i64>(0).unwrap(), MIGRATIONS.len() as i64);
        database.close().await;
    }
    let database = tokio::time::timeout(PATIENCE, waiting).await;
    database.unwrap().unwrap().unwrap().is_ready().await.unwrap();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn who_waits_for_the_schema_does_not_touch_it() {
    let url = Postgres::shared().empty_database().unwrap();
    let mut waiting = Box::pin(Database::open_when_migrated(&url));
    let early = tokio::time::timeout(Duration::from_millis(1500), &mut waiting).await;
    assert!(early.is_err());
    let name = url.split('?').next().unwrap().rsplit('/').next().unwrap();
    let tables = "SELECT count(*) FROM pg_tables WHERE schemaname = 'public'";
    assert_eq!(Postgres::shared().psql(name, tables).unwrap(), "0");
    migrated(url.clone()).await.unwrap();
    let database = tokio::time::timeout(PATIENCE, waiting).await.unwrap().unwrap();
    database.is_ready().await.unwrap();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_program_that_waits_outlives_a_server_that_is_not_there_yet() {
    let postgres = Postgres::start(Options::default()).unwrap();
    let url = postgres.empty_database().unwrap();
    migrated(url.clone()).await.unwrap();
    postgres.stop().unwrap();
    assert!(refusal(&url).await.contains("cannot be opened"));
    let mut waiting = Box::pin(Database::open_when_migrated(&url));
    assert!(
        tokio::time::timeout(Duration::from_millis(800), &mut waiting)
            .await
            .is_err()
    );
    postgres.start_again().unwrap();
    tokio::time::timeout(PATIENCE, waiting).await.unwrap().unwrap();
    // A permanent error is not waited for.
    let missing = postgres.url("nowhere");
    let outcome = tokio::time::timeout(PATIENCE, Database::open_when_migrated(&missing)).await;
    assert!(matches!(outcome.unwrap(), Err(Error::Open(told)) if told.contains("nowhere")));
}

/// A fleet is brought up to date program by program: the old ones may have to start once more meanwhile.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_newer_schema_is_worked_with() {
    let scratch = Scratch::open(Store::Postgres).await;
    scratch
        .run(&[
            "INSERT INTO refinery_schema_history (version, name, applied_on, checksum)
                VALUES (9999, 'from_the_future', '2030-01-01T00:00:00Z', '1')",
        ])
        .await;
    let scratch = scratch.reopen().await;
    assert_eq!(scratch.database.schema_version().await.unwrap(), 9999);
    scratch.database.is_ready().await.unwrap();
    Database::open_when_migrated(scratch.place.url()).await.unwrap();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_older_schema_is_not_ready() {
    let scratch = Scratch::open(Store::Postgres).await;
    scratch
        .run(&["DELETE FROM refinery_schema_history WHERE version = (SELECT max(version) FROM refinery_schema_history)"])
        .await;
    let told = scratch.database.is_ready().await.unwrap_err();
    assert!(told.contains("needs"), "{told}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_wrong_password_is_told_and_the_right_one_opens() {
    let postgres = Postgres::start(Options {
        password: Some("geheim:@/?".into()),
        ..Options::default()
    })
    .unwrap();
    let url = |password: &str| {
        format!(
            "postgres://postgres:{password}@127.0.0.1:{}/postgres",
            postgres.port()
        )
    };
    let told = refusal(&url("falsch")).await;
    assert!(
        told.contains("password authentication failed") && !told.contains("falsch"),
        "{told}"
    );
    let wrong = url("falsch");
    let waiting = Database::open_when_migrated(&wrong);
    let outcome = tokio::time::timeout(PATIENCE, waiting).await.unwrap();
    assert!(matches!(outcome, Err(Error::Open(_))));
    let database = Database::open(&url("geheim%3A%40%2F%3F")).await.unwrap();
    database.is_ready().await.unwrap();
    // The socket demands no password.
    let socket = format!(
        "postgres:///postgres?host={}&user=x",
        postgres.socket_folder().display()
    );
    assert!(refusal(&socket).await.contains("\"user\""));
    let socket = format!(
        "postgres://postgres@/postgres?host={}&port={}",
        postgres.socket_folder().display(),
        postgres.port()
    );
    Database::open(&socket).await.unwrap();
}

struct Authority {
    issuer: rcgen::Issuer<'static, rcgen::KeyPair>,
    pem: String,
}

fn authority() -> Authority {
    let mut params = rcgen::CertificateParams::new(vec![]).unwrap();
    params.is_ca = rcgen::IsCa::Ca(rcgen::BasicConstraints::Unconstrained);
    let key = rcgen::KeyPair::generate().unwrap();
    let pem = params.self_signed(&key).unwrap().pem();
    Authority {
        issuer: rcgen::Issuer::new(params, key),
        pem,
    }
}

fn server_certificate(authority: &Authority, name: &str) -> Certificate {
    let key = rcgen::KeyPair::generate().unwrap();
    let params = rcgen::CertificateParams::new(vec![name.to_owned()]).unwrap();
    Certificate {
        chain_pem: params.signed_by(&key, &authority.issuer).unwrap().pem(),
        key_pem: key.serialize_pem(),
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_servers_certificate_is_verified_unless_the_url_says_otherwise() {
    let (ours, theirs) = (authority(), authority());
    let postgres = Postgres::start(Options {
        password: Some("x".into()),
        certificate: Some(server_certificate(&ours, "localhost")),
        ..Options::default()
    })
    .unwrap();
    let folder = tempfile::tempdir().unwrap();
    for (name, pem) in [
        ("ours.pem", &ours.pem),
        ("theirs.pem", &theirs.pem),
        ("none.pem", &String::new()),
    ] {
        std::fs::write(folder.path().join(name), pem).unwrap();
    }
    let url = |host: &str, rest: &str| {
        let rest = rest.replace("FOLDER", &folder.path().display().to_string());
        format!("postgres://postgres:x@{host}:{}/postgres?{rest}", postgres.port())
    };
    for rest in [
        "sslmode=verify-full&sslrootcert=FOLDER/ours.pem",
        "sslrootcert=FOLDER/ours.pem",
        "sslmode=require&sslrootcert=FOLDER/ours.pem",
        "sslmode=require",
        "sslmode=prefer",
    ] {
        let database = Database::open(&url("localhost", rest)).await.unwrap();
        let sql = "SELECT count(*) FROM pg_stat_ssl WHERE pid = pg_backend_pid() AND ssl";
        let row = database.query_first(sql, vec![]).await.unwrap().unwrap();
        assert_eq!(row.get::<i64>(0).unwrap(), 1, "{rest}");
        let Engine::Postgres(server) = database.engine() else {
            panic!("no server");
        };
        assert_eq!(server.setting("jit").await.unwrap(), "off");
    }
    for (host, rest, told) in [
        (
            "localhost",
            "sslmode=verify-full&sslrootcert=FOLDER/theirs.pem",
            "invalid peer certificate",
        ),
        (
            "localhost",
            "sslmode=require&sslrootcert=FOLDER/theirs.pem",
            "invalid peer certificate",
        ),
        ("localhost", "sslmode=verify-full", "invalid peer certificate"),
        (
            "127.0.0.1",
            "sslmode=verify-full&sslrootcert=FOLDER/ours.pem",
            "not valid for name",
        ),
        ("localhost", "sslmode=disable", "no encryption"),
        (
            "localhost",
            "sslmode=verify-full&sslrootcert=FOLDER/none.pem",
            "holds no certificate",
        ),
        (
            "localhost",
            "sslmode=verify-full&sslrootcert=FOLDER/missing.pem",
            "missing.pem",
        ),
    ] {
        let error = refusal(&url(host, rest)).await;
        assert!(error.contains(told), "{host} {rest}: {error}");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_server_without_tls_is_refused_when_tls_is_asked_for() {
    let url = Postgres::shared().empty_database().unwrap();
    for mode in ["require", "verify-full"] {
        let told = refusal(&url.replace("sslmode=disable", &format!("sslmode={mode}"))).await;
        assert!(told.contains("TLS"), "{told}");
    }
    Database::open(&url.replace("disable", "prefer")).await.unwrap();
}

/// Settings reach a session after it is connected: the driver asks a server whether it takes writes before.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_server_that_takes_writes_is_found_although_reads_cannot_write() {
    let url = Postgres::shared().empty_database().unwrap();
    let parameters = "target_session_attrs=read-write&options=-c%20lock_timeout%3D1500ms";
    let database = Database::open(&format!("{url}&{parameters}")).await.unwrap();
    let shown = async |name: &str| {
        let sql = format!("SELECT current_setting('{name}')");
        let row = database.query_first(sql, vec![]).await.unwrap().unwrap();
        row.get::<String>(0).unwrap()
    };
    assert_eq!(shown("default_transaction_read_only").await, "on");
    assert_eq!(shown("idle_in_transaction_session_timeout").await, "10s");
    assert_eq!(shown("lock_timeout").await, "1500ms");
    let Engine::Postgres(server) = database.engine() else {
        panic!("no server");
    };
    assert_eq!(
        server.setting("default_transaction_read_only").await.unwrap(),
        "off"
    );
    assert_eq!(server.setting("lock_timeout").await.unwrap(), "1500ms");
    let read = database.query("CREATE TABLE note (id BIGINT)", vec![]).await;
    assert!(matches!(read, Err(Error::Engine(told)) if told.contains("read-only")));
    let written = database
        .transaction(|tx| Box::pin(async move { tx.execute("CREATE TABLE note (id BIGINT)", vec![]).await }));
    written.await.unwrap();
}

/// I1: no acknowledgement for a commit that is in memory only, whatever the server's default.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn i1_commits_are_synced_also_where_the_server_would_not() {
    let postgres = Postgres::shared();
    let url = postgres.empty_database().unwrap();
    let name = url
        .split('?')
        .next()
        .unwrap()
        .rsplit('/')
        .next()
        .unwrap()
        .to_owned();
    let setting = async |wanted: &str| {
        let alter = format!("ALTER DATABASE \"{name}\" SET synchronous_commit = {wanted}");
        postgres.psql("postgres", &alter).unwrap();
        let database = Database::open(&url).await.unwrap();
        let Engine::Postgres(server) = database.engine() else {
            panic!("no server");
        };
        let sql = "SELECT current_setting('synchronous_commit')";
        let pooled = database.query_first(sql, vec![]).await.unwrap().unwrap();
        assert_eq!(
            pooled.get::<String>(0).unwrap(),
            server.setting("synchronous_commit").await.unwrap()
        );
        server.setting("synchronous_commit").await.unwrap()
    };
    assert_eq!(setting("off").await, "on");
    assert_eq!(setting("remote_apply").await, "remote_apply");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_a_deadlock_ends_is_busy_and_wrote_nothing() {
    let scratch = Scratch::open(Store::Postgres).await;
    scratch
        .run(&[
            "CREATE TABLE note (id BIGINT PRIMARY KEY, times BIGINT NOT NULL)",
            "INSERT INTO note VALUES (1, 0), (2, 0)",
        ])
        .await;
    let mut busy = 0;
    for _ in 0..20 {
        let both = [[1i64, 2], [2, 1]].map(|order| {
            scratch.database.transaction(move |tx| {
                Box::pin(async move {
                    for id in order {
                        tx.execute("UPDATE note SET times = times + 1 WHERE id = $1", params![id])
                            .await?;
                        tx.query("SELECT pg_sleep(0.02)::text", vec![]).await?;
                    }
                    Ok::<_, Error>(())
                })
            })
        });
        let mut done = 0;
        for outcome in futures_util::future::join_all(both).await {
            match outcome {
                Ok(()) => done += 1,
                Err(Error::Busy(_)) => busy += 1,
                Err(error) => panic!("{error}"),
            }
        }
        assert!(done >= 1);
        if busy > 0 {
            break;
        }
    }
    assert!(busy > 0, "no deadlock came about");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_lock_that_somebody_keeps_is_waited_for_some_seconds_only() {
    let scratch = Scratch::open(Store::Postgres).await;
    scratch
        .run(&[
            "CREATE TABLE note (id BIGINT PRIMARY KEY)",
            "INSERT INTO note VALUES (1)",
        ])
        .await;
    let Engine::Postgres(server) = scratch.database.engine() else {
        panic!("no server");
    };
    let holder = server.connect().await.unwrap();
    holder
        .batch_execute("BEGIN; UPDATE note SET id = 1")
        .await
        .unwrap();
    // Answered although it is held.
    let outcome = scratch
        .database
        .transaction(|tx| Box::pin(async move { tx.execute("UPDATE note SET id = 1", vec![]).await }))
        .await;
    assert!(matches!(outcome, Err(Error::Busy(_))), "{outcome:?}");
    // The holder does nothing: it loses its transaction, and the lock with it.
    let update = async || {
        scratch
            .database
            .transaction(|tx| Box::pin(async move { tx.execute("UPDATE note SET id = 1", vec![]).await }))
            .await
    };
    eventually_ok("the lock is released", update).await;
    assert!(holder.batch_execute("COMMIT").await.is_err());
}
