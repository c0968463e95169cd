//! A view of the Explore page, as it stands in its URL, and what the server answers to it.
//!
//! The parameters: `metric` (again for each), `range` or `from` and `to`, `by` (width of the time buckets), `split`,
//! `filter=dimension:value` (again for each; values of one dimension are alternatives), `chart`, and `compare=yes`. A form
//! may add one filter more as `where` and `is`. What is not known is explained and never guessed.

use chrono::{DateTime, Utc};
use serde::{Deserialize, Serialize};

use crate::{
    metric::{self, Dimension, METRICS, Metric},
    query::{Filter, MAX_FILTER_VALUES, MAX_FILTERS, Row},
    range::{Granularity, Interval, Range},
};

/// The most metrics of a view.
pub const MAX_METRICS: usize = 4;
/// The most time buckets of a view, and of one that is split as well.
pub const MAX_BUCKETS: i64 = 1_000;
pub const MAX_SPLIT_BUCKETS: i64 = 120;
/// The longest value of a filter, in bytes.
const LONGEST_VALUE: usize = 256;

/// How wide the time buckets are.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Buckets {
    /// As the range suggests; none where the view is split.
    #[default]
    Auto,
    /// No buckets: the range as a whole.
    Whole,
    Each(Granularity),
}

impl Buckets {
    pub const ALL: [Buckets; 6] = [
        Buckets::Auto,
        Buckets::Each(Granularity::Hour),
        Buckets::Each(Granularity::Day),
        Buckets::Each(Granularity::Week),
        Buckets::Each(Granularity::Month),
        Buckets::Whole,
    ];

    pub fn name(self) -> &'static str {
        match self {
            Buckets::Auto => "auto",
            Buckets::Whole => "none",
            Buckets::Each(granularity) => granularity.name(),
        }
    }

    pub fn label(self) -> &'static str {
        match self {
            Buckets::Auto => "Automatic",
            Buckets::Whole => "The range as a whole",
            Buckets::Each(Granularity::Hour) => "Hour",
            Buckets::Each(Granularity::Day) => "Day",
            Buckets::Each(Granularity::Week) => "Week",
            Buckets::Each(Granularity::Month) => "Month",
        }
    }
}

/// How the numbers are drawn.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum ChartKind {
    #[default]
    Line,
    Bar,
    Area,
    /// Not at all: the table alone.
    Table,
}

impl ChartKind {
    pub const ALL: [ChartKind; 4] = [ChartKind::Line, ChartKind::Bar, ChartKind::Area, ChartKind::Table];

    pub fn name(self) -> &'static str {
        match self {
            ChartKind::Line => "line",
            ChartKind::Bar => "bar",
            ChartKind::Area => "area",
            ChartKind::Table => "table",
        }
    }

    pub fn label(self) -> &'static str {
        match self {
            ChartKind::Line => "Line",
            ChartKind::Bar => "Bars",
            ChartKind::Area => "Area",
            ChartKind::Table => "Table only",
        }
    }
}

/// What a person asked for.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ExploreView {
    /// Names from the catalogue, at least one, each once.
    pub metrics: Vec<String>,
    pub range: Range,
    pub buckets: Buckets,
    pub split: Option<Dimension>,
    /// At most one for each dimension.
    pub filters: Vec<Filter>,
    pub chart: ChartKind,
    pub compare: bool,
}

impl Default for ExploreView {
    fn default() -> ExploreView {
        ExploreView {
            metrics: vec![METRICS[0].name.to_owned()],
            range: Range::default(),
            buckets: Buckets::Auto,
            split: None,
            filters: Vec::new(),
            chart: ChartKind::Line,
            compare: false,
        }
    }
}

impl ExploreView {
    /// Reads the parameters of a URL. No parameter at all is the default view; one that is not known says nothing.
    ///
    /// # Errors
    /// A sentence for the person who typed it.
    pub fn parse<'a>(parameters: impl IntoIterator<Item = (&'a str, &'a str)>) -> Result<ExploreView, String> {
        let mut view = ExploreView { metrics: Vec::new(), ..ExploreView::default() };
        let (mut range, mut from, mut to, mut dimension, mut is) = (None, None, None, None, None);
        for (name, value) in parameters {
            let value = value.trim();
            if value.is_empty() {
                continue;
            }
            match name {
                "metric" => view.add_metric(value)?,
                "range" => range = Some(value),
                "from" => from = Some(value),
                "to" => to = Some(value),
                "by" => view.buckets = known("time bucket", value, Buckets::ALL, Buckets::name)?,
                "split" => view.split = Some(known("dimension", value, Dimension::ALL, Dimension::name)?),
                "chart" => view.chart = known("chart", value, ChartKind::ALL, ChartKind::name)?,
                "compare" => view.compare = known("comparison", value, [true, false], yes_or_no)?,
                "filter" => {
                    let (dimension, value) = value.split_once(':').ok_or_else(|| {
                        format!("`{}` is not a filter such as store:367.", shortened(value))
                    })?;
                    view.add_filter(known("dimension", dimension, Dimension::ALL, Dimension::name)?, value)?;
                }
                "where" => dimension = Some(known("dimension", value, Dimension::ALL, Dimension::name)?),
                "is" => is = Some(value),
                _ => {}
            }
        }
        match (dimension, is) {
            (Some(dimension), Some(value)) => view.add_filter(dimension, value)?,
            (None, Some(_)) => return Err("A filter needs the dimension whose value it names.".to_owned()),
            // A dimension without a value is how the form begins.
            (_, None) => {}
        }
        view.range = Range::parse(range, from, to)?;
        if view.metrics.is_empty() {
            view.metrics = ExploreView::default().metrics;
        }
        view.check()?;
        Ok(view)
    }

    /// Whether it can be answered. What comes from elsewhere than [`ExploreView::parse`] is checked by this as well.
    ///
    /// # Errors
    /// A sentence for the person who asked.
    pub fn check(&self) -> Result<(), String> {
        if self.metrics.is_empty() || self.metrics.len() > MAX_METRICS {
            return Err(format!("A view has one to {MAX_METRICS} metrics."));
        }
        if self.filters.len() > MAX_FILTERS || self.filters.iter().any(|filter| filter.values.len() > MAX_FILTER_VALUES) {
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
                return Err(format!("{} is not known by {}{together}.", metric.label, asked.join(" and ").to_lowercase()));
            }
        }
        Ok(())
    }

    fn add_metric(&mut self, name: &str) -> Result<(), String> {
        let metric = metric::find(name).ok_or_else(|| unknown_metric(name))?;
        if !self.metrics.iter().any(|known| known == metric.name) {
            self.metrics.push(metric.name.to_owned());
        }
        Ok(())
    }

    fn add_filter(&mut self, dimension: Dimension, value: &str) -> Result<(), String> {
        if value.len() > LONGEST_VALUE {
            return Err(format!("The value of a filter is longer than {LONGEST_VALUE} bytes."));
        }
        match self.filters.iter_mut().find(|filter| filter.dimension == dimension) {
            Some(filter) if filter.values.iter().any(|known| known == value) => {}
            Some(filter) => filter.values.push(value.to_owned()),
            None => self.filters.push(Filter { dimension, values: vec![value.to_owned()] }),
        }
        Ok(())
    }

    /// The metrics themselves.
    pub fn metrics(&self) -> Vec<&'static Metric> {
        self.metrics.iter().filter_map(|name| metric::find(name)).collect()
    }

    /// The width of the buckets over this interval; `None` is the interval as a whole.
    ///
    /// # Errors
    /// A sentence: there would be too many to read.
    pub fn granularity(&self, interval: Interval) -> Result<Option<Granularity>, String> {
        let granularity = match self.buckets {
            Buckets::Auto if self.split.is_some() => return Ok(None),
            Buckets::Auto => interval.granularity(),
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

    /// The same as URL parameters, without the question mark.
    pub fn to_query(&self) -> String {
        let mut parts: Vec<String> = self.metrics.iter().map(|name| format!("metric={}", encoded(name))).collect();
        parts.push(self.range.to_query());
        if self.buckets != Buckets::Auto {
            parts.push(format!("by={}", self.buckets.name()));
        }
        if let Some(dimension) = self.split {
            parts.push(format!("split={}", dimension.name()));
        }
        for (dimension, value) in self.filter_values() {
            parts.push(format!("filter={}:{}", dimension.name(), encoded(value)));
        }
        if self.chart != ChartKind::Line {
            parts.push(format!("chart={}", self.chart.name()));
        }
        if self.compare {
            parts.push("compare=yes".to_owned());
        }
        parts.join("&")
    }

    /// Every value of every filter.
    pub fn filter_values(&self) -> impl Iterator<Item = (Dimension, &str)> {
        self.filters.iter().flat_map(|filter| filter.values.iter().map(|value| (filter.dimension, value.as_str())))
    }

    /// One step down: nothing but this value of the split, which is then split no longer but seen over time. `None` where
    /// it is not split, or is kept to this value already.
    #[must_use]
    pub fn narrowed_to(&self, key: Option<&str>) -> Option<ExploreView> {
        let dimension = self.split?;
        let mut view = self.clone();
        view.filters.retain(|filter| filter.dimension != dimension);
        view.filters.push(Filter { dimension, values: vec![key.unwrap_or_default().to_owned()] });
        view.split = None;
        view.buckets = Buckets::Auto;
        (view.filters.len() <= MAX_FILTERS).then_some(view)
    }

    /// One step down: the days of one bucket alone. `None` where a bucket is shorter than a day, which no range names.
    #[must_use]
    pub fn zoomed_to(&self, granularity: Granularity, start: DateTime<Utc>) -> Option<ExploreView> {
        let from = start.date_naive();
        let next = match granularity {
            Granularity::Hour => return None,
            Granularity::Day => from.checked_add_days(chrono::Days::new(1)),
            Granularity::Week => from.checked_add_days(chrono::Days::new(7)),
            Granularity::Month => from.checked_add_months(chrono::Months::new(1)),
        };
        let to = next?.pred_opt()?;
        Some(ExploreView { range: Range::Days { from, to }, buckets: Buckets::Auto, ..self.clone() })
    }
}

fn yes_or_no(value: bool) -> &'static str {
    if value { "yes" } else { "no" }
}

fn known<T: Copy, const N: usize>(
    what: &str,
    value: &str,
    all: [T; N],
    name: fn(T) -> &'static str,
) -> Result<T, String> {
    all.into_iter().find(|one| name(*one) == value).ok_or_else(|| {
        format!("`{}` is not a {what}; there are {}.", shortened(value), all.map(name).join(", "))
    })
}

fn unknown_metric(name: &str) -> String {
    format!("`{}` is not a metric; there are {}.", shortened(name), METRICS.map(|metric| metric.name).join(", "))
}

fn shortened(text: &str) -> String {
    text.chars().take(40).collect()
}

/// Text for a part of a URL.
fn encoded(text: &str) -> String {
    let mut encoded = String::with_capacity(text.len());
    for byte in text.bytes() {
        match byte {
            b'A'..=b'Z' | b'a'..=b'z' | b'0'..=b'9' | b'-' | b'.' | b'_' | b'~' => encoded.push(char::from(byte)),
            _ => encoded.push_str(&format!("%{byte:02X}")),
        }
    }
    encoded
}

/// The numbers of a view, all from the same moment.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ExploreAnswer {
    pub interval: Interval,
    pub granularity: Option<Granularity>,
    pub computed_at: DateTime<Utc>,
    /// By time, or the greatest first metric first; without any data there are none. A bucket in which nothing happened
    /// has its row.
    pub rows: Vec<Row>,
    /// For each row what it was in the interval of the same length just before: the same value of the split, the bucket at
    /// the same place. Empty where no comparison was asked for.
    pub previous: Vec<Row>,
    /// Whether there are more values of the split than are shown.
    pub more: bool,
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parse(parameters: &[(&str, &str)]) -> Result<ExploreView, String> {
        ExploreView::parse(parameters.iter().copied())
    }

    #[test]
    fn a_view_survives_its_url() {
        let view = parse(&[
            ("metric", "orders"),
            ("metric", "revenue"),
            ("metric", "orders"),
            ("range", "30d"),
            ("by", "week"),
            ("split", "payment"),
            ("filter", "store:367"),
            ("filter", "payment:"),
            ("where", "store"),
            ("is", "a&b"),
            ("chart", "area"),
            ("compare", "yes"),
        ])
        .expect("a view");
        assert_eq!(
            view.to_query(),
            "metric=orders&metric=revenue&range=30d&by=week&split=payment&filter=store:367&filter=store:a%26b\
             &filter=payment:&chart=area&compare=yes"
        );
        assert_eq!(view.filters.len(), 2);
        assert_eq!(parse(&[]), Ok(ExploreView::default()));
        assert_eq!(parse(&[("where", "store"), ("is", " ")]), Ok(ExploreView::default()));
    }

    #[test]
    fn nonsense_is_explained() {
        for (name, value, words) in [
            ("metric", "profit", "`profit` is not a metric; there are revenue, orders"),
            ("range", "fortnight", "is not a range"),
            ("by", "minute", "there are auto, hour, day, week, month, none."),
            ("split", "planet", "`planet` is not a dimension"),
            ("chart", "pie", "there are line, bar, area, table."),
            ("compare", "perhaps", "there are yes, no."),
            ("filter", "store", "is not a filter such as store:367."),
            ("is", "367", "needs the dimension"),
            ("split", "topic", "Revenue is not known by topic."),
        ] {
            let why = parse(&[(name, value)]).expect_err(value);
            assert!(why.contains(words), "{why}");
        }
        let why = parse(&[("split", "store"), ("filter", "brand:x")]).expect_err("no table knows both");
        assert_eq!(why, "Revenue is not known by store and brand together.");
        let five = ["revenue", "orders", "units", "discounts", "lines"].map(|name| ("metric", name));
        assert!(parse(&five).is_err());
        let long = "x".repeat(300);
        assert!(parse(&[("where", "store"), ("is", &long)]).is_err());
    }

    #[test]
    fn buckets_are_as_many_as_can_be_read() {
        let now = "2025-11-16T10:59:59Z".parse().expect("a time");
        let granularity = |parameters: &[(&str, &str)]| {
            let view = parse(parameters).expect("a view");
            view.granularity(view.range.interval(now))
        };
        assert_eq!(granularity(&[]), Ok(Some(Granularity::Week)));
        assert_eq!(granularity(&[("split", "store")]), Ok(None));
        assert_eq!(granularity(&[("by", "day")]), Ok(Some(Granularity::Day)));
        assert!(granularity(&[("by", "hour")]).is_err());
        assert!(granularity(&[("by", "day"), ("split", "store")]).is_err());
    }

    #[test]
    fn a_row_leads_one_step_down() {
        let view = parse(&[("split", "store"), ("filter", "store:1")]).expect("a view");
        let narrowed = view.narrowed_to(Some("2")).expect("a step");
        assert_eq!(narrowed.to_query(), "metric=revenue&range=1y&filter=store:2");
        assert_eq!(narrowed.narrowed_to(Some("2")), None);
        let month = "2025-02-01T00:00:00Z".parse().expect("a time");
        let zoomed = narrowed.zoomed_to(Granularity::Month, month).expect("a step");
        assert_eq!(zoomed.range.to_query(), "from=2025-02-01&to=2025-02-28");
        assert_eq!(narrowed.zoomed_to(Granularity::Hour, month), None);
    }
}
