//! A statement as a page to print.

use axum::{
    body::Body,
    http::{HeaderValue, header},
    response::Response,
};
use base64::{Engine as _, engine::general_purpose::STANDARD};
use sha2::{Digest, Sha256};

use super::lines::{Head, Line, Writer, time, yuan};
use crate::http::answer::write_headers;

const STYLE: &str = "body{font:14px/1.5 system-ui,sans-serif;margin:2em}table{border-collapse:collapse;width:100%}\
    th,td{border-bottom:1px solid #ccc;padding:.3em .6em;text-align:left}.n{text-align:right;font-variant-numeric:tabular-nums}\
    thead{display:table-header-group}tr{break-inside:avoid}@page{margin:15mm}";

/// As HTML without scripts.
pub(super) struct Html;

impl Writer for Html {
    fn begin(&self, head: &Head) -> String {
        let title = format!(
            "{} {} {}",
            escaped(&head.team_name),
            head.month,
            head.say("收入对账单", "statement of income")
        );
        let columns = [
            (head.say("时间（北京时间）", "Time (Beijing)"), false),
            (head.say("凭证号", "Transfer"), false),
            (head.say("事项", "Event"), false),
            (head.say("来源", "Cause"), false),
            (head.say("金额（元）", "Amount (yuan)"), true),
            (head.say("余额（元）", "Balance (yuan)"), true),
        ];
        let columns: String = columns
            .iter()
            .map(|(name, is_number)| {
                let class = if *is_number { " class=\"n\"" } else { "" };
                format!("<th{class}>{name}</th>")
            })
            .collect();
        format!(
            "<!DOCTYPE html>\n<html lang=\"{}\"><head><meta charset=\"utf-8\"><title>{title}</title>\
             <style>{STYLE}</style></head><body><h1>{title}</h1><table><thead><tr>{columns}</tr></thead><tbody>\n{}",
            head.say("zh-CN", "en"),
            balance(head.say("期初余额", "Opening balance"), head.opening_fen)
        )
    }

    fn line(&self, head: &Head, line: &Line) -> String {
        let posting = &line.posting;
        format!(
            "<tr><td>{}</td><td>{}</td><td>{}</td><td>{}</td><td class=\"n\">{}</td><td class=\"n\">{}</td></tr>\n",
            time(posting.created_ms),
            posting.transfer_id,
            escaped(head.event(&posting.kind)),
            escaped(&posting.cause),
            yuan(posting.amount_fen),
            yuan(line.balance_fen)
        )
    }

    fn end(&self, head: &Head, balance_fen: i64) -> String {
        let closing = balance(head.say("期末余额", "Closing balance"), balance_fen);
        format!("{closing}</tbody></table></body></html>\n")
    }
}

fn balance(name: &str, fen: i64) -> String {
    format!(
        "<tr><th colspan=\"5\">{name}</th><td class=\"n\">{}</td></tr>\n",
        yuan(fen)
    )
}

fn escaped(text: &str) -> String {
    let mut escaped = String::with_capacity(text.len());
    for c in text.chars() {
        match c {
            '&' => escaped.push_str("&amp;"),
            '<' => escaped.push_str("&lt;"),
            '>' => escaped.push_str("&gt;"),
            '"' => escaped.push_str("&quot;"),
            '\'' => escaped.push_str("&#39;"),
            other => escaped.push(other),
        }
    }
    escaped
}

/// The response with a page that may load nothing and run nothing.
pub(super) fn response(body: Body) -> Response {
    let mut response = Response::new(body);
    let headers = response.headers_mut();
    write_headers(headers);
    headers.insert(
        header::CONTENT_TYPE,
        HeaderValue::from_static("text/html; charset=utf-8"),
    );
    let style = STANDARD.encode(Sha256::digest(STYLE));
    let policy = format!(
        "default-src 'none'; style-src 'sha256-{style}'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
    );
    if let Ok(policy) = HeaderValue::from_str(&policy) {
        headers.insert(header::CONTENT_SECURITY_POLICY, policy);
    }
    response
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_is_text_and_no_markup() {
        assert_eq!(
            escaped("<script>\"a\" & 'b'</script>王"),
            "&lt;script&gt;&quot;a&quot; &amp; &#39;b&#39;&lt;/script&gt;王"
        );
    }
}
