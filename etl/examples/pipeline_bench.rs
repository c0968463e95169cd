//! How fast the pipeline is, stage by stage, and how fast it could be.
//!
//! `pipeline_bench --worker PATH --folder EMPTY [--events N] [--bytes B]` fills the topic of the broker that
//! KAFKA_BOOTSTRAP_SERVERS names, measures each part that must happen alone, and then real workers. It prints JSON: a list of
//! name, value, unit and conditions. `scripts/bench.sh` brings up what it needs.

use std::{
    path::{Path, PathBuf},
    process::{Child, Command, Stdio},
    sync::Arc,
    time::{Duration, Instant},
};

use anyhow::{Context, Result, anyhow, bail, ensure};
use chrono::Utc;
use clap::Parser;
use deltalake::{
    arrow::{
        array::{
            ArrayRef, AsArray, BinaryArray, Int32Array, Int64Array, RecordBatch, StringArray, TimestampMicrosecondArray,
        },
        datatypes::Int64Type,
        ipc::writer::StreamWriter,
    },
    parquet::arrow::ArrowWriter,
};
use etl::{
    kafka::{self, Cluster, Watermarks},
    lake::{Lake, files::writer_properties, schema},
    produce::generate::{self, Generator, Load},
};
use model::{check, topic::Topic};
use nix::{
    sys::{
        resource::{UsageWho, getrusage},
        signal::{Signal, kill},
        time::TimeValLike,
    },
    unistd::Pid,
};
use rdkafka::{
    Message, Offset, TopicPartitionList,
    consumer::{BaseConsumer, Consumer},
};
use serde::Serialize;
use tokio_util::sync::CancellationToken;

const TOPIC: Topic = Topic::Analytics;
/// Events of the samples on which parts are measured alone.
const SAMPLE: usize = 400_000;
/// Events of one chunk in Redis: a megabyte of 250 bytes each, as the pipeline makes them.
const CHUNK: usize = 4000;
const PATIENCE: Duration = Duration::from_secs(900);

#[derive(Parser)]
struct Arguments {
    /// The program `streamlinehub-worker`.
    #[arg(long)]
    worker: PathBuf,
    /// An empty folder for the lakes.
    #[arg(long)]
    folder: PathBuf,
    #[arg(long, env = "KAFKA_BOOTSTRAP_SERVERS")]
    kafka: String,
    #[arg(long, env = "REDIS_URL")]
    redis: String,
    #[arg(long, default_value_t = 5_000_000)]
    events: u64,
    #[arg(long, default_value_t = 250)]
    bytes: usize,
    /// How long the latency is measured at 10,000 events per second, in seconds; 0 leaves it out.
    #[arg(long, default_value_t = 30)]
    latency_seconds: u64,
    /// The topic has its events already: only the whole way from there to Gold is measured.
    #[arg(long)]
    filled: bool,
}

/// A figure, as `bench/results.json` has it.
#[derive(Serialize)]
struct Figure {
    name: &'static str,
    value: f64,
    unit: &'static str,
    conditions: String,
}

struct Bench {
    arguments: Arguments,
    conditions: String,
    figures: Vec<Figure>,
}

#[tokio::main]
#[expect(clippy::print_stdout, reason = "the figures are what the program is for")]
async fn main() -> Result<()> {
    let arguments = Arguments::parse();
    let conditions = format!(
        "{} JSON events of {} bytes, two partitions, {} CPUs, broker and Redis on the same; zstd level 1, every batch a Delta commit",
        arguments.events,
        arguments.bytes,
        std::thread::available_parallelism().map_or(0, usize::from)
    );
    let mut bench = Bench { arguments, conditions, figures: Vec::new() };
    if !bench.arguments.filled {
        bench.fill().await?;
        bench.parts().await?;
        bench.bronze().await?;
        bench.silver_and_gold().await?;
    }
    bench.whole().await?;
    if !bench.arguments.filled {
        bench.latency().await?;
    }
    println!("{}", serde_json::to_string_pretty(&bench.figures)?);
    Ok(())
}

#[expect(clippy::print_stderr, reason = "progress for whoever waits")]
fn tell(text: &str) {
    eprintln!("   {text}");
}

#[expect(clippy::cast_precision_loss, reason = "figures for people to read")]
fn float(number: u64) -> f64 {
    number as f64
}

impl Bench {
    fn add(&mut self, name: &'static str, value: f64, unit: &'static str, more: &str) {
        tell(&format!("{name:<44}{value:>14.1} {unit}"));
        let conditions = format!("{}; {more}", self.conditions);
        self.figures.push(Figure { name, value, unit, conditions });
    }

    fn cluster(&self) -> Cluster {
        Cluster::local(&self.arguments.kafka)
    }

    /// Puts the events into Kafka.
    async fn fill(&mut self) -> Result<()> {
        self.cluster().create_topics(2).await?;
        let (cluster, count, bytes) = (self.cluster(), self.arguments.events, self.arguments.bytes);
        let began = Instant::now();
        let sent = tokio::task::spawn_blocking(move || {
            let load = Load { rate: 0.0, count, seed: 1, bytes: Some(bytes) };
            generate::run(&cluster, load, &CancellationToken::new())
        });
        ensure!(sent.await?? == count, "not all events were sent");
        self.add(
            "produce_events_per_second",
            float(count) / began.elapsed().as_secs_f64(),
            "events/s",
            "made and sent by one thread",
        );
        Ok(())
    }

    /// What each part that must happen costs alone, and what all of them cost together.
    async fn parts(&mut self) -> Result<()> {
        let mut generator = Generator::new(2);
        let now = Utc::now();
        let payloads: Vec<Vec<u8>> = (0..SAMPLE)
            .map(|_| generator.page_view_of(self.arguments.bytes, now).map(|message| message.payload))
            .collect::<Result<_>>()?;

        let count = self.arguments.events;
        let cluster = self.cluster();
        let consuming = tokio::task::spawn_blocking(move || per_event(count, || consume(&cluster, count))).await??;
        let envelope = per_event(SAMPLE as u64, || {
            for payload in &payloads {
                check::envelope(payload, 1 << 20).map_err(|(_, reason)| anyhow!(reason))?;
            }
            Ok(())
        })?;
        let batches = payloads.chunks(CHUNK).map(bronze_batch).collect::<Result<Vec<_>>>()?;
        let mut stored = 0;
        let parquet = per_event(SAMPLE as u64, || {
            let spec = schema::bronze_of(TOPIC);
            for file in batches.chunks(25) {
                let mut writer = ArrowWriter::try_new(Vec::new(), file[0].schema(), Some(writer_properties(spec)))?;
                for batch in file {
                    writer.write(batch)?;
                }
                stored += writer.into_inner()?.len();
            }
            Ok(())
        })?;
        let redis = self.redis(&batches).await?;

        let alone = |what: &str| format!("{what} alone, by the CPU time of the client process");
        self.add(
            "limit_consume_events_per_cpu_second",
            1.0 / consuming,
            "events/CPU-s",
            &alone("consuming with librdkafka"),
        );
        self.add(
            "limit_envelope_events_per_cpu_second",
            1.0 / envelope,
            "events/CPU-s",
            &alone("checking UTF-8, JSON and the envelope"),
        );
        self.add(
            "limit_parquet_events_per_cpu_second",
            1.0 / parquet,
            "events/CPU-s",
            &alone("encoding Bronze's columns as Parquet"),
        );
        self.add(
            "limit_redis_events_per_cpu_second",
            1.0 / redis,
            "events/CPU-s",
            &alone("a chunk of 4000 into Redis as one value, and out again"),
        );
        let combined = 1.0 / (consuming + envelope + parquet + redis);
        self.add(
            "combined_limit_events_per_cpu_second",
            combined,
            "events/CPU-s",
            "one over the sum of the four parts' CPU costs",
        );
        let (raw, stored) = (float((SAMPLE * self.arguments.bytes) as u64), float(stored as u64));
        self.add("bronze_compression", raw / stored, "times", "raw JSON to Parquet");
        Ok(())
    }

    /// CPU seconds per event of a chunk's way into Redis and out.
    async fn redis(&self, batches: &[RecordBatch]) -> Result<f64> {
        let chunks: Vec<Vec<u8>> = batches
            .iter()
            .map(|batch| {
                let mut writer = StreamWriter::try_new(Vec::new(), &batch.schema())?;
                writer.write(batch)?;
                Ok(writer.into_inner()?)
            })
            .collect::<Result<_>>()?;
        let mut connection = etl::ingest::buffer::connect(&self.arguments.redis).await?;
        let before = cpu_seconds()?;
        for chunks in chunks.chunks(25) {
            for chunk in chunks {
                redis::cmd("RPUSH").arg("bench").arg(chunk).query_async::<()>(&mut connection).await?;
            }
            let back: Vec<Vec<u8>> =
                redis::cmd("LRANGE").arg("bench").arg(0).arg(-1).query_async(&mut connection).await?;
            ensure!(back == chunks, "Redis gives back what it was given");
            redis::cmd("DEL").arg("bench").query_async::<()>(&mut connection).await?;
        }
        Ok((cpu_seconds()? - before) / float(SAMPLE as u64))
    }

    /// A worker that does Bronze alone, from the first event to the last.
    async fn bronze(&mut self) -> Result<()> {
        let lake = self.lake("standing")?;
        let worker = self.start(&lake, &[("PIPELINE_STAGES", "bronze")])?;
        let opened = Lake::open(&lake)?;
        let mut bronze = opened.table(schema::bronze_of(TOPIC)).await?;
        let began = Instant::now();
        let (mut first, mut last) = (None, (0, Instant::now()));
        while last.0 < self.arguments.events {
            tokio::time::sleep(Duration::from_millis(20)).await;
            bronze.refresh().await?;
            let rows = rows(&bronze)?;
            if rows > last.0 {
                last = (rows, Instant::now());
                first.get_or_insert((rows, Instant::now(), worker.cpu_seconds()?));
            }
            ensure!(began.elapsed() < PATIENCE, "only {} events are in Bronze", last.0);
        }
        let cpu = worker.cpu_seconds()?;
        let peak = worker.peak_mb()?;
        worker.stop()?;
        let (rows_first, at, cpu_first) = first.context("Bronze has events")?;
        let commits = bronze.version();
        let (events, seconds) = (float(last.0 - rows_first), (last.1 - at).as_secs_f64());
        let steady = "from the first commit to the last, by the worker's CPU time";
        self.add(
            "bronze_events_per_second",
            events / seconds,
            "events/s",
            "Kafka to Redis to Bronze, from the first commit to the last",
        );
        self.add(
            "bronze_mb_per_second",
            events * float(self.arguments.bytes as u64) / seconds / 1e6,
            "MB/s",
            "the same",
        );
        self.add("bronze_events_per_cpu_second", events / (cpu - cpu_first), "events/CPU-s", steady);
        self.add("bronze_cpu_seconds_per_million", (cpu - cpu_first) / events * 1e6, "CPU-s", steady);
        self.add(
            "bronze_whole_events_per_cpu_second",
            float(last.0) / cpu,
            "events/CPU-s",
            "with the start of the process and its joining the group",
        );
        let limit = self
            .figures
            .iter()
            .find(|figure| figure.name == "combined_limit_events_per_cpu_second")
            .map(|figure| figure.value);
        if let Some(limit) = limit {
            self.add("bronze_share_of_combined_limit", 100.0 * events / (cpu - cpu_first) / limit, "%", steady);
        }
        #[expect(clippy::cast_sign_loss, reason = "a version is never negative")]
        self.add("bronze_events_per_commit", float(last.0) / float(commits as u64), "events", "mean over all commits");
        self.add("bronze_peak_mb", peak, "MB", "peak resident memory of that worker");
        Ok(())
    }

    /// A worker that does Silver and Gold, over the Bronze that the one before left.
    async fn silver_and_gold(&mut self) -> Result<()> {
        let (seconds, cpu, peak) = self.until_in_gold("standing", &[("PIPELINE_STAGES", "silver,gold")]).await?;
        let gb = float(self.arguments.events) * float(self.arguments.bytes as u64) / 1e9;
        let what = "raw JSON in a standing Bronze until Gold counts all of it, the worker's start included";
        self.add("silver_gold_gb_per_hour", gb / seconds * 3600.0, "GB/h", what);
        self.add("silver_gold_events_per_cpu_second", float(self.arguments.events) / cpu, "events/CPU-s", what);
        self.add("silver_gold_peak_mb", peak, "MB", "peak resident memory of that worker");
        Ok(())
    }

    /// A worker that does everything, over a topic that was filled before, into an empty lake.
    async fn whole(&mut self) -> Result<()> {
        let (seconds, cpu, peak) = self.until_in_gold("whole", &[]).await?;
        let events = float(self.arguments.events);
        let what =
            "a filled topic into an empty lake, all stages in one worker, from its start until Gold counts all of it";
        self.add("kafka_to_gold_events_per_second", events / seconds, "events/s", what);
        self.add("kafka_to_gold_events_per_cpu_second", events / cpu, "events/CPU-s", what);
        self.add("worker_peak_mb", peak, "MB", "peak resident memory of that worker");
        Ok(())
    }

    /// Starts a worker and waits until Gold counts all events: how many seconds that took, of which CPU, and its peak in MB.
    async fn until_in_gold(&self, lake: &str, settings: &[(&str, &str)]) -> Result<(f64, f64, f64)> {
        let lake = self.lake(lake)?;
        let mut gold = Lake::open(&lake)?.table(&schema::EVENT_COUNTS).await?;
        let began = Instant::now();
        let worker = self.start(&lake, settings)?;
        while counted(&mut gold).await? < self.arguments.events {
            tokio::time::sleep(Duration::from_millis(100)).await;
            ensure!(began.elapsed() < PATIENCE, "not everything came into Gold");
        }
        let measured = (began.elapsed().as_secs_f64(), worker.cpu_seconds()?, worker.peak_mb()?);
        worker.stop()?;
        Ok(measured)
    }

    /// From the sending of an event to the Gold commit that counts it, at 10,000 events per second and default settings.
    async fn latency(&mut self) -> Result<()> {
        const RATE: u64 = 10_000;
        let seconds = self.arguments.latency_seconds;
        if seconds == 0 {
            return Ok(());
        }
        let lake = self.lake("standing")?;
        let opened = Lake::open(&lake)?;
        let worker = self.start(&lake, &[])?;
        let mut gold = opened.table(&schema::EVENT_COUNTS).await?;
        let before = counted(&mut gold).await?;
        ensure!(before == self.arguments.events, "Gold counts {before} events");
        // Until the worker has its partitions.
        tokio::time::sleep(Duration::from_secs(5)).await;
        let cpu_before = worker.cpu_seconds()?;
        let (cluster, bytes, count) = (self.cluster(), self.arguments.bytes, seconds * RATE);
        let began = Instant::now();
        let sending = tokio::task::spawn_blocking(move || {
            let load = Load { rate: float(RATE), count, seed: 3, bytes: Some(bytes) };
            generate::run(&cluster, load, &CancellationToken::new())
        });
        // The events are sent at an even pace: the n-th is sent n / RATE seconds after the first.
        let mut latencies = Vec::new();
        let mut known = 0;
        while known < count {
            tokio::time::sleep(Duration::from_millis(25)).await;
            let now = counted(&mut gold).await? - before;
            let at = began.elapsed().as_secs_f64();
            latencies.extend((known..now).map(|event| at - float(event) / float(RATE)));
            known = now.max(known);
            ensure!(began.elapsed() < PATIENCE, "only {known} events are in Gold");
        }
        ensure!(sending.await?? == count, "not all events were sent");
        let cpu = (worker.cpu_seconds()? - cpu_before) / began.elapsed().as_secs_f64();
        let peak = worker.peak_mb()?;
        worker.stop()?;
        latencies.sort_by(f64::total_cmp);
        for (name, share) in [("event_to_gold_p50_ms", 50), ("event_to_gold_p95_ms", 95), ("event_to_gold_p99_ms", 99)]
        {
            let latency = latencies[(latencies.len() * share / 100).min(latencies.len() - 1)];
            self.add(
                name,
                latency * 1000.0,
                "ms",
                &format!("{RATE} events/s for {seconds} s, default settings, from sending to the Gold commit"),
            );
        }
        self.add("worker_cores_at_10000_events_per_second", cpu, "cores", "the same");
        self.add("worker_peak_mb_at_10000_events_per_second", peak, "MB", "the same");
        Ok(())
    }

    fn lake(&self, name: &str) -> Result<PathBuf> {
        let path = self.arguments.folder.join(name);
        std::fs::create_dir_all(&path)?;
        Ok(path)
    }

    fn start(&self, lake: &Path, settings: &[(&str, &str)]) -> Result<Worker> {
        let log = std::fs::File::options().create(true).append(true).open(self.arguments.folder.join("worker.log"))?;
        let child = Command::new(&self.arguments.worker)
            .arg("run")
            .env("KAFKA_BOOTSTRAP_SERVERS", &self.arguments.kafka)
            .env("REDIS_URL", &self.arguments.redis)
            .env("DATABASE_URL", "postgres://unused")
            .env("DELTA_LAKE_PATH", lake)
            .envs(settings.iter().copied())
            .stdin(Stdio::null())
            .stderr(log)
            .spawn()
            .with_context(|| format!("{} cannot be started", self.arguments.worker.display()))?;
        Ok(Worker(child))
    }
}

/// A worker at work, which ends with us.
struct Worker(Child);

impl Worker {
    /// CPU seconds that it has used, in user and system mode.
    fn cpu_seconds(&self) -> Result<f64> {
        let stat = std::fs::read_to_string(format!("/proc/{}/stat", self.0.id()))?;
        let fields: Vec<&str> = stat.rsplit(')').next().unwrap_or_default().split_whitespace().collect();
        let ticks: u64 = [11, 12]
            .iter()
            .map(|&field| fields.get(field).and_then(|ticks| ticks.parse::<u64>().ok()).unwrap_or(0))
            .sum();
        Ok(float(ticks) / 100.0)
    }

    fn peak_mb(&self) -> Result<f64> {
        let status = std::fs::read_to_string(format!("/proc/{}/status", self.0.id()))?;
        let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:")).context("a process has memory")?;
        let kilobytes: u64 = line.trim().trim_end_matches("kB").trim().parse()?;
        Ok(float(kilobytes) / 1024.0)
    }

    fn stop(mut self) -> Result<()> {
        kill(Pid::from_raw(i32::try_from(self.0.id())?), Signal::SIGTERM)?;
        let status = self.0.wait()?;
        ensure!(status.success(), "the worker ended with {status}");
        Ok(())
    }
}

impl Drop for Worker {
    fn drop(&mut self) {
        // Ended already, where nothing went wrong.
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

fn cpu_seconds() -> Result<f64> {
    let usage = getrusage(UsageWho::RUSAGE_SELF)?;
    let micros = usage.user_time().num_microseconds() + usage.system_time().num_microseconds();
    Ok(float(u64::try_from(micros)?) / 1e6)
}

/// CPU seconds per event of this process.
fn per_event(events: u64, work: impl FnOnce() -> Result<()>) -> Result<f64> {
    let before = cpu_seconds()?;
    work()?;
    Ok((cpu_seconds()? - before) / float(events))
}

/// Takes so many events from the topic, as the pipeline fetches them, and does nothing with them.
fn consume(cluster: &Cluster, count: u64) -> Result<()> {
    let mut config = cluster.config();
    config.set("group.id", "bench").set("enable.auto.commit", "false");
    for (name, value) in kafka::FETCHING {
        config.set(name, value);
    }
    let consumer: BaseConsumer = config.create()?;
    let mut partitions = TopicPartitionList::new();
    for partition in Watermarks::new(cluster)?.of(TOPIC)?.into_keys() {
        partitions.add_partition_offset(TOPIC.name(), partition, Offset::Beginning)?;
    }
    consumer.assign(&partitions)?;
    let (mut taken, mut bytes) = (0, 0);
    let began = Instant::now();
    while taken < count {
        if let Some(message) = consumer.poll(Duration::from_millis(100)) {
            bytes += message?.payload().map_or(0, <[u8]>::len);
            taken += 1;
        }
        if began.elapsed() > PATIENCE {
            bail!("only {taken} events of {bytes} bytes came");
        }
    }
    Ok(())
}

/// The rows of Bronze that events make, without the columns that are no part of files.
fn bronze_batch(payloads: &[Vec<u8>]) -> Result<RecordBatch> {
    let rows = payloads.len();
    let now = Utc::now().timestamp_micros();
    let time = || Arc::new(TimestampMicrosecondArray::from_value(now, rows).with_timezone("UTC")) as ArrayRef;
    let text = |text: &str| Arc::new(StringArray::from_iter_values(std::iter::repeat_n(text, rows))) as ArrayRef;
    let keys = (0..rows).map(|row| format!("synthetic-{}", row % 5000));
    let columns = vec![
        text(TOPIC.name()),
        Arc::new(Int32Array::from_value(0, rows)),
        Arc::new(Int64Array::from_iter_values(0..i64::try_from(rows)?)),
        time(),
        time(),
        text("page.viewed"),
        Arc::new(BinaryArray::from_iter_values(keys)),
        Arc::new(StringArray::new_null(rows)),
        Arc::new(StringArray::from_iter_values(payloads.iter().map(|payload| String::from_utf8_lossy(payload)))),
    ];
    let in_files: Vec<usize> = (0..columns.len()).collect();
    let schema = Arc::new(schema::bronze_of(TOPIC).schema.project(&in_files)?);
    Ok(RecordBatch::try_new(schema, columns)?)
}

/// Rows of a table, as its log says.
fn rows(table: &etl::lake::LakeTable) -> Result<u64> {
    let state = table.delta().snapshot()?;
    Ok(state.log_data().iter().filter_map(|file| file.num_records()).map(|rows| rows as u64).sum())
}

/// Events that Gold counts.
async fn counted(gold: &mut etl::lake::LakeTable) -> Result<u64> {
    gold.refresh().await?;
    let mut sum = 0;
    for file in gold.files(None)? {
        for batch in gold.read(&file, &["events"]).await? {
            sum += batch["events"].as_primitive::<Int64Type>().values().iter().sum::<i64>();
        }
    }
    Ok(u64::try_from(sum)?)
}
