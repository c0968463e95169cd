//! The share of rows that passed each rule, over time. Rules that every row passed are not drawn: they would be one line.

use std::{
    cmp::Reverse,
    collections::{BTreeMap, BTreeSet},
};

use charming::{
    Chart,
    component::{Axis, Grid, Legend, LegendType},
    element::{
        AxisLabel, AxisPointer, AxisPointerType, AxisTick, AxisType, ItemStyle, LineStyle, SplitLine, Tooltip, Trigger,
    },
    series::Line,
};
use chrono::{DateTime, Utc};
use leptos::prelude::*;
use model::quality::{RulePoint, RuleReport, pass_rate};

use crate::{
    charts::{Figure, plot::Plot},
    format,
};

/// As many as there are colours.
const LINES: usize = 8;

/// What is drawn.
#[derive(Clone, Debug, Default, PartialEq)]
struct Picture {
    times: Vec<DateTime<Utc>>,
    /// Name of the rule, and for each time the percentage that passed.
    lines: Vec<(String, Vec<Option<f64>>)>,
    minutes: i64,
}

impl Picture {
    fn new(rules: Vec<RuleReport>, points: Vec<RulePoint>, minutes: i64) -> Picture {
        let mut failing: Vec<RuleReport> = rules.into_iter().filter(|report| report.failed > 0).collect();
        failing.sort_by_key(|report| Reverse(report.failed));
        failing.truncate(LINES);
        let times: BTreeSet<DateTime<Utc>> = points.iter().map(|point| point.time).collect();
        let known: BTreeMap<(String, DateTime<Utc>), Option<f64>> = points
            .into_iter()
            .map(|point| ((point.rule, point.time), pass_rate(point.checked, point.failed)))
            .collect();
        let line = |report: RuleReport| {
            let name = report.rule.name;
            let share = |time: &DateTime<Utc>| {
                let rate = known.get(&(name.clone(), *time)).copied().flatten();
                rate.map(|rate| rate * 100.0)
            };
            let values = times.iter().map(share).collect();
            (name, values)
        };
        let lines = failing.into_iter().map(line).collect();
        Picture { times: times.into_iter().collect(), lines, minutes }
    }

    /// The lowest percentage, and a little less, so that a line does not lie on the axis.
    fn floor(&self) -> f64 {
        let lowest = self.lines.iter().flat_map(|(_, values)| values).flatten().copied().fold(100.0, f64::min);
        (lowest - (100.0 - lowest) * 0.1).max(0.0)
    }

    fn label(&self, time: DateTime<Utc>) -> String {
        let pattern = if self.minutes >= 1440 { "%-d %b" } else { "%-d %b, %H:%M" };
        time.format(pattern).to_string()
    }
}

#[component]
pub fn PassChart(rules: Vec<RuleReport>, points: Vec<RulePoint>, minutes: i64) -> impl IntoView {
    let picture = Picture::new(rules, points, minutes);
    if picture.lines.is_empty() {
        let text = if picture.times.is_empty() {
            "No rows were looked at in this time."
        } else {
            "Every row passed every rule in this time."
        };
        return view! {
            <section class="panel" aria-labelledby="passed-title">
                <h2 class="panel-title" id="passed-title">
                    "Rows that passed, over time"
                </h2>
                <p class="empty">{text}</p>
            </section>
        }
        .into_any();
    }
    let head = picture
        .lines
        .iter()
        .map(|(name, _)| {
            view! {
                <th scope="col" class="number code">
                    {name.clone()}
                </th>
            }
        })
        .collect_view();
    let rows = picture
        .times
        .iter()
        .enumerate()
        .rev()
        .map(|(place, time)| {
            let cells = picture
                .lines
                .iter()
                .map(|(_, values)| {
                    let share = values.get(place).copied().flatten().map(|percent| percent / 100.0);
                    view! { <td class="number">{format::pass_rate(share)}</td> }
                })
                .collect_view();
            view! {
                <tr>
                    <th scope="row">{picture.label(*time)}</th>
                    {cells}
                </tr>
            }
        })
        .collect_view();
    let drawing = drawing(&picture);
    view! {
        <Figure title="Rows that passed, over time" id="passed" option=move || option(&picture) fallback=drawing>
            <table>
                <caption class="visually-hidden">"Share of rows that passed each rule that some failed"</caption>
                <thead>
                    <tr>
                        <th scope="col">"Time (UTC)"</th>
                        {head}
                    </tr>
                </thead>
                <tbody>{rows}</tbody>
            </table>
        </Figure>
    }
    .into_any()
}

/// The lines as the server draws them.
fn drawing(picture: &Picture) -> impl IntoView + use<> {
    let floor = picture.floor();
    let values: Vec<Vec<Option<f64>>> = picture
        .lines
        .iter()
        .map(|(_, values)| {
            let mut above: Vec<Option<f64>> = values.iter().map(|value| value.map(|value| value - floor)).collect();
            // A single point would be a line without length.
            if let [only] = above[..] {
                above.push(only);
            }
            above
        })
        .collect();
    let values: Vec<&[Option<f64>]> = values.iter().map(Vec::as_slice).collect();
    let plots = Plot::group(&values, 800.0, 220.0);
    let view_box = plots.first().map(Plot::view_box).unwrap_or_default();
    let lines = plots.iter().map(|plot| view! { <path class="plot-line" d=plot.line() /> }).collect_view();
    let ends = [picture.times.first(), picture.times.last()];
    let ends =
        ends.map(|time| time.map(|time| view! { <span>{picture.label(*time)}</span> })).into_iter().collect_view();
    view! {
        <p class="plot-note">{format!("From {floor:.2}% to 100%")}</p>
        <svg class="plot" viewBox=view_box preserveAspectRatio="none" aria-hidden="true" focusable="false">
            {lines}
        </svg>
        <p class="plot-axis">{ends}</p>
    }
}

fn option(picture: &Picture) -> Chart {
    let times: Vec<String> = picture.times.iter().map(|time| picture.label(*time)).collect();
    let mut chart = Chart::new()
        .tooltip(Tooltip::new().trigger(Trigger::Axis).axis_pointer(AxisPointer::new().type_(AxisPointerType::Line)))
        .legend(Legend::new().type_(LegendType::Scroll).top(0).left(0).right(0))
        .grid(Grid::new().left(64).right(16).top(44).bottom(28))
        .x_axis(Axis::new().type_(AxisType::Category).data(times).axis_tick(AxisTick::new().show(false)))
        .y_axis(
            Axis::new()
                .type_(AxisType::Value)
                .scale(true)
                .max(100)
                .split_number(4)
                .axis_label(AxisLabel::new().formatter("@percent"))
                .split_line(SplitLine::new().line_style(LineStyle::new().color("var(--line)"))),
        );
    for (place, (name, values)) in picture.lines.iter().enumerate() {
        let colour = format!("var(--chart-{})", place + 1);
        chart = chart.series(
            Line::new()
                .name(name.as_str())
                // A single point is a line that cannot be seen.
                .show_symbol(picture.times.len() < 30)
                .line_style(LineStyle::new().color(colour.as_str()).width(2))
                .item_style(ItemStyle::new().color(colour.as_str()))
                .tooltip(Tooltip::new().value_formatter("@percent"))
                .data(values.clone()),
        );
    }
    chart
}

#[cfg(test)]
mod tests {
    use model::quality::{Action, Rule};

    use super::*;

    fn report(name: &str, failed: u64) -> RuleReport {
        let rule = Rule {
            name: name.to_owned(),
            table: "silver.transactions".to_owned(),
            expression: "true".to_owned(),
            action: Action::Warn,
            description: String::new(),
        };
        RuleReport {
            rule,
            checked: 100,
            failed,
            last_failed: None,
            offenders: Vec::new(),
            dimension: "store_id".to_owned(),
        }
    }

    #[test]
    fn only_rules_that_some_rows_fail_are_drawn_with_gaps_where_nothing_was_looked_at() {
        let time = |minute: i64| DateTime::from_timestamp(minute * 60, 0).expect("a time");
        let point =
            |rule: &str, minute, failed| RulePoint { rule: rule.to_owned(), time: time(minute), checked: 50, failed };
        let points = vec![point("a", 0, 1), point("b", 0, 0), point("b", 15, 0), point("a", 30, 5)];
        let picture = Picture::new(vec![report("a", 6), report("b", 0)], points, 15);
        assert_eq!(picture.times.len(), 3);
        assert_eq!(picture.lines, [("a".to_owned(), vec![Some(98.0), None, Some(90.0)])]);
        assert!((picture.floor() - 89.0).abs() < 1e-9);
    }
}
