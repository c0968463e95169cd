//! What protects the browser: the content security policy, the other security headers, and whether a page of ours sent a
//! request.

use axum::{extract::Request, middleware::Next, response::Response};
use http::{HeaderMap, HeaderName, HeaderValue, header};
use leptos::{nonce::use_nonce, prelude::use_context};
use leptos_axum::ResponseOptions;
use url::Url;

/// For everything that is not a page: nothing in it may run or load anything.
const POLICY_WITHOUT_PAGE: HeaderValue =
    HeaderValue::from_static("default-src 'none'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'");

const HEADERS: [(HeaderName, HeaderValue); 6] = [
    (header::X_CONTENT_TYPE_OPTIONS, HeaderValue::from_static("nosniff")),
    (header::REFERRER_POLICY, HeaderValue::from_static("same-origin")),
    (HeaderName::from_static("cross-origin-opener-policy"), HeaderValue::from_static("same-origin")),
    (HeaderName::from_static("cross-origin-resource-policy"), HeaderValue::from_static("same-origin")),
    (
        HeaderName::from_static("permissions-policy"),
        HeaderValue::from_static("camera=(), geolocation=(), microphone=()"),
    ),
    // For browsers that do not know frame-ancestors.
    (header::X_FRAME_OPTIONS, HeaderValue::from_static("DENY")),
];

/// The policy of a page whose inline scripts carry this nonce.
///
/// `wasm-unsafe-eval` lets WebAssembly be compiled and nothing else. Style attributes are let through because the charts'
/// tooltips are made of them; style elements are not.
fn page_policy(nonce: &str) -> String {
    format!(
        "default-src 'none'; script-src 'self' 'nonce-{nonce}' 'wasm-unsafe-eval'; style-src 'self' 'nonce-{nonce}'; \
         style-src-attr 'unsafe-inline'; img-src 'self' data:; font-src 'self'; connect-src 'self'; manifest-src 'self'; \
         base-uri 'none'; form-action 'self'; frame-ancestors 'none'"
    )
}

/// Gives the page that is being rendered its policy. Called in the page's context.
pub fn protect_page() {
    if let (Some(nonce), Some(response)) = (use_nonce(), use_context::<ResponseOptions>())
        && let Ok(policy) = HeaderValue::from_str(&page_policy(&nonce))
    {
        response.insert_header(header::CONTENT_SECURITY_POLICY, policy);
    }
}

/// Adds the headers that every response has; a policy of its own stays.
pub async fn add_headers(request: Request, next: Next) -> Response {
    let mut response = next.run(request).await;
    let headers = response.headers_mut();
    headers.entry(header::CONTENT_SECURITY_POLICY).or_insert(POLICY_WITHOUT_PAGE);
    // Unless it says otherwise a response may be kept, but is asked for again before it is used.
    headers.entry(header::CACHE_CONTROL).or_insert(HeaderValue::from_static("no-cache"));
    headers.extend(HEADERS);
    response
}

/// Over TLS: for two years browsers come over TLS only.
pub async fn add_transport_security(request: Request, next: Next) -> Response {
    let mut response = next.run(request).await;
    let two_years = HeaderValue::from_static("max-age=63072000; includeSubDomains");
    response.headers_mut().insert(header::STRICT_TRANSPORT_SECURITY, two_years);
    response
}

pub(crate) fn is_socket(headers: &HeaderMap) -> bool {
    headers.get(header::UPGRADE).is_some_and(|upgrade| upgrade.as_bytes().eq_ignore_ascii_case(b"websocket"))
}

/// Whether a browser names an origin other than the host that it asks. Programs that are no browser name none.
pub(crate) fn is_foreign(request: &Request, secure: bool) -> bool {
    let Some(origin) = request.headers().get(header::ORIGIN) else { return false };
    // With HTTP/2 the host is part of the address, and there is no header of that name.
    let header = request.headers().get(header::HOST).and_then(|host| host.to_str().ok());
    let host = header.or_else(|| request.uri().authority().map(|authority| authority.as_str()));
    let authority = origin.to_str().ok().and_then(|origin| Url::parse(origin).ok()).and_then(|origin| {
        // Where we are reached by TLS only, nothing of ours comes without. An origin has no user.
        if secure && origin.scheme() != "https" || !origin.username().is_empty() {
            return None;
        }
        let host = origin.host_str()?;
        Some(origin.port().map_or_else(|| host.to_owned(), |port| format!("{host}:{port}")))
    });
    match (authority, host) {
        (Some(authority), Some(host)) => !authority.eq_ignore_ascii_case(without_default_port(host)),
        _ => true,
    }
}

fn without_default_port(host: &str) -> &str {
    host.strip_suffix(":80").or_else(|| host.strip_suffix(":443")).unwrap_or(host)
}

#[cfg(test)]
mod tests {
    use axum::body::Body;

    use super::*;

    #[test]
    fn only_the_same_host_and_port_are_our_own() {
        let foreign = |origin: &str, host: &str| {
            let over = |request: http::request::Builder, secure| {
                let request = request.header(header::ORIGIN, origin).body(Body::empty()).expect("a request");
                is_foreign(&request, secure)
            };
            let first = over(Request::post("/").header(header::HOST, host), false);
            // As HTTP/2 has it.
            assert_eq!(over(Request::post(format!("https://{host}/")), false), first, "{origin} {host}");
            if origin.starts_with("http://") {
                assert!(over(Request::post(format!("https://{host}/")), true), "TLS only");
            }
            first
        };
        assert!(!foreign("http://localhost:3000", "localhost:3000"));
        assert!(!foreign("https://example.org", "Example.org"));
        assert!(!foreign("https://example.org", "example.org:443"));
        assert!(!foreign("http://[::1]:3000", "[::1]:3000"));
        assert!(foreign("http://localhost:3001", "localhost:3000"));
        assert!(foreign("https://example.org.evil.org", "example.org"));
        assert!(foreign("null", "example.org"));
        assert!(foreign("http://user@example.org", "example.org"));
        let without = Request::post("/").body(Body::empty()).expect("a request");
        assert!(!is_foreign(&without, true), "a program names no origin");
    }
}
