//! What the rules found, followed from commit to commit of `gold.quality_results`. Of each file only sums by five minutes, the
//! values of which most rows failed, and a few samples are kept.

use std::{
    collections::{BTreeMap, BTreeSet},
    time::Duration,
};

use anyhow::Result;
use bytes::Bytes;
use chrono::{DateTime, Utc};
use deltalake::arrow::{
    array::{Array, AsArray},
    datatypes::{DataType, Int64Type, TimeUnit, TimestampMicrosecondType},
};
use etl::{lake::schema, quality::rules::dimension_of};
use model::{
    quality::{Offender, Rule, RulePoint, RuleReport, RuleSample, Sample},
    range::Interval,
};
use tokio::{sync::Mutex, time::Instant};
use url::Url;

use crate::delta::{self, Follower, table_url};

/// Whoever asks sooner after another gets the same answer.
const FRESH_FOR: Duration = Duration::from_secs(1);
/// The finest span of time, in microseconds.
const SPAN: i64 = 300_000_000;
const HOUR: i64 = 3_600_000_000;
/// Samples that are kept of a file, for each rule, and that are answered.
const SAMPLES_OF_FILE: usize = 5;
const SAMPLES_OF_RULE: usize = 4;
const SAMPLES: usize = 40;
/// Values that are answered of a rule.
const OFFENDERS: usize = 5;

/// What was found over an interval.
#[derive(Clone, Debug)]
pub struct Found {
    pub rules: Vec<RuleReport>,
    /// Width of a point's span, in minutes.
    pub minutes: i64,
    pub points: Vec<RulePoint>,
    pub samples: Vec<RuleSample>,
}

/// A rule and a span of time.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
struct Key {
    span: i64,
    rule: String,
}

impl Key {
    /// The first of a time.
    fn from(span: i64) -> Key {
        Key { span, rule: String::new() }
    }
}

#[derive(Clone, Debug, Default)]
struct Sum {
    checked: u64,
    failed: u64,
    /// Microseconds since 1970.
    last_failed: Option<i64>,
    offenders: BTreeMap<String, u64>,
}

impl Sum {
    fn add(&mut self, other: &Sum) {
        self.checked += other.checked;
        self.failed += other.failed;
        self.last_failed = self.last_failed.max(other.last_failed);
        for (value, count) in &other.offenders {
            *self.offenders.entry(value.clone()).or_default() += count;
        }
    }
}

#[derive(Debug, Default)]
struct FileResults {
    sums: BTreeMap<Key, Sum>,
    /// The newest last.
    samples: Vec<RuleSample>,
}

/// The results, as of about now.
pub struct Results(Mutex<State>);

struct State {
    follower: Follower<FileResults>,
    looked_at: Option<Instant>,
}

impl Results {
    pub fn new(lake: &Url) -> Results {
        let spec = &*schema::QUALITY_RESULTS;
        let follower = Follower::new(table_url(lake, spec.layer.name(), spec.name));
        Results(Mutex::new(State { follower, looked_at: None }))
    }

    /// What these rules found over an interval.
    ///
    /// # Errors
    /// The table cannot be read.
    pub async fn over(&self, rules: &[Rule], interval: Interval) -> Result<Found> {
        let mut state = self.0.lock().await;
        if state.looked_at.is_none_or(|then| then.elapsed() >= FRESH_FOR) {
            if let Err(error) = state.follower.refresh(read).await
                && !delta::was_replaced(&error)
            {
                return Err(error);
            }
            state.looked_at = Some(Instant::now());
        }
        let (from, to) = (interval.from.timestamp_micros(), interval.to.timestamp_micros());
        // Where there is only the last hour of a day, the day's spans would be too wide.
        let spans = state.follower.files().values().filter_map(|file| file.sums.range(Key::from(from)..).next());
        let first = spans.map(|(key, _)| key.span).min().unwrap_or(from);
        let minutes = span_of((to - first.clamp(from, to)) / HOUR);
        let known: BTreeSet<&str> = rules.iter().map(|rule| rule.name.as_str()).collect();
        let mut totals: BTreeMap<&str, Sum> = BTreeMap::new();
        let mut points: BTreeMap<(i64, &str), (u64, u64)> = BTreeMap::new();
        let mut samples: Vec<&RuleSample> = Vec::new();
        for file in state.follower.files().values() {
            for (key, sum) in &file.sums {
                if key.span < from || key.span >= to || !known.contains(key.rule.as_str()) {
                    continue;
                }
                totals.entry(&key.rule).or_default().add(sum);
                let start = key.span - key.span.rem_euclid(minutes * 60_000_000);
                let point = points.entry((start, &key.rule)).or_default();
                point.0 += sum.checked;
                point.1 += sum.failed;
            }
            samples.extend(file.samples.iter().filter(|sample| {
                sample.at >= interval.from && sample.at < interval.to && known.contains(sample.rule.as_str())
            }));
        }
        let report = |rule: &Rule| {
            let sum = totals.get(rule.name.as_str()).cloned().unwrap_or_default();
            RuleReport {
                checked: sum.checked,
                failed: sum.failed,
                last_failed: sum.last_failed.and_then(DateTime::from_timestamp_micros),
                offenders: worst(sum.offenders),
                dimension: dimension_of(rule.table.trim_start_matches("silver.")).to_owned(),
                rule: rule.clone(),
            }
        };
        Ok(Found {
            rules: rules.iter().map(report).collect(),
            minutes,
            points: points
                .iter()
                .map(|(&(start, rule), &(checked, failed))| RulePoint {
                    rule: rule.to_owned(),
                    time: DateTime::from_timestamp_micros(start).unwrap_or_default(),
                    checked,
                    failed,
                })
                .collect(),
            samples: newest(samples),
        })
    }
}

/// Minutes of a span, so that a chart of so many hours can be read.
fn span_of(hours: i64) -> i64 {
    match hours {
        ..=6 => 5,
        7..=24 => 15,
        25..=168 => 120,
        169..=720 => 480,
        _ => 1440,
    }
}

fn worst(offenders: BTreeMap<String, u64>) -> Vec<Offender> {
    let mut worst: Vec<Offender> = offenders.into_iter().map(|(value, failed)| Offender { value, failed }).collect();
    worst.sort_by(|one, other| other.failed.cmp(&one.failed).then_with(|| one.value.cmp(&other.value)));
    worst.truncate(OFFENDERS);
    worst
}

/// The newest few of each rule, the newest first.
fn newest(mut samples: Vec<&RuleSample>) -> Vec<RuleSample> {
    samples.sort_by(|one, other| other.at.cmp(&one.at).then_with(|| other.sample.offset.cmp(&one.sample.offset)));
    let mut of_rule: BTreeMap<&str, usize> = BTreeMap::new();
    let mut kept = Vec::new();
    for sample in samples {
        let count = of_rule.entry(&sample.rule).or_default();
        if *count < SAMPLES_OF_RULE && kept.len() < SAMPLES {
            *count += 1;
            kept.push(sample.clone());
        }
    }
    kept
}

const COLUMNS: [&str; 7] = ["checked_at", "topic", "rule", "rows_checked", "rows_failed", "samples", "offenders"];

/// Sums up a file.
fn read(content: Bytes) -> Result<FileResults> {
    let file = delta::read_parquet(content, &COLUMNS)?;
    let texts = |name| delta::strings(&file, name);
    let (topics, rules, samples, offenders) = (texts("topic")?, texts("rule")?, texts("samples")?, texts("offenders")?);
    let times = delta::column(&file, "checked_at", &DataType::Timestamp(TimeUnit::Microsecond, None))?;
    let times = times.as_primitive::<TimestampMicrosecondType>();
    let count = |name| delta::column(&file, name, &DataType::Int64);
    let (checked, failed) = (count("rows_checked")?, count("rows_failed")?);
    let (checked, failed) = (checked.as_primitive::<Int64Type>(), failed.as_primitive::<Int64Type>());
    let mut results = FileResults::default();
    // Oldest first, so that the newest samples stay.
    let mut rows: Vec<usize> = (0..file.num_rows()).filter(|row| rules.is_valid(*row)).collect();
    rows.sort_by_key(|row| times.value(*row));
    for row in rows {
        let at = times.value(row);
        let failed = u64::try_from(failed.value(row)).unwrap_or(0);
        let mut sum = Sum {
            checked: u64::try_from(checked.value(row)).unwrap_or(0),
            failed,
            last_failed: (failed > 0).then_some(at),
            offenders: BTreeMap::new(),
        };
        // What cannot be read was written by another version; the sums still count.
        if offenders.is_valid(row) {
            sum.offenders = serde_json::from_str(offenders.value(row)).unwrap_or_default();
        }
        if samples.is_valid(row) {
            let found: Vec<Sample> = serde_json::from_str(samples.value(row)).unwrap_or_default();
            let at = DateTime::<Utc>::from_timestamp_micros(at).unwrap_or_default();
            results.samples.extend(found.into_iter().map(|sample| RuleSample {
                rule: rules.value(row).to_owned(),
                topic: topics.value(row).to_owned(),
                at,
                sample,
            }));
        }
        let key = Key { span: at - at.rem_euclid(SPAN), rule: rules.value(row).to_owned() };
        results.sums.entry(key).or_default().add(&sum);
    }
    results.samples = last_of_each(std::mem::take(&mut results.samples));
    Ok(results)
}

fn last_of_each(samples: Vec<RuleSample>) -> Vec<RuleSample> {
    let mut of_rule: BTreeMap<String, usize> = BTreeMap::new();
    let mut kept = Vec::new();
    for sample in samples.into_iter().rev() {
        let count = of_rule.entry(sample.rule.clone()).or_default();
        if *count < SAMPLES_OF_FILE {
            *count += 1;
            kept.push(sample);
        }
    }
    kept.reverse();
    kept
}
