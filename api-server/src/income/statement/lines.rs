//! The lines of a statement, read in batches.

use bytes::Bytes;
use database::Database;
use futures_util::{Stream, stream};
use jiff::{Timestamp, tz};
use ledger::Month;

use crate::{
    http::error::{Error, Language},
    income::table::{self, Posting},
};

/// Postings that are read at once.
const BATCH: i64 = 500;

/// A posting and the balance after it.
pub(super) struct Line {
    pub(super) posting: Posting,
    pub(super) balance_fen: i64,
}

/// The parts of a statement beside its lines.
#[derive(Clone)]
pub(super) struct Head {
    pub(super) team_id: i64,
    pub(super) team_name: String,
    pub(super) month: Month,
    pub(super) opening_fen: i64,
    pub(super) closing_fen: i64,
    pub(super) language: Language,
}

impl Head {
    pub(super) async fn read(
        database: &Database,
        (team_id, team_name): (i64, String),
        month: Month,
        language: Language,
    ) -> Result<Self, Error> {
        let (opening_fen, posted_fen) = table::month_sums(database, team_id, month).await?;
        Ok(Self {
            team_id,
            team_name,
            month,
            opening_fen,
            closing_fen: opening_fen + posted_fen,
            language,
        })
    }

    /// The Chinese or the English text.
    pub(super) fn say<'t>(&self, zh: &'t str, en: &'t str) -> &'t str {
        match self.language {
            Language::Chinese => zh,
            Language::English => en,
        }
    }

    /// The name of an event for readers.
    pub(super) fn event<'k>(&self, kind: &'k str) -> &'k str {
        match kind {
            "finish" => self.say("咨询完成", "consult finished"),
            "vas" => self.say("增值服务", "value-added service"),
            "refund" => self.say("退款", "refund"),
            "withdrawal" => self.say("提现", "withdrawal"),
            "failed" => self.say("提现失败退回", "failed payout"),
            "reversal" => self.say("冲正", "reversal"),
            other => other,
        }
    }
}

/// Where reading stands: a place among the postings, and the balance after it. The balance runs within the month, so that it
/// is right also where a clock that jumped back put postings of two months among each other.
pub(super) struct Lines {
    after: i64,
    balance_fen: i64,
}

impl Lines {
    pub(super) fn after(place: i64, balance_fen: i64) -> Self {
        Self {
            after: place,
            balance_fen,
        }
    }

    /// The next lines, few at the end.
    pub(super) async fn read(
        &mut self,
        database: &Database,
        head: &Head,
        limit: i64,
    ) -> Result<Vec<Line>, Error> {
        let read = table::postings(database, head.team_id, head.month, self.after, limit).await?;
        let lines = read.into_iter().map(|posting| {
            self.after = posting.place;
            self.balance_fen = self.balance_fen.saturating_add(posting.amount_fen);
            Line {
                balance_fen: self.balance_fen,
                posting,
            }
        });
        Ok(lines.collect())
    }
}

/// Writes a statement as text.
pub(super) trait Writer: Send + Sync + 'static {
    fn begin(&self, head: &Head) -> String;
    fn line(&self, head: &Head, line: &Line) -> String;
    /// `balance_fen` is that after the last line.
    fn end(&self, head: &Head, balance_fen: i64) -> String;
}

enum Step {
    Begin,
    Lines(Lines),
    End,
}

/// A statement that is being written.
struct Writing<W> {
    database: Database,
    head: Head,
    writer: W,
    step: Step,
}

impl<W: Writer> Writing<W> {
    /// The next piece of the text; none after its end.
    async fn next(&mut self) -> Result<Option<String>, Error> {
        let (text, next) = match &mut self.step {
            Step::Begin => {
                let lines = Lines::after(0, self.head.opening_fen);
                (self.writer.begin(&self.head), Step::Lines(lines))
            }
            Step::Lines(lines) => {
                let read = lines.read(&self.database, &self.head, BATCH).await?;
                if !read.is_empty() {
                    let text = read.iter().map(|line| self.writer.line(&self.head, line));
                    return Ok(Some(text.collect()));
                }
                (self.writer.end(&self.head, lines.balance_fen), Step::End)
            }
            Step::End => return Ok(None),
        };
        self.step = next;
        Ok(Some(text))
    }
}

/// The text of a statement. An error ends it early, so that the client sees that it is incomplete.
pub(super) fn stream<W: Writer>(
    database: &Database,
    head: Head,
    writer: W,
) -> impl Stream<Item = Result<Bytes, std::io::Error>> + use<W> {
    let writing = Writing {
        database: database.clone(),
        head,
        writer,
        step: Step::Begin,
    };
    stream::try_unfold(writing, |mut writing| async move {
        let text = writing.next().await;
        let text = text.map_err(|error| std::io::Error::other(error.inner().unwrap_or("").to_owned()))?;
        Ok(text.map(|text| (Bytes::from(text), writing)))
    })
}

/// A time in Beijing, to the second.
pub(super) fn time(ms: i64) -> String {
    let time = Timestamp::from_millisecond(ms).unwrap_or_default();
    tz::offset(8)
        .to_datetime(time)
        .strftime("%Y-%m-%d %H:%M:%S")
        .to_string()
}

/// An amount in yuan, with two digits after the point.
pub(super) fn yuan(fen: i64) -> String {
    let sign = if fen < 0 { "-" } else { "" };
    let fen = fen.unsigned_abs();
    format!("{sign}{}.{:02}", fen / 100, fen % 100)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn amounts_and_times_are_those_of_an_accountant() {
        for (fen, text) in [
            (0, "0.00"),
            (5, "0.05"),
            (-5, "-0.05"),
            (123_456, "1234.56"),
            (-100, "-1.00"),
            (i64::MIN, "-92233720368547758.08"),
        ] {
            assert_eq!(yuan(fen), text);
        }
        assert_eq!(time(1_796_054_399_999), "2026-11-30 23:59:59");
        assert_eq!(time(1_796_054_400_000), "2026-12-01 00:00:00");
    }
}
