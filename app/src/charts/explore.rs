//! The first metric of a view: over time, a line for each value of the split, or one bar for each.

use charming::{
    Chart,
    component::{Axis, Grid},
    element::{
        AreaStyle, AxisLabel, AxisPointer, AxisPointerType, AxisTick, AxisType, ItemStyle, LineStyle, SplitLine,
        Tooltip, Trigger,
    },
    series::{Bar, Line},
};
use leptos::prelude::*;
use model::{
    explore::{ChartKind, ExploreAnswer, ExploreView},
    metric::Unit,
};
use rust_decimal::prelude::ToPrimitive;

use crate::{
    charts::{Figure, plot::Plot},
    format,
};

const COLOURS: [&str; 2] = ["var(--chart-1)", "var(--chart-2)"];

/// A named series of numbers.
struct Series {
    name: String,
    unit: Unit,
    values: Vec<Option<f64>>,
}

#[component]
pub fn ExploreChart(view: ExploreView, answer: ExploreAnswer, table: AnyView) -> impl IntoView {
    if view.chart == ChartKind::Table {
        return view! {
            <section class="panel" id="explored" aria-label="Numbers">
                <div class="table-scroll" tabindex="0" role="region" aria-label="Numbers: data">
                    {table}
                </div>
            </section>
        }
        .into_any();
    }
    let first = series(&view, &answer).into_iter().next().map(|series| series.values).unwrap_or_default();
    let plot = Plot::new(&first, 800.0, 220.0);
    let fallback = view! {
        <svg class="plot" viewBox=plot.view_box() preserveAspectRatio="none" aria-hidden="true" focusable="false">
            <path class="plot-area" d=plot.area() />
            <path class="plot-line" d=plot.line() />
        </svg>
    };
    view! {
        <Figure title="Numbers" id="explored" option=move || option(&view, &answer) fallback=fallback>
            {table}
        </Figure>
    }
    .into_any()
}

/// Without a split each metric is a series; with one over time each value is, of the first metric.
fn series(view: &ExploreView, answer: &ExploreAnswer) -> Vec<Series> {
    let metrics = view.metrics();
    let value = |row: &model::query::Row, index: usize| row.values.get(index).copied().flatten().and_then(|n| n.to_f64());
    if view.split.is_none() || answer.granularity.is_none() {
        let of = |(index, metric): (usize, &&'static model::metric::Metric)| Series {
            name: metric.label.to_owned(),
            unit: metric.unit,
            values: answer.rows.iter().map(|row| value(row, index)).collect(),
        };
        return metrics.iter().enumerate().map(of).collect();
    }
    let mut found: Vec<Series> = Vec::new();
    for row in &answer.rows {
        let name = row.key.clone().unwrap_or_else(|| "Unknown".to_owned());
        let number = value(row, 0);
        match found.iter_mut().find(|series| series.name == name) {
            Some(series) => series.values.push(number),
            None => found.push(Series { name, unit: metrics.first().map_or(Unit::Count, |m| m.unit), values: vec![number] }),
        }
    }
    found
}

/// Colours and formats are named here and filled in by `charts.js`: see there.
fn option(view: &ExploreView, answer: &ExploreAnswer) -> Chart {
    let mut labels: Vec<String> = Vec::new();
    for row in &answer.rows {
        let label = match answer.granularity.zip(row.time) {
            Some((granularity, time)) => format::bucket_short(granularity, time),
            None => row.key.clone().unwrap_or_else(|| "Unknown".to_owned()),
        };
        if answer.granularity.is_none() || labels.last() != Some(&label) {
            labels.push(label);
        }
    }
    let axis = |unit: Unit| {
        let formatter = if unit == Unit::Money { "@money-short" } else { "@count-short" };
        Axis::new()
            .type_(AxisType::Value)
            .axis_label(AxisLabel::new().formatter(formatter))
            .split_line(SplitLine::new().line_style(LineStyle::new().color("var(--line)")))
    };
    let all = series(view, answer);
    // Amounts and counts have an axis each, where there are both.
    let mut units: Vec<Unit> = Vec::new();
    for series in &all {
        if !units.contains(&series.unit) {
            units.push(series.unit);
        }
    }
    let mut chart = Chart::new()
        .tooltip(Tooltip::new().trigger(Trigger::Axis).axis_pointer(AxisPointer::new().type_(AxisPointerType::Line)))
        .grid(Grid::new().left(72).right(72).top(24).bottom(28))
        .x_axis(Axis::new().type_(AxisType::Category).data(labels).axis_tick(AxisTick::new().show(false)));
    for unit in &units {
        chart = chart.y_axis(axis(*unit));
    }
    for (place, series) in all.into_iter().enumerate() {
        let colour = COLOURS[place % COLOURS.len()];
        let at = i32::from(units.first() != Some(&series.unit));
        let tooltip = Tooltip::new().value_formatter(if series.unit == Unit::Money { "@money" } else { "@count" });
        let style = ItemStyle::new().color(colour);
        if view.chart == ChartKind::Bar || answer.granularity.is_none() {
            let bar = Bar::new().name(series.name).y_axis_index(at).item_style(style).tooltip(tooltip);
            chart = chart.series(bar.data(series.values));
        } else {
            let opacity = if view.chart == ChartKind::Area { 0.14 } else { 0.0 };
            let line = Line::new()
                .name(series.name)
                .y_axis_index(at)
                .show_symbol(false)
                .line_style(LineStyle::new().color(colour).width(2))
                .area_style(AreaStyle::new().color(colour).opacity(opacity))
                .item_style(style)
                .tooltip(tooltip);
            chart = chart.series(line.data(series.values));
        }
    }
    chart
}
