//! Answers to browsers that need no app: redirects after forms, and short pages for when something is refused.

use axum::response::{Html, IntoResponse, Response};
use http::{HeaderValue, StatusCode, header};

/// Only our own style sheet.
const POLICY: HeaderValue = HeaderValue::from_static(
    "default-src 'none'; style-src 'self'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'",
);

/// A page with one sentence, which is ours and not a user's.
pub fn page(status: StatusCode, sentence: &str) -> Response {
    let title = status.canonical_reason().unwrap_or("StreamlineHub");
    let html = format!(
        "<!DOCTYPE html><html lang=\"en\"><head><meta charset=\"utf-8\"><meta name=\"viewport\" \
         content=\"width=device-width, initial-scale=1\"><title>{title} · StreamlineHub</title><link rel=\"stylesheet\" \
         href=\"/pkg/streamlinehub.css\"></head><body><main class=\"plain-page\"><h1>{title}</h1><p>{sentence}</p>\
         <p><a href=\"/\">Go to the start page</a></p></main></body></html>"
    );
    let mut response = (status, Html(html)).into_response();
    response.headers_mut().insert(header::CONTENT_SECURITY_POLICY, POLICY);
    response.headers_mut().insert(header::CACHE_CONTROL, HeaderValue::from_static("no-store"));
    response
}

/// The browser goes on with GET: a form that was sent is not sent again by reloading.
pub fn see_other(path: impl AsRef<str>) -> Response {
    let location = HeaderValue::from_str(path.as_ref()).unwrap_or(HeaderValue::from_static("/"));
    let no_store = [(header::CACHE_CONTROL, HeaderValue::from_static("no-store"))];
    (StatusCode::SEE_OTHER, no_store, [(header::LOCATION, location)]).into_response()
}
