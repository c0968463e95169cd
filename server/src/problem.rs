//! Errors of the API as problem details (RFC 9457).

use axum::{
    body::Body,
    response::{IntoResponse, Response},
};
use http::{HeaderValue, StatusCode, header};
use serde::Serialize;
use utoipa::ToSchema;

use crate::request_id;

/// What went wrong, for programs and for people.
#[derive(Clone, Debug, Serialize, ToSchema)]
#[schema(example = json!({
    "type": "about:blank", "title": "Bad Request", "status": 400,
    "detail": "`revenu` is not a metric; there are revenue, orders.", "choices": ["revenue", "orders"],
    "request_id": "0c4f2a5e-8d1b-4c55-9f56-0b9a3f0f3f10",
}))]
pub struct Problem {
    /// `about:blank`: the status says it all.
    #[serde(rename = "type")]
    kind: &'static str,
    title: &'static str,
    status: u16,
    /// What was wrong, what was expected and what to do.
    detail: String,
    /// Where a name was not known: the names that there are.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    choices: Vec<String>,
    /// The same as in the header `X-Request-Id`.
    #[serde(skip_serializing_if = "Option::is_none")]
    request_id: Option<String>,
}

impl Problem {
    pub fn new(status: StatusCode, detail: impl Into<String>) -> Problem {
        let title = status.canonical_reason().unwrap_or("Error");
        let (status, detail) = (status.as_u16(), detail.into());
        Problem { kind: "about:blank", title, status, detail, choices: Vec::new(), request_id: request_id::current() }
    }

    pub fn status(&self) -> StatusCode {
        StatusCode::from_u16(self.status).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR)
    }

    /// For people.
    pub fn detail(&self) -> &str {
        &self.detail
    }

    /// The request cannot be understood.
    pub fn bad_request(detail: impl Into<String>) -> Problem {
        Problem::new(StatusCode::BAD_REQUEST, detail)
    }

    /// A name is not known: `what` is the kind of thing it should name.
    pub fn unknown<'a>(what: &str, name: &str, choices: impl IntoIterator<Item = &'a str>) -> Problem {
        let choices: Vec<String> = choices.into_iter().map(ToOwned::to_owned).collect();
        let shown: String = name.chars().take(60).collect();
        let detail = format!("`{shown}` is not a {what}; there are {}.", choices.join(", "));
        Problem { choices, ..Problem::bad_request(detail) }
    }

    /// The address names something that does not exist: `what` is the kind of thing.
    pub fn no_such<'a>(what: &str, name: &str, choices: impl IntoIterator<Item = &'a str>) -> Problem {
        let Problem { detail, choices, .. } = Problem::unknown(what, name, choices);
        Problem { choices, ..Problem::new(StatusCode::NOT_FOUND, detail) }
    }

    /// The answer whose body is a problem already, maybe with more members.
    pub fn respond(status: StatusCode, body: Body) -> Response {
        let mut response = (status, body).into_response();
        let headers = response.headers_mut();
        headers.insert(header::CONTENT_TYPE, HeaderValue::from_static("application/problem+json"));
        headers.insert(header::CACHE_CONTROL, HeaderValue::from_static("no-store"));
        let seconds = match status {
            StatusCode::SERVICE_UNAVAILABLE => "2",
            StatusCode::TOO_MANY_REQUESTS | StatusCode::CONFLICT => "1",
            _ => return response,
        };
        headers.insert(header::RETRY_AFTER, HeaderValue::from_static(seconds));
        response
    }

    /// The part that would answer is still coming up.
    pub fn starting() -> Problem {
        Problem::new(StatusCode::SERVICE_UNAVAILABLE, "The server is starting. Ask again in a moment.")
    }
}

impl IntoResponse for Problem {
    fn into_response(self) -> Response {
        let status = self.status();
        // Text and numbers, which JSON can hold.
        Problem::respond(status, serde_json::to_vec(&self).unwrap_or_default().into())
    }
}
