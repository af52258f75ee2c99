//! Pages for browsers: no script, nothing from elsewhere, in both languages at once.

use std::fmt::Write as _;

use axum::{
    http::{HeaderName, HeaderValue, StatusCode, header},
    response::{Html, IntoResponse, Response},
};

use crate::http::error::Language;

/// A page that leads into the app. All its texts are as users wrote them; they are escaped here.
pub(crate) struct Leaflet {
    /// Above the title; empty for none.
    pub(crate) above: String,
    pub(crate) title: String,
    pub(crate) text: String,
    pub(crate) lines: Vec<String>,
    /// The link that opens the app.
    pub(crate) button: String,
    /// How to go on, in Chinese and in English.
    pub(crate) how: (&'static str, &'static str),
}

const STYLE: &str = "body{font:17px/1.7 sans-serif;max-width:34rem;margin:2rem auto;padding:0 1rem;color:#222}\
    h1{font-size:1.5rem;margin:.2rem 0}.above{color:#555}.text{white-space:pre-line}li{margin:.3rem 0}\
    .how{color:#555}.open{display:block;text-align:center;padding:.7rem;border-radius:.4rem;background:#0b6e4f;\
    color:#fff;text-decoration:none}";

/// A text within HTML.
fn escaped(text: &str) -> String {
    let mut safe = String::with_capacity(text.len());
    for character in text.chars() {
        match character {
            '&' => safe.push_str("&amp;"),
            '<' => safe.push_str("&lt;"),
            '>' => safe.push_str("&gt;"),
            '"' => safe.push_str("&quot;"),
            '\'' => safe.push_str("&#39;"),
            other => safe.push(other),
        }
    }
    safe
}

/// The page.
pub(crate) fn leaflet(leaflet: &Leaflet) -> Response {
    let mut lines = String::new();
    for line in &leaflet.lines {
        // Writing to a string cannot fail.
        let _ = write!(lines, "<li>{}</li>", escaped(line));
    }
    let (zh, en) = leaflet.how;
    let body = format!(
        "<p class=\"above\">{}</p><h1>{}</h1><p class=\"text\">{}</p><ul>{lines}</ul>\
         <p class=\"how\">{zh}</p><p class=\"how\" lang=\"en\">{en}</p>\
         <p><a class=\"open\" href=\"{}\">在应用中打开 · Open in the app</a></p>",
        escaped(&leaflet.above),
        escaped(&leaflet.title),
        escaped(&leaflet.text),
        escaped(&leaflet.button),
    );
    page(&escaped(&leaflet.title), &body)
}

/// The page of a link that leads nowhere.
pub(crate) fn missing(language: Language) -> Response {
    let (zh, en) = (
        "没有这个页面：链接可能已失效。",
        "There is no such page: the link may have ended.",
    );
    let (first, second) = match language {
        Language::Chinese => (zh, en),
        Language::English => (en, zh),
    };
    let body = format!("<h1>404</h1><p>{first}</p><p class=\"how\">{second}</p>");
    let mut response = page("404", &body);
    *response.status_mut() = StatusCode::NOT_FOUND;
    response
}

/// `title` and `body` are HTML.
fn page(title: &str, body: &str) -> Response {
    let nonce = hex::encode(rand::random::<[u8; 16]>());
    let html = format!(
        "<!doctype html><html lang=\"zh-CN\"><head><meta charset=\"utf-8\">\
         <meta name=\"viewport\" content=\"width=device-width\"><title>{title}</title>\
         <style nonce=\"{nonce}\">{STYLE}</style></head><body>{body}</body></html>"
    );
    let policy = format!(
        "default-src 'none'; style-src 'nonce-{nonce}'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
    );
    let mut response = Html(html).into_response();
    harden(&mut response, &policy);
    response
}

/// The headers of every page: its own policy of content, never cached, and no word of where the reader came from.
pub(crate) fn harden(response: &mut Response, policy: &str) {
    let headers = response.headers_mut();
    if let Ok(policy) = HeaderValue::from_str(policy) {
        headers.insert(header::CONTENT_SECURITY_POLICY, policy);
    }
    for (name, value) in [
        (header::X_CONTENT_TYPE_OPTIONS, "nosniff"),
        (header::CACHE_CONTROL, "no-store"),
        (header::REFERRER_POLICY, "no-referrer"),
    ] {
        let name: HeaderName = name;
        headers.insert(name, HeaderValue::from_static(value));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_text_stays_a_text() {
        assert_eq!(
            escaped("<script>'a' & \"b\"</script>"),
            "&lt;script&gt;&#39;a&#39; &amp; &quot;b&quot;&lt;/script&gt;"
        );
        assert_eq!(escaped("儿科"), "儿科");
    }
}
