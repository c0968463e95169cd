//! A chart of any two columns of an answer.

use charming::{
    Chart,
    component::{Axis, Grid},
    element::{
        AxisLabel, AxisPointer, AxisPointerType, AxisTick, AxisType, ItemStyle, LineStyle, SplitLine, Tooltip, Trigger,
    },
    series::{Bar, Line},
};
use leptos::prelude::*;
use model::lake::GridColumn;

use crate::charts::{Figure, plot::Plot};

/// More points than this are not drawn.
const MOST: usize = 1_000;

#[component]
pub fn QuickChart(#[prop(into)] grid: Signal<model::lake::Grid>) -> impl IntoView {
    // What suits the columns, until somebody chooses.
    let chosen = RwSignal::new((None::<usize>, None::<usize>));
    let bars = RwSignal::new(false);
    let columns = Memo::new(move |_| grid.with(|grid| grid.columns.clone()));
    Effect::new(move |_| {
        columns.track();
        chosen.set((None, None));
    });
    let places = Memo::new(move |_| {
        let columns = columns.read();
        let (x, y) = chosen.get();
        let x = x.unwrap_or_else(|| columns.iter().position(|column| !column.is_number()).unwrap_or(0));
        let number = |(place, column): (usize, &GridColumn)| (column.is_number() && place != x).then_some(place);
        let y = y.or_else(|| columns.iter().enumerate().find_map(number));
        y.filter(|_| !columns.is_empty()).map(|y| (x, y))
    });
    let values = move |y: usize| {
        let grid = grid.read();
        let value =
            |row: &Vec<Option<String>>| row.get(y).and_then(Option::as_deref).and_then(|text| text.parse().ok());
        grid.rows.iter().take(MOST).map(value).collect::<Vec<Option<f64>>>()
    };
    let option = move || match places.get() {
        None => Chart::new(),
        Some((x, y)) => {
            let grid = grid.read();
            let label = |row: &Vec<Option<String>>| row.get(x).cloned().flatten().unwrap_or_else(|| "null".to_owned());
            let labels: Vec<String> = grid.rows.iter().take(MOST).map(label).collect();
            let name = grid.columns.get(y).map(|column| column.name.clone()).unwrap_or_default();
            draw(&name, labels, values(y), bars.get())
        }
    };
    let options = move |only_numbers: bool, selected: fn((usize, usize)) -> usize| {
        columns
            .get()
            .into_iter()
            .enumerate()
            .filter(|(_, column)| column.is_number() || !only_numbers)
            .map(|(place, column)| {
                let is_it = move || places.get().map(selected) == Some(place);
                view! { <option value=place selected=is_it>{column.name}</option> }
            })
            .collect_view()
    };
    let picked = |event| event_target_value(&event).parse::<usize>().ok();
    let there = Memo::new(move |_| places.get().is_some() && grid.read().rows.len() > 1);
    move || {
        there.get().then(|| {
            let first = places.get_untracked().map(|(_, y)| untrack(|| values(y))).unwrap_or_default();
            let plot = Plot::new(&first, 800.0, 220.0);
            let fallback = view! {
                <svg class="plot" viewBox=plot.view_box() preserveAspectRatio="none" aria-hidden="true" focusable="false">
                    <path class="plot-line" d=plot.line() />
                </svg>
            };
            view! {
                <div class="quick-chart">
                    <div class="form form-row quick-choice">
                        <div class="field">
                            <label for="chart-x">"Along"</label>
                            <select id="chart-x" on:change=move |event| chosen.update(|chosen| chosen.0 = picked(event))>
                                {move || options(false, |places| places.0)}
                            </select>
                        </div>
                        <div class="field">
                            <label for="chart-y">"Height"</label>
                            <select id="chart-y" on:change=move |event| chosen.update(|chosen| chosen.1 = picked(event))>
                                {move || options(true, |places| places.1)}
                            </select>
                        </div>
                        <div class="field">
                            <label for="chart-kind">"Drawn as"</label>
                            <select id="chart-kind" on:change=move |event| bars.set(event_target_value(&event) == "bars")>
                                <option value="line">"Line"</option>
                                <option value="bars">"Bars"</option>
                            </select>
                        </div>
                    </div>
                    <Figure title="Chart" id="quick" option=option fallback=fallback>
                        <p class="muted">"The numbers are those of the table above."</p>
                    </Figure>
                </div>
            }
        })
    }
}

/// Colours and formats are named here and filled in by `charts.js`: see there.
fn draw(name: &str, labels: Vec<String>, values: Vec<Option<f64>>, bars: bool) -> Chart {
    let chart = Chart::new()
        .tooltip(Tooltip::new().trigger(Trigger::Axis).axis_pointer(AxisPointer::new().type_(AxisPointerType::Line)))
        .grid(Grid::new().left(72).right(16).top(16).bottom(28))
        .x_axis(Axis::new().type_(AxisType::Category).data(labels).axis_tick(AxisTick::new().show(false)))
        .y_axis(
            Axis::new()
                .type_(AxisType::Value)
                .axis_label(AxisLabel::new().formatter("@count-short"))
                .split_line(SplitLine::new().line_style(LineStyle::new().color("var(--line)"))),
        );
    let style = ItemStyle::new().color("var(--chart-1)");
    let tooltip = Tooltip::new().value_formatter("@count");
    if bars {
        return chart.series(Bar::new().name(name).item_style(style).tooltip(tooltip).data(values));
    }
    let line = Line::new().name(name).show_symbol(false).item_style(style).tooltip(tooltip);
    chart.series(line.line_style(LineStyle::new().color("var(--chart-1)").width(2)).data(values))
}
