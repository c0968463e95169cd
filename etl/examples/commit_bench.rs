//! Whether commits stay as fast and as small in memory as they were at first, over thousands of them.
//!
//! `commit_bench FOLDER [COMMITS] [ROWS]` commits small batches to Bronze one after the other while maintenance goes on beside
//! it, as it does in a worker, and prints a line for every tenth of them.

use std::{path::PathBuf, sync::Arc, time::Instant};

use anyhow::{Context, Result};
use chrono::{Datelike, Utc};
use clap::Parser;
use deltalake::arrow::{
    array::{ArrayRef, BinaryArray, Int32Array, Int64Array, RecordBatch, StringArray, TimestampMicrosecondArray},
    datatypes::SchemaRef,
};
use etl::{
    lake::{Lake, schema, table::Position},
    lease::Lease,
    maintenance,
    memory::resident_bytes,
    produce::generate::Generator,
    settings::Settings,
};
use model::topic::Topic;
use tokio_util::sync::CancellationToken;

#[derive(Parser)]
struct Arguments {
    /// An empty folder for the lake.
    folder: PathBuf,
    #[arg(default_value_t = 10_000)]
    commits: i64,
    /// Rows of a commit.
    #[arg(default_value_t = 10)]
    rows: i64,
}

#[tokio::main]
#[expect(clippy::print_stdout, reason = "the table is what the program is for")]
async fn main() -> Result<()> {
    let Arguments { folder, commits, rows } = Arguments::parse();
    let lake = Lake::open(&folder)?;
    let spec = schema::bronze_of(Topic::Analytics);
    let mut table = lake.table(spec).await?;
    let mut settings = Settings::defaults();
    settings.maintenance.log_retention_hours = 0;
    let stop = CancellationToken::new();
    let maintained = tokio::spawn(maintenance::run(lake.clone(), Arc::new(settings), Lease::always(), stop.clone()));

    let mut generator = Generator::new(1);
    println!("{:>8}{:>12}{:>12}{:>12}{:>12}{:>10}", "commits", "mean ms", "p50 ms", "p99 ms", "RSS MB", "files");
    let mut times = Vec::new();
    for commit in 1..=commits {
        let batch = batch(&spec.schema, &mut generator, commit * rows, rows)?;
        let position = Position::kafka(Topic::Analytics.name(), 0, commit * rows);
        let began = Instant::now();
        table.refresh().await?;
        table.append(vec![batch], &[position]).await?;
        times.push(began.elapsed().as_secs_f64() * 1000.0);
        if commit % (commits / 10).max(1) == 0 {
            times.sort_by(f64::total_cmp);
            #[expect(clippy::cast_precision_loss, reason = "a mean for people to read")]
            let mean = times.iter().sum::<f64>() / times.len() as f64;
            let (p50, p99) = (times[times.len() / 2], times[times.len() * 99 / 100]);
            let memory = resident_bytes().unwrap_or(0) / (1 << 20);
            let files = table.delta().snapshot()?.log_data().num_files();
            println!("{commit:>8}{mean:>12.2}{p50:>12.2}{p99:>12.2}{memory:>12}{files:>10}");
            times.clear();
        }
    }
    stop.cancel();
    maintained.await?
}

fn batch(schema: &SchemaRef, generator: &mut Generator, offset: i64, rows: i64) -> Result<RecordBatch> {
    let now = Utc::now();
    let count = usize::try_from(rows)?;
    let payloads: Vec<String> =
        (0..count).map(|_| Ok(String::from_utf8(generator.page_view_of(250, now)?.payload)?)).collect::<Result<_>>()?;
    let time = || {
        Arc::new(TimestampMicrosecondArray::from_value(now.timestamp_micros(), count).with_timezone("UTC")) as ArrayRef
    };
    let text = |text: &str| Arc::new(StringArray::from_iter_values(std::iter::repeat_n(text, count))) as ArrayRef;
    let number = |number: i32| Arc::new(Int32Array::from_value(number, count)) as ArrayRef;
    let columns = vec![
        text(Topic::Analytics.name()),
        number(0),
        Arc::new(Int64Array::from_iter_values(offset..offset + rows)),
        time(),
        time(),
        text("page.viewed"),
        Arc::new(BinaryArray::from_iter(std::iter::repeat_n(None::<&[u8]>, count))),
        Arc::new(StringArray::new_null(count)),
        Arc::new(StringArray::from(payloads)),
        number(now.year()),
        number(i32::try_from(now.month())?),
        number(i32::try_from(now.day())?),
    ];
    RecordBatch::try_new(Arc::clone(schema), columns).context("a batch of Bronze")
}
