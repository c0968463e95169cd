//! A view of the Explore page, as it stands in its URL, and what the server answers to it.
//!
//! The parameters: `metric` (again for each), `range` or `from` and `to`, `by` (width of the time buckets), `split`,
//! `filter=dimension:value` (again for each; values of one dimension are alternatives), `chart`, `compare=yes`, and `as_of` (a
//! time in UTC). A form may add one filter more as `where` and `is`. What is not known is explained and never guessed.

mod address;
mod choice;

use std::collections::BTreeMap;

use chrono::{DateTime, NaiveTime, Utc};
use serde::{Deserialize, Serialize};

pub use choice::{Buckets, ChartKind};

use crate::{
    metric::{self, Dimension, METRICS, Metric},
    query::{Filter, MAX_FILTER_VALUES, MAX_FILTERS, Row},
    range::{Granularity, Interval, Range},
};

/// The most metrics of a view.
pub const MAX_METRICS: usize = 4;
/// The most time buckets of a view, and of one that is split as well.
pub const MAX_BUCKETS: i64 = 1_000;
pub const MAX_SPLIT_BUCKETS: i64 = 140;
/// Days up to which a heat map shows the hours of each.
const HOURLY_DAYS: i64 = 14;

/// What a person asked for.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ExploreView {
    /// Names from the catalogue, at least one, each once. The first decides what is greatest.
    pub metrics: Vec<String>,
    pub range: Range,
    pub buckets: Buckets,
    pub split: Option<Dimension>,
    /// At most one for each dimension.
    pub filters: Vec<Filter>,
    pub chart: ChartKind,
    pub compare: bool,
    /// The numbers as they stood then; `None`: as they are now.
    pub as_of: Option<DateTime<Utc>>,
}

impl Default for ExploreView {
    fn default() -> ExploreView {
        ExploreView {
            metrics: vec![METRICS[0].name.to_owned()],
            range: Range::default(),
            buckets: Buckets::default(),
            split: None,
            filters: Vec::new(),
            chart: ChartKind::default(),
            compare: false,
            as_of: None,
        }
    }
}

impl ExploreView {
    /// Whether it can be answered. What comes from elsewhere than [`ExploreView::parse`] is checked by this as well.
    ///
    /// # Errors
    /// A sentence for the person who asked.
    pub fn check(&self) -> Result<(), String> {
        if self.metrics.is_empty() || self.metrics.len() > MAX_METRICS {
            return Err(format!("A view has one to {MAX_METRICS} metrics."));
        }
        if self.filters.len() > MAX_FILTERS || self.filters.iter().any(|filter| filter.values.len() > MAX_FILTER_VALUES)
        {
            return Err(format!("A view has at most {MAX_FILTERS} filters of {MAX_FILTER_VALUES} values each."));
        }
        for name in &self.metrics {
            let metric = metric::find(name).ok_or_else(|| unknown_metric(name))?;
            if metric.source(self.split, &self.filters).is_none() {
                let mut asked: Vec<&str> = Vec::new();
                for dimension in self.split.into_iter().chain(self.filters.iter().map(|filter| filter.dimension)) {
                    if !asked.contains(&dimension.label()) {
                        asked.push(dimension.label());
                    }
                }
                let together = if asked.len() > 1 { " together" } else { "" };
                let asked = asked.join(" and ").to_lowercase();
                return Err(format!("{} is not known by {asked}{together}.", metric.label));
            }
        }
        Ok(())
    }

    /// The metrics themselves.
    pub fn metrics(&self) -> Vec<&'static Metric> {
        self.metrics.iter().filter_map(|name| metric::find(name)).collect()
    }

    /// Every value of every filter.
    pub fn filter_values(&self) -> impl Iterator<Item = (Dimension, &str)> {
        self.filters.iter().flat_map(|filter| filter.values.iter().map(|value| (filter.dimension, value.as_str())))
    }

    /// The width of the buckets over this interval; `None` is the interval as a whole.
    ///
    /// # Errors
    /// A sentence: there would be too many to read.
    pub fn granularity(&self, interval: Interval) -> Result<Option<Granularity>, String> {
        let granularity = match self.buckets {
            Buckets::Auto => return Ok(self.suggested(interval)),
            Buckets::Whole => return Ok(None),
            Buckets::Each(granularity) => granularity,
        };
        let hours = match granularity {
            Granularity::Hour => 1,
            Granularity::Day => 24,
            Granularity::Week => 24 * 7,
            Granularity::Month => 24 * 28,
        };
        let most = if self.split.is_some() { MAX_SPLIT_BUCKETS } else { MAX_BUCKETS };
        if interval.length().num_hours() / hours > most {
            return Err(format!(
                "This range has more than {most} time buckets of one {}. Choose wider ones, or a shorter range.",
                granularity.name()
            ));
        }
        Ok(Some(granularity))
    }

    fn suggested(&self, interval: Interval) -> Option<Granularity> {
        let days = interval.length().num_days();
        match (self.chart, self.split) {
            // Who splits into bars or rows wants to see what is greatest.
            (ChartKind::Bar | ChartKind::Table, Some(_)) => None,
            (ChartKind::Heat, None) if days <= HOURLY_DAYS => Some(Granularity::Hour),
            (ChartKind::Heat, None) if days <= MAX_BUCKETS => Some(Granularity::Day),
            (ChartKind::Heat, None) => Some(Granularity::Month),
            _ => Some(interval.granularity()),
        }
    }

    /// What it shows, in words: `Revenue and orders by store`.
    pub fn title(&self) -> String {
        let mut words = String::new();
        let metrics = self.metrics();
        for (place, metric) in metrics.iter().enumerate() {
            words.push_str(match place {
                0 => "",
                _ if place + 1 == metrics.len() => " and ",
                _ => ", ",
            });
            words.push_str(&if place == 0 { metric.label.to_owned() } else { metric.label.to_lowercase() });
        }
        if let Some(dimension) = self.split {
            words.push_str(" by ");
            words.push_str(&dimension.label().to_lowercase());
        }
        words
    }

    /// A name for a file of its numbers, without the ending: `revenue-orders-by-store`.
    pub fn file_name(&self) -> String {
        let by = self.split.map(|dimension| format!("-by-{}", dimension.name())).unwrap_or_default();
        format!("{}{by}", self.metrics.join("-"))
    }

    /// One step down: nothing but this value of the split, which is then split no longer but seen over time. `None` where
    /// it is not split, or has as many filters as there can be.
    #[must_use]
    pub fn narrowed_to(&self, key: Option<&str>) -> Option<ExploreView> {
        let dimension = self.split?;
        let mut view = ExploreView { split: None, buckets: Buckets::Auto, ..self.clone() };
        view.filters.retain(|filter| filter.dimension != dimension);
        view.filters.push(Filter { dimension, values: vec![key.unwrap_or_default().to_owned()] });
        (view.filters.len() <= MAX_FILTERS).then_some(view)
    }

    /// One step down: the days of one bucket alone; of an hour its day. `None` where the range is no longer already.
    #[must_use]
    pub fn zoomed_to(&self, granularity: Granularity, start: DateTime<Utc>) -> Option<ExploreView> {
        let day = if granularity == Granularity::Hour { Granularity::Day } else { granularity };
        let from = start.date_naive();
        let to = day.end(from.and_time(NaiveTime::MIN).and_utc())?.date_naive().pred_opt()?;
        let range = Range::Days { from, to };
        (range != self.range).then(|| ExploreView { range, buckets: Buckets::Auto, ..self.clone() })
    }

    /// What the page of the rows behind a row takes after the question mark: the first metric over the row's bucket, for the
    /// row's value of the split.
    pub fn rows_query(&self, interval: Interval, granularity: Option<Granularity>, row: &Row) -> String {
        let narrowed = self.split.and_then(|_| self.narrowed_to(row.key.as_deref()));
        let view = narrowed.as_ref().unwrap_or(self);
        let bucket = granularity.zip(row.time).and_then(|(granularity, start)| {
            Some(Interval { from: start.max(interval.from), to: granularity.end(start)?.min(interval.to) })
        });
        view.address_of_rows(bucket.unwrap_or(interval))
    }

    /// The same without one value of a filter.
    #[must_use]
    pub fn without_filter(&self, dimension: Dimension, value: &str) -> ExploreView {
        let mut view = self.clone();
        for filter in view.filters.iter_mut().filter(|filter| filter.dimension == dimension) {
            filter.values.retain(|known| known != value);
        }
        view.filters.retain(|filter| !filter.values.is_empty());
        view
    }
}

fn unknown_metric(name: &str) -> String {
    let known = METRICS.map(|metric| metric.name).join(", ");
    format!("`{}` is not a metric; there are {known}.", address::shortened(name))
}

/// The numbers of a view, all from the same moment.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ExploreAnswer {
    pub interval: Interval,
    pub granularity: Option<Granularity>,
    pub computed_at: DateTime<Utc>,
    /// By time, then the greatest first metric first; without any data there are none. Where there are time buckets each of
    /// them has a row for each value, in the same order, whether anything happened or not.
    pub rows: Vec<Row>,
    /// For each row what it was in the interval of the same length just before: the same value of the split, the bucket at
    /// the same place. Empty where no comparison was asked for.
    pub previous: Vec<Row>,
    /// Whether there are more values of the split than are shown.
    pub more: bool,
    /// What people call the values of the split and of the filters, where that is not the value itself: products.
    pub names: BTreeMap<String, String>,
}

impl ExploreAnswer {
    /// What a person reads for a value of the split or of a filter.
    pub fn name_of(&self, key: Option<&str>) -> String {
        match key {
            None | Some("") => "Unknown".to_owned(),
            Some(key) => self.names.get(key).map_or(key, String::as_str).to_owned(),
        }
    }
}

/// A value that a dimension is known to have.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct KnownValue {
    pub value: String,
    /// What people call it, where that is not the value itself.
    pub name: Option<String>,
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parse(query: &str) -> ExploreView {
        ExploreView::parse(query).unwrap_or_else(|why| panic!("{query}: {why}"))
    }

    #[test]
    fn buckets_are_as_many_as_can_be_read() {
        let now = "2025-11-16T10:59:59Z".parse().expect("a time");
        let granularity = |query: &str| {
            let view = parse(query);
            view.granularity(view.range.interval(now))
        };
        assert_eq!(granularity(""), Ok(Some(Granularity::Week)));
        assert_eq!(granularity("split=store"), Ok(Some(Granularity::Week)));
        assert_eq!(granularity("split=store&chart=bar"), Ok(None));
        assert_eq!(granularity("chart=bar"), Ok(Some(Granularity::Week)));
        assert_eq!(granularity("chart=heat"), Ok(Some(Granularity::Day)));
        assert_eq!(granularity("chart=heat&range=7d"), Ok(Some(Granularity::Hour)));
        assert_eq!(granularity("by=none"), Ok(None));
        assert_eq!(granularity("by=day"), Ok(Some(Granularity::Day)));
        assert!(granularity("by=hour").is_err());
        assert!(granularity("by=day&split=store").is_err());
    }

    #[test]
    fn whatever_the_range_what_is_suggested_is_not_too_much() {
        let from: DateTime<Utc> = "2020-01-01T00:00:00Z".parse().expect("a time");
        for days in 1..=Range::MAX_DAYS {
            let interval = Interval { from, to: from + chrono::TimeDelta::days(days) };
            for query in ["", "split=store", "chart=heat", "chart=heat&split=store"] {
                let view = parse(query);
                let suggested = view.granularity(interval).expect("a suggestion").expect("buckets");
                let view = ExploreView { buckets: Buckets::Each(suggested), ..view };
                assert_eq!(view.granularity(interval), Ok(Some(suggested)), "{query} over {days} days");
            }
        }
    }

    #[test]
    fn a_view_says_what_it_shows() {
        let view = parse("metric=revenue&metric=orders&metric=average_order_value&split=payment&chart=bar");
        assert_eq!(view.title(), "Revenue, orders and average order value by payment method");
        assert_eq!(view.file_name(), "revenue-orders-average_order_value-by-payment");
        assert_eq!(ExploreView::default().title(), "Revenue");
    }

    #[test]
    fn a_row_leads_one_step_down() {
        let view = parse("split=store&filter=store:1&filter=store:3");
        let narrowed = view.narrowed_to(Some("2")).expect("a step");
        assert_eq!(narrowed.to_query(), "metric=revenue&range=1y&filter=store:2");
        assert_eq!(narrowed.narrowed_to(Some("2")), None);
        let month = "2025-02-01T00:00:00Z".parse().expect("a time");
        let zoomed = narrowed.zoomed_to(Granularity::Month, month).expect("a step");
        assert_eq!(zoomed.range.to_query(), "from=2025-02-01&to=2025-02-28");
        let day = zoomed.zoomed_to(Granularity::Hour, month).expect("a step");
        assert_eq!(day.range.to_query(), "from=2025-02-01&to=2025-02-01");
        assert_eq!(day.zoomed_to(Granularity::Hour, month), None);
        assert_eq!(
            view.without_filter(Dimension::Store, "1").to_query(),
            "metric=revenue&range=1y&split=store&filter=store:3"
        );
        assert_eq!(narrowed.without_filter(Dimension::Store, "2").filters, []);
        let interval =
            Interval { from: "2025-02-10T05:00:00Z".parse().expect("a time"), to: month + chrono::TimeDelta::days(90) };
        let row = Row { time: Some(month), key: Some("a&b".to_owned()), values: Vec::new() };
        assert_eq!(
            view.rows_query(interval, Some(Granularity::Month), &row),
            "metric=revenue&from=2025-02-10T05:00:00Z&to=2025-03-01T00:00:00Z&filter=store:a%26b"
        );
    }
}
