//! One event as it came, and its way into the lake.

use leptos::prelude::*;
use leptos_meta::Title;
use leptos_router::hooks::use_params_map;
use model::{lake::RawEvent, topic::Topic};

use crate::{
    api,
    components::{answered::Answered, notice::Remark},
    problem::Problem,
};

#[component]
pub fn EventPage() -> impl IntoView {
    let params = use_params_map();
    let asked = Memo::new(move |_| {
        let params = params.read();
        let text = |name| params.get_str(name).unwrap_or_default().to_owned();
        (text("topic"), text("partition"), text("offset"))
    });
    let event = Resource::new(
        move || asked.get(),
        |(topic, partition, offset)| async move {
            let wrong =
                || Problem::Failed("This is not the place of an event: a topic, a partition and an offset.".to_owned());
            let topic = Topic::from_name(&topic).ok_or_else(wrong)?;
            let (partition, offset) = (partition.parse().map_err(|_| wrong())?, offset.parse().map_err(|_| wrong())?);
            api::get_event(topic, partition, offset).await
        },
    );
    let here = Signal::derive(move || {
        asked.with(|(topic, partition, offset)| format!("/events/{topic}/{partition}/{offset}"))
    });
    view! {
        <Title text="Event" />
        <h1 class="page-title">"Event"</h1>
        <Answered answer=event href=here show=|event| view! { <Event event /> }.into_any() />
    }
    .into_any()
}

#[component]
fn Event(event: RawEvent) -> impl IntoView {
    let table = event.table;
    let href = format!("/tables/{}", table.replacen('.', "/", 1));
    let dead = event.rejection.map(|rejection| {
        let reason = event.reason.unwrap_or_default();
        view! { <Remark>"It could not be read (" {rejection} "): " {reason}</Remark> }
    });
    let pretty = serde_json::from_str::<serde_json::Value>(&event.payload)
        .ok()
        .and_then(|payload| serde_json::to_string_pretty(&payload).ok());
    let raw = event.payload;
    let payload = match pretty {
        None => view! { <pre class="payload" tabindex="0">{raw}</pre> }.into_any(),
        Some(pretty) => view! {
            <pre class="payload" tabindex="0">{pretty}</pre>
            <details class="data">
                <summary>"Exactly as it came"</summary>
                <pre class="payload payload-raw" tabindex="0">{raw}</pre>
            </details>
        }
        .into_any(),
    };
    let or_none = |text: Option<String>| text.unwrap_or_else(|| "–".to_owned());
    view! {
        {dead}
        <section class="panel" aria-labelledby="event-title">
            <h2 class="panel-title" id="event-title">
                "Its way"
            </h2>
            <dl class="facts about-table">
                <div><dt>"Topic"</dt><dd class="code">{event.topic}</dd></div>
                <div><dt>"Partition"</dt><dd>{event.partition}</dd></div>
                <div><dt>"Offset"</dt><dd>{event.offset}</dd></div>
                <div><dt>"Key"</dt><dd class="code">{or_none(event.key)}</dd></div>
                <div><dt>"Type"</dt><dd class="code">{or_none(event.event_type)}</dd></div>
                <div><dt>"Came to Kafka"</dt><dd>{event.kafka_time}</dd></div>
                <div><dt>"Came in here"</dt><dd>{event.ingested_at}</dd></div>
                <div><dt>"Headers"</dt><dd class="code">{or_none(event.headers)}</dd></div>
                <div><dt>"Kept in"</dt><dd><a class="code" href=href>{table}</a></dd></div>
            </dl>
        </section>
        <section class="panel" aria-labelledby="payload-title">
            <h2 class="panel-title" id="payload-title">
                "Content"
            </h2>
            {payload}
        </section>
    }
    .into_any()
}
