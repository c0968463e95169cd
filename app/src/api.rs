//! What the pages ask of the server. The bodies run on the server only and hand the question to a port.

use leptos::{
    prelude::*,
    server_fn::{
        BoxedStream, Websocket,
        codec::{GetUrl, JsonEncoding},
    },
};
use model::{health::Health, live::Live, overview::Overview, pipeline::PipelineView, range::Range};

use crate::problem::Problem;

#[cfg(feature = "ssr")]
fn dashboard() -> Result<std::sync::Arc<dyn crate::ports::Dashboard>, Problem> {
    use_context().ok_or_else(|| Problem::Failed("The server was started without its dashboard.".to_owned()))
}

/// The overview's numbers over a range.
#[server(prefix = "/api/ui", endpoint = "overview", input = GetUrl)]
pub async fn get_overview(range: Range) -> Result<Overview, Problem> {
    Ok(dashboard()?.overview(range).await?)
}

/// The tables of the lake and the dead letters.
#[server(prefix = "/api/ui", endpoint = "pipeline", input = GetUrl)]
pub async fn get_pipeline() -> Result<PipelineView, Problem> {
    Ok(dashboard()?.pipeline().await?)
}

/// How well each component works.
#[server(prefix = "/api/ui", endpoint = "health", input = GetUrl)]
pub async fn get_health() -> Result<Health, Problem> {
    Ok(dashboard()?.health().await)
}

/// The newest live metrics, for a page that is being rendered.
#[server(prefix = "/api/ui", endpoint = "live-now", input = GetUrl)]
pub async fn get_live() -> Result<Live, Problem> {
    use futures_util::StreamExt;
    let newest = dashboard()?.live().next().await;
    newest.ok_or_else(|| Problem::Starting("There are no live metrics yet.".to_owned()))
}

/// The live metrics as they change. The browser has nothing to say, so its half of the socket stays silent.
#[server(prefix = "/api/ui", endpoint = "live", protocol = Websocket<JsonEncoding, JsonEncoding>)]
pub async fn follow_live(input: BoxedStream<(), Problem>) -> Result<BoxedStream<Live, Problem>, Problem> {
    use futures_util::StreamExt;
    drop(input);
    Ok(dashboard()?.live().map(Ok).into())
}
