//! Revenue and orders over time, one above the other with a common time axis.

use charming::{
    Chart,
    component::{Axis, Grid},
    element::{
        AreaStyle, AxisLabel, AxisPointer, AxisPointerLink, AxisPointerType, AxisTick, AxisType, ItemStyle, LineStyle,
        SplitLine, Tooltip, Trigger,
    },
    series::{Bar, Line},
};
use leptos::prelude::*;
use model::overview::{Overview, Point};
use rust_decimal::{Decimal, prelude::ToPrimitive};

use crate::{
    charts::{Figure, plot::Plot},
    format,
};

#[component]
pub fn RevenueChart(#[prop(into)] overview: Signal<Overview>) -> impl IntoView {
    let rows = move || {
        let overview = overview.read();
        // The newest first: that is what one looks up.
        overview
            .revenue
            .iter()
            .rev()
            .map(|point| {
                view! {
                    <tr>
                        <th scope="row">{format::bucket(overview.granularity, point.time)}</th>
                        <td class="number">{format::money(point.revenue)}</td>
                        <td class="number">{format::count(point.orders)}</td>
                    </tr>
                }
            })
            .collect_view()
    };
    view! {
        <Figure title="Revenue and orders" id="revenue" option=move || option(&overview.read()) fallback=view! { <Drawing overview /> }>
            <table>
                <caption class="visually-hidden">
                    {move || format!("Revenue and orders by {}", overview.read().granularity.name())}
                </caption>
                <thead>
                    <tr>
                        <th scope="col">"Time (UTC)"</th>
                        <th scope="col" class="number">
                            "Revenue"
                        </th>
                        <th scope="col" class="number">
                            "Orders"
                        </th>
                    </tr>
                </thead>
                <tbody>{rows}</tbody>
            </table>
        </Figure>
    }
    .into_any()
}

/// The curve of the revenue as the server draws it.
#[component]
fn Drawing(overview: Signal<Overview>) -> impl IntoView {
    let plot = move || {
        let values: Vec<_> = overview.read().revenue.iter().map(|point| point.revenue.to_f64()).collect();
        Plot::new(&values, 800.0, 220.0)
    };
    let highest = move || {
        let overview = overview.read();
        let highest = overview.revenue.iter().max_by_key(|point| point.revenue);
        highest.map(|point| {
            format!("Highest: {}, {}", format::money(point.revenue), format::bucket(overview.granularity, point.time))
        })
    };
    let label = move |point: fn(&Overview) -> Option<&Point>| {
        move || {
            let overview = overview.read();
            point(&overview).map(|point| format::bucket(overview.granularity, point.time))
        }
    };
    view! {
        <p class="plot-note">{highest}</p>
        <svg class="plot" viewBox=move || plot().view_box() preserveAspectRatio="none" aria-hidden="true" focusable="false">
            <path class="plot-area" d=move || plot().area() />
            <path class="plot-line" d=move || plot().line() />
        </svg>
        <p class="plot-axis">
            <span>{label(|overview| overview.revenue.first())}</span>
            <span>{label(|overview| overview.revenue.last())}</span>
        </p>
    }
    .into_any()
}

/// Colours and formats are named here and filled in by `charts.js`: see there.
fn option(overview: &Overview) -> Chart {
    let times: Vec<String> =
        overview.revenue.iter().map(|point| format::bucket_short(overview.granularity, point.time)).collect();
    let numbers = |pick: fn(&Point) -> Decimal| -> Vec<Option<f64>> {
        overview.revenue.iter().map(|point| pick(point).to_f64()).collect()
    };
    let time_axis = |grid: i32| {
        Axis::new()
            .type_(AxisType::Category)
            .grid_index(grid)
            .data(times.clone())
            .axis_tick(AxisTick::new().show(false))
            .axis_label(AxisLabel::new().show(grid == 1))
    };
    let value_axis = |grid: i32, name: &str, formatter: &str| {
        Axis::new()
            .type_(AxisType::Value)
            .grid_index(grid)
            .name(name)
            .split_number(if grid == 0 { 4 } else { 2 })
            .axis_label(AxisLabel::new().formatter(formatter))
            .split_line(SplitLine::new().line_style(LineStyle::new().color("var(--line)")))
    };
    Chart::new()
        .tooltip(Tooltip::new().trigger(Trigger::Axis).axis_pointer(AxisPointer::new().type_(AxisPointerType::Line)))
        .axis_pointer(AxisPointer::new().link(vec![AxisPointerLink::new().x_axis_index("all")]))
        .grid(Grid::new().left(64).right(16).top(32).height("50%"))
        .grid(Grid::new().left(64).right(16).top("70%").bottom(28))
        .x_axis(time_axis(0))
        .x_axis(time_axis(1))
        .y_axis(value_axis(0, "Revenue", "@money-short"))
        .y_axis(value_axis(1, "Orders", "@count-short"))
        .series(
            Line::new()
                .name("Revenue")
                .show_symbol(false)
                .line_style(LineStyle::new().color("var(--chart-1)").width(2))
                .item_style(ItemStyle::new().color("var(--chart-1)"))
                .area_style(AreaStyle::new().color("var(--chart-1)").opacity(0.14))
                .tooltip(Tooltip::new().value_formatter("@money"))
                .data(numbers(|point| point.revenue)),
        )
        .series(
            Bar::new()
                .name("Orders")
                .x_axis_index(1)
                .y_axis_index(1)
                .item_style(ItemStyle::new().color("var(--chart-2)").border_radius(1))
                .tooltip(Tooltip::new().value_formatter("@count"))
                .data(numbers(|point| point.orders)),
        )
}
