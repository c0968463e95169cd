//! How many events each topic has in an hour, beside the same hour of the weeks before.

use std::collections::BTreeMap;

use chrono::{DateTime, DurationRound as _, TimeDelta, Utc};
use model::{
    metric::{self, Dimension},
    quality::{UNUSUAL, Volume, median, modified_z_score},
    query::{MAX_ROWS, MetricQuery},
    range::{Granularity, Interval},
};
use rust_decimal::prelude::ToPrimitive as _;

use crate::warehouse::{QueryError, Warehouse};

/// Weeks that are compared with.
const WEEKS: i64 = 8;
/// Hours that are looked through for what is unusual.
const HOURS: i64 = 24;

/// Events of a topic by hour (seconds since 1970).
type Hours = BTreeMap<i64, u64>;

/// The last hour that is over, of each topic, and the unusual ones among the last day's, the newest first.
///
/// # Errors
/// See [`QueryError`].
pub async fn of(warehouse: &Warehouse, now: DateTime<Utc>) -> Result<(Vec<Volume>, Vec<Volume>), QueryError> {
    let Some(events) = metric::find("events") else { return Ok(Default::default()) };
    let end = now.duration_trunc(TimeDelta::hours(1)).unwrap_or(now);
    let query = MetricQuery {
        metrics: vec![events],
        interval: Interval { from: end - TimeDelta::hours(HOURS) - TimeDelta::weeks(WEEKS), to: end },
        granularity: Some(Granularity::Hour),
        split: Some(Dimension::Topic),
        filters: Vec::new(),
        limit: MAX_ROWS,
    };
    let mut topics: BTreeMap<String, Hours> = BTreeMap::new();
    for row in warehouse.query(&query).await?.iter() {
        let (Some(time), Some(topic)) = (row.time, &row.key) else { continue };
        let count = row.values.first().copied().flatten().and_then(|value| value.to_u64()).unwrap_or(0);
        *topics.entry(topic.clone()).or_default().entry(time.timestamp()).or_default() += count;
    }
    let last = end - TimeDelta::hours(1);
    let volume = topics.iter().map(|(topic, hours)| compared(topic, hours, last)).collect();
    let mut anomalies: Vec<Volume> = topics
        .iter()
        .flat_map(|(topic, hours)| (1..=HOURS).map(move |back| compared(topic, hours, end - TimeDelta::hours(back))))
        .filter(|volume| volume.unusual)
        .collect();
    anomalies.sort_by(|one, other| other.hour.cmp(&one.hour).then_with(|| one.topic.cmp(&other.topic)));
    Ok((volume, anomalies))
}

/// An hour beside the same hour of the weeks before, as far back as there are events of the topic at all.
#[expect(clippy::cast_precision_loss, reason = "counts for a score")]
fn compared(topic: &str, hours: &Hours, hour: DateTime<Utc>) -> Volume {
    let count = |hour: DateTime<Utc>| hours.get(&hour.timestamp()).copied().unwrap_or(0);
    let first = hours.keys().next().copied().unwrap_or(i64::MAX);
    let before: Vec<f64> = (1..=WEEKS)
        .map(|weeks| hour - TimeDelta::weeks(weeks))
        .filter(|hour| hour.timestamp() >= first)
        .map(|hour| count(hour) as f64)
        .collect();
    let events = count(hour);
    let score = modified_z_score(events as f64, &before);
    Volume {
        topic: topic.to_owned(),
        hour,
        events,
        usual: median(&before),
        weeks: before.len(),
        score,
        unusual: score.is_some_and(|score| score.abs() > UNUSUAL),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_hour_is_compared_with_its_own_past_as_far_as_there_is_one() {
        let hour: DateTime<Utc> = "2026-03-20T10:00:00Z".parse().expect("a time");
        let at = |weeks: i64| (hour - TimeDelta::weeks(weeks)).timestamp();
        let mut hours: Hours = [(at(5), 100), (at(4), 110), (at(3), 90), (at(2), 105), (at(1), 95), (at(0), 12)].into();
        let volume = compared("t", &hours, hour);
        assert_eq!((volume.events, volume.weeks, volume.unusual), (12, 5, true));
        assert!((volume.usual - 100.0).abs() < 1e-9);
        assert!(volume.score.is_some_and(|score| score < -UNUSUAL));
        // Silence is a count too.
        hours.remove(&at(0));
        assert!(compared("t", &hours, hour).unusual);
        // Too short a past says nothing.
        hours.retain(|hour, _| *hour >= at(3));
        let volume = compared("t", &hours, hour);
        assert_eq!((volume.score, volume.unusual), (None, false));
    }
}
