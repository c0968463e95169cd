//! What the pages ask of the server, as traits. `server` provides them in the Leptos context; the browser never sees them.

use async_trait::async_trait;
use futures_util::stream::BoxStream;
use model::{health::Health, live::Live, overview::Overview, pipeline::PipelineView, range::Range};

/// Why an answer could not be given, in words for the person who asked.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Unavailable {
    /// The part that would answer is still coming up; asking again soon will help.
    Starting(String),
    /// It failed; the details are in the server's log.
    Failed(String),
}

/// The numbers behind the pages.
#[async_trait]
pub trait Dashboard: Send + Sync {
    async fn overview(&self, range: Range) -> Result<Overview, Unavailable>;
    async fn pipeline(&self) -> Result<PipelineView, Unavailable>;
    async fn health(&self) -> Health;
    /// The newest live metrics at once, then each change, about once a second. A slow reader skips to the newest.
    fn live(&self) -> BoxStream<'static, Live>;
}
