//! The numbers behind the pages, as far as the parts that know them are up.

use std::sync::{Arc, OnceLock};

use app::ports::{Dashboard, Unavailable};
use async_trait::async_trait;
use chrono::Utc;
use futures::stream::BoxStream;
use model::{
    api_docs::ApiDocs,
    health::{Health, Replay},
    live::Live,
    overview::Overview,
    pipeline::PipelineView,
    range::Range,
};
use tokio::sync::watch;

use crate::{
    api_docs,
    dashboard_socket::Channels,
    events::door::Door,
    health::HealthMonitor,
    live::LiveFeed,
    overview,
    pipeline_view::PipelineTables,
    prometheus::Requests,
    warehouse::{QueryError, Warehouse},
};

/// What the pages are answered from. The parts are put in as they come up.
pub struct Parts {
    pub warehouse: OnceLock<Arc<Warehouse>>,
    pub tables: OnceLock<PipelineTables>,
    /// Where events come in over HTTP.
    pub events: OnceLock<Arc<Door>>,
    pub live: Arc<LiveFeed>,
    pub health: Arc<HealthMonitor>,
    /// What this process was asked over HTTP.
    pub requests: Arc<Requests>,
    /// What programs follow over sockets.
    pub channels: Channels,
    /// How far the demo data are.
    pub replay: watch::Sender<Replay>,
}

impl Default for Parts {
    fn default() -> Parts {
        let replay = watch::Sender::new(Replay::default());
        Parts {
            warehouse: OnceLock::new(),
            tables: OnceLock::new(),
            events: OnceLock::new(),
            live: LiveFeed::new(replay.subscribe()),
            health: Arc::new(HealthMonitor::new(replay.subscribe())),
            requests: Arc::default(),
            channels: Channels::default(),
            replay,
        }
    }
}

fn starting(what: &str) -> Unavailable {
    Unavailable::Starting(format!("{what} will be here in a moment: the server is starting."))
}

fn unanswered(error: QueryError) -> Unavailable {
    match error {
        QueryError::Internal(error) => internal("a question to the warehouse failed", &error),
        for_people => Unavailable::Failed(format!("This view cannot be computed: {for_people}.")),
    }
}

/// What is not for everybody goes to the log.
fn internal(what: &str, error: &anyhow::Error) -> Unavailable {
    tracing::error!("{what}: {error:#}");
    Unavailable::Failed("Something went wrong on the server; its log says what.".to_owned())
}

#[async_trait]
impl Dashboard for Parts {
    async fn overview(&self, range: Range) -> Result<Overview, Unavailable> {
        let warehouse = self.warehouse.get().ok_or_else(|| starting("The numbers"))?;
        overview::overview(warehouse, range, Utc::now()).await.map_err(unanswered)
    }

    async fn pipeline(&self) -> Result<PipelineView, Unavailable> {
        let tables = self.tables.get().ok_or_else(|| starting("The tables"))?;
        tables.view().await.map_err(|error| internal("the lake's tables cannot be listed", &error))
    }

    async fn health(&self) -> Health {
        self.health.health()
    }

    fn api_docs(&self) -> ApiDocs {
        api_docs::docs().clone()
    }

    fn live(&self) -> BoxStream<'static, Live> {
        self.live.stream()
    }
}
