//! How old the newest event of each table is, and whether topics have as many events as usual.

use chrono::TimeDelta;
use leptos::prelude::*;
use model::quality::{Freshness, Volume};

use crate::format;

#[component]
pub fn FreshnessTable(freshness: Vec<Freshness>) -> impl IntoView {
    let rows = freshness
        .into_iter()
        .map(|table| {
            let href = format!("/tables/{}", table.table.replacen('.', "/", 1));
            let age = table.age_seconds.map_or_else(|| "–".to_owned(), |age| format::duration(TimeDelta::seconds(age)));
            view! {
                <tr>
                    <th scope="row" data-label="Table">
                        <a class="code" href=href>
                            {table.table}
                        </a>
                    </th>
                    <td class="number" data-label="Age">
                        {age}
                    </td>
                    <td class="nowrap" data-label="Newest event">
                        {table.newest.map_or_else(|| "None yet".to_owned(), format::instant)}
                    </td>
                </tr>
            }
        })
        .collect_view();
    view! {
        <section class="panel" aria-labelledby="freshness-title">
            <h2 class="panel-title" id="freshness-title">
                "Freshness"
            </h2>
            <div class="table-scroll" tabindex="0" role="region" aria-labelledby="freshness-title">
                <table class="stacked">
                    <thead>
                        <tr>
                            <th scope="col">"Table"</th>
                            <th scope="col" class="number">
                                "Age"
                            </th>
                            <th scope="col">"Newest event came to Kafka"</th>
                        </tr>
                    </thead>
                    <tbody>{rows}</tbody>
                </table>
            </div>
        </section>
    }
    .into_any()
}

/// The last hour of each topic, and the unusual hours of the last day.
#[component]
pub fn VolumeTables(volume: Vec<Volume>, anomalies: Vec<Volume>) -> impl IntoView {
    let last = if volume.is_empty() {
        view! { <p class="empty">"There are no events to count yet."</p> }.into_any()
    } else {
        table("volume-title", volume)
    };
    let unusual = if anomalies.is_empty() {
        view! { <p class="empty">"No hour of the last day was unusual."</p> }.into_any()
    } else {
        table("anomalies-title", anomalies)
    };
    view! {
        <section class="panel" aria-labelledby="volume-title">
            <h2 class="panel-title" id="volume-title">
                "Events in the last whole hour"
            </h2>
            {last}
            <p class="field-hint">
                "Usual is the median of the same hour in up to eight weeks before. The score is the modified z-score of Iglewicz and Hoaglin (1993); beyond 3.5, up or down, an hour is unusual."
            </p>
        </section>
        <section class="panel" aria-labelledby="anomalies-title">
            <h2 class="panel-title" id="anomalies-title">
                "Unusual hours of the last day"
            </h2>
            {unusual}
        </section>
    }
    .into_any()
}

fn table(title: &'static str, volumes: Vec<Volume>) -> AnyView {
    view! {
        <div class="table-scroll" tabindex="0" role="region" aria-labelledby=title>
            <table class="stacked">
                <thead>
                    <tr>
                        <th scope="col">"Topic"</th>
                        <th scope="col">"Hour"</th>
                        <th scope="col" class="number">
                            "Events"
                        </th>
                        <th scope="col" class="number">
                            "Usual"
                        </th>
                        <th scope="col">"Score"</th>
                    </tr>
                </thead>
                <tbody>{volumes.into_iter().map(row).collect_view()}</tbody>
            </table>
        </div>
    }
    .into_any()
}

fn row(volume: Volume) -> impl IntoView {
    let (state, score) = match volume.score {
        None => ("off", format!("{} weeks are too few to compare", volume.weeks)),
        Some(score) if volume.unusual => ("warn", format!("{score:+.1}, unusual")),
        Some(score) => ("good", format!("{score:+.1}")),
    };
    view! {
        <tr>
            <th scope="row" class="code" data-label="Topic">
                {volume.topic}
            </th>
            <td class="nowrap" data-label="Hour">
                {format::minute(volume.hour)}
            </td>
            <td class="number" data-label="Events">
                {format::whole(volume.events)}
            </td>
            <td class="number" data-label="Usual">
                {format!("{:.1}", volume.usual)}
            </td>
            <td data-label="Score">
                <span class="state" data-state=state>
                    <span class="dot" aria-hidden="true"></span>
                    {score}
                </span>
            </td>
        </tr>
    }
}
