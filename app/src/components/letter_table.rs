//! Dead letters as a table, and the replays of filters.

use leptos::prelude::*;
use model::{
    event::Rejection,
    letter::{BatchState, Letter, LetterFilter, ReplayBatch},
};

use crate::{components::letter_filter::stage_label, format};

/// What a rejection is called for people.
pub fn rejection_label(name: &str) -> String {
    Rejection::from_name(name).map_or_else(|| name.to_owned(), |rejection| rejection.label().to_owned())
}

#[component]
pub fn LetterTable(letters: Vec<Letter>) -> impl IntoView {
    if letters.is_empty() {
        return view! { <p class="empty">"No dead letter fits. What comes can be used."</p> }.into_any();
    }
    view! {
        <div class="table-scroll" tabindex="0" role="region" aria-labelledby="letters-title">
            <table class="stacked">
                <thead>
                    <tr>
                        <th scope="col">"Letter"</th>
                        <th scope="col">"Came in"</th>
                        <th scope="col">"Why"</th>
                        <th scope="col" class="number">
                            "Size"
                        </th>
                        <th scope="col">"Replayed"</th>
                    </tr>
                </thead>
                <tbody>{letters.into_iter().map(row).collect_view()}</tbody>
            </table>
        </div>
    }
    .into_any()
}

fn row(letter: Letter) -> impl IntoView {
    let place = letter.place();
    let href = format!("/quality/letters/{place}");
    let replays = match letter.replays {
        0 => "Never".to_owned(),
        1 => "Once".to_owned(),
        times => format!("{times} times"),
    };
    view! {
        <tr>
            <th scope="row" class="wrap" data-label="Letter">
                <a class="code" href=href>
                    {place}
                </a>
            </th>
            <td class="nowrap" data-label="Came in">
                {format::instant(letter.ingested_at)}
            </td>
            <td class="wrap" data-label="Why">
                <span>{rejection_label(&letter.rejection)} " (" {stage_label(&letter.stage)} ")"</span>
                <span class="detail code">{letter.reason}</span>
            </td>
            <td class="number" data-label="Size">
                {format::bytes(letter.bytes)}
            </td>
            <td data-label="Replayed">{replays}</td>
        </tr>
    }
}

/// How far the replays of filters are.
#[component]
pub fn BatchTable(batches: Vec<ReplayBatch>) -> impl IntoView {
    if batches.is_empty() {
        return ().into_any();
    }
    view! {
        <section class="panel" aria-labelledby="batches-title">
            <h2 class="panel-title" id="batches-title">
                "Replays of many"
            </h2>
            <div class="table-scroll" tabindex="0" role="region" aria-labelledby="batches-title">
                <table class="stacked">
                    <thead>
                        <tr>
                            <th scope="col">"Begun"</th>
                            <th scope="col">"By"</th>
                            <th scope="col">"Filter"</th>
                            <th scope="col">"State"</th>
                            <th scope="col" class="number">
                                "Letters"
                            </th>
                            <th scope="col" class="number">
                                "Sent"
                            </th>
                            <th scope="col" class="number">
                                "Left alone"
                            </th>
                            <th scope="col" class="number">
                                "Failed"
                            </th>
                        </tr>
                    </thead>
                    <tbody>{batches.into_iter().map(batch).collect_view()}</tbody>
                </table>
            </div>
        </section>
    }
    .into_any()
}

fn batch(batch: ReplayBatch) -> impl IntoView {
    let (state, words) = match batch.state {
        BatchState::Running => ("busy", "Under way"),
        BatchState::Done => ("good", "Done"),
        BatchState::Failed => ("bad", "Failed"),
        BatchState::Interrupted => ("warn", "Interrupted"),
    };
    let error = (!batch.error.is_empty()).then(|| view! { <span class="detail">{batch.error}</span> });
    view! {
        <tr>
            <th scope="row" class="nowrap" data-label="Begun">
                {format::instant(batch.at)}
            </th>
            <td class="wrap" data-label="By">
                {batch.by}
            </td>
            <td class="wrap" data-label="Filter">
                {in_words(&batch.filter)}
            </td>
            <td data-label="State">
                <span class="state" data-state=state>
                    <span class="dot" aria-hidden="true"></span>
                    {words}
                </span>
                {error}
            </td>
            <td class="number" data-label="Letters">
                {format::whole(batch.total)}
            </td>
            <td class="number" data-label="Sent">
                {format::whole(batch.sent)}
            </td>
            <td class="number" data-label="Left alone">
                {format::whole(batch.skipped)}
            </td>
            <td class="number" data-label="Failed">
                {format::whole(batch.failed)}
            </td>
        </tr>
    }
}

/// A filter as people read it.
pub fn in_words(filter: &LetterFilter) -> String {
    let parts: Vec<String> = filter
        .fields()
        .into_iter()
        .filter(|(_, value)| !value.is_empty())
        .map(|(name, value)| format!("{name} {value}"))
        .collect();
    if parts.is_empty() { "All letters".to_owned() } else { parts.join(", ") }
}
