//! Lists: pages of rows, the newest first, and their total.

use database::{Database, Row, Sql, Value, params};

use crate::http::{
    error::Error,
    input::{Cursor, PageQuery},
};

/// A list in the database.
pub(crate) struct List<T> {
    /// Reads items. Its parameters: `keys`, the cursor (`at` and `id`), the limit.
    pub(crate) items: Sql,
    /// Counts all items by `keys`.
    pub(crate) count: Sql,
    /// The parameters that both statements begin with.
    pub(crate) keys: Vec<Value>,
    /// Makes an item of a row.
    pub(crate) item: fn(&Row) -> Result<T, Error>,
    /// Where an item stands in the order of the list.
    pub(crate) place: fn(&T) -> Cursor,
}

/// One page of a list.
#[derive(Debug)]
pub(crate) struct Page<T> {
    pub(crate) items: Vec<T>,
    /// Where the next page begins, if there is one.
    pub(crate) next_cursor: Option<String>,
    /// How many items the list has, if the request asks for it.
    pub(crate) total: Option<i64>,
}

impl<T> List<T> {
    /// Reads a page.
    pub(crate) async fn page(self, database: &Database, query: &PageQuery) -> Result<Page<T>, Error> {
        let total = if query.count {
            let row = database
                .query_first(self.count.clone(), self.keys.clone())
                .await?;
            Some(row.map_or(Ok(0), |row| row.get(0))?)
        } else {
            None
        };
        let rows = database.query(self.items.clone(), self.parameters(query)).await?;
        let items = rows.iter().map(self.item).collect::<Result<_, _>>()?;
        Ok(Page::cut(items, total, query, self.place))
    }

    /// The parameters of `items`: one row more than the page holds shows whether another page follows.
    fn parameters(&self, query: &PageQuery) -> Vec<Value> {
        let start = query.start();
        let mut parameters = self.keys.clone();
        parameters.extend(params![start.at, start.id, query.limit + 1]);
        parameters
    }

    /// Checks that neither statement scans a table.
    #[cfg(test)]
    pub(crate) async fn walks_an_index(self) {
        let query = PageQuery::default();
        crate::plan::walks_an_index(&self.items, self.parameters(&query)).await;
        crate::plan::walks_an_index(&self.count, self.keys).await;
    }
}

impl<T> Page<T> {
    /// A page of items that were read with `limit + 1`.
    pub(crate) fn cut(
        mut items: Vec<T>,
        total: Option<i64>,
        query: &PageQuery,
        place: impl Fn(&T) -> Cursor,
    ) -> Self {
        let limit = usize::try_from(query.limit).unwrap_or(usize::MAX);
        let more = items.len() > limit;
        items.truncate(limit);
        let next_cursor = items.last().filter(|_| more).map(|last| place(last).encode());
        Self {
            items,
            next_cursor,
            total,
        }
    }

    /// A list that is no longer than a page.
    pub(crate) fn whole(items: Vec<T>) -> Self {
        Self {
            items,
            next_cursor: None,
            total: None,
        }
    }

    /// The same page of other items.
    pub(crate) fn map<U>(self, item: impl FnMut(T) -> U) -> Page<U> {
        Page {
            items: self.items.into_iter().map(item).collect(),
            next_cursor: self.next_cursor,
            total: self.total,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn another_page_follows_only_where_more_was_read_than_the_page_holds() {
        let query = PageQuery {
            limit: 2,
            ..PageQuery::default()
        };
        let place = |item: &i64| Cursor { at: *item, id: 0 };
        for (read, items, next) in [
            (vec![], vec![], None),
            (vec![3, 2], vec![3, 2], None),
            (vec![3, 2, 1], vec![3, 2], Some(Cursor { at: 2, id: 0 })),
        ] {
            let page = Page::cut(read, None, &query, place);
            assert_eq!(page.items, items);
            assert_eq!(page.next_cursor, next.map(Cursor::encode));
        }
    }
}
