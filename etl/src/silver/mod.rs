//! From Bronze to Silver: typed, cleaned, each event once.
//!
//! * [`parse`]: Bronze rows become events, or rejections with a reason
//! * [`tables`]: events become the rows of each Silver table
//! * `judged`: the quality rules say which events may stay
//! * [`target`]: a Silver table under way, how rows get into it: [`events`], each once, which [`seen`] remembers, or [`things`],
//!   the newest of each
//!
//! Each table records the Bronze version that it has consumed in the commit of its rows. After a crash between the commits
//! of two tables, the one that is behind catches up alone, from the same Bronze versions, by the same rules and with the same
//! result.

mod events;
mod judged;
mod parse;
mod seen;
mod tables;
mod target;
mod things;

use std::{collections::VecDeque, sync::Arc, time::Duration};

use anyhow::{Context, Result};
use deltalake::arrow::array::{
    ArrayRef, AsArray, BinaryArray, Int32Array, Int64Array, RecordBatch, StringArray, TimestampMicrosecondArray,
};
use model::{event::Rejection, topic::Topic};
use tokio::{sync::watch, time::Instant};
use tokio_util::{sync::CancellationToken, task::AbortOnDropHandle};
use tracing::{Instrument, debug, error, info_span};

use self::{
    judged::{Judged, judged},
    parse::{Rejected, SourceBatch},
    tables::Made,
    target::{Addition, Target},
};
pub use self::{tables::of as tables_of, target::AllEvents};
use crate::{
    chaos,
    ingest::{ingest_date, same_text},
    lake::{
        Lake, LakeTable,
        reader::Change,
        schema,
        table::{Position, is_conflict},
    },
    lease::Lease,
    ledger::{self, Count, Tally},
    live::{TopicStats, WorkerStats},
    pipeline::caught,
    quality::{NOTE, Rules},
    settings::Settings,
};

/// Without news from Bronze, look anyway: other workers write there too.
const POLL: Duration = Duration::from_secs(2);
const RETRY: Duration = Duration::from_secs(1);

/// The columns of Bronze that Silver reads.
const COLUMNS: [&str; 7] = ["partition", "offset", "kafka_time", "ingested_at", "key", "headers", "payload"];

/// Keeps the Silver tables of one topic up to date.
pub struct Silver {
    topic: Topic,
    settings: Arc<Settings>,
    rules: Arc<Rules>,
    bronze: LakeTable,
    dead_letters: LakeTable,
    targets: Vec<Target>,
    worker: Arc<WorkerStats>,
    stats: Arc<TopicStats>,
    /// Told after each commit.
    committed: watch::Sender<u64>,
    /// The batches after the last, under way, in their order.
    next: VecDeque<Next>,
}

/// So many batches are made while another is written, unless they are large: making and writing take about as long, each a core.
const AHEAD: usize = 2;

/// The position of a table that has nothing of a source yet.
const NOTHING: i64 = -1;

/// The name under which the dead letters say after which position the batch began whose letters they have.
fn begun_key(source: &str) -> String {
    format!("begun/{source}")
}

/// Rows of Silver, made and not yet written.
struct Batch {
    /// The last Bronze version in it.
    last: i64,
    /// Bronze rows in it.
    events: u64,
    judged: Judged,
    /// By which rules.
    rules: Arc<Rules>,
    /// What was read, by partition.
    tally: Tally,
}

/// A batch that is being made.
struct Next {
    /// The Bronze version before its first.
    after: Option<i64>,
    /// The last Bronze version in it.
    last: i64,
    /// Bytes of Bronze's files in it.
    bytes: u64,
    batch: AbortOnDropHandle<Result<Batch>>,
}

impl Silver {
    /// # Errors
    /// When one of the tables cannot be opened.
    pub async fn open(
        topic: Topic,
        settings: Arc<Settings>,
        rules: Arc<Rules>,
        lake: &Lake,
        events: &AllEvents,
        worker: Arc<WorkerStats>,
        committed: watch::Sender<u64>,
    ) -> Result<Silver> {
        let bronze = lake.table(schema::bronze_of(topic)).await?;
        let dead_letters = lake.table(&schema::DEAD_LETTERS).await?;
        rules.keep(&dead_letters).await?;
        let mut targets = Vec::new();
        for spec in tables::of(topic) {
            targets.push(Target::open(lake, spec, &rules, events, &settings.cache_dir()).await?);
        }
        let stats = worker.topic(topic);
        Ok(Silver {
            topic,
            settings,
            rules,
            bronze,
            dead_letters,
            targets,
            worker,
            stats,
            committed,
            next: VecDeque::new(),
        })
    }

    /// Works while the lease is held, until it is told to stop. The last events are taken with [`Silver::drain`].
    pub async fn run(&mut self, mut news: watch::Receiver<i64>, mut lease: Lease, stop: &CancellationToken) {
        while !stop.is_cancelled() {
            tokio::select! {
                () = stop.cancelled() => return,
                () = lease.held() => {}
            }
            let began = Instant::now();
            match caught(self.step()).await {
                Ok(true) => continue,
                Ok(false) => {}
                Err(error) => self.failed(&error, &lease).await,
            }
            tokio::select! {
                () = stop.cancelled() => {}
                Ok(()) = news.changed() => {}
                () = tokio::time::sleep_until(began + POLL) => {}
            }
        }
    }

    /// Takes all that is in Bronze.
    ///
    /// # Errors
    /// When a step fails; nothing is lost, the next start goes on from there.
    pub async fn drain(&mut self) -> Result<()> {
        while self.step().await? {}
        Ok(())
    }

    async fn failed(&mut self, error: &anyhow::Error, lease: &Lease) {
        if is_conflict(error) {
            debug!(topic = self.topic.name(), error = format!("{error:#}"), "another worker committed first");
        } else {
            error!(topic = self.topic.name(), error = format!("{error:#}"), "a Silver batch failed and is tried again");
            self.stats.silver.failed(&format!("{error:#}"));
            lease.pass_on();
        }
        self.next.clear();
        tokio::time::sleep(RETRY).await;
    }

    /// Takes one batch of Bronze versions; false when there is none.
    async fn step(&mut self) -> Result<bool> {
        self.bronze.refresh().await?;
        let source = self.bronze.source_name();
        let mut positions = Vec::new();
        for target in &mut self.targets {
            positions.push(target.position(&source).await?);
        }
        // A table that is ahead waits for the others, which first catch up with it.
        let behind = positions.iter().copied().min().flatten();
        let letters = self.begun_after(behind, &source).await?;
        let ahead = positions.iter().copied().chain([letters]).flatten().filter(|&at| Some(at) > behind).min();
        let rules = match ahead {
            Some(ahead) => self.rules_at(&source, ahead, &positions).await?,
            None => Arc::clone(&self.rules),
        };
        let began = Instant::now();
        let Some(batch) = self.batch_after(behind, ahead, &rules).await? else {
            // A topic that nobody uses needs no memory: its Bronze is as it was made.
            if behind > Some(0) {
                for target in &mut self.targets {
                    target.look_ahead().await?;
                }
            }
            return Ok(false);
        };
        if ahead.is_none() {
            self.prepare_more(batch.last).await?;
        }
        let span = info_span!("silver", topic = self.topic.name(), events = batch.events);
        let (events, position) = (batch.events, Position { source, at: batch.last });
        self.take(batch, &positions, behind, position).instrument(span).await?;
        self.stats.silver.events(events);
        if events > 0 {
            self.stats.silver.batch(events, began.elapsed());
        }
        self.committed.send_modify(|count| *count += 1);
        Ok(true)
    }

    /// The position of the dead letters, if they have those of the batch after this one. They may also be ahead because Silver's
    /// tables were taken away, to be made anew.
    async fn begun_after(&mut self, behind: Option<i64>, source: &str) -> Result<Option<i64>> {
        self.dead_letters.refresh().await?;
        let begun = self.dead_letters.position(&begun_key(source)).await?;
        let letters = self.dead_letters.position(source).await?;
        Ok(letters.filter(|_| begun == Some(behind.unwrap_or(NOTHING))))
    }

    /// The rules by which the rows up to `ahead` were judged that are in some table already, so that the others get the same; those
    /// of now where they cannot be had any more.
    async fn rules_at(&mut self, source: &str, ahead: i64, positions: &[Option<i64>]) -> Result<Arc<Rules>> {
        let key = Rules::key(source);
        let judged_by = match positions.iter().position(|&at| at == Some(ahead)) {
            Some(table) => self.targets[table].position(&key).await?,
            None => self.dead_letters.position(&key).await?,
        };
        let number = match judged_by {
            Some(number) if number != self.rules.position(source).at => number,
            _ => return Ok(Arc::clone(&self.rules)),
        };
        let kept = Rules::kept(&self.dead_letters, number).await?.map(Arc::new);
        Ok(kept.unwrap_or_else(|| Arc::clone(&self.rules)))
    }

    /// The rows of the Bronze versions after the given one, up to `ahead`; perhaps they are made already. `None` when there
    /// are none.
    async fn batch_after(
        &mut self,
        behind: Option<i64>,
        ahead: Option<i64>,
        rules: &Arc<Rules>,
    ) -> Result<Option<Batch>> {
        if ahead.is_some() || self.next.front().is_some_and(|next| next.after != behind) {
            self.next.clear();
        }
        let next = match self.next.pop_front() {
            Some(next) => Some(next),
            None => self.prepare(behind, ahead, rules).await?,
        };
        match next {
            Some(next) => Ok(Some(next.batch.await.context("preparing Silver rows")??)),
            None => Ok(None),
        }
    }

    /// Has the batches after the Bronze version made, as far as there are any and memory for them.
    async fn prepare_more(&mut self, version: i64) -> Result<()> {
        let most = self.settings.silver.batch_bytes;
        while self.next.len() < AHEAD && self.next.iter().map(|next| next.bytes).sum::<u64>() < most {
            let last = self.next.back().map_or(version, |next| next.last);
            match self.prepare(Some(last), None, &self.rules).await? {
                Some(next) => self.next.push_back(next),
                None => break,
            }
        }
        Ok(())
    }

    /// Begins to read the Bronze versions after the given one, up to `ahead`, and to make rows of them.
    async fn prepare(&self, after: Option<i64>, ahead: Option<i64>, rules: &Arc<Rules>) -> Result<Option<Next>> {
        let (topic, bronze, silver) = (self.topic, self.bronze.reader(), &self.settings.silver);
        let mut changes = bronze.changes_since(after, silver.batch_events, silver.batch_bytes).await?;
        changes.retain(|change| ahead.is_none_or(|ahead| change.version <= ahead));
        let Some(last) = changes.last().map(|change| change.version) else { return Ok(None) };
        let bytes = changes.iter().map(Change::bytes).sum();
        let rules = Arc::clone(rules);
        let batch = async move {
            let events = changes.iter().map(Change::rows).sum();
            let (mut batches, mut tally) = (Vec::new(), Tally::default());
            for change in &changes {
                for file in &change.files {
                    for batch in bronze.read(file, &COLUMNS).await? {
                        tally.rows(Count::Consumed, &batch, "partition");
                        batches.push(SourceBatch { version: change.version, batch });
                    }
                }
            }
            let asked = Arc::clone(&rules);
            let judged = move || judged(&asked, topic, tables::make(topic, &batches)?, &batches);
            let judged = tokio::task::spawn_blocking(judged).await?;
            Ok(Batch { last, events, judged: judged?, rules, tally })
        };
        Ok(Some(Next { after, last, bytes, batch: AbortOnDropHandle::new(tokio::spawn(batch)) }))
    }

    async fn take(
        &mut self,
        batch: Batch,
        positions: &[Option<i64>],
        behind: Option<i64>,
        position: Position,
    ) -> Result<()> {
        let Judged { made: Made { tables, rejected }, notes } = batch.judged;
        let rules = batch.rules.position(&position.source);
        self.reject(&rejected, behind, &position, &rules).await?;
        let (topic, mut tally) = (self.topic, batch.tally);
        for letter in &rejected {
            let quality = letter.rejection == Rejection::Quality;
            tally.add(if quality { Count::Quarantined } else { Count::Rejected }, letter.source.partition, 1);
        }
        for (&partition, counts) in notes.iter().flat_map(|note| &note.taken_out) {
            tally.add(Count::Dropped, partition, usize::try_from(counts.dropped).unwrap_or(usize::MAX));
        }
        let targets = tables::of(topic).into_iter().zip(&mut self.targets);
        for (((spec, target), (rows, note)), at) in targets.zip(tables.into_iter().zip(notes)).zip(positions) {
            if *at != behind {
                continue;
            }
            let note = if note.is_empty() { None } else { Some((NOTE, serde_json::to_value(note)?)) };
            let addition =
                Addition { topic, rows, before: behind, position: &position, rules: &rules, tally: &tally, note };
            let written = target.write(addition).await?;
            if std::ptr::eq(spec, &raw const *schema::EVENTS) {
                self.stats.silver.duplicates(written.duplicates);
            } else if std::ptr::eq(spec, &raw const *schema::TRANSACTIONS) {
                self.worker.sales(sales(&written.batch));
            }
        }
        Ok(())
    }

    /// Puts rejected events among the dead letters, unless they are there already.
    async fn reject(
        &mut self,
        rejected: &[Rejected],
        behind: Option<i64>,
        position: &Position,
        rules: &Position,
    ) -> Result<()> {
        if rejected.is_empty() {
            return Ok(());
        }
        self.dead_letters.refresh().await?;
        let done = self.dead_letters.position(&position.source).await?;
        let rejected: Vec<&Rejected> = rejected.iter().filter(|rejected| Some(rejected.version) > done).collect();
        if rejected.is_empty() {
            return Ok(());
        }
        self.stats.silver.rejected(rejected.len() as u64);
        let batch = dead_letters(self.topic, &rejected)?;
        let mut tally = Tally::default();
        rejected.iter().for_each(|rejected| tally.add(Count::SilverLetters, rejected.source.partition, 1));
        let mut positions = ledger::silver_letters(&mut self.dead_letters, self.topic, position, &tally).await?;
        positions.push(rules.clone());
        positions.push(Position { source: begun_key(&position.source), at: behind.unwrap_or(NOTHING) });
        self.dead_letters.append(vec![batch], &positions).await
    }
}

/// When the transactions occurred, and their amounts.
fn sales(transactions: &RecordBatch) -> impl Iterator<Item = (i64, i128)> {
    use deltalake::arrow::datatypes::{Decimal128Type, TimestampMicrosecondType};
    let column = |name| transactions.column_by_name(name).cloned();
    let times = column("occurred_at").map(|array| array.as_primitive::<TimestampMicrosecondType>().values().to_vec());
    let amounts = column("amount").map(|array| array.as_primitive::<Decimal128Type>().values().to_vec());
    times.unwrap_or_default().into_iter().zip(amounts.unwrap_or_default())
}

fn dead_letters(topic: Topic, rejected: &[&Rejected]) -> Result<RecordBatch> {
    let rows = rejected.len();
    let text = |pick: fn(&Rejected) -> &str| {
        Arc::new(StringArray::from_iter_values(rejected.iter().map(|&row| pick(row)))) as ArrayRef
    };
    let time = |pick: fn(&Rejected) -> i64| {
        Arc::new(
            TimestampMicrosecondArray::from_iter_values(rejected.iter().map(|&row| pick(row))).with_timezone("UTC"),
        ) as ArrayRef
    };
    let mut columns: Vec<ArrayRef> = vec![
        same_text(topic.name(), rows),
        Arc::new(Int32Array::from_iter_values(rejected.iter().map(|row| row.source.partition))),
        Arc::new(Int64Array::from_iter_values(rejected.iter().map(|row| row.source.offset))),
        time(|row| row.source.kafka_time),
        time(|row| row.source.ingested_at),
        Arc::new(BinaryArray::from_iter(rejected.iter().map(|row| row.key.as_deref()))),
        Arc::new(StringArray::from_iter(rejected.iter().map(|row| row.headers.as_deref()))),
        Arc::new(BinaryArray::from_iter_values(rejected.iter().map(|row| row.payload.as_bytes()))),
        Arc::new(Int64Array::from_iter_values(
            rejected.iter().map(|row| i64::try_from(row.payload.len()).unwrap_or(i64::MAX)),
        )),
        text(|row| if row.rejection == Rejection::Quality { "quality" } else { "silver" }),
        text(|row| row.rejection.name()),
        text(|row| &row.reason),
    ];
    columns.extend(ingest_date(rows, chaos::now()));
    Ok(RecordBatch::try_new(schema::DEAD_LETTERS.schema.clone(), columns)?)
}
