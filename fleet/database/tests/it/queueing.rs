//! Statements that are sent with the next one, in pipelines, and locks that are sent so.

use database::{Error, params};
use testkit::store::Store;

use crate::Scratch;

const ADD: &str = "INSERT INTO note (id, times) VALUES ($1, 0)";
const COUNT: &str = "SELECT count(*) FROM note";
const READ: &str = "SELECT times FROM note WHERE id = $1";
const WRITE: &str = "UPDATE note SET times = $1 WHERE id = $2";

async fn scratch(store: Store) -> Scratch {
    let scratch = Scratch::open(store).await;
    scratch
        .run(&["CREATE TABLE note (id BIGINT NOT NULL PRIMARY KEY, times BIGINT NOT NULL)"])
        .await;
    scratch
}

async fn enqueued_statements_run_in_their_order(store: Store) {
    let scratch = scratch(store).await;
    let found = scratch.database.transaction(|tx| {
        Box::pin(async move {
            tx.enqueue_one(ADD, params![1]).await?;
            tx.enqueue(WRITE, params![5, 1]).await?;
            let first: i64 = tx.query_first(READ, params![1]).await?.unwrap().get(0)?;
            tx.enqueue_one(WRITE, params![6, 1]).await?;
            let changed = tx.execute(WRITE, params![7, 2]).await?;
            let asked = vec![
                (ADD, params![2]),
                (WRITE, params![8, 2]),
                (READ, params![2]),
                (COUNT, params![]),
            ];
            let outcomes = tx.pipeline(asked).await;
            let rows = outcomes.into_iter().collect::<Result<Vec<_>, _>>()?;
            let (second, count): (i64, i64) = (rows[2][0].get(0)?, rows[3][0].get(0)?);
            // More than wait for one statement, and none that follows them.
            for id in 3..43 {
                tx.enqueue_one(ADD, params![id]).await?;
            }
            Ok::<_, Error>((first, changed, second, count))
        })
    });
    assert_eq!(found.await.unwrap(), (5, 0, 8, 2));
    assert_eq!(scratch.number(COUNT).await, 42);
    assert_eq!(scratch.number("SELECT times FROM note WHERE id = 1").await, 6);
}

/// The last statement of a transaction, and one before the last.
async fn an_error_of_one_that_was_enqueued_ends_the_transaction(store: Store) {
    let scratch = scratch(store).await;
    for goes_on in [false, true] {
        let outcome = scratch.database.transaction(move |tx| {
            Box::pin(async move {
                tx.enqueue(ADD, params![1]).await?;
                tx.enqueue(ADD, params![1]).await?;
                if goes_on {
                    tx.execute(ADD, params![2]).await?;
                }
                Ok::<_, Error>(())
            })
        });
        let error = outcome.await.unwrap_err();
        assert_eq!(error.constraint(), Some("note_pkey"), "{error}");
        assert_eq!(scratch.number(COUNT).await, 0);
    }
}

async fn one_that_must_change_a_row_and_changes_none_ends_the_transaction(store: Store) {
    let scratch = scratch(store).await;
    for goes_on in [false, true] {
        let outcome = scratch.database.transaction(move |tx| {
            Box::pin(async move {
                tx.enqueue(ADD, params![1]).await?;
                tx.enqueue_one(WRITE, params![1, 2]).await?;
                if goes_on {
                    tx.execute(ADD, params![3]).await?;
                }
                Ok::<_, Error>(())
            })
        });
        assert!(matches!(outcome.await, Err(Error::Engine(_))));
        assert_eq!(scratch.number(COUNT).await, 0);
    }
}

async fn a_pipeline_ends_with_its_first_error(store: Store) {
    let scratch = scratch(store).await;
    let outcome = scratch.database.transaction(|tx| {
        Box::pin(async move {
            let asked = vec![(ADD, params![1]), (ADD, params![1]), (ADD, params![2])];
            let outcomes = tx.pipeline(asked).await;
            assert_eq!(outcomes.len(), 2);
            assert!(outcomes[0].is_ok());
            let error = outcomes[1].as_ref().unwrap_err();
            assert_eq!(error.constraint(), Some("note_pkey"));
            let next = tx.enqueue(ADD, params![3]).await;
            assert!(matches!(next, Err(Error::Refused)));
            let next = tx.pipeline(vec![(ADD, params![4])]).await;
            assert!(matches!(next[..], [Err(Error::Refused)]));
            Ok::<_, Error>(())
        })
    });
    assert!(matches!(outcome.await, Err(Error::Refused)));
    assert_eq!(scratch.number(COUNT).await, 0);
}

/// A read behind a lock stays true: no addition is lost.
async fn a_lock_holds_the_rows_that_are_read_behind_it(store: Store) {
    const ROW: &str = "SELECT id FROM note WHERE id = $1";
    const MANY: i64 = 24;
    let scratch = scratch(store).await;
    scratch.run(&["INSERT INTO note (id, times) VALUES (1, 0)"]).await;
    let adding: Vec<_> = (0..MANY)
        .map(|number| {
            scratch.database.transaction(move |tx| {
                Box::pin(async move {
                    match number % 2 {
                        0 => tx.enqueue_lock(ROW, params![1]).await?,
                        _ => assert!(tx.lock_row(ROW, params![1]).await?),
                    }
                    let times: i64 = tx.query_first(READ, params![1]).await?.unwrap().get(0)?;
                    tx.execute(WRITE, params![times + 1, 1]).await
                })
            })
        })
        .collect();
    for added in futures_util::future::join_all(adding).await {
        assert_eq!(added.unwrap(), 1);
    }
    assert_eq!(scratch.number("SELECT times FROM note").await, MANY);
    let missing = scratch
        .database
        .transaction(|tx| Box::pin(async move { tx.lock_row(ROW, params![2]).await }));
    assert!(!missing.await.unwrap());
}

const NEXT: &str = "UPDATE note SET times = times + 1 WHERE id = $1 RETURNING times";

/// A query that was prefetched goes behind the statements before it, once.
async fn a_prefetched_query_is_run_once(store: Store) {
    const MANY: i64 = 24;
    let scratch = scratch(store).await;
    scratch
        .run(&["INSERT INTO note (id, times) VALUES (1, 0), (2, 0)"])
        .await;
    let adding: Vec<_> = (0..MANY)
        .map(|number| {
            scratch.database.transaction(move |tx| {
                Box::pin(async move {
                    tx.prefetch(NEXT, params![1]);
                    match number % 3 {
                        0 => assert_eq!(tx.execute(WRITE, params![number, 2]).await?, 1),
                        1 => tx.enqueue_one(WRITE, params![number, 2]).await?,
                        // The same of another row takes nothing from the one that was prefetched.
                        _ => assert_eq!(tx.query(NEXT, params![3]).await?.len(), 0),
                    }
                    let times: i64 = tx.query(NEXT, params![1]).await?[0].get(0)?;
                    // One that was not prefetched is run, too.
                    let again: i64 = tx.query(NEXT, params![1]).await?[0].get(0)?;
                    assert_eq!(again, times + 1);
                    Ok::<_, Error>(())
                })
            })
        })
        .collect();
    for added in futures_util::future::join_all(adding).await {
        added.unwrap();
    }
    let times = scratch.number("SELECT times FROM note WHERE id = 1").await;
    assert_eq!(times, 2 * MANY);
}

/// Statements that only wait do not take it along, and it does not go behind itself.
async fn a_prefetched_query_that_follows_nothing_is_run_once(store: Store) {
    let scratch = scratch(store).await;
    scratch.run(&["INSERT INTO note (id, times) VALUES (1, 0)"]).await;
    for has_queued in [false, true] {
        let added = scratch.database.transaction(move |tx| {
            Box::pin(async move {
                if has_queued {
                    tx.enqueue_one(ADD, params![2]).await?;
                }
                tx.prefetch(NEXT, params![1]);
                let rows = tx.query(NEXT, params![1]).await?;
                tx.execute(WRITE, params![7, 9]).await?;
                let times: i64 = rows[0].get(0)?;
                Ok::<_, Error>(times)
            })
        });
        let times = added.await.unwrap();
        let stored = scratch.number("SELECT times FROM note WHERE id = 1").await;
        assert_eq!((times, stored), (i64::from(has_queued) + 1, times));
    }
}

/// Its write would stand without its answer.
async fn a_prefetched_query_that_is_not_asked_for_commits_nothing(store: Store) {
    if store == Store::Sqlite {
        // It is run where it is asked for.
        return;
    }
    let scratch = scratch(store).await;
    scratch.run(&["INSERT INTO note (id, times) VALUES (1, 0)"]).await;
    let outcome = scratch.database.transaction(|tx| {
        Box::pin(async move {
            tx.prefetch(NEXT, params![1]);
            tx.execute(ADD, params![2]).await
        })
    });
    let error: Error = outcome.await.unwrap_err();
    assert!(error.to_string().contains("never asked for"), "{error}");
    assert_eq!(scratch.number(COUNT).await, 1);
}

async fn an_error_before_a_prefetched_query_is_that_of_its_statement(store: Store) {
    let scratch = scratch(store).await;
    let outcome = scratch.database.transaction(|tx| {
        Box::pin(async move {
            tx.enqueue_one(ADD, params![1]).await?;
            tx.prefetch(NEXT, params![1]);
            tx.execute(ADD, params![1]).await?;
            Ok::<_, Error>(())
        })
    });
    let error = outcome.await.unwrap_err();
    assert_eq!(error.constraint(), Some("note_pkey"), "{error}");
    assert_eq!(scratch.number(COUNT).await, 0);
}

/// Also where its transaction does not look at its rows.
async fn an_error_of_a_prefetched_query_ends_the_transaction(store: Store) {
    if store == Store::Sqlite {
        // It is run where it is asked for.
        return;
    }
    let scratch = scratch(store).await;
    let outcome = scratch.database.transaction(|tx| {
        Box::pin(async move {
            tx.prefetch(
                "INSERT INTO note (id, times) VALUES ($1, 0) RETURNING id",
                params![1],
            );
            tx.execute(ADD, params![1]).await
        })
    });
    let error = outcome.await.unwrap_err();
    assert_eq!(error.constraint(), Some("note_pkey"), "{error}");
    assert_eq!(scratch.number(COUNT).await, 0);
}

const CLAIM: &str = "INSERT INTO note (id, times) VALUES ($1, 0) ON CONFLICT (id) DO NOTHING";

/// Claims row 1, does some work, and says whether another had it.
async fn claim(scratch: &Scratch, work: usize) -> Result<bool, Error> {
    let outcome = scratch.database.transaction(move |tx| {
        Box::pin(async move {
            let claimed = tx.claim(CLAIM, params![1]).await;
            let worked = match (claimed, work) {
                (Err(error), _) => Err(error),
                // It looks at no row.
                (Ok(()), 0) => Ok(()),
                (Ok(()), 1) => tx.enqueue_one(ADD, params![2]).await,
                (Ok(()), _) => tx.execute(ADD, params![2]).await.map(drop),
            };
            if tx.is_taken().await? {
                assert!(work < 2 || matches!(worked, Err(Error::Refused)));
                return Ok::<_, Error>(true);
            }
            worked.map(|()| false)
        })
    });
    outcome.await
}

async fn what_another_has_claimed_is_not_done_again(store: Store) {
    for work in 0..3 {
        let scratch = scratch(store).await;
        assert!(matches!(claim(&scratch, work).await, Ok(false)));
        let rows = scratch.number(COUNT).await;
        assert_eq!(rows, 1 + i64::from(work > 0));
        scratch.run(&["DELETE FROM note WHERE id = 2"]).await;
        // A transaction that goes on after that it was refused commits nothing.
        for other in 0..3 {
            assert!(matches!(claim(&scratch, other).await, Err(Error::Refused)));
            assert_eq!(scratch.number(COUNT).await, 1);
        }
    }
}

async fn of_racing_claims_one_wins(store: Store) {
    let scratch = scratch(store).await;
    let racing = (0..16).map(|number| claim(&scratch, number % 3));
    let outcomes = futures_util::future::join_all(racing).await;
    let won = outcomes
        .iter()
        .filter(|outcome| matches!(outcome, Ok(false)))
        .count();
    assert_eq!(won, 1, "{outcomes:?}");
    assert!(scratch.number(COUNT).await <= 2);
}

/// An error of the claim itself is no claim of another.
async fn a_claim_that_fails_is_an_error(store: Store) {
    let scratch = scratch(store).await;
    let outcome = scratch.database.transaction(|tx| {
        Box::pin(async move {
            let claimed = tx
                .claim("INSERT INTO note (id, times) VALUES ($1, NULL)", params![1])
                .await;
            let worked = match claimed {
                Ok(()) => tx.execute(ADD, params![2]).await.map(drop),
                Err(error) => Err(error),
            };
            assert_eq!(tx.is_taken().await.ok(), Some(false));
            worked
        })
    });
    let error = outcome.await.unwrap_err();
    assert_eq!(error.constraint(), Some("note_times_not_null"), "{error}");
}

testkit::on_both!(
    enqueued_statements_run_in_their_order,
    an_error_of_one_that_was_enqueued_ends_the_transaction,
    one_that_must_change_a_row_and_changes_none_ends_the_transaction,
    a_pipeline_ends_with_its_first_error,
    a_lock_holds_the_rows_that_are_read_behind_it,
    a_prefetched_query_is_run_once,
    a_prefetched_query_that_follows_nothing_is_run_once,
    a_prefetched_query_that_is_not_asked_for_commits_nothing,
    an_error_before_a_prefetched_query_is_that_of_its_statement,
    an_error_of_a_prefetched_query_ends_the_transaction,
    what_another_has_claimed_is_not_done_again,
    of_racing_claims_one_wins,
    a_claim_that_fails_is_an_error,
);
