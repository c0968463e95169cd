//! Takes the events of a request: checks each, sends the good ones to Kafka, and answers when Kafka has them.
//!
//! Once its body is here a request is carried out to the end, also when its sender does not wait for the answer: so an answer
//! that was lost can be asked for again, by `Idempotency-Key`.

use std::{sync::Arc, time::Duration};

use anyhow::{Context, Result};
use axum::{
    body::Body,
    response::{IntoResponse as _, Response},
};
use etl::{
    kafka::Cluster,
    produce::publisher::{Consignment, Publisher},
};
use http::{HeaderValue, StatusCode, header};
use model::{check, topic::Topic};
use redis::aio::ConnectionManager;
use tracing::Instrument as _;
use uuid::Uuid;

use super::{
    batch::{self, Format, Unreadable},
    body::{Held, Room},
    counts::Counts,
    receipt::{EventResult, Listing, Receipt},
    repeats::{self, Answered, Begun, Repeats, Turn},
};
use crate::{problem::Problem, request_id};

/// What bounds the door.
#[derive(Clone, Copy, Debug)]
pub struct Limits {
    /// Bytes of bodies that all requests hold at once.
    pub held_bytes: usize,
    /// The largest event, in bytes.
    pub event_bytes: usize,
    /// Kafka gets this long to acknowledge an event.
    pub patience: Duration,
    /// So many answers to requests with an `Idempotency-Key` are kept, the newest.
    pub kept_answers: usize,
}

impl Limits {
    pub fn new(event_bytes: usize) -> Limits {
        Limits { held_bytes: 64 << 20, event_bytes, patience: Duration::from_secs(10), kept_answers: 100_000 }
    }
}

/// What a request asks for.
#[derive(Debug)]
pub struct Asked {
    pub topic: Topic,
    pub format: Format,
    pub listing: Option<Listing>,
    /// Who asks, and their `Idempotency-Key`.
    pub caller: Uuid,
    pub key: Option<String>,
}

/// Where events come in over HTTP.
pub struct Door {
    pub(super) room: Room,
    pub counts: Counts,
    publisher: Publisher,
    repeats: Repeats,
    event_bytes: usize,
}

/// The events of a body, those on their way that are good.
struct Passed {
    /// Of the events that are not good.
    rejected: Vec<EventResult>,
    /// The places of those that are.
    sent: Vec<usize>,
    consignment: Consignment,
}

impl Door {
    /// # Errors
    /// When Kafka's address is malformed. Whether somebody answers there is found out by the first request.
    pub fn new(cluster: &Cluster, redis: ConnectionManager, limits: Limits) -> Result<Door> {
        let publisher = Publisher::new(cluster, limits.event_bytes, limits.patience)?;
        let repeats = Repeats::new(redis, limits.kept_answers);
        let (room, counts) = (Room::new(limits.held_bytes), Counts::default());
        Ok(Door { room, counts, publisher, repeats, event_bytes: limits.event_bytes })
    }

    /// Bytes of the requests that are under way.
    pub fn held_bytes(&self) -> usize {
        self.room.held()
    }

    /// Begins to send events that were checked elsewhere.
    ///
    /// # Errors
    /// When the door is closed.
    pub fn consign(&self, topic: Topic) -> Result<Consignment> {
        self.publisher.begin(topic)
    }

    /// The largest event, in bytes.
    pub fn event_bytes(&self) -> usize {
        self.event_bytes
    }

    /// Takes nothing more. May block for a moment.
    pub fn close(&self) {
        self.publisher.close();
    }

    /// Carries out a request.
    pub(super) async fn take(self: Arc<Self>, asked: Asked, body: Vec<u8>, held: Held) -> Response {
        let work = request_id::carried(async move {
            let response = self.carry_out(asked, body).await.unwrap_or_else(|problem| problem.into_response());
            drop(held);
            response
        });
        tokio::spawn(work.in_current_span()).await.unwrap_or_else(|ended| went_wrong(&ended.into()).into_response())
    }

    async fn carry_out(self: &Arc<Self>, asked: Asked, body: Vec<u8>) -> Result<Response, Problem> {
        let (body, turn) = match &asked.key {
            None => (body, None),
            Some(key) => {
                let (topic, format) = (asked.topic, asked.format);
                let (body, fingerprint) = blocking(move || {
                    let fingerprint = repeats::fingerprint(topic, format, &body);
                    (body, fingerprint)
                })
                .await?;
                match self.begin(asked.caller, key, fingerprint).await? {
                    Ok(turn) => (body, Some(turn)),
                    Err(answered) => {
                        let mut response = respond(answered);
                        repeats::mark(response.headers_mut());
                        return Ok(response);
                    }
                }
            }
        };
        let answered = self.deliver(&asked, body).await;
        if let Some(turn) = turn {
            self.end(&turn, answered.as_ref().ok()).await;
        }
        answered.map(respond)
    }

    /// Whether a request with a key is to be carried out; if not, what was answered the first time.
    async fn begin(&self, caller: Uuid, key: &str, fingerprint: String) -> Result<Result<Turn, Answered>, Problem> {
        let begun = self.repeats.begin(caller, key, fingerprint).await.map_err(|error| {
            tracing::warn!("an Idempotency-Key cannot be looked up: {error:#}");
            let detail = "Whether this Idempotency-Key was here before cannot be looked up right now, so nothing was done. \
                Send the request again in a moment.";
            Problem::new(StatusCode::SERVICE_UNAVAILABLE, detail)
        })?;
        match begun {
            Begun::First(turn) => Ok(Ok(turn)),
            Begun::Again(answered) => Ok(Err(answered)),
            Begun::UnderWay => Err(Problem::new(
                StatusCode::CONFLICT,
                "The first request with this Idempotency-Key is still under way. Send it again in a moment.",
            )),
            Begun::Other => Err(Problem::new(
                StatusCode::UNPROCESSABLE_ENTITY,
                "This Idempotency-Key came with another topic, content type or body before. Choose a new one for each \
                 request that is not a repeat.",
            )),
        }
    }

    /// Repeats get the same answer, unless it asked for another attempt.
    async fn end(&self, turn: &Turn, answered: Option<&Answered>) {
        let ended = match answered.filter(|answered| !answered.status.is_server_error()) {
            Some(answered) => self.repeats.finish(turn, answered).await,
            None => self.repeats.give_up(turn).await,
        };
        if let Err(error) = ended {
            tracing::warn!("the answer to an Idempotency-Key cannot be kept: {error:#}");
        }
    }

    async fn deliver(self: &Arc<Self>, asked: &Asked, body: Vec<u8>) -> Result<Answered, Problem> {
        let (door, topic, format) = (Arc::clone(self), asked.topic, asked.format);
        let passed = blocking(move || door.pass(topic, format, &body)).await?;
        let Passed { rejected, sent, consignment } = match passed.map_err(|error| went_wrong(&error))? {
            Ok(passed) => passed,
            Err((status, detail)) => return Err(Problem::new(status, detail)),
        };
        let deliveries = consignment.delivered().await;
        let delivered = sent.into_iter().zip(deliveries);
        let mut results: Vec<EventResult> =
            delivered.map(|(index, delivery)| EventResult::delivered(index, delivery)).chain(rejected).collect();
        results.sort_by_key(|result| result.index);
        self.counts.add(topic, &results);
        let receipt = Receipt::new(topic, results, asked.listing);
        let status = receipt.status();
        let body = receipt.into_json().context("a receipt").map_err(|error| went_wrong(&error))?;
        Ok(Answered { status, body })
    }

    /// Checks the events and sends those that are good. Takes processor time, and waits for nothing.
    fn pass(&self, topic: Topic, format: Format, body: &[u8]) -> Result<Result<Passed, Unreadable>> {
        let events = match batch::split(body, format) {
            Ok(events) => events,
            Err(unreadable) => return Ok(Err(unreadable)),
        };
        let mut consignment = self.publisher.begin(topic)?;
        let (mut rejected, mut sent) = (Vec::new(), Vec::with_capacity(events.len()));
        for event in events {
            match check::event(topic, event.bytes, self.event_bytes) {
                Ok(key) => {
                    consignment.add(key.as_deref(), event.bytes);
                    sent.push(event.index);
                }
                Err(fault) => rejected.push(EventResult::rejected(event.index, fault)),
            }
        }
        Ok(Ok(Passed { rejected, sent, consignment }))
    }
}

/// Runs what takes processor time where it holds up nobody else.
async fn blocking<T: Send + 'static>(work: impl FnOnce() -> T + Send + 'static) -> Result<T, Problem> {
    tokio::task::spawn_blocking(work).await.map_err(|ended| went_wrong(&ended.into()))
}

fn went_wrong(error: &anyhow::Error) -> Problem {
    tracing::error!("a request with events failed: {error:#}");
    Problem::new(StatusCode::INTERNAL_SERVER_ERROR, "Something went wrong on the server; its log says what.")
}

fn respond(Answered { status, body }: Answered) -> Response {
    if status.is_client_error() || status.is_server_error() {
        return Problem::respond(status, Body::from(body));
    }
    let headers = [
        (header::CONTENT_TYPE, HeaderValue::from_static("application/json")),
        (header::CACHE_CONTROL, HeaderValue::from_static("no-store")),
    ];
    (status, headers, body).into_response()
}
