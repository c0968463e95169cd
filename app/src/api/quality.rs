//! The quality of the data, and dead letters.

use leptos::{prelude::*, server_fn::codec::GetUrl};
use model::{
    letter::{LetterDetail, LetterFilter, LetterPage, ReplayBatch},
    quality::QualityView,
    range::Range,
};

use crate::problem::Problem;

#[cfg(feature = "ssr")]
fn watch() -> Result<std::sync::Arc<dyn crate::ports::Watch>, Problem> {
    use_context().ok_or_else(|| Problem::Failed("The server was started without its quality rules.".to_owned()))
}

/// What the rules found over a range, and how fresh and full the tables are.
#[server(prefix = "/api/ui", endpoint = "quality", input = GetUrl)]
pub async fn get_quality(range: Range) -> Result<QualityView, Problem> {
    Ok(watch()?.quality(range).await?)
}

/// A page of the dead letters that a filter lets through.
#[server(prefix = "/api/ui", endpoint = "letters", input = GetUrl)]
pub async fn get_letters(filter: LetterFilter, cursor: String) -> Result<LetterPage, Problem> {
    Ok(watch()?.letters(filter, &cursor).await?)
}

/// The letter from a place such as `transaction-events/0/17`; nothing where there is none.
#[server(prefix = "/api/ui", endpoint = "letter", input = GetUrl)]
pub async fn get_letter(place: String) -> Result<Option<LetterDetail>, Problem> {
    Ok(watch()?.letter(&place).await?)
}

/// The newest replays of filters.
#[server(prefix = "/api/ui", endpoint = "replays", input = GetUrl)]
pub async fn get_replays() -> Result<Vec<ReplayBatch>, Problem> {
    Ok(watch()?.batches().await?)
}
