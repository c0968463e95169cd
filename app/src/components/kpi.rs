//! A card: a number, its change against the time before, and its course.

use chrono::{DateTime, SecondsFormat, Utc};
use leptos::prelude::*;
use model::{access::Permission, metric, overview::Kpi, range::Interval};
use rust_decimal::Decimal;

use crate::{components::sparkline::Sparkline, format, session::use_may};

#[component]
pub fn KpiCard(
    kpi: Kpi,
    /// What the number is over.
    interval: Interval,
) -> impl IntoView {
    let may = use_may(Permission::PipelineRead);
    let catalogued = metric::find(&kpi.metric);
    let label = catalogued.map_or(kpi.metric.clone(), |metric| metric.label.to_owned());
    let description = catalogued.map(|metric| metric.description);
    let unit = catalogued.map_or(metric::Unit::Count, |metric| metric.unit);
    let written = kpi.value.map_or_else(|| "No data".to_owned(), |value| format::by_unit(unit, value));
    let time = |time: DateTime<Utc>| time.to_rfc3339_opts(SecondsFormat::Secs, true);
    let rows = format!("/rows?metric={}&from={}&to={}", kpi.metric, time(interval.from), time(interval.to));
    let change = kpi.change_percent();
    let before = kpi.previous.map(|previous| format!("{} in the period before", format::by_unit(unit, previous)));
    view! {
        <article class="panel kpi" data-metric=kpi.metric.clone()>
            <h2 class="kpi-label" title=description>
                {label.clone()}
            </h2>
            <p class="kpi-value" class:kpi-value-none=kpi.value.is_none()>
                {written}
            </p>
            <p class="kpi-change" data-direction=format::direction(change) title=before>
                {match change {
                    Some(change) => view! { <Change change /> }.into_any(),
                    None => "No earlier data".into_any(),
                }}
            </p>
            <Sparkline course=kpi.course />
            <Transition>{move || may.get().then(|| view! { <RowsLink href=rows.clone() label=label.clone() /> })}</Transition>
        </article>
    }
    .into_any()
}

/// To what the number was added up from.
#[component]
fn RowsLink(href: String, label: String) -> impl IntoView {
    view! {
        <a class="kpi-rows" href=href aria-label=format!("Rows behind {label}")>
            "Rows"
        </a>
    }
}

#[component]
fn Change(change: Decimal) -> impl IntoView {
    let (arrow, words) = match format::direction(Some(change)) {
        "up" => ("▲", "more than in the period before"),
        "down" => ("▼", "less than in the period before"),
        _ => ("●", "as much as in the period before"),
    };
    view! {
        <span aria-hidden="true">{arrow}</span>
        " "
        {format::percent(change)}
        <span class="visually-hidden">" " {words}</span>
        <span class="kpi-change-note" aria-hidden="true">
            " vs before"
        </span>
    }
}
