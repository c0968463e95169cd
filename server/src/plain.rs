//! Answers to browsers that need no app: redirects after forms, and short pages for when something is refused.

use axum::response::{Html, IntoResponse, Response};
use http::{HeaderValue, StatusCode, header};

/// Only our own style sheet.
const POLICY: HeaderValue = HeaderValue::from_static(
    "default-src 'none'; style-src 'self'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'",
);

/// A page with one sentence.
pub fn page(status: StatusCode, sentence: &str) -> Response {
    titled(status, status.canonical_reason().unwrap_or("StreamlineHub"), sentence, &[("/", "Go to the start page")])
}

/// A page with a title, a sentence, and the ways to go on from there: paths of ours, and what they are called.
pub fn titled(status: StatusCode, title: &str, sentence: &str, ways: &[(&str, &str)]) -> Response {
    let (title, sentence) = (escaped(title), escaped(sentence));
    let ways: String =
        ways.iter().map(|(path, name)| format!("<p><a href=\"{}\">{}</a></p>", escaped(path), escaped(name))).collect();
    let html = format!(
        "<!DOCTYPE html><html lang=\"en\"><head><meta charset=\"utf-8\"><meta name=\"viewport\" \
         content=\"width=device-width, initial-scale=1\"><title>{title} · StreamlineHub</title><link rel=\"stylesheet\" \
         href=\"/pkg/streamlinehub.css\"></head><body><main class=\"plain-page\"><h1>{title}</h1><p>{sentence}</p>\
         {ways}</main></body></html>"
    );
    let mut response = (status, Html(html)).into_response();
    response.headers_mut().insert(header::CONTENT_SECURITY_POLICY, POLICY);
    response.headers_mut().insert(header::CACHE_CONTROL, HeaderValue::from_static("no-store"));
    response
}

/// What a request brought may stand in a sentence: a host, a path, a statement.
fn escaped(text: &str) -> String {
    let mut escaped = String::with_capacity(text.len());
    for c in text.chars() {
        match c {
            '&' => escaped.push_str("&amp;"),
            '<' => escaped.push_str("&lt;"),
            '>' => escaped.push_str("&gt;"),
            '"' => escaped.push_str("&quot;"),
            '\'' => escaped.push_str("&#39;"),
            _ => escaped.push(c),
        }
    }
    escaped
}

/// The browser goes on with GET: a form that was sent is not sent again by reloading.
pub fn see_other(path: impl AsRef<str>) -> Response {
    let location = HeaderValue::from_str(path.as_ref()).unwrap_or(HeaderValue::from_static("/"));
    let no_store = [(header::CACHE_CONTROL, HeaderValue::from_static("no-store"))];
    (StatusCode::SEE_OTHER, no_store, [(header::LOCATION, location)]).into_response()
}

#[cfg(test)]
mod tests {
    use axum::body::to_bytes;

    use super::*;

    #[tokio::test]
    async fn what_a_request_brought_is_text() {
        let page = page(StatusCode::BAD_REQUEST, "no <meta http-equiv=\"refresh\"> & 'x'");
        let html = to_bytes(page.into_body(), 1 << 16).await.expect("a body");
        let html = str::from_utf8(&html).expect("text");
        assert!(html.contains("no &lt;meta http-equiv=&quot;refresh&quot;&gt; &amp; &#39;x&#39;"), "{html}");
    }
}
