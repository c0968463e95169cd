//! From Silver to Gold: sums over each quarter of an hour, kept up to date from the new Silver rows alone.
//!
//! Every measure is a sum or a count, so a batch of new rows is aggregated by itself and added to what Gold has for the
//! touched dates; only those dates' files are replaced. Each table records in the same commit the Silver version that it has
//! consumed, so a batch is added once. What needs to count different things, such as active customers, keeps them apart
//! (one row per quarter of an hour and customer) and counts when it is asked.

use std::{
    collections::BTreeSet,
    sync::{Arc, LazyLock},
    time::Duration,
};

use anyhow::{Context, Result};
use deltalake::{
    arrow::{
        array::{ArrayRef, AsArray, Date32Array, RecordBatch, TimestampMicrosecondArray},
        compute::cast,
        datatypes::{DataType, Date32Type, Int64Type, Schema, SchemaRef, TimestampMicrosecondType},
    },
    datafusion::{
        datasource::MemTable,
        prelude::{SessionConfig, SessionContext},
    },
};
use model::{
    metric::{self, BUCKET},
    range::GRAIN,
    topic::Topic,
};
use tokio::{sync::watch, time::Instant};
use tokio_util::sync::CancellationToken;
use tracing::{Instrument, debug, error, info_span};

use crate::{
    lake::{
        Lake, LakeTable, TableSpec,
        reader::Change,
        schema,
        table::{Position, is_conflict},
    },
    lease::Lease,
    ledger,
    live::WorkerStats,
    pipeline::caught,
    settings::Settings,
};

const POLL: Duration = Duration::from_secs(2);
const RETRY: Duration = Duration::from_secs(1);
/// A round that took so many rows need not be followed by a pause.
const MANY_ROWS: u64 = 100_000;

/// How a Gold table comes from a Silver table.
struct GoldSpec {
    spec: &'static LazyLock<TableSpec>,
    source: &'static LazyLock<TableSpec>,
    /// The Silver columns that are read.
    reads: &'static [&'static str],
    /// What tells rows apart, beside the quarter of an hour: Gold column and expression over Silver.
    dimensions: &'static [(&'static str, &'static str)],
    /// What is added up: Gold column and aggregate over Silver.
    measures: &'static [(&'static str, &'static str)],
}

const SALES: &[(&str, &str)] = &[
    ("orders", "count(*)"),
    ("lines", "sum(line_count)"),
    ("units", "sum(units)"),
    ("revenue", "sum(amount)"),
    ("discount", "sum(discount)"),
];

static GOLD: [GoldSpec; 4] = [
    GoldSpec {
        spec: &schema::SALES,
        source: &schema::TRANSACTIONS,
        reads: &[
            "occurred_at",
            "store_id",
            "payment_method",
            "amount",
            "discount",
            "units",
            "line_count",
            "kafka_time",
        ],
        dimensions: &[("store_id", "store_id"), ("payment_method", "payment_method")],
        measures: SALES,
    },
    GoldSpec {
        spec: &schema::CUSTOMER_SALES,
        source: &schema::TRANSACTIONS,
        reads: &["occurred_at", "customer_id", "amount", "discount", "units", "line_count", "kafka_time"],
        dimensions: &[("customer_id", "customer_id")],
        measures: SALES,
    },
    GoldSpec {
        spec: &schema::PRODUCT_SALES,
        source: &schema::TRANSACTION_LINES,
        reads: &["occurred_at", "product_id", "quantity", "amount", "discount", "coupon_discount", "kafka_time"],
        dimensions: &[("product_id", "product_id")],
        measures: &[
            ("lines", "count(*)"),
            ("units", "sum(quantity)"),
            ("revenue", "sum(amount)"),
            ("discount", "sum(discount + coupon_discount)"),
        ],
    },
    GoldSpec {
        spec: &schema::EVENT_COUNTS,
        source: &schema::EVENTS,
        reads: &["occurred_at", "topic", "event_type", "kafka_time"],
        dimensions: &[("topic", "topic"), ("event_type", "event_type")],
        measures: &[("events", "count(*)")],
    },
];

impl GoldSpec {
    /// `column AS expression` for what tells rows apart.
    fn dimension_columns(&self) -> String {
        let columns = self.dimensions.iter().map(|(column, from)| format!("{from} AS {column}"));
        columns.collect::<Vec<_>>().join(", ")
    }

    /// The same for what is added up, in the types that the table has.
    fn measure_columns(&self) -> String {
        let columns = self.measures.iter().map(|(column, from)| format!("{} AS {column}", self.typed(column, from)));
        columns.collect::<Vec<_>>().join(", ")
    }

    /// The places of the bucket and of what tells rows apart, to group by.
    fn groups(&self) -> String {
        (1..=self.dimensions.len() + 1).map(|place| place.to_string()).collect::<Vec<_>>().join(", ")
    }

    /// The expression in the type that the table's column has.
    fn typed(&self, column: &str, expression: &str) -> String {
        let decimal = self.spec.schema.field_with_name(column).is_ok_and(|field| *field.data_type() == schema::total());
        format!("CAST({expression} AS {})", if decimal { "DECIMAL(28, 4)" } else { "BIGINT" })
    }
}

fn gold_of(table: metric::GoldTable) -> &'static GoldSpec {
    match table {
        metric::GoldTable::Sales => &GOLD[0],
        metric::GoldTable::CustomerSales => &GOLD[1],
        metric::GoldTable::ProductSales => &GOLD[2],
        metric::GoldTable::EventCounts => &GOLD[3],
    }
}

/// The Silver table whose rows a Gold table adds up.
#[must_use]
pub fn source_of(table: metric::GoldTable) -> &'static TableSpec {
    gold_of(table).source
}

/// The statement that makes a Gold table anew from the Silver rows that a condition keeps. `bucket` is what goes into the
/// column of that name, and may be coarser.
#[must_use]
pub fn remade(table: metric::GoldTable, bucket: &str, condition: &str) -> String {
    let gold = gold_of(table);
    format!(
        "SELECT {bucket} AS {BUCKET}, {}, {} FROM silver.{} WHERE {condition} GROUP BY {}",
        gold.dimension_columns(),
        gold.measure_columns(),
        gold.source.name,
        gold.groups()
    )
}

/// Keeps every Gold table up to date.
pub struct Gold {
    settings: Arc<Settings>,
    tables: Vec<GoldTable>,
    stats: Arc<WorkerStats>,
    /// Told after each round that committed something.
    committed: watch::Sender<u64>,
}

struct GoldTable {
    gold: &'static GoldSpec,
    table: LakeTable,
    source: LakeTable,
}

/// What a step took.
struct Taken {
    /// Rows by topic, where the table counts events.
    events_by_topic: Vec<(String, u64)>,
    rows: u64,
    /// Of the rows taken, microseconds since 1970.
    oldest_kafka_time: Option<i64>,
    /// Whether the batch was full and left something.
    more: bool,
}

impl Gold {
    /// # Errors
    /// When one of the tables cannot be opened.
    pub async fn open(
        settings: Arc<Settings>,
        lake: &Lake,
        stats: Arc<WorkerStats>,
        committed: watch::Sender<u64>,
    ) -> Result<Gold> {
        let mut tables = Vec::new();
        for gold in &GOLD {
            tables.push(GoldTable {
                gold,
                table: lake.table(gold.spec).await?,
                source: lake.table(gold.source).await?,
            });
        }
        Ok(Gold { settings, tables, stats, committed })
    }

    /// Works while the lease is held, until it is told to stop. The last rows are taken with [`Gold::drain`].
    pub async fn run(&mut self, mut news: watch::Receiver<u64>, mut lease: Lease, stop: &CancellationToken) {
        let mut not_before = Instant::now();
        while !stop.is_cancelled() {
            tokio::select! {
                () = stop.cancelled() => return,
                () = async { tokio::time::sleep_until(not_before).await; lease.held().await } => {}
            }
            let began = Instant::now();
            news.mark_unchanged();
            match caught(self.round()).await {
                Ok(Some(round)) if round.more => continue,
                Ok(Some(round)) => not_before = began + self.pause(round.rows),
                Ok(None) => {}
                Err(error) => self.failed(&error, &lease).await,
            }
            tokio::select! {
                () = stop.cancelled() => {}
                Ok(()) = news.changed() => {}
                () = tokio::time::sleep_until(began + POLL) => {}
            }
        }
    }

    /// The time from the beginning of a round that took so many rows to the next. Commits shall be neither many nor small: the
    /// more rows a round took, the sooner may the next one be.
    #[expect(clippy::cast_precision_loss, reason = "a share need not be exact")]
    fn pause(&self, rows: u64) -> Duration {
        let share = rows.min(MANY_ROWS) as f64 / MANY_ROWS as f64;
        Duration::from_millis(self.settings.gold.min_interval_ms).mul_f64(1.0 - share)
    }

    /// Takes all that is in Silver.
    ///
    /// # Errors
    /// When a step fails; nothing is lost, the next start goes on from there.
    pub async fn drain(&mut self) -> Result<()> {
        while self.round().await?.is_some() {}
        Ok(())
    }

    async fn failed(&self, error: &anyhow::Error, lease: &Lease) {
        if is_conflict(error) {
            debug!(error = format!("{error:#}"), "another worker committed first");
        } else {
            error!(error = format!("{error:#}"), "a Gold batch failed and is tried again");
            for topic in Topic::ALL {
                self.stats.topic(topic).gold.failed(&format!("{error:#}"));
            }
            lease.pass_on();
        }
        tokio::time::sleep(RETRY).await;
    }

    /// Takes one batch for each table; `None` when there is nothing to take.
    async fn round(&mut self) -> Result<Option<Round>> {
        let mut round: Option<Round> = None;
        let mut oldest: Option<i64> = None;
        for table in &mut self.tables {
            let began = Instant::now();
            let span = info_span!("gold", table = table.gold.spec.name);
            let Some(taken) = table.step(self.settings.gold.batch_rows).instrument(span).await? else { continue };
            let sum = round.get_or_insert_default();
            *sum = Round { rows: sum.rows.max(taken.rows), more: sum.more || taken.more };
            oldest = oldest.into_iter().chain(taken.oldest_kafka_time).min();
            for (topic, events) in taken.events_by_topic {
                let Some(topic) = Topic::from_name(&topic) else { continue };
                let stats = self.stats.topic(topic);
                stats.gold.events(events);
                stats.gold.batch(events, began.elapsed());
            }
        }
        if let Some(oldest) = oldest {
            self.stats.gold_committed(oldest);
            self.committed.send_modify(|count| *count += 1);
        }
        Ok(round)
    }
}

/// What a round took.
#[derive(Clone, Copy, Default)]
struct Round {
    /// Rows of the table that took most.
    rows: u64,
    /// Whether a table's batch was full and left something.
    more: bool,
}

impl GoldTable {
    /// Takes one batch of Silver versions; `None` when there is none.
    async fn step(&mut self, batch_rows: u64) -> Result<Option<Taken>> {
        self.source.refresh().await?;
        // Another worker may have taken from it.
        self.table.refresh().await?;
        let source = self.source.source_name();
        let position = self.table.position(&source).await?;
        let changes = self.source.changes_since(position, batch_rows, u64::MAX).await?;
        let Some(last) = changes.last().map(|change| change.version) else { return Ok(None) };
        let position = Position { source, at: last };
        let mut rows = Vec::new();
        for file in changes.iter().flat_map(|change: &Change| &change.files) {
            rows.extend(self.source.read(file, self.gold.reads).await?);
        }
        rows.retain(|batch| batch.num_rows() > 0);
        let more = last < self.source.version();
        let taken_rows = rows.iter().map(|batch| batch.num_rows() as u64).sum();
        let mut taken = Taken { events_by_topic: Vec::new(), rows: taken_rows, oldest_kafka_time: None, more };
        if rows.is_empty() {
            let positions = ledger::gold(&mut self.table, position, &[]).await?;
            self.table.append(Vec::new(), &positions).await?;
            return Ok(Some(taken));
        }
        taken.oldest_kafka_time = rows
            .iter()
            .filter_map(|batch| {
                deltalake::arrow::compute::min(batch["kafka_time"].as_primitive::<TimestampMicrosecondType>())
            })
            .min();
        let added = self.aggregate(rows).await?;
        if added.column_by_name("events").is_some() {
            taken.events_by_topic = events_by_topic(&added);
        }
        let dates = dates_of(&added)?;
        let replaced = self.table.files(Some(&dates))?;
        let mut existing = Vec::new();
        for file in &replaced {
            existing.extend(self.table.read(file, &self.columns()).await?);
        }
        let sums = if existing.is_empty() { added } else { self.add_up(added, existing).await? };
        let batch = with_date(&sums, self.table.spec())?;
        let positions = ledger::gold(&mut self.table, position, &taken.events_by_topic).await?;
        self.table.replace_dates(&replaced, vec![batch], &positions).await?;
        Ok(Some(taken))
    }

    /// The columns that are in the files: all but the partition.
    fn columns(&self) -> Vec<&'static str> {
        let dimensions = self.gold.dimensions.iter().map(|(column, _)| *column);
        let measures = self.gold.measures.iter().map(|(column, _)| *column);
        std::iter::once(BUCKET).chain(dimensions).chain(measures).collect()
    }

    fn file_schema(&self) -> SchemaRef {
        let fields = self.table.spec().schema.fields().iter().filter(|field| field.name() != "date").cloned();
        Arc::new(Schema::new(fields.collect::<Vec<_>>()))
    }

    /// Silver rows to sums.
    async fn aggregate(&self, rows: Vec<RecordBatch>) -> Result<RecordBatch> {
        let (dimensions, measures) = (self.gold.dimension_columns(), self.gold.measure_columns());
        let sql = format!(
            "SELECT occurred_at AS {BUCKET}, {dimensions}, {measures} FROM rows GROUP BY {}",
            self.gold.groups()
        );
        let rows = rows.iter().map(by_bucket).collect::<Result<_>>()?;
        let sums = self.run(rows, &sql).await?;
        conform(&sums, &self.file_schema())
    }

    /// Adds new sums to those that Gold has.
    async fn add_up(&self, added: RecordBatch, mut existing: Vec<RecordBatch>) -> Result<RecordBatch> {
        let dimensions: Vec<&str> = self.gold.dimensions.iter().map(|(column, _)| *column).collect();
        let measures: Vec<String> = self
            .gold
            .measures
            .iter()
            .map(|(column, _)| format!("{} AS {column}", self.gold.typed(column, &format!("sum({column})"))))
            .collect();
        let sql = format!(
            "SELECT {BUCKET}, {dimensions}, {measures} FROM rows GROUP BY {BUCKET}, {dimensions}",
            dimensions = dimensions.join(", "),
            measures = measures.join(", ")
        );
        existing.push(added);
        conform(&self.run(existing, &sql).await?, &self.file_schema())
    }

    /// Runs the query over the batches as table `rows`; the result is ordered by time and the dimensions, which compresses well.
    async fn run(&self, rows: Vec<RecordBatch>, sql: &str) -> Result<RecordBatch> {
        let context = || format!("aggregating {}", self.gold.spec.name);
        let schema = rows.first().map(RecordBatch::schema).context("no rows")?;
        // One partition: the other core has the other stages to run.
        let session =
            SessionContext::new_with_config(SessionConfig::new().with_target_partitions(1).with_batch_size(8192));
        session.register_table("rows", Arc::new(MemTable::try_new(schema, vec![rows])?))?;
        let order: Vec<&str> =
            std::iter::once(BUCKET).chain(self.gold.dimensions.iter().map(|(column, _)| *column)).collect();
        let frame = session.sql(&format!("{sql} ORDER BY {}", order.join(", "))).await.with_context(context)?;
        let batches = frame.collect().await.with_context(context)?;
        let schema = batches.first().map(RecordBatch::schema).context("no sums")?;
        Ok(deltalake::arrow::compute::concat_batches(&schema, &batches)?)
    }
}

/// The rows, as if all had occurred when their quarter of an hour began. All times are UTC, so that it is a division; SQL's
/// `date_trunc` looks up the time zone for each row, which took an eighth of the time of Silver and Gold together.
fn by_bucket(rows: &RecordBatch) -> Result<RecordBatch> {
    let grain = GRAIN.num_microseconds().expect("a quarter of an hour is few microseconds");
    let (place, _) = rows.schema_ref().column_with_name("occurred_at").context("rows of Silver have a time")?;
    let times = rows.column(place).as_primitive::<TimestampMicrosecondType>();
    let buckets: TimestampMicrosecondArray = times.unary(|time| time.div_euclid(grain) * grain);
    let mut columns = rows.columns().to_vec();
    columns[place] = Arc::new(buckets.with_timezone_opt(times.timezone()));
    Ok(RecordBatch::try_new(rows.schema(), columns)?)
}

fn events_by_topic(sums: &RecordBatch) -> Vec<(String, u64)> {
    let mut counts = std::collections::BTreeMap::new();
    let (Ok(topics), Some(events)) = (cast(&sums["topic"], &DataType::Utf8), sums.column_by_name("events")) else {
        return Vec::new();
    };
    let topics = topics.as_string::<i32>();
    let events = events.as_primitive::<Int64Type>();
    for row in 0..sums.num_rows() {
        *counts.entry(topics.value(row).to_owned()).or_insert(0) += u64::try_from(events.value(row)).unwrap_or(0);
    }
    counts.into_iter().collect()
}

fn dates(sums: &RecordBatch) -> Result<ArrayRef> {
    Ok(cast(&sums[BUCKET], &DataType::Date32)?)
}

/// The dates in the rows, as Delta names partitions.
fn dates_of(sums: &RecordBatch) -> Result<BTreeSet<String>> {
    let dates = dates(sums)?;
    let dates: &Date32Array = dates.as_primitive::<Date32Type>();
    Ok((0..dates.len()).filter_map(|row| dates.value_as_date(row)).map(|date| date.to_string()).collect())
}

/// The same columns in the types of the schema.
fn conform(sums: &RecordBatch, schema: &SchemaRef) -> Result<RecordBatch> {
    let columns = schema
        .fields()
        .iter()
        .map(|field| cast(&sums[field.name().as_str()], field.data_type()))
        .collect::<Result<Vec<_>, _>>()?;
    Ok(RecordBatch::try_new(schema.clone(), columns)?)
}

/// The rows with the partition column, as the table has it last.
fn with_date(sums: &RecordBatch, spec: &TableSpec) -> Result<RecordBatch> {
    let mut columns = sums.columns().to_vec();
    columns.push(dates(sums)?);
    Ok(RecordBatch::try_new(spec.schema.clone(), columns)?)
}
