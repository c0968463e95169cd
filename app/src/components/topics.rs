//! The stages of each topic in numbers.

use leptos::prelude::*;
use model::live::{Live, Stage, TopicLive};

use crate::format;

#[component]
pub fn TopicTable(#[prop(into)] live: Signal<Option<Live>>) -> impl IntoView {
    let topics = Memo::new(move |_| live.get().map(|live| live.topics).unwrap_or_default());
    view! {
        <section class="panel" aria-labelledby="topics-title">
            <h2 class="panel-title" id="topics-title">
                "Topics"
            </h2>
            <Show
                when=move || !topics.read().is_empty()
                fallback=|| view! { <p class="empty">"No topic has been read yet."</p> }
            >
                <div class="table-scroll" tabindex="0" role="region" aria-labelledby="topics-title">
                    <table class="topics">
                        <thead>
                            <tr>
                                <th scope="col">"Topic"</th>
                                <th scope="col" class="number">
                                    "Lag"
                                </th>
                                <th scope="col" class="number">
                                    "Buffered"
                                </th>
                                {Stage::ALL
                                    .map(|stage| {
                                        view! {
                                            <th scope="col" class="number">
                                                {stage.label()}
                                                <span class="detail">"events/s"</span>
                                            </th>
                                        }
                                    })
                                    .collect_view()}
                                <th scope="col" class="number">
                                    "Last batch"
                                </th>
                                <th scope="col">"Errors"</th>
                            </tr>
                        </thead>
                        <tbody>{move || topics.get().into_iter().map(row).collect_view()}</tbody>
                    </table>
                </div>
            </Show>
        </section>
    }
    .into_any()
}

fn row(topic: TopicLive) -> impl IntoView {
    let rate = |stage: Stage| {
        let found = topic.stages.iter().find(|live| live.stage == stage);
        found.map_or_else(|| "–".to_owned(), |live| format::rate(live.events_per_second))
    };
    let rates = Stage::ALL.map(|stage| view! { <td class="number">{rate(stage)}</td> }).collect_view();
    let batch = topic.stages.iter().find(|live| live.stage == Stage::Bronze);
    let batch = batch.filter(|bronze| bronze.batches_total > 0).map(|bronze| {
        let events = format!("{} events", format::whole(bronze.last_batch_events));
        view! {
            {format::milliseconds(bronze.last_batch_ms)}
            <span class="detail">{events}</span>
        }
    });
    let retried: u64 = topic.stages.iter().map(|live| live.errors_total).sum();
    let error = topic
        .stages
        .iter()
        .find_map(|live| live.error.as_ref().map(|error| format!("{}: {error}", live.stage.label())));
    view! {
        <tr>
            <th scope="row" class="code">
                {topic.topic}
                {topic
                    .paused
                    .then(|| {
                        view! {
                            <span class="state" data-state="warn">
                                <span class="dot" aria-hidden="true"></span>
                                "Paused"
                            </span>
                        }
                    })}
            </th>
            <td class="number">{format::whole(topic.lag)}</td>
            <td class="number">{format::whole(topic.buffered)}</td>
            {rates}
            <td class="number">{batch}</td>
            <td>
                {match (error, retried) {
                    (Some(error), _) => {
                        view! {
                            <span class="state" data-state="bad">
                                <span class="dot" aria-hidden="true"></span>
                                {error}
                            </span>
                        }
                            .into_any()
                    }
                    (None, 0) => view! { <span class="muted">"None"</span> }.into_any(),
                    (None, retried) => format!("{} retried", format::whole(retried)).into_any(),
                }}
            </td>
        </tr>
    }
}
