//! Two reports side by side.

use std::fmt::Write as _;

use super::Report;
use crate::server::usage::Usage;

/// A table of both reports' figures and the ratio of the second to the first.
pub fn compare(first: &Report, second: &Report) -> String {
    let mut table = String::new();
    // Writing to a String cannot fail.
    let _ = write_table(first, second, &mut table);
    table
}

fn write_table(first: &Report, second: &Report, table: &mut String) -> std::fmt::Result {
    writeln!(
        table,
        "{:<28} {:>16} {:>16} {:>8}",
        "", "first", "second", "ratio"
    )?;
    let word = |text: &str| -> String { text.chars().take(16).collect() };
    for (name, one, two) in [
        ("workload", word(&first.workload), word(&second.workload)),
        (
            "commit",
            word(first.commit.as_deref().unwrap_or("-")),
            word(second.commit.as_deref().unwrap_or("-")),
        ),
        (
            "kernel",
            word(&first.machine.kernel),
            word(&second.machine.kernel),
        ),
    ] {
        writeln!(table, "{name:<28} {one:>16} {two:>16}")?;
    }
    let names: Vec<&String> = first.parameters.keys().chain(second.parameters.keys()).collect();
    let mut shown = std::collections::BTreeSet::new();
    for name in names {
        let text = |report: &Report| {
            report
                .parameters
                .get(name)
                .map_or("-".to_owned(), ToString::to_string)
        };
        let (one, two) = (text(first), text(second));
        if one != two && shown.insert(name) {
            writeln!(table, "{name:<28} {:>16} {:>16}", word(&one), word(&two))?;
        }
    }
    for ((name, one), (_, two)) in figures(first).into_iter().zip(figures(second)) {
        if one == 0.0 && two == 0.0 && !matches!(name, "lost" | "duplicated" | "reordered") {
            continue;
        }
        let ratio = if one > 0.0 {
            format!("{:.3}", two / one)
        } else {
            "-".to_owned()
        };
        writeln!(
            table,
            "{name:<28} {:>16} {:>16} {ratio:>8}",
            number(one),
            number(two)
        )?;
    }
    if first.machine != second.machine {
        writeln!(
            table,
            "The machines differ: {} and {}",
            first.machine.line(),
            second.machine.line()
        )?;
    }
    Ok(())
}

fn number(value: f64) -> String {
    if value.fract() == 0.0 || value.abs() >= 10_000.0 {
        format!("{value:.0}")
    } else {
        format!("{value:.3}")
    }
}

fn figures(report: &Report) -> Vec<(&'static str, f64)> {
    let sum = |of: fn(&Usage) -> Option<f64>| report.servers.iter().filter_map(of).sum::<f64>();
    vec![
        ("duration_s", report.duration_s),
        ("sent", report.sent as f64),
        ("acked", report.acked as f64),
        ("delivered", report.delivered as f64),
        ("lost", report.lost as f64),
        ("duplicated", report.duplicated as f64),
        ("reordered", report.reordered as f64),
        ("acked_per_s", report.acked_per_s),
        ("delivered_per_s", report.delivered_per_s),
        ("ack_ms p50", report.ack_ms.p50),
        ("ack_ms p90", report.ack_ms.p90),
        ("ack_ms p99", report.ack_ms.p99),
        ("ack_ms p999", report.ack_ms.p999),
        ("ack_ms max", report.ack_ms.max),
        ("delivery_ms p50", report.delivery_ms.p50),
        ("delivery_ms p90", report.delivery_ms.p90),
        ("delivery_ms p99", report.delivery_ms.p99),
        ("delivery_ms p999", report.delivery_ms.p999),
        ("delivery_ms max", report.delivery_ms.max),
        ("connections", report.connections as f64),
        ("logins_per_s", report.logins_per_s),
        ("login_ms p99", report.login_ms.p99),
        ("server cpu_s", sum(|usage| Some(usage.cpu_s))),
        ("server cpu_us_per_send", sum(|usage| usage.cpu_us_per_send)),
        (
            "server cpu_us_per_delivery",
            sum(|usage| usage.cpu_us_per_delivery),
        ),
        ("server cpu_us_per_login", sum(|usage| usage.cpu_us_per_login)),
        ("server rss_bytes", sum(|usage| Some(usage.rss_bytes as f64))),
        (
            "rss_bytes_per_connection",
            sum(|usage| usage.rss_bytes_per_connection),
        ),
        (
            "pss_bytes_per_connection",
            sum(|usage| usage.pss_bytes_per_connection),
        ),
        ("cores_used", report.cores_used),
    ]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn figures_stand_beside_each_other_with_their_ratio() {
        let report = |rate: f64, members: i64| {
            let mut report = Report {
                workload: "chat".to_owned(),
                delivered_per_s: rate,
                ..Report::default()
            };
            report.parameters.insert("members".to_owned(), members.into());
            report
        };
        let table = compare(&report(100.0, 5), &report(150.0, 6));
        let line = table
            .lines()
            .find(|line| line.starts_with("delivered_per_s"))
            .unwrap();
        assert_eq!(
            line.split_whitespace().collect::<Vec<_>>(),
            ["delivered_per_s", "100", "150", "1.500"]
        );
        assert!(table.lines().any(|line| line.starts_with("members")));
        assert!(table.lines().any(|line| line.starts_with("lost")));
        assert!(!table.contains("login_ms"), "nothing was measured");
    }
}
