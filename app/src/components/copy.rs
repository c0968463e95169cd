//! A text to take along, in a box of its own.

use std::time::Duration;

use leptos::{prelude::*, task::spawn_local};

use crate::{
    browser,
    task::{sleep, use_alive},
};

/// How long the button says how it went.
const SAID_FOR: Duration = Duration::from_secs(3);

#[derive(Clone, Copy, PartialEq, Eq)]
enum Attempt {
    None,
    Copied,
    Failed,
}

/// Without scripts the text can still be selected; the button would do nothing, so it is not there.
#[component]
pub fn Copyable(#[prop(into)] text: String) -> impl IntoView {
    let alive = use_alive();
    let attempt = RwSignal::new(Attempt::None);
    let shown = text.clone();
    let copy = move |_| {
        let text = text.clone();
        spawn_local(async move {
            let done = if browser::copy(&text).await { Attempt::Copied } else { Attempt::Failed };
            _ = attempt.try_set(done);
            sleep(SAID_FOR).await;
            _ = attempt.try_set(Attempt::None);
        });
    };
    let label = move || match attempt.get() {
        Attempt::None => "Copy",
        Attempt::Copied => "Copied",
        Attempt::Failed => "Select it and copy",
    };
    view! {
        <div class="copyable">
            <code class="copyable-text">{shown}</code>
            <button type="button" class="button button-secondary" hidden=move || !alive.get() on:click=copy>
                <span aria-live="polite">{label}</span>
            </button>
        </div>
    }
}
