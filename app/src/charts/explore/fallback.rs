//! What the server draws in the place of the chart.

use leptos::prelude::*;
use model::explore::ChartKind;
use rust_decimal::{Decimal, prelude::FromPrimitive};

use super::{
    Explored,
    heat::{self, Heat, extent},
    series::{self, Panel, Picture, Shape},
};
use crate::{charts::plot::Plot, components::bars::Bar, format};

const WIDTH: f64 = 800.0;
const HEIGHT: f64 = 220.0;

#[component]
pub fn Fallback(explored: Memo<Explored>) -> impl IntoView {
    move || {
        explored.with(|Explored { view, answer }| match Shape::of(view, answer) {
            Shape::Course => course(&series::picture(view, answer), view.chart == ChartKind::Area),
            Shape::Ranking => ranking(&series::picture(view, answer)),
            Shape::Heat => fields(&heat::heat(view, answer), &view.metrics()),
        })
    }
}

fn course(picture: &Picture, filled: bool) -> AnyView {
    let panels = picture.panels.iter().map(|panel| {
        let values: Vec<_> = panel.series.iter().map(|series| series.values.as_slice()).collect();
        let plots = Plot::group(&values, WIDTH, HEIGHT);
        let view_box = plots.first().map(Plot::view_box);
        let lines = panel.series.iter().zip(plots).map(|(series, plot)| {
            let area = (filled && !series.before).then(|| view! { <path class="plot-area" d=plot.area() /> });
            let dashes = series.before.then_some("6 4");
            view! {
                <g class=format!("series-{}", series.colour)>
                    {area} <path class="plot-line" stroke-dasharray=dashes d=plot.line() />
                </g>
            }
        });
        view! {
            <p class="plot-note">{panel.metric.label}</p>
            <svg class="plot" viewBox=view_box preserveAspectRatio="none" aria-hidden="true" focusable="false">
                {lines.collect_view()}
            </svg>
        }
    });
    let names = picture.panels.first().filter(|_| picture.legend).map(|panel| {
        let names = panel.series.iter().filter(|series| !series.before);
        let items = names.map(|series| {
            view! { <li class=format!("series-{}", series.colour)>{series.name.clone()}</li> }
        });
        view! { <ul class="plot-legend">{items.collect_view()}</ul> }
    });
    view! {
        {names}
        {panels.collect_view()}
        <p class="plot-axis">
            <span>{picture.categories.first().cloned()}</span>
            <span>{picture.categories.last().cloned()}</span>
        </p>
    }
    .into_any()
}

fn ranking(picture: &Picture) -> AnyView {
    let panels = picture.panels.iter().map(|panel| {
        let values = panel.series.first().map(|series| series.values.clone()).unwrap_or_default();
        let top = values.iter().copied().flatten().fold(0.0, f64::max);
        let bars = picture.categories.iter().zip(values).map(|(name, value)| {
            let share = value.filter(|_| top > 0.0).map_or(0.0, |value| value / top);
            view! {
                <li>
                    <span class="bar-label">{name.clone()}</span>
                    <Bar share />
                    <span class="bar-value">{written(panel, value)}</span>
                </li>
            }
        });
        view! {
            <p class="plot-note">{panel.metric.label}</p>
            <ol class="bar-list">{bars.collect_view()}</ol>
        }
    });
    panels.collect_view().into_any()
}

fn written(panel: &Panel, value: Option<f64>) -> String {
    let value = value.and_then(Decimal::from_f64);
    value.map_or_else(|| "–".to_owned(), |value| format::by_unit(panel.metric.unit, value))
}

fn fields(heat: &Heat, metrics: &[&'static model::metric::Metric]) -> AnyView {
    let panels = metrics.iter().zip(&heat.fields).map(|(metric, fields)| {
        let (low, high) = extent(fields);
        let span = if high > low { high - low } else { 1.0 };
        let squares = fields.iter().map(|field| {
            let strength = 0.08 + 0.92 * (field.value - low) / span;
            view! { <rect x=field.across y=field.down width="0.95" height="0.95" fill-opacity=format!("{strength:.2}") /> }
        });
        let view_box = format!("0 0 {} {}", heat.across.len(), heat.down.len());
        view! {
            <p class="plot-note">{metric.label}</p>
            <svg class="plot plot-fields" viewBox=view_box preserveAspectRatio="none" aria-hidden="true" focusable="false">
                {squares.collect_view()}
            </svg>
        }
    });
    view! {
        {panels.collect_view()}
        <p class="plot-axis">
            <span>{heat.across.first().cloned()}</span>
            <span>{heat.across.last().cloned()}</span>
        </p>
    }
    .into_any()
}
