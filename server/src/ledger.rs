//! The pipeline's ledger, read in the background every few seconds: for the page, for programs, for health and for Prometheus.

use std::{
    sync::{Arc, Mutex, PoisonError},
    time::Duration,
};

use anyhow::Result;
use axum::{
    Json,
    extract::{RawQuery, State},
    response::{IntoResponse, Response},
    routing::{MethodRouter, get},
};
use etl::{kafka::Cluster, lake::Lake, ledger::reader::Reader};
use http::{HeaderValue, StatusCode, header};
use model::{
    health::Status,
    ledger::{Discrepancy, Ledger},
};
use tokio_util::sync::CancellationToken;

use crate::{
    health::{Finding, Probe},
    openapi::Refusals,
    parameters::Parameters,
    problem::Problem,
    routes::WebState,
};

/// The pause between two readings.
const EVERY: Duration = Duration::from_secs(3);
/// A reading may meet a file that was just replaced; only so many failures in a row are worth a word.
const FAILURES: u32 = 3;

/// The newest reading.
#[derive(Default)]
pub struct LedgerFeed {
    state: Mutex<Read>,
}

#[derive(Clone, Default)]
struct Read {
    ledger: Option<Arc<Ledger>>,
    /// Why the last readings failed, and how many.
    failed: Option<(u32, String)>,
}

impl LedgerFeed {
    /// The newest; nothing before the first reading.
    pub fn now(&self) -> Option<Arc<Ledger>> {
        self.read().ledger
    }

    fn read(&self) -> Read {
        self.state.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// Puts a reading in.
    pub fn put(&self, ledger: Ledger) {
        let known = Read { ledger: Some(Arc::new(ledger)), failed: None };
        *self.state.lock().unwrap_or_else(PoisonError::into_inner) = known;
    }

    fn failed(&self, error: &anyhow::Error) {
        tracing::debug!("the ledger cannot be read: {error:#}");
        let mut state = self.state.lock().unwrap_or_else(PoisonError::into_inner);
        let before = state.failed.as_ref().map_or(0, |(count, _)| *count);
        state.failed = Some((before + 1, format!("{error:#}")));
    }

    /// Reads until it is cancelled. Tables that could not be read are opened anew.
    pub async fn run(&self, lake: Lake, cluster: Cluster, cancelled: CancellationToken) {
        let mut reader = None;
        loop {
            let reading = tokio::select! {
                reading = next(&mut reader, &lake, &cluster) => reading,
                () = cancelled.cancelled() => return,
            };
            match reading {
                Ok(ledger) => self.put(ledger),
                Err(error) => {
                    reader = None;
                    self.failed(&error);
                }
            }
            tokio::select! {
                () = tokio::time::sleep(EVERY) => {}
                () = cancelled.cancelled() => return,
            }
        }
    }
}

async fn next(reader: &mut Option<Reader>, lake: &Lake, cluster: &Cluster) -> Result<Ledger> {
    let open = match reader.take() {
        Some(open) => open,
        None => Reader::open(lake, cluster).await?,
    };
    reader.insert(open).read().await
}

/// Whether the books balance.
pub fn probe(feed: Arc<LedgerFeed>) -> Probe {
    Arc::new(move || {
        let finding = finding(&feed.read());
        Box::pin(async move { Ok(finding) })
    })
}

fn finding(read: &Read) -> Finding {
    if let Some((count, why)) = &read.failed
        && *count >= FAILURES
    {
        return Finding::degraded(format!("It cannot be checked whether every event is accounted for: {why}"));
    }
    let Some(ledger) = &read.ledger else { return Finding { status: Status::Starting, detail: None } };
    match &ledger.discrepancies[..] {
        [] => Finding::ok("Balanced to the event"),
        [only] => Finding::degraded(in_words(only)),
        [first, others @ ..] => Finding::degraded(format!("{} And {} more.", in_words(first), others.len())),
    }
}

fn in_words(found: &Discrepancy) -> String {
    format!("{}: {} {}", found.place, found.text, found.advice)
}

pub fn routes() -> Vec<(&'static str, MethodRouter<WebState>)> {
    vec![("/api/v1/ledger", get(ledger))]
}

/// What became of every event
///
/// For each topic and partition what the broker holds, what is in Bronze, Silver and Gold, and what became of the rest. All are
/// counts since the beginning. `discrepancies` names what does not agree, and is empty as long as every event is accounted for.
/// Read every few seconds.
#[utoipa::path(
    get, path = "/api/v1/ledger", tag = "Operation", operation_id = "ledger",
    responses((status = 200, description = "The ledger, as of its last reading.", body = Ledger), Refusals),
)]
pub(crate) async fn ledger(State(state): State<WebState>, RawQuery(query): RawQuery) -> Result<Response, Problem> {
    Parameters::read(query.as_deref(), &[], &[])?;
    let Some(ledger) = state.parts.ledger.now() else {
        return Err(Problem::new(
            StatusCode::SERVICE_UNAVAILABLE,
            "The ledger has not been read yet; ask again in a moment.",
        ));
    };
    let mut answer = Json(&*ledger).into_response();
    answer.headers_mut().insert(header::CACHE_CONTROL, HeaderValue::from_static("no-store"));
    Ok(answer)
}

#[cfg(test)]
mod tests {
    use anyhow::anyhow;
    use model::ledger::Book;

    use super::*;

    #[test]
    fn a_book_that_is_off_is_an_alarm_that_says_what_to_do() {
        let feed = LedgerFeed::default();
        assert_eq!(finding(&feed.read()).status, Status::Starting);
        feed.put(Ledger::default());
        assert_eq!(finding(&feed.read()), Finding::ok("Balanced to the event"));
        let off = |place: &str| Discrepancy {
            book: Book::Gold,
            place: place.to_owned(),
            off_by: -1,
            text: "One is missing.".to_owned(),
            advice: "Look.".to_owned(),
        };
        feed.put(Ledger { discrepancies: vec![off("a"), off("b"), off("c")], ..Ledger::default() });
        assert_eq!(finding(&feed.read()), Finding::degraded("a: One is missing. Look. And 2 more."));
    }

    #[test]
    fn one_failed_reading_is_no_alarm_and_several_are() {
        let feed = LedgerFeed::default();
        feed.put(Ledger::default());
        feed.failed(&anyhow!("a file was replaced"));
        assert_eq!(finding(&feed.read()).status, Status::Ok);
        (1..FAILURES).for_each(|_| feed.failed(&anyhow!("no disk")));
        assert!(finding(&feed.read()).detail.is_some_and(|detail| detail.ends_with("no disk")));
        feed.put(Ledger::default());
        assert_eq!(finding(&feed.read()).status, Status::Ok);
    }
}
