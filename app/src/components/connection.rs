//! Says whether the live values are live.

use leptos::prelude::*;

use crate::live::use_live_feed;

#[component]
pub fn ConnectionBadge() -> impl IntoView {
    let feed = use_live_feed();
    view! {
        <p class="connection" role="status" data-state=move || feed.connection().name()>
            <span class="dot" aria-hidden="true"></span>
            {move || feed.connection().label()}
        </p>
    }
}
