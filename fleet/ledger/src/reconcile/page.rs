//! Pages of rows, and rows of given keys.

use database::{Row, Snapshot, Value, params};

use crate::Error;

/// Rows of a page.
pub(super) const ROWS: i64 = 1000;

/// Lengths of a list of keys: a list is filled up to the next one, so that there are few statements.
const LENGTHS: [usize; 3] = [8, 64, 512];

/// Whether another page may follow.
pub(super) fn is_full(rows: &[Row]) -> bool {
    i64::try_from(rows.len()).is_ok_and(|rows| rows >= ROWS)
}

/// Rows of a statement with `{keys}` in it, whose first parameters are `first`.
pub(super) async fn of_keys<T: Clone + Into<Value>>(
    snapshot: &Snapshot,
    sql: &str,
    first: Vec<Value>,
    keys: &[T],
) -> Result<Vec<Row>, Error> {
    let mut rows = Vec::new();
    for chunk in keys.chunks(LENGTHS[LENGTHS.len() - 1]) {
        let Some(last) = chunk.last() else { continue };
        let length = LENGTHS
            .into_iter()
            .find(|length| *length >= chunk.len())
            .unwrap_or(chunk.len());
        let mut values = first.clone();
        let filled = chunk
            .iter()
            .chain(std::iter::repeat_n(last, length - chunk.len()));
        values.extend(filled.cloned().map(Into::into));
        let sql = with_keys(sql, first.len(), length);
        rows.extend(snapshot.query(sql, values).await?);
    }
    Ok(rows)
}

/// The text of a statement for a number of keys after its first parameters.
pub(super) fn with_keys(sql: &str, first: usize, length: usize) -> String {
    let keys: Vec<String> = (first + 1..=first + length).map(|at| format!("${at}")).collect();
    sql.replace("{keys}", &keys.join(", "))
}

/// The largest id of a table, for its progress; at least 1.
pub(super) async fn last_id(snapshot: &Snapshot, sql: &'static str) -> Result<u64, Error> {
    let rows = snapshot.query(sql, params![]).await?;
    let id: i64 = rows.first().map_or(Ok(1), |row| row.get(0))?;
    Ok(u64::try_from(id).unwrap_or(1).max(1))
}
