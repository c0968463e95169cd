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
    live::Live,
    metric::Dimension,
    overview::Overview,
    pipeline::PipelineView,
    range::Range,
};

/// Why an answer could not be given, in words for the person who asked.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Unavailable {
    /// The part that would answer is still coming up; asking again soon will help.
    Starting(String),
    /// It failed; the details are in the server's log.
    Failed(String),
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

/// What the pages know of people, for the person who asks. What is changed goes through plain forms, which the server takes
/// without the pages' help.
#[async_trait]
pub trait People: Send + Sync {
    /// Refuses unless the person who asks may do this.
    fn require(&self, permission: Permission) -> Result<(), Unavailable>;
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
    /// Comes to an end when the person who asks may do this no longer.
    fn right_ends(&self, permission: Permission) -> BoxFuture<'static, ()>;
}
