//! Events that could not be read, by reason.

use leptos::prelude::*;
use model::{event::Rejection, pipeline::DeadLetters};

use crate::format;

#[component]
pub fn DeadLetterTable(#[prop(into)] letters: Signal<Vec<DeadLetters>>) -> impl IntoView {
    view! {
        <section class="panel" aria-labelledby="dead-letters-title">
            <h2 class="panel-title" id="dead-letters-title">
                "Dead letters"
            </h2>
            <Show
                when=move || !letters.read().is_empty()
                fallback=|| view! { <p class="empty">"No dead letters. Every event could be read."</p> }
            >
                <div class="table-scroll" tabindex="0" role="region" aria-labelledby="dead-letters-title">
                    <table>
                        <thead>
                            <tr>
                                <th scope="col">"Reason"</th>
                                <th scope="col">"Topic"</th>
                                <th scope="col" class="number">
                                    "Events"
                                </th>
                                <th scope="col">"Newest"</th>
                                <th scope="col">"For example"</th>
                            </tr>
                        </thead>
                        <tbody>{move || letters.get().into_iter().map(row).collect_view()}</tbody>
                    </table>
                </div>
            </Show>
        </section>
    }
    .into_any()
}

fn row(letters: DeadLetters) -> impl IntoView {
    let reason =
        Rejection::from_name(&letters.rejection).map_or(letters.rejection, |rejection| rejection.label().to_owned());
    view! {
        <tr>
            <th scope="row">{reason}</th>
            <td class="code">{letters.topic}</td>
            <td class="number">{format::whole(letters.count)}</td>
            <td class="nowrap">{format::instant(letters.newest)}</td>
            <td class="code wrap">{letters.example}</td>
        </tr>
    }
}
