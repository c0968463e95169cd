//! The greatest of a kind as horizontal bars, with the exact numbers beside them.

use charming::{
    Chart,
    component::{Axis, Grid},
    element::{
        AxisLabel, AxisLine, AxisPointer, AxisPointerType, AxisTick, AxisType, ItemStyle, Label, LabelPosition,
        SplitLine, Tooltip, Trigger,
    },
    series::Bar,
};
use leptos::prelude::*;
use model::overview::{Overview, Ranked};
use rust_decimal::prelude::ToPrimitive;

use crate::{charts::Figure, components::bars::BarList, format};

/// Which ranking of the overview, and what it says of itself.
#[derive(Clone, Copy)]
pub struct Ranking {
    pub id: &'static str,
    pub title: &'static str,
    /// What is ranked, as a column header.
    pub what: &'static str,
    /// What [`Ranked::count`] counts.
    pub counted: &'static str,
    pub pick: fn(&Overview) -> &Vec<Ranked>,
}

#[component]
pub fn RankingChart(#[prop(into)] overview: Signal<Overview>, ranking: Ranking) -> impl IntoView {
    let ranked = Signal::derive(move || overview.with(|overview| (ranking.pick)(overview).clone()));
    let rows = move || {
        ranked
            .get()
            .into_iter()
            .map(|row| {
                view! {
                    <tr>
                        <th scope="row">{row.label}</th>
                        <td class="number">{format::money(row.revenue)}</td>
                        <td class="number">{format::count(row.count)}</td>
                    </tr>
                }
            })
            .collect_view()
    };
    view! {
        <Figure
            title=ranking.title
            id=ranking.id
            option=move || option(&ranked.read(), ranking.counted)
            fallback=view! { <BarList ranked /> }
        >
            <table>
                <caption class="visually-hidden">{ranking.title}</caption>
                <thead>
                    <tr>
                        <th scope="col">{ranking.what}</th>
                        <th scope="col" class="number">
                            "Revenue"
                        </th>
                        <th scope="col" class="number">
                            {ranking.counted}
                        </th>
                    </tr>
                </thead>
                <tbody>{rows}</tbody>
            </table>
        </Figure>
    }
    .into_any()
}

/// Colours and formats are named here and filled in by `charts.js`: see there.
fn option(ranked: &[Ranked], counted: &str) -> Chart {
    let bare = |axis: Axis| {
        axis.axis_tick(AxisTick::new().show(false))
            .axis_line(AxisLine::new().show(false))
            .split_line(SplitLine::new().show(false))
    };
    let hidden = || bare(Axis::new().type_(AxisType::Value).axis_label(AxisLabel::new().show(false)));
    Chart::new()
        .tooltip(Tooltip::new().trigger(Trigger::Axis).axis_pointer(AxisPointer::new().type_(AxisPointerType::Shadow)))
        .grid(Grid::new().left(148).right(72).top(4).bottom(4))
        .y_axis(bare(
            Axis::new()
                .type_(AxisType::Category)
                .inverse(true)
                .data(ranked.iter().map(|row| row.label.clone()).collect::<Vec<_>>())
                .axis_label(AxisLabel::new().formatter("@shorten").interval(0)),
        ))
        .x_axis(hidden())
        .x_axis(hidden())
        .series(
            Bar::new()
                .name("Revenue")
                .bar_width("62%")
                .bar_gap("-100%")
                .item_style(ItemStyle::new().color("var(--chart-1)").border_radius(2))
                .label(
                    Label::new()
                        .show(true)
                        .position(LabelPosition::Right)
                        .color("var(--text)")
                        .formatter("@label-money-short"),
                )
                .tooltip(Tooltip::new().value_formatter("@money"))
                .data(ranked.iter().map(|row| row.revenue.to_f64()).collect::<Vec<_>>()),
        )
        // Not drawn: it is there for the tooltip.
        .series(
            Bar::new()
                .name(counted)
                .x_axis_index(1)
                .bar_width("62%")
                .item_style(ItemStyle::new().color("transparent"))
                .tooltip(Tooltip::new().value_formatter("@count"))
                .data(ranked.iter().map(|row| row.count.to_f64()).collect::<Vec<_>>()),
        )
}
