//! How far the demo data are.

use leptos::prelude::*;
use model::health::{Replay, ReplayState};

use crate::{components::notice::Remark, format, live::use_live_feed};

/// Nothing at all unless there is something to wait for or to know.
#[component]
pub fn ReplayBanner() -> impl IntoView {
    let feed = use_live_feed();
    let replay = Signal::derive(move || feed.current().map(|live| live.replay));
    view! {
        <Transition>
            <Banner replay />
        </Transition>
    }
    .into_any()
}

#[component]
fn Banner(replay: Signal<Option<Replay>>) -> impl IntoView {
    let state = Memo::new(move |_| replay.read().as_ref().map(|replay| replay.state));
    let replay = Signal::derive(move || replay.get().unwrap_or_default());
    move || match state.get() {
        Some(ReplayState::Pending | ReplayState::Running) => view! { <Progress replay /> }.into_any(),
        Some(ReplayState::Failed) => {
            let detail = replay.get_untracked().detail.unwrap_or_else(|| "The server's log says why.".to_owned());
            view! { <Remark>"The demo data could not be loaded in full. " {detail}</Remark> }.into_any()
        }
        Some(ReplayState::Off | ReplayState::Done) | None => ().into_any(),
    }
}

#[component]
fn Progress(replay: Signal<Replay>) -> impl IntoView {
    let percent = move || format!("{:.0}", (replay.read().share.clamp(0.0, 1.0) * 100.0).floor());
    let events = move || match replay.read().events {
        0 => String::new(),
        events => format!(" of {} events", format::whole(events)),
    };
    view! {
        <section class="replay" aria-label="Demo data">
            <p>"Loading the year of demo data: " <strong>{percent} "%"</strong> {events}</p>
            <progress max="100" value=percent aria-label="Demo data loaded"></progress>
        </section>
    }
}
