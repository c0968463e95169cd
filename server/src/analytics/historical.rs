//! Metrics over an interval, by time or by a dimension, as the warehouse knows them.

use std::{
    collections::{BTreeMap, HashMap},
    sync::Arc,
};

use chrono::{DateTime, Days, FixedOffset, NaiveTime, Utc};
use model::{
    metric::{Dimension, Metric, Unit},
    query::{Filter, MAX_FILTER_VALUES, MAX_ROWS, MetricQuery, Row},
    range::{Granularity, Interval},
};
use rust_decimal::Decimal;
use serde::Serialize;
use utoipa::ToSchema;

use super::{ask::Asked, refused};
use crate::{numbers::Numbers, overview::of_nothing, problem::Problem, warehouse::Offsets, zone::Zone};

/// Questions that may be needed to find what the rows of a page were before.
const MOST_QUESTIONS: usize = 20;

/// Metrics over an interval.
#[derive(Debug, Serialize, ToSchema)]
pub struct Historical {
    /// In the order in which they were asked for.
    pub metrics: Vec<MetricUnit>,
    pub interval: Interval,
    /// What is compared with, where that was asked for.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub previous_interval: Option<Interval>,
    /// The width of the buckets; null for the interval as a whole.
    pub granularity: Option<Granularity>,
    pub group_by: Option<Dimension>,
    pub filters: Vec<Filter>,
    #[schema(value_type = String, example = "UTC")]
    pub timezone: &'static str,
    /// The time as of which these are the numbers, where that was asked for.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub as_of: Option<DateTime<Utc>>,
    pub rows: Vec<HistoricalRow>,
    /// Whether there are more rows than the 10000 of the longest answer, so that the last ones cannot be had.
    pub truncated: bool,
    /// Send it as `cursor` with the same parameters for the next page; null on the last one.
    pub next: Option<String>,
}

/// A metric, and how its values are written.
#[derive(Debug, Serialize, ToSchema)]
pub struct MetricUnit {
    #[schema(value_type = String, example = "revenue")]
    pub name: &'static str,
    pub unit: Unit,
}

type Values = BTreeMap<&'static str, Option<Decimal>>;

/// One bucket, one value of the dimension, or one of both.
#[derive(Debug, PartialEq, Serialize, ToSchema)]
pub struct HistoricalRow {
    /// When the bucket begins, as clocks in the time zone show it; null for the interval as a whole.
    pub time: Option<DateTime<FixedOffset>>,
    /// The value of the dimension; null where nothing is grouped, and for what names nothing.
    pub key: Option<String>,
    /// The metrics' values by name: exact decimal numbers as text. Null where there is nothing to compute from.
    #[schema(value_type = BTreeMap<String, Option<Decimal>>)]
    pub values: Values,
    /// The same in the interval before, where that was asked for; null where there is no such bucket or no such value.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<PreviousRow>)]
    pub previous: Option<Option<PreviousRow>>,
}

/// What a row is compared with.
#[derive(Debug, PartialEq, Serialize, ToSchema)]
pub struct PreviousRow {
    /// When the bucket of the same place in the interval before begins.
    pub time: Option<DateTime<FixedOffset>>,
    #[schema(value_type = BTreeMap<String, Option<Decimal>>)]
    pub values: Values,
}

/// Asks for the numbers.
///
/// # Errors
/// The question has no answer, or one that would be too long.
pub(super) async fn answer(numbers: Numbers<'_>, asked: &Asked) -> Result<Historical, Problem> {
    let previous = asked.compare.then(|| before(asked.interval, asked.zone));
    let span = Interval { from: previous.unwrap_or(asked.interval).from, to: asked.interval.to };
    let offsets = match asked.granularity {
        None | Some(Granularity::Hour) => Offsets::utc(),
        Some(_) => asked.zone.offsets(span).map_err(Problem::bad_request)?,
    };
    let question = Question { numbers, asked, offsets };
    let buckets = question.buckets(asked.interval)?;
    let (rows, more, truncated) = match asked.group_by {
        None => question.course(&buckets).await?,
        Some(_) => question.ranking().await?,
    };
    let previous_rows = match previous {
        Some(interval) => Some((question.buckets(interval)?, question.previous(interval, &rows).await?)),
        None => None,
    };
    let rows = rows.iter().map(|row| HistoricalRow {
        time: row.time.map(|time| asked.zone.show(time)),
        key: row.key.clone(),
        values: question.values(row),
        previous: previous_rows.as_ref().map(|(before, known)| {
            // The bucket of the same place; where there are none, the whole.
            let time = match row.time {
                Some(time) => Some(*before.get(buckets.iter().position(|bucket| *bucket == time)?)?),
                None => None,
            };
            let row = known.get(&(time, row.key.clone()))?;
            Some(PreviousRow { time: time.map(|time| asked.zone.show(time)), values: question.values(row) })
        }),
    });
    Ok(Historical {
        metrics: asked.metrics.iter().map(|metric| MetricUnit { name: metric.name, unit: metric.unit }).collect(),
        interval: asked.interval,
        previous_interval: previous,
        granularity: asked.granularity,
        group_by: asked.group_by,
        filters: asked.filters.clone(),
        timezone: asked.zone.name(),
        as_of: asked.as_of,
        rows: rows.collect(),
        truncated,
        next: more.then(|| asked.next()),
    })
}

/// The interval just before: as many local days where it is of whole local days, else as long.
fn before(interval: Interval, zone: Zone) -> Interval {
    let (from, to) = (zone.show(interval.from), zone.show(interval.to));
    let whole_days = from.time() == NaiveTime::MIN && to.time() == NaiveTime::MIN;
    let days = u64::try_from((to.date_naive() - from.date_naive()).num_days()).unwrap_or(0);
    if whole_days {
        Interval { from: zone.start_of(from.date_naive() - Days::new(days)), to: interval.from }
    } else {
        interval.previous()
    }
}

type Known = HashMap<(Option<DateTime<Utc>>, Option<String>), Row>;

struct Question<'a> {
    numbers: Numbers<'a>,
    asked: &'a Asked,
    offsets: Offsets,
}

impl Question<'_> {
    fn buckets(&self, interval: Interval) -> Result<Vec<DateTime<Utc>>, Problem> {
        let Some(granularity) = self.asked.granularity else { return Ok(Vec::new()) };
        let buckets = self.asked.zone.buckets(interval, granularity);
        if buckets.len() > MAX_ROWS {
            return Err(Problem::bad_request(format!(
                "The interval has more than {MAX_ROWS} buckets; a coarser granularity or a shorter interval will help."
            )));
        }
        Ok(buckets)
    }

    async fn ask(&self, interval: Interval, filters: Vec<Filter>, limit: usize) -> Result<Arc<Vec<Row>>, Problem> {
        let query = MetricQuery {
            metrics: self.asked.metrics.clone(),
            interval,
            granularity: self.asked.granularity,
            split: self.asked.group_by,
            filters,
            limit,
        };
        self.numbers.query(&query, &self.offsets).await.map_err(refused)
    }

    /// Every bucket of this page, those without data too; or the one row of the whole.
    async fn course(&self, buckets: &[DateTime<Utc>]) -> Result<(Vec<Row>, bool, bool), Problem> {
        let rows = self.ask(self.asked.interval, self.asked.filters.clone(), MAX_ROWS).await?;
        let known = by_place(&rows);
        let places: Vec<Option<DateTime<Utc>>> = match self.asked.granularity {
            None => vec![None],
            Some(_) => buckets.iter().copied().map(Some).collect(),
        };
        let (first, limit) = (self.asked.offset, self.asked.limit);
        let more = places.len() > first + limit;
        let page = places.into_iter().skip(first).take(limit).map(|time| self.row(&known, time));
        Ok((page.collect(), more, false))
    }

    /// What is known of a bucket; where nothing happened, that.
    fn row(&self, known: &Known, time: Option<DateTime<Utc>>) -> Row {
        let row = known.get(&(time, None));
        let value = |(index, metric): (usize, &&'static Metric)| {
            row.and_then(|row| row.values.get(index).copied().flatten()).or_else(|| of_nothing(metric))
        };
        Row { time, key: None, values: self.asked.metrics.iter().enumerate().map(value).collect() }
    }

    /// A page of the rows in the order in which the warehouse gives them.
    async fn ranking(&self) -> Result<(Vec<Row>, bool, bool), Problem> {
        let end = self.asked.offset + self.asked.limit;
        let limit = (end + 1).min(MAX_ROWS);
        let rows = self.ask(self.asked.interval, self.asked.filters.clone(), limit).await?;
        let more = rows.len() > end;
        // Then nobody knows whether there are more.
        let truncated = !more && rows.len() == MAX_ROWS;
        Ok((rows.iter().skip(self.asked.offset).take(self.asked.limit).cloned().collect(), more, truncated))
    }

    /// What the rows of a page were in the interval before.
    async fn previous(&self, interval: Interval, page: &[Row]) -> Result<Known, Problem> {
        let Some(dimension) = self.asked.group_by else {
            let rows = self.ask(interval, self.asked.filters.clone(), MAX_ROWS).await?;
            let known = by_place(&rows);
            let places: Vec<_> = match self.asked.granularity {
                None => vec![None],
                Some(_) => self.buckets(interval)?.into_iter().map(Some).collect(),
            };
            return Ok(places.into_iter().map(|time| ((time, None), self.row(&known, time))).collect());
        };
        let mut keys: Vec<String> = page.iter().map(|row| row.key.clone().unwrap_or_default()).collect();
        keys.sort_unstable();
        keys.dedup();
        // So many that no answer can be cut off.
        let buckets = self.buckets(interval)?.len().max(1);
        let at_once = (MAX_ROWS / buckets).saturating_sub(1).clamp(1, MAX_FILTER_VALUES);
        if keys.len().div_ceil(at_once) > MOST_QUESTIONS {
            return Err(Problem::bad_request(
                "A page of so many rows cannot be compared; a lower limit or a coarser granularity will help.",
            ));
        }
        let mut known = Known::new();
        for keys in keys.chunks(at_once) {
            let mut filters = self.asked.filters.clone();
            filters.push(Filter { dimension, values: keys.to_vec() });
            known.extend(by_place(&self.ask(interval, filters, MAX_ROWS).await?));
        }
        Ok(known)
    }

    fn values(&self, row: &Row) -> Values {
        self.asked.metrics.iter().zip(&row.values).map(|(metric, value)| (metric.name, *value)).collect()
    }
}

fn by_place(rows: &[Row]) -> Known {
    rows.iter().map(|row| ((row.time, row.key.clone()), row.clone())).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_interval_before_has_as_many_days_whatever_clocks_do() {
        let at = |text: &str| text.parse().expect("a time");
        let zone = Zone::named("Europe/Berlin").expect("a zone");
        // 30 March 2025 has 23 hours there.
        let week = Interval { from: at("2025-03-31T22:00:00Z"), to: at("2025-04-07T22:00:00Z") };
        let previous = before(week, zone);
        assert_eq!((previous.from, previous.to), (at("2025-03-24T23:00:00Z"), week.from));
        assert_eq!(before(week, Zone::UTC).from, at("2025-03-24T22:00:00Z"));
    }
}
