//! A disk that is full: errors, nothing half written, and a process that lives.

use database::{Engine, Error, params};

use fleet_local::store::Store;

use crate::Scratch;

async fn limit_pages(scratch: &Scratch, pages: i64) {
    let Engine::Sqlite(sqlite) = scratch.database.engine() else {
        panic!("no file");
    };
    let outcome: Result<(), Error> = sqlite
        .write(move |connection| {
            let set = format!("PRAGMA max_page_count = {pages}");
            connection
                .query_row(&set, [], |row| row.get::<_, i64>(0))
                .map_err(Error::from)?;
            Ok(())
        })
        .await;
    outcome.unwrap();
}

async fn add_ten(scratch: &Scratch, from: i64) -> Result<(), Error> {
    scratch
        .database
        .transaction(move |tx| {
            Box::pin(async move {
                for id in from..from + 10 {
                    let body = vec![7u8; 20_000];
                    tx.execute("INSERT INTO note (id, body) VALUES ($1, $2)", params![id, body])
                        .await?;
                }
                Ok(())
            })
        })
        .await
}

#[tokio::test]
async fn a_full_disk_refuses_whole_transactions_and_is_got_over() {
    let scratch = Scratch::open(Store::Sqlite).await;
    scratch
        .run(&["CREATE TABLE note (id BIGINT NOT NULL PRIMARY KEY, body BYTEA NOT NULL)"])
        .await;
    limit_pages(&scratch, 200).await;
    let mut done = 0;
    let error = loop {
        assert!(done < 100, "the limit does not bite");
        match add_ten(&scratch, done).await {
            Ok(()) => done += 10,
            Err(error) => break error,
        }
    };
    assert!(matches!(&error, Error::Full(_)), "{error}");
    assert!(matches!(
        scratch.database.is_writable().await,
        Err(Error::Full(_))
    ));
    assert_eq!(scratch.number("SELECT count(*) FROM note").await, done);
    limit_pages(&scratch, 1_000_000).await;
    crate::writable(&scratch.database).await;
    add_ten(&scratch, done).await.unwrap();
    let scratch = scratch.reopen().await;
    assert_eq!(scratch.number("SELECT count(*) FROM note").await, done + 10);
    assert_eq!(
        scratch
            .number("SELECT count(*) FROM pragma_integrity_check WHERE integrity_check = 'ok'")
            .await,
        1
    );
}
