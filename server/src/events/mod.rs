//! The door for events over HTTP: `POST /api/v1/events/{topic}`.
//!
//! Whoever is told that an event is accepted may rely on it: Kafka has acknowledged it, byte for byte as it came, and the
//! pipeline will not reject it, because it is checked here by the same code (`model::check`). What is not accepted is told of
//! one by one.
//!
//! * [`batch`]: from a body to its events; [`body`]: how much of it is read, and how much at once
//! * [`door`]: checks, sends, answers; [`receipt`]: the answer
//! * [`repeats`]: requests that come again, known by their `Idempotency-Key`
//! * [`counts`]: for the metrics
//!
//! The audit log has no line for it: that log tells who changed what people may do, and a line for each batch would bury it.
//! Who is refused stands there as for every route; how many events came, the metrics say.

pub mod batch;
pub mod body;
pub mod counts;
pub mod door;
pub mod receipt;
pub mod repeats;

use std::sync::Arc;

use axum::{
    Extension,
    body::Body,
    extract::{Path, RawQuery, State, rejection::PathRejection},
    response::Response,
    routing::{MethodRouter, post},
};
use http::HeaderMap;
use model::topic::Topic;

use self::{
    batch::Format,
    door::Asked,
    receipt::{Listing, Receipt, ReceiptProblem},
};
use crate::{
    access::guard::Identity,
    openapi::{EventRefusals, Refusals},
    parameters::Parameters,
    problem::Problem,
    routes::WebState,
};

pub fn routes() -> Vec<(&'static str, MethodRouter<WebState>)> {
    vec![("/api/v1/events/{topic}", post(receive))]
}

/// The topic that the path names.
fn topic(path: Result<Path<String>, PathRejection>) -> Result<Topic, Problem> {
    let Path(name) = path.map_err(|rejection| Problem::bad_request(rejection.body_text()))?;
    Topic::from_name(&name).ok_or_else(|| Problem::no_such("topic", &name, Topic::ALL.map(Topic::name)))
}

/// Send events
///
/// One event as a JSON object, several as an array, or one on each line (`application/x-ndjson`): at most 10,000, and 16 MiB.
/// Each is checked by the topic's rules, which README.md tells; those that are good go to Kafka as they came, and the answer
/// comes when Kafka has acknowledged them. Events of one customer, or one product, stay in order within a request.
///
/// 200: all are accepted. 207: some are, the others are no events of this topic, and `results` says why. 422: none is. 503:
/// Kafka did not acknowledge all of them within ten seconds, and `receipt` says which are in; send the request again. Doing so
/// is safe, for the same `event_id` is counted once. If the body as a whole cannot be read, nothing of it is taken.
///
/// With an `Idempotency-Key`, a repeat within a day gets the answer of the first (with `Idempotency-Replayed: true`) and sends
/// nothing; after 429 and 503 it is carried out.
#[utoipa::path(
    post, path = "/api/v1/events/{topic}", tag = "Events", operation_id = "send_events",
    params(
        ("topic" = String, Path, description = "`transaction-events`, `customer-events`, `product-events` or \
            `analytics-events`.", example = "analytics-events"),
        ("results" = Option<String>, Query, description = "Which events the answer lists one by one: `all`, or those that are \
            not accepted (`rejected`). Where nothing is said all of up to 100, else `rejected`.", example = "all"),
        ("Idempotency-Key" = Option<String>, Header, description = "Names the request, so that a repeat of it does nothing: up \
            to 255 visible characters, such as a UUID. It belongs to the caller, and to this topic and body."),
    ),
    request_body(description = "The events.", content(
        (serde_json::Value = "application/json", examples(
            ("one" = (summary = "An event", value = json!({
                "event_id": "b8f3a2d4-7b1e-4f0c-9b53-2f6f0b8e4c77", "event_type": "page.viewed",
                "occurred_at": "2025-11-16T09:58:12Z", "customer_id": "c-17", "properties": {"page": "/offers"},
            }))),
            ("several" = (summary = "Several events", value = json!([
                {"event_id": "b8f3a2d4-7b1e-4f0c-9b53-2f6f0b8e4c77", "event_type": "page.viewed",
                 "occurred_at": "2025-11-16T09:58:12Z", "session_id": "a81f"},
                {"event_id": "5c7e7d3a-6a52-4ab1-8d0e-2d1b6f5c9e10", "event_type": "page.left",
                 "occurred_at": "2025-11-16T09:58:40Z", "session_id": "a81f"},
            ]))),
        )),
        (String = "application/x-ndjson", example = json!("{\"event_id\": \"b8f3a2d4-7b1e-4f0c-9b53-2f6f0b8e4c77\", \
            \"event_type\": \"page.viewed\", \"occurred_at\": \"2025-11-16T09:58:12Z\"}\n")),
    )),
    responses(
        Refusals,
        EventRefusals,
        (status = 200, description = "All events are accepted.", body = Receipt, headers(
            ("Idempotency-Replayed" = String, description = "`true` where this was answered before."),
        ), example = json!({
            "topic": "analytics-events", "received": 1, "accepted": 1, "rejected": 0, "failed": 0,
            "results": [{"index": 0, "status": "accepted", "partition": 1, "offset": 4711}],
        })),
        (status = 207, description = "Some events are accepted, the others are no events of this topic.", body = Receipt,
            headers(("Idempotency-Replayed" = String, description = "`true` where this was answered before.")),
            example = json!({
                "topic": "analytics-events", "received": 250, "accepted": 249, "rejected": 1, "failed": 0,
                "results": [{"index": 17, "status": "rejected", "fault": "envelope",
                    "reason": "missing field `event_id`"}],
            })),
        (status = 422, description = "No event is accepted, and `receipt` says why; or the `Idempotency-Key` came with another \
            request before, and there is no `receipt`.", body = ReceiptProblem, content_type = "application/problem+json",
            example = json!({
                "type": "about:blank", "title": "Unprocessable Entity", "status": 422,
                "detail": "None of 1 events was accepted; `receipt` says why.",
                "receipt": {"topic": "analytics-events", "received": 1, "accepted": 0, "rejected": 1, "failed": 0,
                    "results": [{"index": 0, "status": "rejected", "fault": "not_json",
                        "reason": "expected a JSON object"}]},
            })),
        (status = 503, description = "Kafka did not acknowledge every event, and `receipt` says which are in; or the server is \
            starting, and there is no `receipt`.", body = ReceiptProblem, content_type = "application/problem+json",
            headers(("Retry-After" = u32, description = "Seconds to wait.")),
            example = json!({
                "type": "about:blank", "title": "Service Unavailable", "status": 503,
                "detail": "Kafka did not acknowledge 1 of 2 events; `receipt` says which. Send the request again: what is in \
                    already is counted once.",
                "receipt": {"topic": "analytics-events", "received": 2, "accepted": 1, "rejected": 0, "failed": 1, "results": [
                    {"index": 0, "status": "accepted", "partition": 1, "offset": 4711},
                    {"index": 1, "status": "failed",
                        "reason": "Kafka did not acknowledge it: MessageTimedOut (Local: Message timed out)"},
                ]},
            })),
    ),
)]
pub(crate) async fn receive(
    State(state): State<WebState>,
    Extension(identity): Extension<Identity>,
    path: Result<Path<String>, PathRejection>,
    RawQuery(query): RawQuery,
    headers: HeaderMap,
    body: Body,
) -> Result<Response, Problem> {
    let topic = topic(path)?;
    let listing = Listing::read(Parameters::read(query.as_deref(), &["results"], &[])?.get("results"))?;
    let format = Format::of(&headers)?;
    let key = repeats::key_of(&headers)?;
    let door = Arc::clone(state.parts.events.get().ok_or_else(Problem::starting)?);
    let (body, held) = body::read(body, &headers, &door.room).await?;
    let asked = Asked { topic, format, listing, caller: identity.standing.user, key };
    Ok(door.take(asked, body, held).await)
}
