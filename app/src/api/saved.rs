//! Views, queries and dashboards that people keep.

use leptos::{prelude::*, server_fn::codec::GetUrl};
use model::saved::{DashboardDetail, DashboardSummary, Saved};

use crate::problem::Problem;

#[cfg(feature = "ssr")]
fn kept() -> Result<std::sync::Arc<dyn crate::ports::Saved>, Problem> {
    use_context().ok_or_else(|| Problem::Failed("The server was started without what people keep.".to_owned()))
}

/// The views and queries that the person may see, whose name has `find` in it.
#[server(prefix = "/api/ui", endpoint = "saved", input = GetUrl)]
pub async fn get_saved(find: String) -> Result<Vec<Saved>, Problem> {
    Ok(kept()?.saved(&find).await?)
}

/// The dashboards that the person may see.
#[server(prefix = "/api/ui", endpoint = "dashboards", input = GetUrl)]
pub async fn get_dashboards() -> Result<Vec<DashboardSummary>, Problem> {
    Ok(kept()?.dashboards().await?)
}

/// One of them; nothing where there is none of this id.
#[server(prefix = "/api/ui", endpoint = "dashboard", input = GetUrl)]
pub async fn get_dashboard(id: String) -> Result<Option<DashboardDetail>, Problem> {
    Ok(kept()?.dashboard(&id).await?)
}
