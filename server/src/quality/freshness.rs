//! How old the newest event in each table is, from what the Delta logs say of the newest files.

use std::time::Duration;

use anyhow::{Context as _, Result};
use chrono::{DateTime, Utc};
use deltalake::DeltaTable;
use etl::lake::{TableSpec, schema};
use model::{quality::Freshness, topic::Layer};
use serde::Deserialize;
use tokio::{sync::Mutex, time::Instant};
use url::Url;

use crate::delta::{self, table_url};

/// Whoever asks sooner after another gets the same answer.
const FRESH_FOR: Duration = Duration::from_secs(2);
/// The newest event is in one of the newest files. So many are looked at.
const FILES: usize = 50;

/// The tables that say when Kafka got their rows: Bronze's topics, and Silver.
pub struct Tables(Mutex<State>);

struct State {
    tables: Vec<Watched>,
    looked_at: Option<Instant>,
}

struct Watched {
    name: String,
    location: Url,
    table: Option<DeltaTable>,
    version: Option<u64>,
    newest: Option<DateTime<Utc>>,
}

impl Tables {
    pub fn new(lake: &Url) -> Tables {
        let is_followed = |spec: &&TableSpec| {
            spec.layer != Layer::Gold
                && spec.name != schema::DEAD_LETTERS.name
                && spec.statistics.contains(&"kafka_time")
        };
        let watched = |spec: &TableSpec| Watched {
            name: format!("{}.{}", spec.layer.name(), spec.name),
            location: table_url(lake, spec.layer.name(), spec.name),
            table: None,
            version: None,
            newest: None,
        };
        let tables = schema::all().into_iter().filter(is_followed).map(watched).collect();
        Tables(Mutex::new(State { tables, looked_at: None }))
    }

    /// All of them; one that was not made yet has no newest event.
    ///
    /// # Errors
    /// A table's log cannot be read.
    pub async fn freshness(&self, now: DateTime<Utc>) -> Result<Vec<Freshness>> {
        let mut state = self.0.lock().await;
        if state.looked_at.is_none_or(|then| then.elapsed() >= FRESH_FOR) {
            for table in &mut state.tables {
                table.refresh().await?;
            }
            state.looked_at = Some(Instant::now());
        }
        let freshness = state.tables.iter().map(|table| Freshness {
            table: table.name.clone(),
            newest: table.newest,
            age_seconds: table.newest.map(|newest| (now - newest).num_seconds().max(0)),
        });
        Ok(freshness.collect())
    }
}

impl Watched {
    async fn refresh(&mut self) -> Result<()> {
        let Some(table) = delta::refresh(&mut self.table, &self.location).await? else {
            self.newest = None;
            return Ok(());
        };
        let version = table.version().context("an open table has a version")?;
        if self.version == Some(version) {
            return Ok(());
        }
        let state = table.snapshot()?;
        let mut files: Vec<(i64, Option<String>)> =
            state.log_data().iter().map(|file| (file.modification_time(), file.stats())).collect();
        files.sort_by_key(|(modified, _)| std::cmp::Reverse(*modified));
        self.newest = files.iter().take(FILES).filter_map(|(_, stats)| newest_in(stats.as_deref()?)).max();
        self.version = Some(version);
        Ok(())
    }
}

/// The greatest `kafka_time` of a file, as its statistics say.
fn newest_in(stats: &str) -> Option<DateTime<Utc>> {
    #[derive(Deserialize)]
    #[serde(rename_all = "camelCase")]
    struct Stats {
        max_values: Greatest,
    }
    #[derive(Deserialize)]
    struct Greatest {
        kafka_time: Option<String>,
    }
    let stats: Stats = serde_json::from_str(stats).ok()?;
    stats.max_values.kafka_time?.parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_newest_event_of_a_file_stands_in_its_statistics() {
        let stats = r#"{"numRecords":2,"minValues":{"kafka_time":"2026-01-01T00:00:00Z"},"maxValues":{"kafka_time":"2026-01-02T03:04:05.678Z","partition":1},"nullCount":{}}"#;
        assert_eq!(newest_in(stats).map(|time| time.to_rfc3339()), Some("2026-01-02T03:04:05.678+00:00".to_owned()));
        assert_eq!(newest_in(r#"{"numRecords":0}"#), None);
    }
}
