//! How long the overview's questions take over an existing lake, computed anew each time.
//!
//! `query_bench LAKE [ROUNDS]` prints one line for each question and range, in milliseconds.

use std::{path::PathBuf, time::Instant};

use anyhow::{Context, Result, anyhow};
use chrono::{DateTime, TimeDelta, Utc};
use clap::Parser;
use model::{
    metric::{GoldTable, METRICS},
    query::{MAX_ROWS, MetricQuery},
    range::{Granularity, Interval, Preset, Range},
};
use server::{
    overview::{self, Questions},
    warehouse::{Limits, Warehouse},
};
use url::Url;

/// Times the overview's questions over a lake.
#[derive(Parser)]
struct Arguments {
    /// The lake's root folder.
    lake: PathBuf,
    /// How often each question is asked.
    #[arg(default_value_t = 200)]
    rounds: usize,
}

#[tokio::main]
#[expect(clippy::print_stdout, reason = "the table is what the program is for")]
async fn main() -> Result<()> {
    let arguments = Arguments::parse();
    let lake = arguments.lake.canonicalize().with_context(|| format!("{}", arguments.lake.display()))?;
    let lake = Url::from_directory_path(lake).map_err(|()| anyhow!("the lake's path is not absolute"))?;

    let begun = Instant::now();
    let warehouse = Warehouse::new(&lake, Limits::default())?;
    warehouse.refresh().await?;
    let rows: Vec<_> =
        GoldTable::ALL.iter().map(|table| format!("{} {}", warehouse.rows(*table), table.name())).collect();
    println!("loaded in {:.0} ms: {}", begun.elapsed().as_secs_f64() * 1000.0, rows.join(", "));
    let memory = etl::memory::resident_bytes().unwrap_or(0) / (1 << 20);
    println!("resident after loading: {memory} MB");

    let now = end_of_data(&warehouse).await?;
    println!("{:<6}{:<14}{:>9}{:>9}{:>9}{:>9}", "range", "question", "p50", "p95", "p99", "max");
    for preset in [Preset::Day, Preset::Month, Preset::Year] {
        let questions = Questions::new(Range::Last(preset).interval(now));
        let named = [
            ("totals", &questions.totals),
            ("previous", &questions.previous),
            ("course", &questions.course),
            ("departments", &questions.departments),
            ("products", &questions.products),
            ("stores", &questions.stores),
        ];
        for (name, question) in named {
            let mut times = Vec::with_capacity(arguments.rounds);
            for _ in 0..arguments.rounds {
                let begun = Instant::now();
                warehouse.query_uncached(question).await?;
                times.push(begun.elapsed().as_secs_f64() * 1000.0);
            }
            println!("{:<6}{name:<14}{}", preset.name(), percentiles(times));
        }
        let mut times = Vec::with_capacity(arguments.rounds);
        for _ in 0..arguments.rounds {
            // Nothing is remembered of the round before.
            warehouse.forget_answers();
            let begun = Instant::now();
            overview::overview(&warehouse, Range::Last(preset), now).await?;
            times.push(begun.elapsed().as_secs_f64() * 1000.0);
        }
        println!("{:<6}{:<14}{}", preset.name(), "all together", percentiles(times));
    }
    let memory = etl::memory::resident_bytes().unwrap_or(0) / (1 << 20);
    println!("resident at the end: {memory} MB");
    Ok(())
}

/// The end of the newest day that has data, so that every range is full.
async fn end_of_data(warehouse: &Warehouse) -> Result<DateTime<Utc>> {
    let question = MetricQuery {
        metrics: METRICS.iter().take(1).collect(),
        interval: Interval { from: Utc::now() - TimeDelta::days(9_000), to: Utc::now() + TimeDelta::days(9) },
        granularity: Some(Granularity::Day),
        split: None,
        filters: Vec::new(),
        limit: MAX_ROWS,
    };
    let days = warehouse.query(&question).await?;
    let newest = days.last().and_then(|row| row.time).context("there are no sales in this lake")?;
    Ok(newest + TimeDelta::hours(23))
}

fn percentiles(mut times: Vec<f64>) -> String {
    times.sort_by(f64::total_cmp);
    let at = |hundredths: usize| {
        times.get((times.len() * hundredths / 100).min(times.len() - 1)).copied().unwrap_or_default()
    };
    format!("{:>9.1}{:>9.1}{:>9.1}{:>9.1}", at(50), at(95), at(99), at(100))
}
