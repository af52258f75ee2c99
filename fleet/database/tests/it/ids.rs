//! Ids are unique, also under a rush and after a restart.

use std::collections::HashSet;

use testkit::store::Store;

use crate::Scratch;

async fn ids_are_unique_under_a_rush_and_after_a_restart(store: Store) {
    let mut scratch = Scratch::open(store).await;
    let mut seen = HashSet::new();
    for _ in 0..3 {
        let tasks: Vec<_> = (0..16)
            .map(|_| {
                let database = scratch.database.clone();
                tokio::spawn(async move {
                    let mut ids = Vec::new();
                    for _ in 0..20 {
                        ids.push(database.allocate_id("person").await.unwrap());
                    }
                    ids
                })
            })
            .collect();
        for task in tasks {
            for id in task.await.unwrap() {
                assert!(id >= 1);
                assert!(seen.insert(id), "{id} was given out twice");
            }
        }
        scratch = scratch.reopen().await;
    }
    assert_eq!(seen.len(), 3 * 16 * 20);
}

async fn sequences_count_for_themselves_from_1(store: Store) {
    let scratch = Scratch::open(store).await;
    assert_eq!(scratch.database.allocate_id("a").await.unwrap(), 1);
    assert_eq!(scratch.database.allocate_id("b").await.unwrap(), 1);
    assert_eq!(scratch.database.allocate_id("a").await.unwrap(), 2);
}

async fn an_id_that_nobody_waited_for_is_not_given_out_twice(store: Store) {
    let scratch = Scratch::open(store).await;
    let mut seen = HashSet::new();
    for _ in 0..200 {
        let database = scratch.database.clone();
        let task = tokio::spawn(async move { database.allocate_id("a").await });
        tokio::task::yield_now().await;
        task.abort();
        if let Ok(id) = task.await {
            assert!(seen.insert(id.unwrap()));
        }
        assert!(seen.insert(scratch.database.allocate_id("a").await.unwrap()));
    }
}

testkit::on_both!(
    ids_are_unique_under_a_rush_and_after_a_restart,
    sequences_count_for_themselves_from_1,
    an_id_that_nobody_waited_for_is_not_given_out_twice,
);
