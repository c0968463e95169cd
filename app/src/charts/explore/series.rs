//! The numbers of a view as what is drawn: a panel for each metric, and in it a series for each value that is followed.

use model::{
    explore::{ChartKind, ExploreAnswer, ExploreView},
    metric::{Metric, Unit},
    query::Row,
};
use rust_decimal::prelude::ToPrimitive;

use crate::format;

/// Bars of a ranking with one metric, and with several.
const BARS: usize = 20;
const BARS_OF_SEVERAL: usize = 10;
/// Values up to which the period before is drawn as well; with more nobody could tell the lines apart.
pub const COMPARABLE: usize = 4;
/// A series' colour is its place among as many as there are of them in the style sheet.
pub const COLOURS: usize = 8;

/// How the numbers lie in the plane.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Shape {
    /// Over time.
    Course,
    /// The greatest, one below the other.
    Ranking,
    /// Fields in two directions: see [`super::heat`].
    Heat,
}

impl Shape {
    pub fn of(view: &ExploreView, answer: &ExploreAnswer) -> Shape {
        match (view.chart, answer.granularity) {
            (_, None) => Shape::Ranking,
            (ChartKind::Heat, Some(_)) => Shape::Heat,
            _ => Shape::Course,
        }
    }
}

/// A named row of numbers.
#[derive(Clone, Debug, PartialEq)]
pub struct Series {
    pub name: String,
    /// From 1 to [`COLOURS`].
    pub colour: usize,
    /// Whether it is of the period before.
    pub before: bool,
    pub values: Vec<Option<f64>>,
    /// For each value the row of the answer that it stands in.
    pub rows: Vec<usize>,
}

/// What is drawn of one metric.
#[derive(Clone, Debug, PartialEq)]
pub struct Panel {
    pub metric: &'static Metric,
    pub series: Vec<Series>,
}

impl Panel {
    pub fn is_money(&self) -> bool {
        self.metric.unit == Unit::Money
    }
}

/// The panels, and what their series have in common.
#[derive(Clone, Debug, PartialEq)]
pub struct Picture {
    /// Times, or values of the split.
    pub categories: Vec<String>,
    pub panels: Vec<Panel>,
    /// Whether series have to be told apart by their names.
    pub legend: bool,
}

/// Values that are followed in each time bucket.
pub fn followed(answer: &ExploreAnswer) -> usize {
    let first = answer.rows.first().and_then(|row| row.time);
    answer.rows.iter().take_while(|row| row.time == first).count().max(1)
}

pub fn value(row: Option<&Row>, metric: usize) -> Option<f64> {
    row?.values.get(metric).copied().flatten()?.to_f64()
}

/// A course or a ranking.
pub fn picture(view: &ExploreView, answer: &ExploreAnswer) -> Picture {
    let metrics = view.metrics();
    let (shown, step) = match answer.granularity {
        Some(_) => (answer.rows.len(), followed(answer)),
        None => (answer.rows.len().min(if metrics.len() > 1 { BARS_OF_SEVERAL } else { BARS }), 1),
    };
    let categories = answer.rows.iter().take(shown).step_by(step).map(|row| match answer.granularity.zip(row.time) {
        Some((granularity, time)) => format::bucket_short(granularity, time),
        None => answer.name_of(row.key.as_deref()),
    });
    let compared = !answer.previous.is_empty() && step <= COMPARABLE;
    let split_over_time = view.split.is_some() && answer.granularity.is_some();
    let series = |metric: usize, place: usize, before: bool| {
        let source = if before { &answer.previous } else { &answer.rows };
        let rows: Vec<usize> = (place..shown).step_by(step).collect();
        let name = match (split_over_time, compared, before) {
            // The same for both periods, so that the legend shows and hides them together.
            (true, ..) => answer.name_of(answer.rows.get(place).and_then(|row| row.key.as_deref())),
            (false, _, true) => "Period before".to_owned(),
            (false, true, false) => "Selected period".to_owned(),
            (false, false, false) => metrics[metric].label.to_owned(),
        };
        let values = rows.iter().map(|row| value(source.get(*row), metric)).collect();
        Series { name, colour: place % COLOURS + 1, before, values, rows }
    };
    let panels = metrics.iter().enumerate().map(|(index, metric)| Panel {
        metric,
        series: (0..step)
            .map(|place| series(index, place, false))
            .chain((0..step).filter(|_| compared).map(|place| series(index, place, true)))
            .collect(),
    });
    Picture { categories: categories.collect(), legend: split_over_time || compared, panels: panels.collect() }
}

#[cfg(test)]
pub mod tests {
    use std::collections::BTreeMap;

    use chrono::{DateTime, Days, Utc};
    use model::range::Granularity;

    use super::*;

    /// Days from Monday, 3 November 2025 on, of each of the keys; the value counts on.
    pub fn answer(days: u64, keys: &[Option<&str>]) -> ExploreAnswer {
        let from: DateTime<Utc> = "2025-11-03T00:00:00Z".parse().expect("a time");
        let mut count = 0;
        let mut row = |time, key: Option<&str>| {
            count += 1;
            Row { time: Some(time), key: key.map(ToOwned::to_owned), values: vec![Some(count.into()), None] }
        };
        let mut rows = Vec::new();
        for day in 0..days {
            rows.extend(keys.iter().map(|key| row(from + Days::new(day), *key)));
        }
        ExploreAnswer {
            interval: ExploreView::default().range.interval(from),
            granularity: Some(Granularity::Day),
            computed_at: from,
            previous: Vec::new(),
            rows,
            more: false,
            names: BTreeMap::new(),
        }
    }

    #[test]
    fn values_are_followed_over_time_and_every_metric_has_a_panel() {
        let view = ExploreView::parse("metric=revenue&metric=average_order_value&split=store").expect("a view");
        let mut answer = answer(2, &[Some("7"), None]);
        let drawn = picture(&view, &answer);
        assert_eq!(drawn.categories, ["Mon 3 Nov", "Tue 4 Nov"]);
        assert!(drawn.legend);
        assert_eq!(drawn.panels.len(), 2);
        let series = &drawn.panels[0].series;
        assert_eq!(series.iter().map(|series| series.name.as_str()).collect::<Vec<_>>(), ["7", "Unknown"]);
        assert_eq!(
            (series[1].values.as_slice(), series[1].rows.as_slice()),
            ([Some(2.0), Some(4.0)].as_slice(), [1, 3].as_slice())
        );
        assert_eq!(drawn.panels[1].series[0].values, [None, None]);
        answer.previous = answer.rows.clone();
        let names: Vec<_> =
            picture(&view, &answer).panels[0].series.iter().map(|one| (one.name.clone(), one.before)).collect();
        let named = |name: &str, before| (name.to_owned(), before);
        assert_eq!(names, [named("7", false), named("Unknown", false), named("7", true), named("Unknown", true)]);
    }

    #[test]
    fn a_ranking_has_a_bar_for_each_value() {
        let view = ExploreView::parse("split=store&chart=bar").expect("a view");
        let mut answer = answer(1, &[Some("7"), Some("8")]);
        answer.granularity = None;
        assert_eq!(Shape::of(&view, &answer), Shape::Ranking);
        let drawn = picture(&view, &answer);
        assert_eq!(drawn.categories, ["7", "8"]);
        assert_eq!((drawn.panels[0].series.len(), drawn.panels[0].series[0].rows.as_slice()), (1, [0, 1].as_slice()));
        assert!(!drawn.legend);
    }
}
