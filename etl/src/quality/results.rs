//! What the rules found, copied from the logs of the Silver tables into `gold.quality_results`: one row for each rule and round of
//! copying, and one for each partition from which events were taken out.

use std::{
    collections::{BTreeMap, BTreeSet},
    sync::Arc,
    time::Duration,
};

use anyhow::{Context, Result};
use chrono::{NaiveDate, TimeDelta, Utc};
use deltalake::{
    arrow::array::{
        ArrayRef, Date32Array, Int32Array, Int64Array, RecordBatch, StringArray, TimestampMicrosecondArray,
    },
    kernel::{Action as Entry, CommitInfo},
};
use model::{
    quality::{Action, Sample, Verdict},
    topic::{Layer, Topic},
};
use tokio::time::{Instant, MissedTickBehavior};
use tokio_util::sync::CancellationToken;
use tracing::{debug, error, info};

use super::{NOTE, Note, TakenOut};
use crate::{
    lake::{
        Lake, LakeTable, schema,
        table::{Position, is_conflict},
    },
    lease::Lease,
    pipeline::caught,
    settings::Settings,
};

/// Commits of a Silver table that are looked at in one round.
const COMMITS: i64 = 1_000;
/// After so many commits in which nothing was found the position is written all the same, so that the log can be cut.
const IDLE_COMMITS: i64 = 500;
/// Samples that a row keeps.
const SAMPLES: usize = 5;
/// Values of the dimension that a row keeps.
const OFFENDERS: usize = 8;
/// How often rows that are too old are looked for.
const RETENTION_EVERY: Duration = Duration::from_secs(3600);

/// Copies what was found.
pub struct Collector {
    every: Duration,
    retention: TimeDelta,
    results: LakeTable,
    sources: Vec<Source>,
    cleaned: Option<Instant>,
}

struct Source {
    table: LakeTable,
    /// What was looked at; the position in the results may be behind while nothing is found.
    seen: i64,
}

/// What rows are added up under.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
struct Key {
    topic: Topic,
    table: &'static str,
    what: What,
}

#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum What {
    Rule(String, Action),
    Partition(i32),
}

/// What was found by a rule, or taken out of a partition.
#[derive(Debug, Default)]
struct Found {
    /// The newest commit, in microseconds since 1970, and the Bronze version that it came from.
    at: i64,
    bronze_version: i64,
    checked: u64,
    failed: u64,
    taken_out: TakenOut,
    samples: Vec<Sample>,
    offenders: BTreeMap<String, u64>,
}

impl Collector {
    /// # Errors
    /// When a table cannot be opened.
    pub async fn open(settings: &Settings, lake: &Lake) -> Result<Collector> {
        let mut sources = Vec::new();
        for spec in schema::all().into_iter().filter(|spec| spec.layer == Layer::Silver) {
            sources.push(Source { table: lake.table(spec).await?, seen: -1 });
        }
        Ok(Collector {
            every: Duration::from_millis(settings.quality.results_every_ms),
            retention: TimeDelta::days(i64::from(settings.quality.retention_days)),
            results: lake.table(&schema::QUALITY_RESULTS).await?,
            sources,
            cleaned: None,
        })
    }

    /// Works while the lease is held, until it is told to stop. What is found last is taken with [`Collector::drain`].
    pub async fn run(&mut self, lease: &Lease, stop: &CancellationToken) {
        let mut tick = tokio::time::interval(self.every);
        tick.set_missed_tick_behavior(MissedTickBehavior::Delay);
        loop {
            tokio::select! {
                () = stop.cancelled() => return,
                _ = tick.tick() => {}
            }
            if !lease.is_held() {
                continue;
            }
            match caught(self.look()).await {
                Ok(()) => {}
                Err(error) if is_conflict(&error) => {
                    debug!(error = format!("{error:#}"), "another worker committed first");
                }
                Err(error) => {
                    error!(
                        error = format!("{error:#}"),
                        "what the quality rules found was not copied; it is tried again"
                    );
                }
            }
        }
    }

    /// Takes all that is in the logs.
    ///
    /// # Errors
    /// When the lake cannot be read or written; nothing is lost, the next start goes on from there.
    pub async fn drain(&mut self) -> Result<()> {
        self.look().await
    }

    async fn look(&mut self) -> Result<()> {
        while self.round().await? {}
        if self.cleaned.is_none_or(|cleaned| cleaned.elapsed() > RETENTION_EVERY) {
            self.forget_old(Utc::now().date_naive()).await?;
            self.cleaned = Some(Instant::now());
        }
        Ok(())
    }

    /// One round; answers whether there is more.
    async fn round(&mut self) -> Result<bool> {
        let before = self.results.version();
        self.results.refresh().await?;
        let moved = self.results.version() != before;
        let mut found: BTreeMap<Key, Found> = BTreeMap::new();
        let mut positions = Vec::new();
        // Counts only once everything that was found up to there is written.
        let mut seen = Vec::new();
        let mut must_write = false;
        let mut more = false;
        for source in &mut self.sources {
            source.table.refresh().await?;
            let name = source.table.source_name();
            let position = self.results.position(&name).await?.unwrap_or(-1);
            // What was seen of an empty stretch counts only while nobody else writes.
            let from = if moved { position } else { source.seen.max(position) };
            let to = source.table.version().min(from.saturating_add(COMMITS));
            for version in from + 1..=to {
                let Some(entries) = source.table.actions(version).await? else { continue };
                must_write |= take(&entries, source.table.spec().name, &mut found)?;
            }
            more |= to < source.table.version();
            must_write |= to - position >= IDLE_COMMITS;
            seen.push(to);
            if to > position {
                positions.push(Position { source: name, at: to });
            }
        }
        if must_write {
            let batch = rows(&found)?;
            let batches = if batch.num_rows() == 0 { Vec::new() } else { vec![batch] };
            self.results.append(batches, &positions).await?;
        }
        for (source, seen) in self.sources.iter_mut().zip(seen) {
            source.seen = seen;
        }
        Ok(more)
    }

    /// Deletes the days that are older than the retention.
    async fn forget_old(&mut self, today: NaiveDate) -> Result<()> {
        let oldest = today - self.retention;
        let is_old = |date: &Option<String>| {
            date.as_deref().and_then(|date| date.parse::<NaiveDate>().ok()).is_some_and(|date| date < oldest)
        };
        let mut old = self.results.files(None)?;
        old.retain(|file| file.partition_values.get("date").is_some_and(is_old));
        if old.is_empty() {
            return Ok(());
        }
        let days: BTreeSet<_> = old.iter().filter_map(|file| file.partition_values.get("date")).collect();
        info!(days = days.len(), "results of quality rules that are too old are deleted");
        self.results.replace_dates(&old, Vec::new(), &[]).await
    }
}

/// Adds up what a commit to a Silver table says; answers whether it says anything.
fn take(entries: &[Entry], table: &'static str, found: &mut BTreeMap<Key, Found>) -> Result<bool> {
    let info = entries.iter().find_map(|entry| match entry {
        Entry::CommitInfo(info) => Some(info),
        _ => None,
    });
    let Some((info, note)) = info.and_then(|info| Some((info, info.info.get(NOTE)?))) else { return Ok(false) };
    let note: Note = serde_json::from_value(note.clone()).context("what a commit says of the quality of its rows")?;
    // The version of Bronze that the rows were made from, which names the topic.
    let source = entries.iter().find_map(|entry| match entry {
        Entry::Txn(txn) => Some((txn.app_id.strip_prefix("bronze/")?, txn.version)),
        _ => None,
    });
    let topic = |name: &str| Topic::ALL.into_iter().find(|topic| topic.table() == name);
    let Some((topic, version)) = source.and_then(|(name, version)| Some((topic(name)?, version))) else {
        return Ok(false);
    };
    let at = committed_at(info);
    let mut under = |what: What, add: &dyn Fn(&mut Found)| {
        let found = found.entry(Key { topic, table, what }).or_default();
        found.at = found.at.max(at);
        found.bronze_version = found.bronze_version.max(version);
        add(found);
    };
    for verdict in &note.verdicts {
        under(What::Rule(verdict.rule.clone(), verdict.action), &|found| found.add(verdict));
    }
    for (partition, taken_out) in &note.taken_out {
        under(What::Partition(*partition), &|found| {
            found.taken_out.dropped += taken_out.dropped;
            found.taken_out.quarantined += taken_out.quarantined;
        });
    }
    Ok(!note.is_empty())
}

fn committed_at(info: &CommitInfo) -> i64 {
    info.timestamp.map_or_else(|| Utc::now().timestamp_micros(), |millis| millis.saturating_mul(1000))
}

impl Found {
    fn add(&mut self, verdict: &Verdict) {
        self.checked += verdict.checked;
        self.failed += verdict.failed;
        let room = SAMPLES.saturating_sub(self.samples.len());
        self.samples.extend(verdict.samples.iter().take(room).cloned());
        for (value, count) in &verdict.offenders {
            *self.offenders.entry(value.clone()).or_default() += count;
        }
    }

    /// The greatest few.
    fn worst(&self) -> BTreeMap<&str, u64> {
        let mut worst: Vec<(&str, u64)> =
            self.offenders.iter().map(|(value, count)| (value.as_str(), *count)).collect();
        worst.sort_unstable_by(|one, other| other.1.cmp(&one.1).then(one.0.cmp(other.0)));
        worst.into_iter().take(OFFENDERS).collect()
    }
}

fn rows(found: &BTreeMap<Key, Found>) -> Result<RecordBatch> {
    let count = |pick: fn(&Found) -> u64| {
        let counts = found.values().map(|found| i64::try_from(pick(found)).unwrap_or(i64::MAX));
        Arc::new(Int64Array::from_iter_values(counts)) as ArrayRef
    };
    let rule = |pick: fn(&String, &Action) -> String| {
        let texts = found.keys().map(|key| match &key.what {
            What::Rule(rule, action) => Some(pick(rule, action)),
            What::Partition(_) => None,
        });
        Arc::new(texts.collect::<StringArray>()) as ArrayRef
    };
    let partitions = found.keys().map(|key| match key.what {
        What::Rule(..) => None,
        What::Partition(partition) => Some(partition),
    });
    let mut samples = Vec::new();
    let mut offenders = Vec::new();
    for found in found.values() {
        samples.push((!found.samples.is_empty()).then(|| serde_json::to_string(&found.samples)).transpose()?);
        offenders.push((!found.offenders.is_empty()).then(|| serde_json::to_string(&found.worst())).transpose()?);
    }
    let days = found.values().map(|found| i32::try_from(found.at.div_euclid(86_400_000_000)).unwrap_or_default());
    let columns: Vec<ArrayRef> = vec![
        Arc::new(
            TimestampMicrosecondArray::from_iter_values(found.values().map(|found| found.at)).with_timezone("UTC"),
        ),
        Arc::new(StringArray::from_iter_values(found.keys().map(|key| key.topic.name()))),
        Arc::new(StringArray::from_iter_values(found.keys().map(|key| key.table))),
        rule(|rule, _| rule.clone()),
        rule(|_, action| action.name().to_owned()),
        Arc::new(partitions.collect::<Int32Array>()),
        Arc::new(Int64Array::from_iter_values(found.values().map(|found| found.bronze_version))),
        count(|found| found.checked),
        count(|found| found.failed),
        count(|found| found.taken_out.dropped),
        count(|found| found.taken_out.quarantined),
        Arc::new(StringArray::from(samples)),
        Arc::new(StringArray::from(offenders)),
        Arc::new(Date32Array::from_iter_values(days)),
    ];
    Ok(RecordBatch::try_new(schema::QUALITY_RESULTS.schema.clone(), columns)?)
}
