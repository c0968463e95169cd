//! What the pages ask of the server, as traits. `server` provides them in the Leptos context; the browser never sees them.

use async_trait::async_trait;
use futures_util::{future::BoxFuture, stream::BoxStream};
use model::{
    access::{
        ApiKeySummary, AuditFilter, AuditPage, Flash, Me, Permission, Role, SecondFactor, SessionSummary, UsersView,
    },
    api_docs::ApiDocs,
    explore::{ExploreAnswer, ExploreView, KnownValue},
    health::Health,
    lake::{Behind, PastStatement, RawEvent, SqlOutcome, SqlTable, TableDetail, TableSummary},
    ledger::Ledger,
    letter::{LetterDetail, LetterFilter, LetterPage, ReplayBatch},
    live::Live,
    metric::Dimension,
    overview::Overview,
    pipeline::PipelineView,
    quality::QualityView,
    range::Range,
    saved::{self, DashboardDetail, DashboardSummary},
    topic::{Layer, Topic},
};

/// Why an answer could not be given, in words for the person who asked.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Unavailable {
    /// The part that would answer is still coming up; asking again soon will help.
    Starting(String),
    /// It failed; the details are in the server's log.
    Failed(String),
    /// There is no such thing.
    Missing(String),
    /// Nobody is signed in, or no longer.
    SignedOut,
    /// The person who asks may not.
    Forbidden(String),
}

/// The numbers behind the pages.
#[async_trait]
pub trait Dashboard: Send + Sync {
    async fn overview(&self, range: Range) -> Result<Overview, Unavailable>;
    async fn pipeline(&self) -> Result<PipelineView, Unavailable>;
    async fn health(&self) -> Health;
    /// What became of every event.
    async fn ledger(&self) -> Result<Ledger, Unavailable>;
    /// The tables of the lake that were made.
    async fn tables(&self) -> Result<Vec<TableSummary>, Unavailable>;
    /// A table at its newest version, or at an earlier one.
    async fn table(&self, layer: Layer, name: &str, version: Option<u64>) -> Result<TableDetail, Unavailable>;
    /// The rows behind a number: `query` is what `/api/v1/analytics/rows` takes.
    async fn rows_behind(&self, query: &str) -> Result<Behind, Unavailable>;
    /// The event from a place in Kafka, as it came.
    async fn event(&self, topic: Topic, partition: i32, offset: i64) -> Result<RawEvent, Unavailable>;
    /// What statements may name, whether it was made yet or not.
    async fn sql_tables(&self) -> Result<Vec<SqlTable>, Unavailable>;
    /// Runs a statement that reads; whoever stops waiting ends it.
    async fn run_sql(&self, sql: &str) -> Result<SqlOutcome, Unavailable>;
    /// What programs can ask.
    fn api_docs(&self) -> ApiDocs;
    /// The newest live metrics at once, then each change, about once a second. A slow reader skips to the newest.
    fn live(&self) -> BoxStream<'static, Live>;
}

/// What people look up for themselves.
#[async_trait]
pub trait Explorer: Send + Sync {
    async fn explore(&self, view: ExploreView) -> Result<ExploreAnswer, Unavailable>;
    /// The greatest values of a dimension over a range, the greatest first.
    async fn known_values(&self, dimension: Dimension, range: Range) -> Result<Vec<KnownValue>, Unavailable>;
}

/// The quality of the data, for the person who asks.
#[async_trait]
pub trait Watch: Send + Sync {
    async fn quality(&self, range: Range) -> Result<QualityView, Unavailable>;
    /// A page of the dead letters that the filter lets through; an empty cursor is the first.
    async fn letters(&self, filter: LetterFilter, cursor: &str) -> Result<LetterPage, Unavailable>;
    /// The letter from `topic/partition/offset`; nothing where there is none.
    async fn letter(&self, place: &str) -> Result<Option<LetterDetail>, Unavailable>;
    /// The newest replays of filters.
    async fn batches(&self) -> Result<Vec<ReplayBatch>, Unavailable>;
}

/// What the pages know of people, for the person who asks. What is changed goes through plain forms, which the server takes
/// without the pages' help.
#[async_trait]
pub trait People: Send + Sync {
    /// Refuses unless the person who asks may do this.
    fn require(&self, permission: Permission) -> Result<(), Unavailable>;
    /// What was asked for does not exist: the answer says so with its status too.
    fn missing(&self);
    async fn me(&self) -> Result<Me, Unavailable>;
    /// Renews the tokens of the browser's session; answers the seconds until the new access token ends.
    async fn renew(&self) -> Result<i64, Unavailable>;
    /// What the last action has to say; the same request may ask more than once, the next one gets nothing.
    fn flash(&self) -> Option<Flash>;
    /// `system`, `light` or `dark`.
    fn theme(&self) -> String;
    async fn second_factor(&self) -> Result<SecondFactor, Unavailable>;
    /// Sessions of the person who asks.
    async fn own_sessions(&self) -> Result<Vec<SessionSummary>, Unavailable>;
    async fn all_sessions(&self) -> Result<Vec<SessionSummary>, Unavailable>;
    async fn users(&self) -> Result<UsersView, Unavailable>;
    async fn roles(&self) -> Result<Vec<Role>, Unavailable>;
    /// Keys of the person who asks; of everybody for those who manage users.
    async fn api_keys(&self) -> Result<Vec<ApiKeySummary>, Unavailable>;
    async fn audit(&self, filter: AuditFilter) -> Result<AuditPage, Unavailable>;
    /// Writes down that the person who asks runs a statement: for the audit log, and for the person.
    async fn note_statement(&self, sql: &str) -> Result<(), Unavailable>;
    /// The newest statements of the person who asks, each once.
    async fn statements(&self) -> Result<Vec<PastStatement>, Unavailable>;
    /// Comes to an end when the person who asks may do this no longer.
    fn right_ends(&self, permission: Permission) -> BoxFuture<'static, ()>;
}

/// What people keep, as far as the person who asks may see it: their own, and what others share. What is changed goes through
/// plain forms.
#[async_trait]
pub trait Saved: Send + Sync {
    /// Views and, for who may run SQL, queries whose name has `find` in it; the person's own first.
    async fn saved(&self, find: &str) -> Result<Vec<saved::Saved>, Unavailable>;
    /// The person's own first.
    async fn dashboards(&self) -> Result<Vec<DashboardSummary>, Unavailable>;
    /// Nothing where there is none of this id, or none that the person may see.
    async fn dashboard(&self, id: &str) -> Result<Option<DashboardDetail>, Unavailable>;
}
