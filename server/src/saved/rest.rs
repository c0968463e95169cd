//! Saved views and queries for programs: REST under `/api/v1/saved`.

use axum::{
    Extension, Json,
    extract::{
        Path, RawQuery, State,
        rejection::{JsonRejection, PathRejection},
    },
    response::{IntoResponse, Response},
    routing::{MethodRouter, get},
};
use http::{HeaderValue, StatusCode, header};
use model::saved::{Saved, SavedKind};
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;
use uuid::Uuid;

use super::{
    Shelf,
    items::{ItemChange, ItemDraft},
};
use crate::{
    access::{
        guard::{self, Identity},
        rest::{Refusal, access, body, no_store},
        sessions::Client,
    },
    openapi::{BodyRefusals, Refusals, ThingBodyRefusals, ThingRefusals},
    parameters::Parameters,
    problem::Problem,
    routes::WebState,
};

pub fn routes() -> Vec<(&'static str, MethodRouter<WebState>)> {
    vec![("/api/v1/saved", get(list).post(create)), ("/api/v1/saved/{id}", get(read).put(replace).delete(delete))]
}

/// The views and queries that the caller may see.
#[derive(Serialize, ToSchema)]
pub(crate) struct SavedList {
    saved: Vec<Saved>,
}

/// A view or query to be saved.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct NewSaved {
    kind: SavedKind,
    /// 1 to 80 characters.
    #[schema(example = "Revenue by store")]
    name: String,
    /// At most 16384 bytes. Of a view what stands after the question mark in the address of the page Explore; of a query the
    /// SQL.
    #[schema(example = "metric=revenue&range=30d&split=store")]
    text: String,
    /// Whether everybody sees it; false where nothing is said.
    #[serde(default)]
    shared: bool,
}

/// A saved view or query as it is from now on. Its kind stays.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct ChangedSaved {
    /// 1 to 80 characters.
    #[schema(example = "Revenue by store")]
    name: String,
    /// At most 16384 bytes.
    #[schema(example = "metric=revenue&range=30d&split=store")]
    text: String,
    /// Whether everybody sees it.
    shared: bool,
}

/// The id in a path.
pub(super) fn id(path: Result<Path<Uuid>, PathRejection>) -> Result<Uuid, Refusal> {
    let no_id = |_| Refusal::Problem(Problem::bad_request("What stands last in the path is no id: ids are UUIDs."));
    path.map(|Path(id)| id).map_err(no_id)
}

/// What was made, and where it is.
pub(super) fn created(path: &str, id: Uuid, made: impl Serialize) -> Response {
    let mut response = no_store((StatusCode::CREATED, Json(made)).into_response());
    if let Ok(location) = HeaderValue::from_str(&format!("{path}/{id}")) {
        response.headers_mut().insert(header::LOCATION, location);
    }
    response
}

pub(super) fn answer(found: impl Serialize) -> Response {
    no_store(Json(found).into_response())
}

/// Saved views and queries
///
/// Those of the caller, then what others share, by name; of the latter at most 200. Queries are for callers who may run SQL.
#[utoipa::path(
    get, path = "/api/v1/saved", tag = "Saved", operation_id = "saved_list",
    params(
        ("kind" = Option<SavedKind>, Query, description = "Only these."),
        ("find" = Option<String>, Query, description = "Part of the name.", example = "store"),
    ),
    responses((status = 200, description = "What the caller may see.", body = SavedList), Refusals),
)]
pub(crate) async fn list(
    State(state): State<WebState>,
    Extension(identity): Extension<Identity>,
    RawQuery(query): RawQuery,
) -> Result<Response, Refusal> {
    let parameters = Parameters::read(query.as_deref(), &["kind", "find"], &[]).map_err(Refusal::Problem)?;
    let kind = match parameters.get("kind") {
        None => None,
        Some(name) => Some(
            SavedKind::from_name(name)
                .ok_or_else(|| Refusal::Problem(Problem::unknown("kind", name, SavedKind::ALL.map(SavedKind::name))))?,
        ),
    };
    let access = access(&state)?;
    let mut saved = Shelf::new(&access, &identity.standing).items(parameters.get("find").unwrap_or_default()).await?;
    saved.retain(|item| kind.is_none_or(|kind| item.kind == kind));
    Ok(answer(SavedList { saved }))
}

/// Save a view or a query
///
/// A person keeps at most 500, a megabyte in all. To save a query the caller has to be allowed to run SQL.
#[utoipa::path(
    post, path = "/api/v1/saved", tag = "Saved", operation_id = "saved_create",
    request_body = NewSaved,
    responses(
        (status = 201, description = "It is saved.", body = Saved, headers(
            ("Location" = String, description = "Where it is."))),
        BodyRefusals,
    ),
)]
pub(crate) async fn create(
    State(state): State<WebState>,
    Extension(client): Extension<Client>,
    Extension(identity): Extension<Identity>,
    json: Result<Json<NewSaved>, JsonRejection>,
) -> Result<Response, Refusal> {
    let (access, new) = (access(&state)?, body(json)?);
    let NewSaved { kind, name, text, shared } = new;
    let shelf = Shelf::new(&access, &identity.standing);
    let made = shelf.create_item(&ItemDraft { kind, name, text, shared }, &guard::actor_of(&identity, &client)).await?;
    Ok(created("/api/v1/saved", made.id, made))
}

/// A saved view or query
#[utoipa::path(
    get, path = "/api/v1/saved/{id}", tag = "Saved", operation_id = "saved_read",
    params(("id" = Uuid, Path, description = "Its id.")),
    responses((status = 200, description = "As it is now.", body = Saved), ThingRefusals),
)]
pub(crate) async fn read(
    State(state): State<WebState>,
    Extension(identity): Extension<Identity>,
    path: Result<Path<Uuid>, PathRejection>,
) -> Result<Response, Refusal> {
    let access = access(&state)?;
    Ok(answer(Shelf::new(&access, &identity.standing).item(id(path)?).await?))
}

/// Change a saved view or query
///
/// One's own only: what somebody else shares is refused with 403.
#[utoipa::path(
    put, path = "/api/v1/saved/{id}", tag = "Saved", operation_id = "saved_replace",
    params(("id" = Uuid, Path, description = "Its id.")),
    request_body = ChangedSaved,
    responses((status = 200, description = "As it is now.", body = Saved), ThingBodyRefusals),
)]
pub(crate) async fn replace(
    State(state): State<WebState>,
    Extension(client): Extension<Client>,
    Extension(identity): Extension<Identity>,
    path: Result<Path<Uuid>, PathRejection>,
    json: Result<Json<ChangedSaved>, JsonRejection>,
) -> Result<Response, Refusal> {
    let (access, id, changed) = (access(&state)?, id(path)?, body(json)?);
    let change = ItemChange { name: Some(changed.name), text: Some(changed.text), shared: Some(changed.shared) };
    let actor = guard::actor_of(&identity, &client);
    Ok(answer(Shelf::new(&access, &identity.standing).change_item(id, &change, &actor).await?))
}

/// Delete a saved view or query
///
/// A view disappears from every dashboard. One's own only: what somebody else shares is refused with 403.
#[utoipa::path(
    delete, path = "/api/v1/saved/{id}", tag = "Saved", operation_id = "saved_delete",
    params(("id" = Uuid, Path, description = "Its id.")),
    responses((status = 204, description = "It is deleted."), ThingRefusals),
)]
pub(crate) async fn delete(
    State(state): State<WebState>,
    Extension(client): Extension<Client>,
    Extension(identity): Extension<Identity>,
    path: Result<Path<Uuid>, PathRejection>,
) -> Result<Response, Refusal> {
    let (access, id) = (access(&state)?, id(path)?);
    let actor = guard::actor_of(&identity, &client);
    Shelf::new(&access, &identity.standing).delete_item(id, &actor).await?;
    Ok(StatusCode::NO_CONTENT.into_response())
}
