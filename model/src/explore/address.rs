//! A view as the parameters of a URL, and back.

use chrono::{DateTime, NaiveDateTime, SecondsFormat, Utc};
use form_urlencoded::byte_serialize;

use super::{Buckets, ChartKind, ExploreView, unknown_metric};
use crate::{
    metric::{self, Dimension},
    query::Filter,
    range::{Interval, Range},
};

/// The longest value of a filter, in bytes.
const LONGEST_VALUE: usize = 256;

impl ExploreView {
    /// Reads what stands after the question mark of a URL. Nothing at all is the default view; a name that is not known is
    /// passed over.
    ///
    /// # Errors
    /// A sentence for the person who typed it.
    pub fn parse(query: &str) -> Result<ExploreView, String> {
        let mut view = ExploreView { metrics: Vec::new(), ..ExploreView::default() };
        let (mut range, mut from, mut to, mut dimension, mut is) = (None, None, None, None, None);
        for (name, value) in form_urlencoded::parse(query.trim_start_matches('?').as_bytes()) {
            let value = value.trim();
            if value.is_empty() {
                continue;
            }
            match &*name {
                "metric" => view.add_metric(value)?,
                "range" => range = Some(value.to_owned()),
                "from" => from = Some(value.to_owned()),
                "to" => to = Some(value.to_owned()),
                "by" => view.buckets = known("time bucket", value, Buckets::ALL, Buckets::name)?,
                "split" => view.split = Some(dimension_named(value)?),
                "chart" => view.chart = known("chart", value, ChartKind::ALL, ChartKind::name)?,
                "compare" => view.compare = known("comparison", value, [true, false], yes_or_no)?,
                "as_of" => view.as_of = Some(moment(value)?),
                "filter" => {
                    let (dimension, value) = value
                        .split_once(':')
                        .ok_or_else(|| format!("`{}` is not a filter such as store:367.", shortened(value)))?;
                    view.add_filter(dimension_named(dimension)?, value)?;
                }
                "where" => dimension = Some(dimension_named(value)?),
                "is" => is = Some(value.to_owned()),
                _ => {}
            }
        }
        match (dimension, is) {
            (Some(dimension), Some(value)) => view.add_filter(dimension, &value)?,
            (None, Some(_)) => return Err("A filter needs the dimension whose value it names.".to_owned()),
            // A dimension without a value is how the form begins.
            (_, None) => {}
        }
        view.range = Range::parse(range.as_deref(), from.as_deref(), to.as_deref())?;
        if view.metrics.is_empty() {
            view.metrics = ExploreView::default().metrics;
        }
        view.check()?;
        Ok(view)
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

    /// The same as URL parameters, without the question mark.
    pub fn to_query(&self) -> String {
        let mut parts: Vec<String> = self.metrics.iter().map(|name| format!("metric={}", encoded(name))).collect();
        parts.push(self.range.to_query());
        if self.buckets != Buckets::default() {
            parts.push(format!("by={}", self.buckets.name()));
        }
        if let Some(dimension) = self.split {
            parts.push(format!("split={}", dimension.name()));
        }
        for (dimension, value) in self.filter_values() {
            parts.push(format!("filter={}:{}", dimension.name(), encoded(value)));
        }
        if self.chart != ChartKind::default() {
            parts.push(format!("chart={}", self.chart.name()));
        }
        if self.compare {
            parts.push("compare=yes".to_owned());
        }
        parts.extend(self.as_of.map(|at| format!("as_of={}", written(at))));
        parts.join("&")
    }

    /// What the page of the rows behind a number takes.
    pub(super) fn address_of_rows(&self, interval: Interval) -> String {
        let metric = self.metrics.first().map(String::as_str).unwrap_or_default();
        let mut parts = vec![format!("metric={}", encoded(metric))];
        parts.push(format!("from={}&to={}", written(interval.from), written(interval.to)));
        let filters = self.filter_values();
        parts.extend(filters.map(|(dimension, value)| format!("filter={}:{}", dimension.name(), encoded(value))));
        parts.extend(self.as_of.map(|at| format!("as_of={}", written(at))));
        parts.join("&")
    }

    /// The page that shows it.
    pub fn href(&self) -> String {
        format!("/explore?{}", self.to_query())
    }
}

fn written(time: DateTime<Utc>) -> String {
    time.to_rfc3339_opts(SecondsFormat::AutoSi, true)
}

/// A time as RFC 3339, or as a form's field writes it, which is then of UTC.
fn moment(text: &str) -> Result<DateTime<Utc>, String> {
    let with_zone = DateTime::parse_from_rfc3339(text).map(|time| time.to_utc());
    let of_utc = || {
        ["%Y-%m-%dT%H:%M:%S", "%Y-%m-%dT%H:%M"].iter().find_map(|form| NaiveDateTime::parse_from_str(text, form).ok())
    };
    with_zone
        .ok()
        .or_else(|| of_utc().map(|time| time.and_utc()))
        .ok_or_else(|| format!("`{}` is not a time such as 2025-11-01T10:00:00Z.", shortened(text)))
}

fn yes_or_no(value: bool) -> &'static str {
    if value { "yes" } else { "no" }
}

fn dimension_named(name: &str) -> Result<Dimension, String> {
    known("dimension", name, Dimension::ALL, Dimension::name)
}

fn known<T: Copy, const N: usize>(
    what: &str,
    value: &str,
    all: [T; N],
    name: fn(T) -> &'static str,
) -> Result<T, String> {
    all.into_iter()
        .find(|one| name(*one) == value)
        .ok_or_else(|| format!("`{}` is not a {what}; there are {}.", shortened(value), all.map(name).join(", ")))
}

/// As much of a text as an error repeats.
pub(super) fn shortened(text: &str) -> String {
    text.chars().take(40).collect()
}

fn encoded(text: &str) -> String {
    byte_serialize(text.as_bytes()).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_view_survives_its_url() {
        let query = "?metric=orders&metric=revenue&metric=orders&range=30d&by=week&split=payment&filter=store%3A367\
                     &filter=payment:&where=store&is=a%26b+c&chart=area&compare=yes&unknown=1&as_of=2025-11-01T10:00";
        let view = ExploreView::parse(query).expect("a view");
        let written = "metric=orders&metric=revenue&range=30d&by=week&split=payment&filter=store:367\
                       &filter=store:a%26b+c&filter=payment:&chart=area&compare=yes&as_of=2025-11-01T10:00:00Z";
        assert_eq!(view.to_query(), written);
        assert_eq!(ExploreView::parse(written).as_ref(), Ok(&view));
        assert_eq!(view.filters.len(), 2);
        assert_eq!(view.href(), format!("/explore?{written}"));
        for nothing in ["", "?", "metric=&split=", "where=store&is=+"] {
            assert_eq!(ExploreView::parse(nothing), Ok(ExploreView::default()), "{nothing}");
        }
    }

    #[test]
    fn nonsense_is_explained() {
        for (query, words) in [
            ("metric=profit", "`profit` is not a metric; there are revenue, orders"),
            ("range=fortnight", "is not a range"),
            ("by=minute", "there are auto, hour, day, week, month, none."),
            ("split=planet", "`planet` is not a dimension"),
            ("chart=pie", "there are line, bar, area, heat, table."),
            ("compare=perhaps", "there are yes, no."),
            ("filter=store", "is not a filter such as store:367."),
            ("as_of=lately", "`lately` is not a time"),
            ("is=367", "needs the dimension"),
            ("split=topic", "Revenue is not known by topic."),
            ("split=store&filter=brand:x", "Revenue is not known by store and brand together."),
            ("metric=revenue&metric=orders&metric=units&metric=discounts&metric=lines", "one to 4 metrics"),
        ] {
            let why = ExploreView::parse(query).expect_err(query);
            assert!(why.contains(words), "{why}");
        }
        assert!(ExploreView::parse(&format!("where=store&is={}", "x".repeat(300))).is_err());
    }
}
