//! A page of the audit log.

use leptos::prelude::*;
use model::access::{AuditEntry, Outcome};

use crate::{components::audit_filter::label, format};

#[component]
pub fn AuditTable(entries: Vec<AuditEntry>) -> impl IntoView {
    if entries.is_empty() {
        return view! { <p class="empty">"Nothing in the log fits."</p> }.into_any();
    }
    view! {
        <div class="table-scroll" tabindex="0" role="region" aria-labelledby="audit-title">
            <table class="stacked">
                <thead>
                    <tr>
                        <th scope="col" class="number">
                            "No."
                        </th>
                        <th scope="col">"Time"</th>
                        <th scope="col">"Who"</th>
                        <th scope="col">"Action"</th>
                        <th scope="col">"Target"</th>
                        <th scope="col">"Outcome"</th>
                        <th scope="col">"Detail"</th>
                    </tr>
                </thead>
                <tbody>{entries.into_iter().map(row).collect_view()}</tbody>
            </table>
        </div>
    }
    .into_any()
}

fn row(entry: AuditEntry) -> impl IntoView {
    let actor = if entry.actor.is_empty() { "Unknown".to_owned() } else { entry.actor };
    let address = if entry.address.is_empty() { "On the server".to_owned() } else { entry.address };
    view! {
        <tr>
            <td class="number" data-label="No.">
                {entry.number}
            </td>
            <td class="nowrap" data-label="Time">
                {format::instant(entry.at)}
            </td>
            <td class="wrap" data-label="Who">
                {actor}
                <span class="detail code">{address}</span>
            </td>
            <th scope="row" class="code" data-label="Action">
                {entry.action}
            </th>
            <td class="wrap" data-label="Target">
                {entry.target}
            </td>
            <td data-label="Outcome">
                <span class="state" data-state=state(entry.outcome)>
                    <span class="dot" aria-hidden="true"></span>
                    {label(entry.outcome)}
                </span>
            </td>
            <td class="wrap" data-label="Detail">
                {entry.detail}
            </td>
        </tr>
    }
}

fn state(outcome: Outcome) -> &'static str {
    match outcome {
        Outcome::Success => "good",
        Outcome::Failure => "warn",
        Outcome::Refused => "bad",
    }
}
