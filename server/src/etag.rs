//! Answers that need not be sent again: each carries a tag of its content, and a caller who has that already is told so.
//!
//! The tag is made of the answer itself, so it is the same for the same data in every web process and after a restart, and
//! another as soon as a single number differs. It is weak, because the same answer may come compressed or not.

use aws_lc_rs::digest;
use axum::{
    body::Body,
    response::{IntoResponse, Response},
};
use base64::{Engine as _, engine::general_purpose::URL_SAFE_NO_PAD};
use http::{HeaderMap, HeaderValue, StatusCode, header};
use serde::Serialize;

use crate::problem::Problem;

/// May be kept by the caller alone, who asks each time whether it still holds.
const PRIVATE: HeaderValue = HeaderValue::from_static("private, no-cache");
/// Bytes of the digest that are used.
const LENGTH: usize = 16;

/// The answer as JSON, or 304 if the caller has it.
pub fn tagged<T: Serialize>(headers: &HeaderMap, answer: &T) -> Response {
    match serde_json::to_vec(answer) {
        Ok(json) => tagged_bytes(headers, json, HeaderValue::from_static("application/json")),
        Err(error) => {
            tracing::error!("an answer cannot be written: {error}");
            Problem::new(StatusCode::INTERNAL_SERVER_ERROR, "Something went wrong on the server; its log says what.")
                .into_response()
        }
    }
}

/// The same for an answer that is written already.
pub fn tagged_bytes(
    headers: &HeaderMap,
    content: impl Into<Body> + AsRef<[u8]>,
    content_type: HeaderValue,
) -> Response {
    let digest = digest::digest(&digest::SHA256, content.as_ref());
    let tag = format!("W/\"{}\"", URL_SAFE_NO_PAD.encode(&digest.as_ref()[..LENGTH]));
    let known = has(headers, &tag);
    let mut response = if known {
        StatusCode::NOT_MODIFIED.into_response()
    } else {
        let mut response = Response::new(content.into());
        response.headers_mut().insert(header::CONTENT_TYPE, content_type);
        response
    };
    let headers = response.headers_mut();
    headers.insert(header::CACHE_CONTROL, PRIVATE);
    if let Ok(tag) = HeaderValue::from_str(&tag) {
        headers.insert(header::ETAG, tag);
    }
    response
}

/// Whether the caller names the tag among those it has; tags are compared weakly (RFC 9110, 13.1.2).
fn has(headers: &HeaderMap, tag: &str) -> bool {
    let named = headers.get_all(header::IF_NONE_MATCH).iter().filter_map(|value| value.to_str().ok());
    let bare = tag.trim_start_matches("W/");
    named
        .flat_map(|value| value.split(','))
        .map(str::trim)
        .any(|one| one == "*" || one.trim_start_matches("W/") == bare)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_same_content_is_not_sent_again() {
        let none = HeaderMap::new();
        let first = tagged(&none, &["a"]);
        assert_eq!((first.status(), &first.headers()[header::CACHE_CONTROL]), (StatusCode::OK, &PRIVATE));
        let tag = first.headers()[header::ETAG].to_str().expect("text").to_owned();
        assert_eq!(tagged(&none, &["a"]).headers()[header::ETAG], tag.as_str());
        assert_ne!(tagged(&none, &["b"]).headers()[header::ETAG], tag.as_str());
        for (value, status) in [
            (tag.clone(), StatusCode::NOT_MODIFIED),
            (format!("\"other\", {}", tag.trim_start_matches("W/")), StatusCode::NOT_MODIFIED),
            ("*".to_owned(), StatusCode::NOT_MODIFIED),
            ("\"other\"".to_owned(), StatusCode::OK),
        ] {
            let value = HeaderValue::from_str(&value).expect("a value");
            let headers = [(header::IF_NONE_MATCH, value.clone())].into_iter().collect();
            let again = tagged(&headers, &["a"]);
            assert_eq!(again.status(), status, "{value:?}");
            assert_eq!(again.headers()[header::ETAG], tag.as_str());
        }
    }
}
