//! What happens right now, in six numbers that move by themselves.

use leptos::prelude::*;
use model::live::Live;

use crate::{components::notice::Remark, format, live::use_live_feed};

#[component]
pub fn LiveStrip() -> impl IntoView {
    let feed = use_live_feed();
    let live = Signal::derive(move || feed.current());
    view! {
        <section class="panel live" aria-labelledby="live-title">
            <h2 id="live-title" class="panel-title">
                "Right now"
            </h2>
            <Transition fallback=|| view! { <p class="muted">"Loading the live numbers"</p> }>
                <Values live />
            </Transition>
        </section>
    }
    .into_any()
}

#[component]
fn Values(live: Signal<Option<Live>>) -> impl IntoView {
    let remark = Memo::new(move |_| match live.read().as_ref() {
        Some(live) if live.workers == 0 => Some("No pipeline worker reports. These are the last known numbers."),
        Some(_) => None,
        None => Some("The pipeline has not reported yet."),
    });
    let value = move |write: fn(&Live) -> Option<String>| {
        move || live.read().as_ref().and_then(write).unwrap_or_else(|| "–".to_owned())
    };
    view! {
        {move || remark.get().map(|remark| view! { <Remark>{remark}</Remark> })}
        <dl class="live-values">
            <Value name="events_per_second" label="Events per second">
                {value(|live| Some(format::rate(live.events_per_second)))}
            </Value>
            <Value name="orders_last_minute" label="Orders, last minute">
                {value(|live| Some(format::whole(live.orders_last_minute)))}
            </Value>
            <Value name="revenue_last_minute" label="Revenue, last minute">
                {value(|live| Some(format::money(live.revenue_last_minute)))}
            </Value>
            <Value name="lag" label="Consumer lag, events">
                {value(|live| Some(format::whole(live.lag)))}
            </Value>
            <Value name="event_to_gold" label="Event to Gold">
                {value(|live| live.event_to_gold_ms.map(format::milliseconds))}
            </Value>
            <Value name="gold_age" label="Last Gold commit">
                {value(gold_age)}
            </Value>
        </dl>
    }
    .into_any()
}

/// Measured on the server's own clock: the reader's may be wrong.
pub fn gold_age(live: &Live) -> Option<String> {
    Some(format!("{} ago", format::duration(live.at? - live.gold_committed_at?)))
}

#[component]
fn Value(name: &'static str, label: &'static str, children: Children) -> impl IntoView {
    view! {
        <div class="live-value" data-live=name>
            <dt>{label}</dt>
            <dd>{children()}</dd>
        </div>
    }
}
