//! What the pages show of what people keep, for the request that is being answered.

use app::ports::{Saved, Unavailable};
use async_trait::async_trait;
use model::{
    access::Permission,
    saved::{self, DashboardDetail, DashboardSummary},
};

use super::Shelf;
use crate::access::{Denied, people::Visit};

#[async_trait]
impl Saved for Visit {
    async fn saved(&self, find: &str) -> Result<Vec<saved::Saved>, Unavailable> {
        let items = shelf(self)?.items(find).await;
        items.map_err(|denied| unanswered(self, denied))
    }

    async fn dashboards(&self) -> Result<Vec<DashboardSummary>, Unavailable> {
        let dashboards = shelf(self)?.dashboards().await;
        dashboards.map_err(|denied| unanswered(self, denied))
    }

    async fn dashboard(&self, id: &str) -> Result<Option<DashboardDetail>, Unavailable> {
        let shelf = shelf(self)?;
        let Ok(id) = id.parse() else {
            self.not_found();
            return Ok(None);
        };
        match shelf.dashboard(id).await {
            Ok(dashboard) => Ok(Some(dashboard)),
            Err(Denied::Missing(_)) => {
                self.not_found();
                Ok(None)
            }
            Err(denied) => Err(unanswered(self, denied)),
        }
    }
}

fn shelf(visit: &Visit) -> Result<Shelf<'_>, Unavailable> {
    let identity = visit.permitted(Permission::MetricsRead)?;
    Ok(Shelf::new(visit.access()?, &identity.standing))
}

fn unanswered(visit: &Visit, denied: Denied) -> Unavailable {
    match denied {
        Denied::Internal(error) => visit.failed(&error),
        for_people => Unavailable::Failed(for_people.to_string()),
    }
}
