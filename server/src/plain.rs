//! Answers to browsers that need no app: redirects after forms, and short pages for when something is refused.

use axum::response::{Html, IntoResponse, Response};
use http::{HeaderValue, StatusCode, header};

/// Only our own style sheet.
const POLICY: HeaderValue = HeaderValue::from_static(
    "default-src 'none'; style-src 'self'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'",
);

/// The same, for a page whose form goes to us.
const POLICY_WITH_FORM: HeaderValue = HeaderValue::from_static(
    "default-src 'none'; style-src 'self'; base-uri 'none'; form-action 'self'; frame-ancestors 'none'",
);

/// A page with one sentence.
pub fn page(status: StatusCode, sentence: &str) -> Response {
    titled(status, status.canonical_reason().unwrap_or("StreamlineHub"), sentence, &[("/", "Go to the start page")])
}

/// A page with a title, a sentence, and the ways to go on from there: paths of ours, and what they are called.
pub fn titled(status: StatusCode, title: &str, sentence: &str, ways: &[(&str, &str)]) -> Response {
    let ways: String = ways.iter().map(|(path, name)| way(path, name)).collect();
    let content = format!("<p>{}</p>{ways}", escaped(sentence));
    document(status, title, &content, POLICY)
}

/// A field that a person fills.
#[derive(Clone, Copy, Debug)]
pub struct Field {
    pub name: &'static str,
    pub label: &'static str,
    pub kind: &'static str,
    pub autocomplete: &'static str,
}

/// A page that asks something before a form goes on its way, and brings along what the form has.
pub struct Question<'a> {
    pub title: &'a str,
    pub sentence: &'a str,
    /// What was wrong with the answer before.
    pub wrong: Option<&'a str>,
    /// Where the form goes, and what it has.
    pub action: &'a str,
    pub brought: &'a [(String, String)],
    pub asked: &'a [Field],
    pub button: &'a str,
    /// The page to go back to.
    pub back: &'a str,
}

pub fn question(status: StatusCode, question: &Question<'_>) -> Response {
    let brought: String = question
        .brought
        .iter()
        .map(|(name, value)| format!("<input type=\"hidden\" name=\"{}\" value=\"{}\">", escaped(name), escaped(value)))
        .collect();
    // Where there is one thing to fill there is no other way.
    let required = if question.asked.len() == 1 { " required" } else { "" };
    let asked: String = question
        .asked
        .iter()
        .map(|Field { name, label, kind, autocomplete }| {
            format!(
                "<div class=\"field\"><label for=\"{name}\">{label}</label><input id=\"{name}\" name=\"{name}\" \
                 type=\"{kind}\" autocomplete=\"{autocomplete}\" autocapitalize=\"none\" spellcheck=\"false\"{required}></div>"
            )
        })
        .collect();
    let wrong = question
        .wrong
        .map(|wrong| format!("<div class=\"flash\" data-state=\"bad\" role=\"alert\">{}</div>", escaped(wrong)));
    let content = format!(
        "<p>{}</p>{}<form class=\"form\" method=\"post\" action=\"{}\">{brought}{asked}<button type=\"submit\" \
         class=\"button\">{}</button></form>{}",
        escaped(question.sentence),
        wrong.unwrap_or_default(),
        escaped(question.action),
        escaped(question.button),
        way(question.back, "Go back without it"),
    );
    document(status, question.title, &content, POLICY_WITH_FORM)
}

fn way(path: &str, name: &str) -> String {
    format!("<p><a href=\"{}\">{}</a></p>", escaped(path), escaped(name))
}

/// `content` is HTML of ours, in which whatever came from elsewhere is escaped.
fn document(status: StatusCode, title: &str, content: &str, policy: HeaderValue) -> Response {
    let title = escaped(title);
    let html = format!(
        "<!DOCTYPE html><html lang=\"en\"><head><meta charset=\"utf-8\"><meta name=\"viewport\" \
         content=\"width=device-width, initial-scale=1\"><title>{title} · StreamlineHub</title><link rel=\"stylesheet\" \
         href=\"/pkg/streamlinehub.css\"></head><body><div class=\"layout layout-calm\"><main class=\"calm\"><p \
         class=\"brand\">StreamlineHub</p><div class=\"panel calm-card\"><h1 class=\"page-title\">{title}</h1>{content}</div>\
         </main></div></body></html>"
    );
    let mut response = (status, Html(html)).into_response();
    response.headers_mut().insert(header::CONTENT_SECURITY_POLICY, policy);
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
