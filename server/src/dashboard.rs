//! The numbers behind the pages, as far as the parts that know them are up.

use std::{
    sync::{Arc, OnceLock},
    time::Instant,
};

use app::ports::{Dashboard, Explorer, Unavailable};
use async_trait::async_trait;
use chrono::{DateTime, Utc};
use futures::stream::BoxStream;
use model::{
    api_docs::ApiDocs,
    explore::{ExploreAnswer, ExploreView, KnownValue},
    health::{Health, Replay},
    lake::{Behind, RawEvent, SqlAnswer, SqlOutcome, SqlTable, TableDetail, TableSummary},
    ledger::Ledger,
    live::Live,
    metric::Dimension,
    overview::Overview,
    pipeline::PipelineView,
    range::Range,
    topic::{Layer, Topic},
};
use tokio::sync::watch;

use crate::{
    analytics, api_docs,
    behind::{self, BehindError},
    dashboard_socket::Channels,
    events::door::Door,
    explore,
    health::HealthMonitor,
    lake::{Catalogue, Question, ShowError, SqlError, TableError, grid},
    ledger::LedgerFeed,
    live::LiveFeed,
    numbers::Numbers,
    overview,
    pipeline_view::PipelineTables,
    prometheus::Requests,
    quality::Quality,
    warehouse::{QueryError, Warehouse},
};

/// Rows of an answer that a page shows.
const ROWS_OF_PAGE: usize = 1_000;

/// What the pages are answered from. The parts are put in as they come up.
pub struct Parts {
    pub warehouse: OnceLock<Arc<Warehouse>>,
    pub tables: OnceLock<PipelineTables>,
    /// The lake's tables, and SQL over them.
    pub catalogue: OnceLock<Arc<Catalogue>>,
    /// The quality rules and what they found.
    pub quality: OnceLock<Arc<Quality>>,
    /// Where events come in over HTTP.
    pub events: OnceLock<Arc<Door>>,
    pub live: Arc<LiveFeed>,
    pub health: Arc<HealthMonitor>,
    /// What became of every event.
    pub ledger: Arc<LedgerFeed>,
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
            catalogue: OnceLock::new(),
            quality: OnceLock::new(),
            events: OnceLock::new(),
            live: LiveFeed::new(replay.subscribe()),
            health: Arc::new(HealthMonitor::new(replay.subscribe())),
            ledger: Arc::default(),
            requests: Arc::default(),
            channels: Channels::default(),
            replay,
        }
    }
}

impl Parts {
    /// The numbers of now, or of an earlier time.
    ///
    /// # Errors
    /// What they come from is still coming up.
    pub fn numbers(&self, as_of: Option<DateTime<Utc>>) -> Result<Numbers<'_>, Unavailable> {
        let warehouse = self.warehouse.get().ok_or_else(|| starting("The numbers"))?;
        match as_of {
            None => Ok(Numbers::now(warehouse)),
            Some(at) => Ok(Numbers::as_of(warehouse, self.catalogue()?, at)),
        }
    }

    fn catalogue(&self) -> Result<&Arc<Catalogue>, Unavailable> {
        self.catalogue.get().ok_or_else(|| starting("The tables"))
    }
}

fn starting(what: &str) -> Unavailable {
    Unavailable::Starting(format!("{what} will be here in a moment: the server is starting."))
}

pub(crate) fn unanswered(error: QueryError) -> Unavailable {
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

    async fn ledger(&self) -> Result<Ledger, Unavailable> {
        let ledger = self.ledger.now().ok_or_else(|| starting("The books"))?;
        Ok(Ledger::clone(&ledger))
    }

    async fn tables(&self) -> Result<Vec<TableSummary>, Unavailable> {
        let tables = self.catalogue()?.tables().await;
        tables.map_err(|error| internal("the lake's tables cannot be listed", &error))
    }

    async fn table(&self, layer: Layer, name: &str, version: Option<u64>) -> Result<TableDetail, Unavailable> {
        self.catalogue()?.table(layer, name, version).await.map_err(|error| match error {
            ShowError::Table(TableError::Internal(error)) | ShowError::Preview(SqlError::Internal(error)) => {
                internal("a table cannot be shown", &error)
            }
            ShowError::Table(for_people) => Unavailable::Missing(format!("It cannot be shown: {for_people}.")),
            for_people @ ShowError::Preview(_) => Unavailable::Failed(format!("It cannot be shown: {for_people}.")),
        })
    }

    async fn rows_behind(&self, query: &str) -> Result<Behind, Unavailable> {
        let found = analytics::rows::behind(self.catalogue()?, Some(query)).await;
        found.map_err(|problem| Unavailable::Failed(problem.detail().to_owned()))
    }

    async fn event(&self, topic: Topic, partition: i32, offset: i64) -> Result<RawEvent, Unavailable> {
        behind::event(self.catalogue()?, topic, partition, offset).await.map_err(|error| match error {
            BehindError::Sql(SqlError::Internal(error)) => internal("an event cannot be read", &error),
            BehindError::NoSuchEvent => Unavailable::Missing(format!("It cannot be shown: {error}.")),
            for_people => Unavailable::Failed(format!("It cannot be shown: {for_people}.")),
        })
    }

    async fn sql_tables(&self) -> Result<Vec<SqlTable>, Unavailable> {
        let tables = self.catalogue()?.sql_tables().await;
        tables.map_err(|error| internal("the lake's tables cannot be listed", &error))
    }

    async fn run_sql(&self, sql: &str) -> Result<SqlOutcome, Unavailable> {
        let begun = Instant::now();
        let question = Question { sql: sql.to_owned(), rows: ROWS_OF_PAGE, ..Question::default() };
        let rows = match self.catalogue()?.run(&question).await {
            Ok(rows) => rows,
            Err(SqlError::Internal(error)) => return Err(internal("a statement failed", &error)),
            Err(for_people) => return Ok(SqlOutcome::Refused(for_people.sentence())),
        };
        let grid = grid::grid(&rows, ROWS_OF_PAGE).map_err(|error| internal("rows cannot be shown", &error.into()))?;
        let milliseconds = u64::try_from(begun.elapsed().as_millis()).unwrap_or(u64::MAX);
        Ok(SqlOutcome::Answered(SqlAnswer { grid, milliseconds }))
    }

    fn api_docs(&self) -> ApiDocs {
        api_docs::docs().clone()
    }

    fn live(&self) -> BoxStream<'static, Live> {
        self.live.stream()
    }
}

#[async_trait]
impl Explorer for Parts {
    async fn explore(&self, view: ExploreView) -> Result<ExploreAnswer, Unavailable> {
        explore::explore(self.numbers(view.as_of)?, &view, Utc::now()).await
    }

    async fn known_values(&self, dimension: Dimension, range: Range) -> Result<Vec<KnownValue>, Unavailable> {
        let warehouse = self.warehouse.get().ok_or_else(|| starting("The values"))?;
        explore::known_values(warehouse, dimension, range.interval(Utc::now())).await.map_err(unanswered)
    }
}
