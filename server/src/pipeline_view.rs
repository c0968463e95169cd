//! The pipeline page's tables and dead letters, from the Delta logs. Snapshots are kept and only what is new is read.

use std::{collections::HashMap, time::Duration};

use anyhow::{Context, Result};
use bytes::Bytes;
use chrono::{DateTime, Utc};
use deltalake::{
    DeltaTable,
    arrow::{
        array::{Array, AsArray},
        datatypes::{DataType, TimeUnit, TimestampMicrosecondType},
    },
    logstore::{commit_uri_from_version, object_store::ObjectStoreExt},
};
use futures::future::join_all;
use model::{
    pipeline::{DeadLetters, PipelineView, TableInfo},
    topic::Layer,
};
use tokio::{sync::Mutex, time::Instant};
use url::Url;

use crate::delta::{self, Follower, table_url};

/// Whoever asks sooner after another gets the same answer.
const FRESH_FOR: Duration = Duration::from_secs(1);

/// What the page shows, with the open tables behind it.
pub struct PipelineTables {
    state: Mutex<State>,
}

struct State {
    tables: Vec<Watched>,
    dead_letters: Follower<Vec<DeadLetters>>,
    view: PipelineView,
    looked_at: Option<Instant>,
}

struct Watched {
    layer: Layer,
    name: &'static str,
    location: Url,
    table: Option<DeltaTable>,
    info: Option<TableInfo>,
}

impl PipelineTables {
    /// The named tables of the lake with this root. `dead_letters` is the name of the Bronze table that holds them.
    pub fn new(
        lake: &Url,
        tables: impl IntoIterator<Item = (Layer, &'static str)>,
        dead_letters: &str,
    ) -> PipelineTables {
        let tables = tables.into_iter().map(|(layer, name)| Watched {
            layer,
            name,
            location: table_url(lake, layer.name(), name),
            table: None,
            info: None,
        });
        let dead_letters = Follower::new(table_url(lake, Layer::Bronze.name(), dead_letters));
        let state = State { tables: tables.collect(), dead_letters, view: PipelineView::default(), looked_at: None };
        PipelineTables { state: Mutex::new(state) }
    }

    /// The tables as of about now. Tables that do not exist yet are left out.
    ///
    /// # Errors
    /// A table cannot be read.
    pub async fn view(&self) -> Result<PipelineView> {
        let mut state = self.state.lock().await;
        if state.looked_at.is_some_and(|then| then.elapsed() < FRESH_FOR) {
            return Ok(state.view.clone());
        }
        let State { tables, dead_letters, .. } = &mut *state;
        let (refreshed, read) =
            tokio::join!(join_all(tables.iter_mut().map(Watched::refresh)), dead_letters.refresh(read_dead_letters));
        for refreshed in refreshed {
            refreshed?;
        }
        if let Err(error) = read
            && !delta::was_replaced(&error)
        {
            return Err(error);
        }
        let tables = state.tables.iter().filter_map(|table| table.info.clone()).collect();
        let dead_letters = merge(state.dead_letters.files().values().flat_map(|kinds| kinds.iter().cloned()));
        state.view = PipelineView { tables, dead_letters };
        state.looked_at = Some(Instant::now());
        Ok(state.view.clone())
    }
}

impl Watched {
    async fn refresh(&mut self) -> Result<()> {
        let Some(table) = delta::refresh(&mut self.table, &self.location).await? else {
            self.info = None;
            return Ok(());
        };
        let version = table.version().context("an open table has a version")?;
        if self.info.as_ref().is_some_and(|info| info.version == version) {
            return Ok(());
        }
        let mut info = TableInfo {
            layer: self.layer,
            name: self.name.to_owned(),
            rows: 0,
            files: 0,
            bytes: 0,
            version,
            last_commit: committed_at(table, version).await,
        };
        for file in table.snapshot()?.log_data().iter() {
            info.files += 1;
            info.bytes += u64::try_from(file.size()).unwrap_or(0);
            info.rows += file.num_records().unwrap_or(0) as u64;
        }
        self.info = Some(info);
        Ok(())
    }
}

/// When the version was committed: the age of its log entry, which may already be part of a checkpoint.
async fn committed_at(table: &DeltaTable, version: u64) -> Option<DateTime<Utc>> {
    if let Some(millis) = table.snapshot().ok().and_then(|state| state.version_timestamp(version)) {
        return DateTime::from_timestamp_millis(millis);
    }
    let entry = commit_uri_from_version(Some(version));
    table.object_store().head(&entry).await.ok().map(|entry| entry.last_modified)
}

/// Counts the dead letters of a file by topic and kind.
fn read_dead_letters(content: Bytes) -> Result<Vec<DeadLetters>> {
    let file = delta::read_parquet(content, &["topic", "ingested_at", "rejection", "reason"])?;
    let texts = |name| delta::strings(&file, name);
    let (topics, rejections, reasons) = (texts("topic")?, texts("rejection")?, texts("reason")?);
    let times = delta::column(&file, "ingested_at", &DataType::Timestamp(TimeUnit::Microsecond, None))?;
    let times = times.as_primitive::<TimestampMicrosecondType>();
    let letters =
        (0..file.num_rows()).filter(|row| !topics.is_null(*row) && !rejections.is_null(*row)).map(|row| DeadLetters {
            topic: topics.value(row).to_owned(),
            rejection: rejections.value(row).to_owned(),
            count: 1,
            newest: DateTime::from_timestamp_micros(times.value(row)).unwrap_or_default(),
            example: reasons.value(row).to_owned(),
        });
    Ok(merge(letters))
}

/// One entry for each topic and kind, the most frequent first; the newest gives the example.
fn merge(letters: impl Iterator<Item = DeadLetters>) -> Vec<DeadLetters> {
    let mut kinds: HashMap<(String, String), DeadLetters> = HashMap::new();
    for letter in letters {
        match kinds.entry((letter.topic.clone(), letter.rejection.clone())) {
            std::collections::hash_map::Entry::Vacant(vacant) => {
                vacant.insert(letter);
            }
            std::collections::hash_map::Entry::Occupied(mut occupied) => {
                let kind = occupied.get_mut();
                kind.count += letter.count;
                if letter.newest > kind.newest {
                    (kind.newest, kind.example) = (letter.newest, letter.example);
                }
            }
        }
    }
    let mut kinds: Vec<_> = kinds.into_values().collect();
    kinds.sort_by(|one, other| {
        other.count.cmp(&one.count).then_with(|| (&one.topic, &one.rejection).cmp(&(&other.topic, &other.rejection)))
    });
    kinds
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn dead_letters_of_a_kind_become_one_entry_with_the_newest_example() {
        let letter = |topic: &str, count, second, example: &str| DeadLetters {
            topic: topic.to_owned(),
            rejection: "not_json".to_owned(),
            count,
            newest: DateTime::from_timestamp(second, 0).expect("a time"),
            example: example.to_owned(),
        };
        let merged = merge([letter("a", 2, 5, "new"), letter("b", 4, 1, "b"), letter("a", 1, 3, "old")].into_iter());
        assert_eq!(merged, [letter("b", 4, 1, "b"), letter("a", 3, 5, "new")]);
    }
}
