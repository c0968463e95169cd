//! What `charts.js` draws. Colours and formats are named here and filled in there.

use charming::{
    Chart,
    component::{Axis, Grid, Legend, LegendType, VisualMap, VisualMapChannel},
    datatype::DataPoint,
    element::{
        AreaStyle, AxisLabel, AxisLine, AxisPointer, AxisPointerLink, AxisPointerType, AxisTick, AxisType, ItemStyle,
        Label, LabelPosition, LineStyle, LineStyleType, NameLocation, Orient, SplitLine, TextStyle, Tooltip, Trigger,
    },
    series::{Bar, Heatmap, Line},
};
use model::explore::{ChartKind, ExploreAnswer, ExploreView};
use rust_decimal::{Decimal, prelude::FromPrimitive};
use serde::Serialize;
use serde_json::{Value, json};

use super::{
    heat::{Field, Heat, extent, heat},
    series::{Panel, Picture, Series, Shape, picture},
};
use crate::format;

const LEGEND: i32 = 36;
/// Above a panel, with its name.
const HEAD: i32 = 32;
/// Below the last panel, with the labels of its axis.
const FOOT: i32 = 32;
/// A bar with the room around it, alone and beside the one of the period before.
const BAR: i32 = 24;
const TWO_BARS: i32 = 32;

/// An option of ECharts, and what we want to know of it besides.
#[derive(Serialize)]
pub struct Drawn {
    #[serde(flatten)]
    option: Value,
    /// For each series and each of its items the row of the table below that it stands in. A click follows that row's link.
    rows: Vec<Vec<usize>>,
    /// Written above a picture that is saved.
    caption: Vec<String>,
}

/// The height of a plot in which numbers go up, by how many there are of them.
fn plot_height(panels: usize) -> i32 {
    match panels {
        0 | 1 => 260,
        2 => 180,
        _ => 140,
    }
}

fn bars_height(picture: &Picture) -> i32 {
    let bars = i32::try_from(picture.categories.len()).unwrap_or_default();
    let compared = picture.panels.iter().any(|panel| panel.series.len() > 1);
    bars * if compared { TWO_BARS } else { BAR }
}

fn fields_height(heat: &Heat) -> i32 {
    let rows = i32::try_from(heat.down.len()).unwrap_or_default();
    rows * if rows > 12 { 14 } else { 26 }
}

/// In pixels, all panels together.
pub fn height(view: &ExploreView, answer: &ExploreAnswer) -> i32 {
    let panels = view.metrics.len();
    let count = i32::try_from(panels).unwrap_or_default();
    match Shape::of(view, answer) {
        Shape::Heat => count * (HEAD + fields_height(&heat(view, answer))) + FOOT,
        shape => {
            let picture = picture(view, answer);
            let each = if shape == Shape::Ranking { bars_height(&picture) } else { plot_height(panels) };
            let legend = if picture.legend { LEGEND } else { 0 };
            legend + count * (HEAD + each) + if shape == Shape::Ranking { 8 } else { FOOT }
        }
    }
}

pub fn drawn(view: &ExploreView, answer: &ExploreAnswer, caption: Vec<String>) -> Drawn {
    let (option, rows) = match Shape::of(view, answer) {
        Shape::Heat => fields(view, answer),
        Shape::Course => plain(&picture(view, answer), |picture| course(view, picture)),
        Shape::Ranking => plain(&picture(view, answer), ranking),
    };
    Drawn { option, rows, caption }
}

fn plain(picture: &Picture, chart: impl Fn(&Picture) -> Chart) -> (Value, Vec<Vec<usize>>) {
    let rows = picture.panels.iter().flat_map(|panel| &panel.series).map(|series| series.rows.clone());
    (serde_json::to_value(chart(picture)).unwrap_or_default(), rows.collect())
}

fn start(picture: &Picture, pointer: AxisPointerType) -> Chart {
    let tooltip = Tooltip::new().trigger(Trigger::Axis).axis_pointer(AxisPointer::new().type_(pointer));
    let chart = Chart::new().tooltip(tooltip);
    if picture.legend { chart.legend(Legend::new().type_(LegendType::Scroll).top(0).left(0).right(0)) } else { chart }
}

fn colour(series: &Series) -> String {
    format!("var(--chart-{})", series.colour)
}

fn formats(panel: &Panel) -> (&'static str, &'static str, &'static str) {
    if panel.is_money() {
        ("@money", "@money-short", "@label-money-short")
    } else {
        ("@count", "@count-short", "@label-count-short")
    }
}

fn named(axis: Axis, panel: &Panel, location: NameLocation) -> Axis {
    axis.name(panel.metric.label).name_location(location).name_gap(12).name_text_style(TextStyle::new().align("left"))
}

fn course(view: &ExploreView, picture: &Picture) -> Chart {
    let mut chart = start(picture, AxisPointerType::Line)
        .axis_pointer(AxisPointer::new().link(vec![AxisPointerLink::new().x_axis_index("all")]));
    let (count, mut top) = (picture.panels.len(), if picture.legend { LEGEND } else { 0 });
    let each = plot_height(count);
    for (place, panel) in picture.panels.iter().enumerate() {
        let (exact, short, _) = formats(panel);
        let last = place + 1 == count;
        chart = chart
            .grid(Grid::new().left(64).right(40).top(top + HEAD).height(each - 8))
            .x_axis(
                Axis::new()
                    .type_(AxisType::Category)
                    .grid_index(index(place))
                    .data(picture.categories.clone())
                    .axis_tick(AxisTick::new().show(false))
                    .axis_label(AxisLabel::new().show(last)),
            )
            .y_axis(named(
                Axis::new()
                    .type_(AxisType::Value)
                    .grid_index(index(place))
                    .split_number(if count == 1 { 4 } else { 3 })
                    .axis_label(AxisLabel::new().formatter(short))
                    .split_line(SplitLine::new().line_style(LineStyle::new().color("var(--line)"))),
                panel,
                NameLocation::End,
            ));
        // Parts are stacked only where their heights add up to something.
        let stacked = view.split.is_some() && panel.metric.adds_up() && view.chart != ChartKind::Line;
        for series in &panel.series {
            let stack = stacked.then(|| format!("{place} {}", series.before));
            chart = if view.chart == ChartKind::Bar {
                chart.series(upright_bars(series, place, exact, stack))
            } else {
                chart.series(line(series, place, exact, stack, view.chart == ChartKind::Area))
            };
        }
        top += HEAD + each;
    }
    chart
}

fn line(series: &Series, place: usize, exact: &str, stack: Option<String>, filled: bool) -> Line {
    let style = LineStyle::new().color(colour(series)).width(2);
    let line = Line::new()
        .name(series.name.clone())
        .id(id(series, place))
        .x_axis_index(index(place))
        .y_axis_index(index(place))
        .show_symbol(series.values.len() == 1)
        .item_style(ItemStyle::new().color(colour(series)))
        .tooltip(Tooltip::new().value_formatter(exact))
        .line_style(if series.before { style.type_(LineStyleType::Dashed).opacity(0.6) } else { style })
        .data(series.values.clone());
    let opacity = if stack.is_some() { 0.55 } else { 0.16 };
    let line = match stack {
        // Two stacks would hide each other; the period before stays a line, on a stack of its own.
        Some(stack) => line.stack(stack),
        None => line,
    };
    if filled && !series.before {
        line.area_style(AreaStyle::new().color(colour(series)).opacity(opacity))
    } else {
        line
    }
}

fn upright_bars(series: &Series, place: usize, exact: &str, stack: Option<String>) -> Bar {
    let bar = Bar::new()
        .name(series.name.clone())
        .id(id(series, place))
        .x_axis_index(index(place))
        .y_axis_index(index(place))
        .item_style(bar_style(series))
        .tooltip(Tooltip::new().value_formatter(exact))
        .data(series.values.clone());
    match stack {
        Some(stack) => bar.stack(stack),
        None => bar,
    }
}

fn bar_style(series: &Series) -> ItemStyle {
    ItemStyle::new().color(colour(series)).opacity(if series.before { 0.4 } else { 1.0 })
}

/// Tells the period before from the selected one, which may have the same name.
fn id(series: &Series, place: usize) -> String {
    format!("{} {place} {}", if series.before { "before" } else { "now" }, series.colour)
}

fn ranking(picture: &Picture) -> Chart {
    let mut chart = start(picture, AxisPointerType::Shadow);
    let (each, mut top) = (bars_height(picture), if picture.legend { LEGEND } else { 0 });
    let bare = |axis: Axis| {
        axis.axis_tick(AxisTick::new().show(false))
            .axis_line(AxisLine::new().show(false))
            .split_line(SplitLine::new().show(false))
    };
    for (place, panel) in picture.panels.iter().enumerate() {
        let (exact, _, label) = formats(panel);
        let categories = Axis::new()
            .type_(AxisType::Category)
            .grid_index(index(place))
            .inverse(true)
            .data(picture.categories.clone())
            .axis_label(AxisLabel::new().formatter("@shorten").interval(0));
        let values =
            Axis::new().type_(AxisType::Value).grid_index(index(place)).axis_label(AxisLabel::new().show(false));
        chart = chart
            .grid(Grid::new().left(148).right(72).top(top + HEAD).height(each))
            // The axis begins at the top.
            .y_axis(named(bare(categories), panel, NameLocation::Start))
            .x_axis(bare(values));
        for series in &panel.series {
            let written = Label::new().position(LabelPosition::Right).color("var(--text)").formatter(label);
            chart = chart.series(
                Bar::new()
                    .name(series.name.clone())
                    .id(id(series, place))
                    .x_axis_index(index(place))
                    .y_axis_index(index(place))
                    .item_style(bar_style(series).border_radius(2))
                    .label(written.show(!series.before))
                    .tooltip(Tooltip::new().value_formatter(exact))
                    .data(series.values.clone()),
            );
        }
        top += HEAD + each;
    }
    chart
}

fn fields(view: &ExploreView, answer: &ExploreAnswer) -> (Value, Vec<Vec<usize>>) {
    let heat = heat(view, answer);
    let mut chart = Chart::new().tooltip(Tooltip::new().trigger(Trigger::Item));
    let (each, mut top) = (fields_height(&heat), 0);
    let (metrics, mut scales) = (view.metrics(), Vec::new());
    for (place, (metric, fields)) in metrics.iter().zip(&heat.fields).enumerate() {
        let panel = Panel { metric, series: Vec::new() };
        let (low, high) = extent(fields);
        let written = |value: f64| format::by_unit(metric.unit, Decimal::from_f64(value).unwrap_or_default());
        scales.push(if fields.is_empty() { json!(["", ""]) } else { json!([written(high), written(low)]) });
        let axis = |labels: &[String]| {
            Axis::new()
                .type_(AxisType::Category)
                .grid_index(index(place))
                .data(labels.to_vec())
                .axis_tick(AxisTick::new().show(false))
                .axis_line(AxisLine::new().show(false))
        };
        let data = fields.iter().map(|field: &Field| {
            vec![DataPoint::from(index(field.across)), index(field.down).into(), field.value.into()]
        });
        chart = chart
            .grid(Grid::new().left(if view.split.is_some() { 148 } else { 64 }).right(16).top(top + HEAD).height(each))
            .x_axis(axis(&heat.across).axis_label(AxisLabel::new().show(place + 1 == metrics.len())))
            .y_axis(named(
                axis(&heat.down).inverse(true).axis_label(AxisLabel::new().formatter("@shorten")),
                &panel,
                NameLocation::Start,
            ))
            .visual_map(
                VisualMap::new()
                    .series_index(index(place))
                    .min(if low.is_finite() { low } else { 0.0 })
                    .max(if high.is_finite() { high } else { 1.0 })
                    .orient(Orient::Horizontal)
                    .item_width(10)
                    .item_height(64)
                    .right(8)
                    .top(top)
                    .in_range(VisualMapChannel::new().color(vec!["var(--heat-low)", "var(--heat-high)"])),
            )
            .series(
                Heatmap::new()
                    .name(metric.label)
                    .x_axis_index(index(place))
                    .y_axis_index(index(place))
                    .item_style(ItemStyle::new().border_color("var(--surface)").border_width(1))
                    .tooltip(Tooltip::new().value_formatter(formats(&panel).0))
                    .data(data.collect::<Vec<_>>()),
            );
        top += HEAD + each;
    }
    let mut option = serde_json::to_value(chart).unwrap_or_default();
    // What the ends of a scale are called has no setter.
    for (place, ends) in scales.into_iter().enumerate() {
        match option.get_mut("visualMap") {
            Some(Value::Array(all)) => {
                if let Some(one) = all.get_mut(place) {
                    one["text"] = ends;
                }
            }
            Some(one) => one["text"] = ends,
            None => {}
        }
    }
    let rows = heat.fields.iter().map(|fields| fields.iter().map(|field| field.row).collect());
    (option, rows.collect())
}

/// A place as charts number it.
#[expect(clippy::cast_precision_loss, reason = "places are few")]
fn index(place: usize) -> f64 {
    place as f64
}

#[cfg(test)]
mod tests {
    use super::{super::series::tests::answer, *};

    fn drawing(query: &str, answer: &ExploreAnswer) -> Value {
        let view = ExploreView::parse(query).expect("a view");
        serde_json::to_value(drawn(&view, answer, vec!["Title".to_owned()])).expect("JSON")
    }

    #[test]
    fn every_item_knows_its_row() {
        let stores = [Some("7"), Some("8")];
        for query in ["split=store", "split=store&chart=area", "split=store&chart=heat", "chart=heat"] {
            let answer = answer(3, if query.contains("split") { &stores } else { &[None] });
            let drawn = drawing(query, &answer);
            let series = drawn["series"].as_array().expect("series");
            let rows = drawn["rows"].as_array().expect("rows");
            assert_eq!(series.len(), rows.len(), "{query}");
            let mut all: Vec<u64> = Vec::new();
            for (series, rows) in series.iter().zip(rows) {
                let rows = rows.as_array().expect("rows");
                assert_eq!(series["data"].as_array().map(Vec::len), Some(rows.len()), "{query}");
                all.extend(rows.iter().filter_map(Value::as_u64));
            }
            all.sort_unstable();
            assert_eq!(all, (0..answer.rows.len() as u64).collect::<Vec<_>>(), "{query}");
        }
    }

    #[test]
    fn a_scale_names_its_ends() {
        let drawn = drawing("chart=heat", &answer(3, &[None]));
        let scale = drawn["visualMap"].get(0).unwrap_or(&drawn["visualMap"]);
        assert_eq!(scale["text"], json!(["$3.00", "$1.00"]));
        assert_eq!(drawn["caption"], json!(["Title"]));
    }

    #[test]
    fn only_what_adds_up_is_stacked() {
        let answer = answer(2, &[Some("7"), Some("8")]);
        let drawn = drawing("metric=revenue&metric=average_order_value&split=store&chart=area", &answer);
        let stacks: Vec<_> =
            drawn["series"].as_array().expect("series").iter().map(|one| one["stack"].clone()).collect();
        assert_eq!(stacks, [json!("0 false"), json!("0 false"), Value::Null, Value::Null]);
    }
}
