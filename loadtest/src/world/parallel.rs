//! Many calls, a bounded number at once.

use std::future::Future;

use anyhow::{Context, Result};
use tokio::task::JoinSet;

use crate::progress::Progress;

/// How many calls are under way at once: enough to keep a REST service busy.
const AT_ONCE: usize = 64;

/// Does `work` for each of `items`; results in the order of the items. Ends at the first error.
pub(super) async fn each<T, R, F>(
    what: &str,
    items: impl ExactSizeIterator<Item = T>,
    work: impl Fn(T) -> F,
) -> Result<Vec<R>>
where
    F: Future<Output = Result<R>> + Send + 'static,
    R: Send + 'static,
{
    let total = items.len();
    let mut progress = Progress::begin(what, total as u64);
    let mut items = items.enumerate();
    let mut running: JoinSet<Result<(usize, R)>> = JoinSet::new();
    let mut results: Vec<Option<R>> = (0..total).map(|_| None).collect();
    let mut done = 0;
    loop {
        while running.len() < AT_ONCE {
            let Some((at, item)) = items.next() else { break };
            let work = work(item);
            running.spawn(async move { Ok((at, work.await?)) });
        }
        let Some(finished) = running.join_next().await else {
            break;
        };
        let (at, result) = finished.context("a task panicked")??;
        results[at] = Some(result);
        done += 1;
        progress.at(done, "");
    }
    Ok(results.into_iter().flatten().collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn results_keep_the_order_of_the_items() {
        let results = each("counting", 0..500, |number: i32| async move {
            if number % 3 == 0 {
                tokio::task::yield_now().await;
            }
            Ok(number * 2)
        });
        assert_eq!(
            results.await.unwrap(),
            (0..500).map(|n| n * 2).collect::<Vec<_>>()
        );
    }

    #[tokio::test]
    async fn the_first_error_ends_it() {
        let results = each("failing", 0..500, |number: i32| async move {
            anyhow::ensure!(number != 100, "no {number}");
            Ok(())
        });
        assert!(results.await.is_err());
    }
}
