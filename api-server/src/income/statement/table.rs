//! A statement as a table for spreadsheets.

use super::lines::{Head, Line, Writer, time, yuan};
use crate::http::answer::csv;

/// As CSV. Amounts stand in two columns, none of them below zero: a cell that begins with a minus would be a formula.
pub(super) struct Csv;

impl Writer for Csv {
    fn begin(&self, head: &Head) -> String {
        let columns = [
            head.say("时间（北京时间）", "time (Beijing)"),
            head.say("凭证号", "transfer"),
            head.say("事项", "event"),
            head.say("来源", "cause"),
            head.say("收入（元）", "in (yuan)"),
            head.say("支出（元）", "out (yuan)"),
            head.say("余额（元）", "balance (yuan)"),
            head.say("经办人", "by"),
        ];
        let month = head.month.to_string();
        let title = csv::line([
            head.say("团队", "team"),
            &head.team_name,
            head.say("月份", "month"),
            &month,
        ]);
        let opening = balance(head.say("期初余额", "opening balance"), head.opening_fen);
        format!("{}{title}{}{opening}", csv::BOM, csv::line(columns))
    }

    fn line(&self, head: &Head, line: &Line) -> String {
        let posting = &line.posting;
        let (incoming, outgoing) = if posting.amount_fen < 0 {
            (String::new(), yuan(-posting.amount_fen))
        } else {
            (yuan(posting.amount_fen), String::new())
        };
        csv::line([
            time(posting.created_ms).as_str(),
            &posting.transfer_id.to_string(),
            head.event(&posting.kind),
            &posting.cause,
            &incoming,
            &outgoing,
            &yuan(line.balance_fen),
            &posting.by.map(|by| by.to_string()).unwrap_or_default(),
        ])
    }

    fn end(&self, head: &Head, balance_fen: i64) -> String {
        balance(head.say("期末余额", "closing balance"), balance_fen)
    }
}

fn balance(name: &str, fen: i64) -> String {
    csv::line(["", "", name, "", "", "", &yuan(fen), ""])
}
