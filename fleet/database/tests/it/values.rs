//! Values come back as they were written.

use bytes::Bytes;
use database::{Error, Value, params};

use testkit::store::Store;

use crate::Scratch;

async fn values_come_back_as_they_went(store: Store) {
    let scratch = Scratch::open(store).await;
    scratch
        .run(&["CREATE TABLE thing (id BIGINT NOT NULL PRIMARY KEY, text TEXT, bytes BYTEA, flag BOOLEAN)"])
        .await;
    let long = "会".repeat(400_000);
    let blob: Vec<u8> = (0..1_000_000u32).map(|at| (at % 251) as u8).collect();
    type Thing = (i64, Option<String>, Option<Bytes>, Option<bool>);
    let things: Vec<Thing> = vec![
        (i64::MIN, None, None, None),
        (i64::MAX, Some(String::new()), Some(Bytes::new()), Some(false)),
        (
            -1,
            Some("a\u{1}b".into()),
            Some(Bytes::from_static(b"\0\xff\0")),
            Some(true),
        ),
        (0, Some("'; DROP TABLE thing; -- $1 ?1".into()), None, None),
        (1, Some(long), Some(blob.into()), Some(true)),
    ];
    for (id, text, bytes, flag) in things.clone() {
        scratch
            .database
            .transaction(move |tx| {
                Box::pin(async move {
                    let sql = "INSERT INTO thing (id, text, bytes, flag) VALUES ($1, $2, $3, $4)";
                    tx.execute(sql, params![id, text, bytes, flag]).await
                })
            })
            .await
            .unwrap();
    }
    for (id, text, bytes, flag) in things {
        let sql = "SELECT text, bytes, flag FROM thing WHERE id = $1";
        let row = scratch
            .database
            .query_first(sql, params![id])
            .await
            .unwrap()
            .unwrap();
        assert_eq!(row.get::<Option<String>>(0).unwrap(), text);
        assert_eq!(row.get::<Option<Bytes>>(1).unwrap(), bytes);
        assert_eq!(row.get::<Option<bool>>(2).unwrap(), flag);
    }
}

async fn a_column_of_another_type_is_an_error(store: Store) {
    let scratch = Scratch::open(store).await;
    let row = scratch
        .database
        .query_first("SELECT 'a', 1, NULL", vec![])
        .await
        .unwrap()
        .unwrap();
    assert!(matches!(row.get::<i64>(0), Err(Error::Column { column: 0, .. })));
    assert!(matches!(
        row.get::<String>(1),
        Err(Error::Column { column: 1, .. })
    ));
    assert!(matches!(row.get::<i64>(2), Err(Error::Column { column: 2, .. })));
    assert!(matches!(row.get::<i64>(3), Err(Error::Column { column: 3, .. })));
}

/// Read as NULL, a sum that became a float would be a sum of nothing.
async fn a_floating_point_number_is_an_error(store: Store) {
    let scratch = Scratch::open(store).await;
    let outcome = scratch.database.query("SELECT 1, 0.5", vec![]).await;
    assert!(matches!(outcome, Err(Error::Column { column: 1, .. })));
}

/// Two dollars in one statement are one parameter, in any order.
async fn parameters_are_bound_by_number(store: Store) {
    let scratch = Scratch::open(store).await;
    let row = scratch
        .database
        .query_first("SELECT $2, $1, $2", params!["one", "two"])
        .await
        .unwrap()
        .unwrap();
    let values: Vec<String> = (0..3).map(|at| row.get(at).unwrap()).collect();
    assert_eq!(values, ["two", "one", "two"]);
    let mut many: Vec<Value> = (1..=12).map(|at| Value::Text(at.to_string())).collect();
    many.reverse();
    let row = scratch
        .database
        .query_first("SELECT $12, $1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11", many)
        .await
        .unwrap()
        .unwrap();
    assert_eq!(
        (row.get::<String>(0).unwrap(), row.get::<String>(1).unwrap()),
        ("1".into(), "12".into())
    );
}

/// PostgreSQL infers what a parameter is from its place.
async fn a_parameter_of_another_type_is_an_error(store: Store) {
    if store == Store::Sqlite {
        return;
    }
    let scratch = Scratch::open(store).await;
    for parameters in [params!["a"], params![true], params![i64::MAX]] {
        let outcome = scratch.database.query("SELECT 1 + $1", parameters).await;
        assert!(matches!(outcome, Err(Error::Engine(_))), "{outcome:?}");
    }
    let row = scratch.database.query_first("SELECT 1 + $1", params![2]).await;
    assert_eq!(row.unwrap().unwrap().get::<i64>(0).unwrap(), 3);
}

testkit::on_both!(
    a_parameter_of_another_type_is_an_error,
    values_come_back_as_they_went,
    a_column_of_another_type_is_an_error,
    a_floating_point_number_is_an_error,
    parameters_are_bound_by_number,
);
