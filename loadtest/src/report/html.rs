//! A run as a page.

use anyhow::Result;

use super::plot::{Curve, over_time};
use super::{Moment, Report, text};

pub(super) fn page(report: &Report) -> Result<String> {
    let curve = |name, of: fn(&Moment) -> f64| Curve {
        name,
        values: report.course.iter().map(of).collect(),
    };
    let mut plots = String::new();
    if !report.course.is_empty() {
        plots += &over_time(
            "Rates (blue, red, green)",
            "per second",
            &[
                curve("acknowledged", |moment| moment.acked as f64),
                curve("delivered", |moment| moment.delivered as f64),
                curve("sent", |moment| moment.sent as f64),
            ],
        )?;
        plots += &over_time(
            "Times (blue, red, green)",
            "ms",
            &[
                curve("ack p99", |moment| moment.ack_p99_ms),
                curve("delivery p99", |moment| moment.delivery_p99_ms),
                curve("delivery p50", |moment| moment.delivery_p50_ms),
            ],
        )?;
    }
    let rows: String = [("ack", report.ack_ms), ("delivery", report.delivery_ms), ("login", report.login_ms)]
        .into_iter()
        .filter(|(_, times)| times.max > 0.0)
        .map(|(name, times)| {
            format!(
                "<tr><th>{name}</th><td>{:.2}</td><td>{:.2}</td><td>{:.2}</td><td>{:.2}</td><td>{:.2}</td></tr>\n",
                times.p50, times.p90, times.p99, times.p999, times.max
            )
        })
        .collect();
    let parameters: String = report
        .parameters
        .iter()
        .map(|(name, value)| {
            format!(
                "<tr><th>{}</th><td>{}</td></tr>\n",
                escape(name),
                escape(&value.to_string())
            )
        })
        .collect();
    Ok(format!(
        "<!doctype html>\n<html lang=\"en\"><head><meta charset=\"utf-8\"><title>loadtest {workload}</title>\n\
         <style>body{{font-family:sans-serif;margin:2em;max-width:60em}}th{{text-align:left;padding-right:1em}}\
         td{{text-align:right;padding-right:1em}}pre{{background:#f6f6f6;padding:1em;white-space:pre-wrap}}</style></head>\n\
         <body><h1>loadtest {workload}</h1>\n<pre>{summary}</pre>\n{plots}\n\
         <h2>Times, ms</h2><table><tr><th></th><th>p50</th><th>p90</th><th>p99</th><th>p999</th><th>max</th></tr>\n{rows}</table>\n\
         <h2>Asked for</h2><table>{parameters}</table>\n\
         <h2>Made by</h2><p>{machine}</p><p>commit {commit}, server {server_commit}</p><pre>{command}</pre></body></html>\n",
        workload = escape(&report.workload),
        summary = escape(&text::summary(report)),
        machine = escape(&report.machine.line()),
        server_commit = escape(report.server_commit.as_deref().unwrap_or("unknown")),
        commit = escape(report.commit.as_deref().unwrap_or("unknown")),
        command = escape(&report.command),
    ))
}

fn escape(text: &str) -> String {
    text.replace('&', "&amp;")
        .replace('<', "&lt;")
        .replace('>', "&gt;")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_was_typed_cannot_break_the_page() {
        let report = Report {
            command: "loadtest <script>".to_owned(),
            ..Report::default()
        };
        assert!(!page(&report).unwrap().contains("<script>"));
    }
}
