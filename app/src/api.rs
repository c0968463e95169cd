//! What the pages ask of the server. The bodies run on the server only and hand the question to a port.

mod lake;
mod quality;
mod saved;

pub use lake::*;
use leptos::{
    prelude::*,
    server_fn::{
        BoxedStream, Websocket,
        codec::{GetUrl, JsonEncoding},
    },
};
use model::{
    access::{ApiKeySummary, AuditFilter, AuditPage, Flash, Me, Role, SecondFactor, SessionSummary, UsersView},
    api_docs::ApiDocs,
    explore::{ExploreAnswer, KnownValue},
    health::Health,
    ledger::Ledger,
    live::Live,
    metric::Dimension,
    overview::Overview,
    pipeline::PipelineView,
    range::Range,
};
pub use quality::*;
pub use saved::*;

#[cfg(feature = "ssr")]
use model::access::Permission;

use crate::problem::Problem;

#[cfg(feature = "ssr")]
fn dashboard(needed: Permission) -> Result<std::sync::Arc<dyn crate::ports::Dashboard>, Problem> {
    people()?.require(needed)?;
    use_context().ok_or_else(|| Problem::Failed("The server was started without its dashboard.".to_owned()))
}

#[cfg(feature = "ssr")]
fn people() -> Result<std::sync::Arc<dyn crate::ports::People>, Problem> {
    use_context().ok_or_else(|| Problem::Failed("The server was started without its accounts.".to_owned()))
}

#[cfg(feature = "ssr")]
fn explorer() -> Result<std::sync::Arc<dyn crate::ports::Explorer>, Problem> {
    people()?.require(Permission::MetricsRead)?;
    use_context().ok_or_else(|| Problem::Failed("The server was started without its explorer.".to_owned()))
}

/// The overview's numbers over a range.
#[server(prefix = "/api/ui", endpoint = "overview", input = GetUrl)]
pub async fn get_overview(range: Range) -> Result<Overview, Problem> {
    Ok(dashboard(Permission::MetricsRead)?.overview(range).await?)
}

/// The numbers of a view, which is said as in the URL of its page.
#[server(prefix = "/api/ui", endpoint = "explore", input = GetUrl)]
pub async fn get_explore(view: String) -> Result<ExploreAnswer, Problem> {
    let explorer = explorer()?;
    let view = model::explore::ExploreView::parse(&view).map_err(Problem::Failed)?;
    Ok(explorer.explore(view).await?)
}

/// The greatest values of a dimension over a range, to choose from.
#[server(prefix = "/api/ui", endpoint = "explore-values", input = GetUrl)]
pub async fn get_known_values(dimension: Dimension, range: Range) -> Result<Vec<KnownValue>, Problem> {
    Ok(explorer()?.known_values(dimension, range).await?)
}

/// The tables of the lake and the dead letters.
#[server(prefix = "/api/ui", endpoint = "pipeline", input = GetUrl)]
pub async fn get_pipeline() -> Result<PipelineView, Problem> {
    Ok(dashboard(Permission::PipelineRead)?.pipeline().await?)
}

/// How well each component works.
#[server(prefix = "/api/ui", endpoint = "health", input = GetUrl)]
pub async fn get_health() -> Result<Health, Problem> {
    Ok(dashboard(Permission::PipelineRead)?.health().await)
}

/// What became of every event.
#[server(prefix = "/api/ui", endpoint = "ledger", input = GetUrl)]
pub async fn get_ledger() -> Result<Ledger, Problem> {
    Ok(dashboard(Permission::PipelineRead)?.ledger().await?)
}

/// What programs can ask. For whoever is signed in.
#[server(prefix = "/api/ui", endpoint = "api-docs", input = GetUrl)]
pub async fn get_api_docs() -> Result<ApiDocs, Problem> {
    people()?.me().await?;
    let dashboard = use_context::<std::sync::Arc<dyn crate::ports::Dashboard>>();
    let dashboard =
        dashboard.ok_or_else(|| Problem::Failed("The server was started without its dashboard.".to_owned()))?;
    Ok(dashboard.api_docs())
}

/// The newest live metrics, for a page that is being rendered.
#[server(prefix = "/api/ui", endpoint = "live-now", input = GetUrl)]
pub async fn get_live() -> Result<Live, Problem> {
    use futures_util::StreamExt;
    let newest = dashboard(Permission::MetricsRead)?.live().next().await;
    newest.ok_or_else(|| Problem::Starting("There are no live metrics yet.".to_owned()))
}

/// The live metrics as they change. The browser has nothing to say, so its half of the socket stays silent.
#[server(prefix = "/api/ui", endpoint = "live", protocol = Websocket<JsonEncoding, JsonEncoding>)]
pub async fn follow_live(input: BoxedStream<(), Problem>) -> Result<BoxedStream<Live, Problem>, Problem> {
    use futures_util::StreamExt;
    drop(input);
    let right_ends = people()?.right_ends(Permission::MetricsRead);
    Ok(dashboard(Permission::MetricsRead)?.live().take_until(right_ends).map(Ok).into())
}

/// Who is signed in.
#[server(prefix = "/api/ui", endpoint = "me", input = GetUrl)]
pub async fn get_me() -> Result<Me, Problem> {
    Ok(people()?.me().await?)
}

/// Renews the tokens of this browser's session, all tabs of which share them: only one of them may ask at a time, since a
/// refresh token that is used twice ends the session. Answers the seconds until the new access token ends.
#[server(prefix = "/api/ui", endpoint = "renew")]
pub async fn renew_session() -> Result<i64, Problem> {
    Ok(people()?.renew().await?)
}

/// What the last action has to say. Told to the page that comes after it, once.
#[server(prefix = "/api/ui", endpoint = "flash", input = GetUrl)]
pub async fn get_flash() -> Result<Option<Flash>, Problem> {
    Ok(people()?.flash())
}

#[server(prefix = "/api/ui", endpoint = "second-factor", input = GetUrl)]
pub async fn get_second_factor() -> Result<SecondFactor, Problem> {
    Ok(people()?.second_factor().await?)
}

/// The sessions of the person who asks.
#[server(prefix = "/api/ui", endpoint = "own-sessions", input = GetUrl)]
pub async fn get_own_sessions() -> Result<Vec<SessionSummary>, Problem> {
    Ok(people()?.own_sessions().await?)
}

/// The sessions of everybody.
#[server(prefix = "/api/ui", endpoint = "sessions", input = GetUrl)]
pub async fn get_sessions() -> Result<Vec<SessionSummary>, Problem> {
    Ok(people()?.all_sessions().await?)
}

#[server(prefix = "/api/ui", endpoint = "users", input = GetUrl)]
pub async fn get_users() -> Result<UsersView, Problem> {
    Ok(people()?.users().await?)
}

#[server(prefix = "/api/ui", endpoint = "roles", input = GetUrl)]
pub async fn get_roles() -> Result<Vec<Role>, Problem> {
    Ok(people()?.roles().await?)
}

#[server(prefix = "/api/ui", endpoint = "api-keys", input = GetUrl)]
pub async fn get_api_keys() -> Result<Vec<ApiKeySummary>, Problem> {
    Ok(people()?.api_keys().await?)
}

#[server(prefix = "/api/ui", endpoint = "audit", input = GetUrl)]
pub async fn get_audit(filter: AuditFilter) -> Result<AuditPage, Problem> {
    Ok(people()?.audit(filter).await?)
}
