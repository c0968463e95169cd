//! Every request has an id: the caller's own if it looks like one, else a new one. It comes back in a header, stands in the
//! log and in problem details, and so tells which of many requests somebody speaks of.

use axum::{extract::Request, middleware::Next, response::Response};
use futures::future::Either;
use http::{HeaderMap, HeaderName, HeaderValue};
use uuid::Uuid;

pub const HEADER: HeaderName = HeaderName::from_static("x-request-id");
/// The longest id of a caller's that is taken over.
const LONGEST: usize = 64;

/// The id of the request, among its extensions.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RequestId(pub String);

tokio::task_local! {
    static CURRENT: RequestId;
}

/// The id of the request that is being answered, wherever its answer is made.
pub(crate) fn current() -> Option<String> {
    CURRENT.try_with(|id| id.0.clone()).ok()
}

/// The same work for a task of its own, in the name of the request that is being answered.
pub(crate) fn carried<F: Future>(work: F) -> impl Future<Output = F::Output> {
    match CURRENT.try_with(RequestId::clone) {
        Ok(id) => Either::Left(CURRENT.scope(id, work)),
        Err(_) => Either::Right(work),
    }
}

/// Letters, digits, and what UUIDs and trace ids have between: nothing that could mean something in a log.
fn well_formed(headers: &HeaderMap) -> Option<String> {
    let id = headers.get(HEADER)?.to_str().ok()?;
    let fits = (8..=LONGEST).contains(&id.len())
        && id.bytes().all(|byte| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_' | b'.'));
    fits.then(|| id.to_owned())
}

/// The middleware.
pub async fn give(mut request: Request, next: Next) -> Response {
    let id = RequestId(well_formed(request.headers()).unwrap_or_else(|| Uuid::new_v4().to_string()));
    request.extensions_mut().insert(id.clone());
    let header = HeaderValue::from_str(&id.0);
    let mut response = CURRENT.scope(id, next.run(request)).await;
    if let Ok(header) = header {
        response.headers_mut().insert(HEADER, header);
    }
    response
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_what_looks_like_an_id_is_taken_over() {
        let taken = |id: &'static str| {
            let headers = [(HEADER, HeaderValue::from_static(id))].into_iter().collect();
            well_formed(&headers).is_some()
        };
        assert!(taken("0c4f2a5e-8d1b-4c55-9f56-0b9a3f0f3f10"));
        assert!(taken("order_17.retry-2"));
        for id in ["", "short", "has space in it", "line\tbreaks", "\"quoted-id\"", "ids<script>"] {
            assert!(!taken(id), "{id}");
        }
        let long = HeaderValue::from_str(&"a".repeat(65)).expect("a value");
        assert_eq!(well_formed(&[(HEADER, long)].into_iter().collect()), None);
        assert_eq!(well_formed(&HeaderMap::new()), None);
    }
}
