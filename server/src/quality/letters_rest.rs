//! Dead letters and their replay for programs: REST under `/api/v1/quality`.

use std::sync::Arc;

use axum::{
    Extension, Json,
    extract::{Path, RawQuery, State, rejection::JsonRejection},
    response::{IntoResponse as _, Response},
    routing::{MethodRouter, get, post},
};
use http::{HeaderValue, StatusCode, header};
use model::{
    access::Permission,
    letter::{LARGEST_PAGE, LetterDetail, LetterFilter, LetterPage, PAGE, ReplayBatch, Replayed},
    topic::Topic,
};
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;
use uuid::Uuid;

use super::{
    batch,
    letters::{self, Place},
    replay::{ReplayError, Replays, Wanted, count_replays, detail_of},
    rest::answer,
};
use crate::{
    access::{
        Denied,
        guard::{self, Identity},
        rest::{Refusal, access, body, no_store},
        sessions::Client,
    },
    lake::Catalogue,
    openapi::{BodyRefusals, Refusals, ThingBodyRefusals, ThingRefusals},
    parameters::Parameters,
    problem::Problem,
    routes::WebState,
};

pub fn routes() -> Vec<(&'static str, MethodRouter<WebState>)> {
    vec![
        ("/api/v1/quality/letters", get(letters)),
        ("/api/v1/quality/letters/{topic}/{partition}/{offset}", get(letter)),
        ("/api/v1/quality/letters/{topic}/{partition}/{offset}/replay", post(replay)),
        ("/api/v1/quality/replay", post(replay_all)),
        ("/api/v1/quality/replays", get(batches)),
        ("/api/v1/quality/replays/{id}", get(progress)),
    ]
}

fn catalogue(state: &WebState) -> Result<&Arc<Catalogue>, Problem> {
    state.parts.catalogue.get().ok_or_else(Problem::starting)
}

/// What sends letters again.
pub(super) fn replays(state: &WebState) -> Result<Replays, Refusal> {
    let catalogue = Arc::clone(catalogue(state).map_err(Refusal::Problem)?);
    let door = state.parts.events.get().ok_or_else(|| Refusal::Problem(Problem::starting()))?;
    Ok(Replays { access: access(state)?, catalogue, door: Arc::clone(door) })
}

/// The filter of a request.
fn filter(parameters: &Parameters) -> LetterFilter {
    let text = |name| parameters.get(name).unwrap_or_default().to_owned();
    LetterFilter {
        topic: text("topic"),
        stage: text("stage"),
        rejection: text("rejection"),
        rule: text("rule"),
        from: text("from"),
        to: text("to"),
    }
}

/// Dead letters
///
/// Messages that could not be used, with the reason, the newest first: those that the stages `bronze` and `silver` could not read,
/// and those that the quality rules put aside (`quality`).
#[utoipa::path(
    get, path = "/api/v1/quality/letters", tag = "Quality", operation_id = "letters",
    params(
        ("topic" = Option<String>, Query, description = "Only of this topic.", example = "transaction-events"),
        ("stage" = Option<String>, Query, description = "Only of this stage: `bronze`, `silver` or `quality`."),
        ("rejection" = Option<String>, Query, description = "Only of this kind: `empty`, `too_large`, `not_utf8`, `not_json`, \
            `envelope`, `fields` or `quality`."),
        ("rule" = Option<String>, Query, description = "Only those that this quality rule put aside."),
        ("from" = Option<String>, Query, description = "What came in from this day on, in UTC.", example = "2026-11-22"),
        ("to" = Option<String>, Query, description = "What came in until the end of this day, in UTC."),
        ("limit" = Option<u16>, Query, description = "Letters of a page; 50 where nothing is said.", minimum = 1, maximum = 500),
        ("cursor" = Option<String>, Query, description = "`next` of the page before, with the same filter."),
    ),
    responses((status = 200, description = "A page of letters.", body = LetterPage), Refusals),
)]
pub(crate) async fn letters(State(state): State<WebState>, RawQuery(query): RawQuery) -> Result<Response, Refusal> {
    const NAMES: [&str; 8] = ["topic", "stage", "rejection", "rule", "from", "to", "limit", "cursor"];
    let parameters = Parameters::read(query.as_deref(), &NAMES, &[]).map_err(Refusal::Problem)?;
    let limit = match parameters.get("limit") {
        None => PAGE,
        Some(text) => text.parse().ok().filter(|limit| (1..=LARGEST_PAGE).contains(limit)).ok_or_else(|| {
            Refusal::Problem(Problem::bad_request(format!("`limit` must be a whole number from 1 to {LARGEST_PAGE}.")))
        })?,
    };
    let access = access(&state)?;
    let catalogue = catalogue(&state).map_err(Refusal::Problem)?;
    let page = letters::page(catalogue, &filter(&parameters), limit, parameters.get("cursor")).await;
    let mut page = page.map_err(Denied::from)?;
    count_replays(&access, &mut page.letters).await?;
    Ok(answer(&page))
}

/// The place in a path.
fn place((topic, partition, offset): &(String, String, String)) -> Result<Place, Refusal> {
    let wrong = || {
        Problem::bad_request(format!(
            "A letter is named by topic ({}), partition and offset.",
            Topic::ALL.map(Topic::name).join(", ")
        ))
    };
    Place::parse(topic, partition, offset).ok_or_else(|| Refusal::Problem(wrong()))
}

/// A dead letter
///
/// With its content, and every replay of it.
#[utoipa::path(
    get, path = "/api/v1/quality/letters/{topic}/{partition}/{offset}", tag = "Quality", operation_id = "letter",
    params(
        ("topic" = String, Path, description = "A Kafka topic.", example = "transaction-events"),
        ("partition" = i32, Path, description = "A partition of it.", minimum = 0),
        ("offset" = i64, Path, description = "The place in the partition.", minimum = 0),
    ),
    responses((status = 200, description = "The letter.", body = LetterDetail), ThingRefusals),
)]
pub(crate) async fn letter(
    State(state): State<WebState>,
    Path(path): Path<(String, String, String)>,
) -> Result<Response, Refusal> {
    let place = place(&path)?;
    let access = access(&state)?;
    let catalogue = catalogue(&state).map_err(Refusal::Problem)?;
    Ok(answer(&detail_of(&access, catalogue, place).await?))
}

/// How a letter is replayed.
#[derive(Default, Deserialize, ToSchema)]
#[serde(deny_unknown_fields, default)]
pub(crate) struct Replay {
    /// The content to be sent in the place of the letter's own; needs `quality:edit`. It is checked as the door for events checks it.
    payload: Option<String>,
    /// Send it although it was replayed before.
    again: bool,
}

/// Replay a dead letter
///
/// Sends it to its topic with its own key and headers, unchanged or with another content. Whoever does this, when, what changed and where it
/// went stands in the letter's trail and in the audit log. A letter that was replayed before is refused with 409 unless `again` says
/// so.
#[utoipa::path(
    post, path = "/api/v1/quality/letters/{topic}/{partition}/{offset}/replay", tag = "Quality", operation_id = "replay_letter",
    params(
        ("topic" = String, Path, description = "A Kafka topic.", example = "transaction-events"),
        ("partition" = i32, Path, description = "A partition of it.", minimum = 0),
        ("offset" = i64, Path, description = "The place in the partition.", minimum = 0),
    ),
    request_body = Replay,
    responses(
        (status = 200, description = "Kafka has it.", body = Replayed),
        (status = 409, description = "It was replayed before.", body = Problem, content_type = "application/problem+json"),
        ThingBodyRefusals,
    ),
)]
pub(crate) async fn replay(
    State(state): State<WebState>,
    Extension(client): Extension<Client>,
    Extension(identity): Extension<Identity>,
    Path(path): Path<(String, String, String)>,
    json: Result<Json<Replay>, JsonRejection>,
) -> Result<Response, Refusal> {
    let (place, asked) = (place(&path)?, body(json)?);
    if asked.payload.is_some() {
        may_edit(&identity)?;
    }
    let wanted = Wanted { place, payload: asked.payload, again: asked.again };
    let replayed = replays(&state)?.replay(wanted, guard::actor_of(&identity, &client)).await;
    Ok(answer(&replayed.map_err(refused)?))
}

fn may_edit(identity: &Identity) -> Result<(), Denied> {
    if identity.standing.may(Permission::QualityEdit) {
        return Ok(());
    }
    Err(Denied::Forbidden(format!("To change a letter needs the permission {}.", Permission::QualityEdit.name())))
}

fn refused(error: ReplayError) -> Refusal {
    let why = error.to_string();
    match error {
        ReplayError::Denied(denied) => Refusal::Denied(denied),
        ReplayError::Again => Refusal::Problem(Problem::new(
            StatusCode::CONFLICT,
            "It was replayed before. Send `\"again\": true` to send it once more.",
        )),
        ReplayError::Unknown(_) => Refusal::Problem(Problem::new(StatusCode::SERVICE_UNAVAILABLE, why)),
    }
}

/// Which letters are replayed together.
#[derive(Default, Deserialize, ToSchema)]
#[serde(deny_unknown_fields, default)]
pub(crate) struct ReplayAll {
    filter: LetterFilter,
    /// Also those that were replayed before.
    again: bool,
}

/// Replay all dead letters of a filter
///
/// As they are, at most 10000, the oldest first, in the background. Those that were replayed before are left alone unless `again` says
/// otherwise. One such replay runs at a time.
#[utoipa::path(
    post, path = "/api/v1/quality/replay", tag = "Quality", operation_id = "replay_letters",
    request_body = ReplayAll,
    responses(
        (status = 202, description = "It has begun; `Location` says how far it is.", body = ReplayBatch, headers(
            ("Location" = String, description = "Where its progress is."))),
        BodyRefusals,
    ),
)]
pub(crate) async fn replay_all(
    State(state): State<WebState>,
    Extension(client): Extension<Client>,
    Extension(identity): Extension<Identity>,
    json: Result<Json<ReplayAll>, JsonRejection>,
) -> Result<Response, Refusal> {
    let ReplayAll { filter, again } = body(json)?;
    let begun = replays(&state)?.begin_batch(filter, again, guard::actor_of(&identity, &client)).await?;
    let mut response = no_store((StatusCode::ACCEPTED, Json(&begun)).into_response());
    if let Ok(location) = HeaderValue::from_str(&format!("/api/v1/quality/replays/{}", begun.id)) {
        response.headers_mut().insert(header::LOCATION, location);
    }
    Ok(response)
}

#[derive(Serialize, ToSchema)]
pub(crate) struct BatchesAnswer {
    replays: Vec<ReplayBatch>,
}

/// The newest replays of filters
#[utoipa::path(
    get, path = "/api/v1/quality/replays", tag = "Quality", operation_id = "replays",
    responses((status = 200, description = "At most ten, the newest first.", body = BatchesAnswer), Refusals),
)]
pub(crate) async fn batches(State(state): State<WebState>) -> Result<Response, Refusal> {
    Ok(answer(&BatchesAnswer { replays: batch::newest(&*access(&state)?).await? }))
}

/// How far a replay of a filter is
#[utoipa::path(
    get, path = "/api/v1/quality/replays/{id}", tag = "Quality", operation_id = "replay",
    params(("id" = Uuid, Path, description = "Its id.")),
    responses((status = 200, description = "As it is now.", body = ReplayBatch), ThingRefusals),
)]
pub(crate) async fn progress(State(state): State<WebState>, Path(id): Path<String>) -> Result<Response, Refusal> {
    let no_id = |_| Refusal::Problem(Problem::bad_request("What stands last in the path is no id: ids are UUIDs."));
    let id: Uuid = id.parse().map_err(no_id)?;
    Ok(answer(&batch::batch(&*access(&state)?, id).await?))
}
