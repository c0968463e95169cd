//! Dashboards of one's own for programs: REST under `/api/v1/dashboards`.

use axum::{
    Extension, Json,
    extract::{
        Path, RawQuery, State,
        rejection::{JsonRejection, PathRejection},
    },
    response::{IntoResponse, Response},
    routing::{MethodRouter, get},
};
use http::StatusCode;
use model::saved::{DashboardDetail, DashboardSummary, TileWidth};
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;
use uuid::Uuid;

use super::{
    DashboardDraft, Shelf, TileDraft,
    rest::{answer, created, id},
};
use crate::{
    access::{
        guard::{self, Identity},
        rest::{Refusal, access, body},
        sessions::Client,
    },
    openapi::{BodyRefusals, Refusals, ThingBodyRefusals, ThingRefusals},
    parameters::Parameters,
    routes::WebState,
};

pub fn routes() -> Vec<(&'static str, MethodRouter<WebState>)> {
    vec![
        ("/api/v1/dashboards", get(list).post(create)),
        ("/api/v1/dashboards/{id}", get(read).put(replace).delete(delete)),
    ]
}

/// The dashboards that the caller may see.
#[derive(Serialize, ToSchema)]
pub(crate) struct DashboardList {
    dashboards: Vec<DashboardSummary>,
}

/// A dashboard as it is to be.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct WantedDashboard {
    /// 1 to 80 characters.
    #[schema(example = "Monday")]
    name: String,
    /// Whether everybody sees it, and those of the caller's views that are on it; false where nothing is said.
    #[serde(default)]
    shared: bool,
    /// In their order, at most 24; none where nothing is said.
    #[serde(default)]
    #[schema(max_items = 24)]
    tiles: Vec<WantedTile>,
}

/// A view on a dashboard.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct WantedTile {
    /// The id of a saved view: one of the caller's, or one that is shared.
    view: Uuid,
    /// `half` where nothing is said.
    #[serde(default)]
    width: TileWidth,
}

impl From<WantedDashboard> for DashboardDraft {
    fn from(wanted: WantedDashboard) -> DashboardDraft {
        let tiles = wanted.tiles.into_iter().map(|tile| TileDraft::new(tile.view, tile.width)).collect();
        DashboardDraft { name: wanted.name, shared: wanted.shared, tiles }
    }
}

/// Dashboards
///
/// Those of the caller, then those that others share, by name; of the latter at most 200.
#[utoipa::path(
    get, path = "/api/v1/dashboards", tag = "Saved", operation_id = "dashboards_list",
    responses((status = 200, description = "What the caller may see.", body = DashboardList), Refusals),
)]
pub(crate) async fn list(
    State(state): State<WebState>,
    Extension(identity): Extension<Identity>,
    RawQuery(query): RawQuery,
) -> Result<Response, Refusal> {
    Parameters::read(query.as_deref(), &[], &[]).map_err(Refusal::Problem)?;
    let access = access(&state)?;
    let dashboards = Shelf::new(&access, &identity.standing).dashboards().await?;
    Ok(answer(DashboardList { dashboards }))
}

/// Make a dashboard
///
/// A person has at most 50.
#[utoipa::path(
    post, path = "/api/v1/dashboards", tag = "Saved", operation_id = "dashboards_create",
    request_body = WantedDashboard,
    responses(
        (status = 201, description = "It is made.", body = DashboardDetail, headers(
            ("Location" = String, description = "Where it is."))),
        BodyRefusals,
    ),
)]
pub(crate) async fn create(
    State(state): State<WebState>,
    Extension(client): Extension<Client>,
    Extension(identity): Extension<Identity>,
    json: Result<Json<WantedDashboard>, JsonRejection>,
) -> Result<Response, Refusal> {
    let (access, wanted) = (access(&state)?, body(json)?);
    let actor = guard::actor_of(&identity, &client);
    let made = Shelf::new(&access, &identity.standing).create_dashboard(&wanted.into(), &actor).await?;
    Ok(created("/api/v1/dashboards", made.id, made))
}

/// A dashboard and what is on it
#[utoipa::path(
    get, path = "/api/v1/dashboards/{id}", tag = "Saved", operation_id = "dashboards_read",
    params(("id" = Uuid, Path, description = "Its id.")),
    responses((status = 200, description = "As it is now.", body = DashboardDetail), ThingRefusals),
)]
pub(crate) async fn read(
    State(state): State<WebState>,
    Extension(identity): Extension<Identity>,
    path: Result<Path<Uuid>, PathRejection>,
) -> Result<Response, Refusal> {
    let access = access(&state)?;
    Ok(answer(Shelf::new(&access, &identity.standing).dashboard(id(path)?).await?))
}

/// Change a dashboard
///
/// It becomes what the body says, and what that does not name goes back to its default. One's own only: what somebody else
/// shares is refused with 403.
#[utoipa::path(
    put, path = "/api/v1/dashboards/{id}", tag = "Saved", operation_id = "dashboards_replace",
    params(("id" = Uuid, Path, description = "Its id.")),
    request_body = WantedDashboard,
    responses((status = 200, description = "As it is now.", body = DashboardDetail), ThingBodyRefusals),
)]
pub(crate) async fn replace(
    State(state): State<WebState>,
    Extension(client): Extension<Client>,
    Extension(identity): Extension<Identity>,
    path: Result<Path<Uuid>, PathRejection>,
    json: Result<Json<WantedDashboard>, JsonRejection>,
) -> Result<Response, Refusal> {
    let (access, id, wanted) = (access(&state)?, id(path)?, body(json)?);
    let actor = guard::actor_of(&identity, &client);
    Ok(answer(Shelf::new(&access, &identity.standing).replace_dashboard(id, &wanted.into(), &actor).await?))
}

/// Delete a dashboard
///
/// The views that were on it stay. One's own only: what somebody else shares is refused with 403.
#[utoipa::path(
    delete, path = "/api/v1/dashboards/{id}", tag = "Saved", operation_id = "dashboards_delete",
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
    Shelf::new(&access, &identity.standing).delete_dashboard(id, &actor).await?;
    Ok(StatusCode::NO_CONTENT.into_response())
}
