//! Asks again every so often, while somebody is looking.

use std::time::Duration;

use leptos::prelude::*;

/// Calls `ask` once per `period` while the tab is visible, and at once when it becomes visible again.
pub fn refresh_every(
    period: impl Fn() -> Duration + Send + Sync + 'static,
    ask: impl Fn() + Copy + Send + Sync + 'static,
) {
    let period = Memo::new(move |_| period());
    let if_visible = move || {
        if !document().hidden() {
            ask();
        }
    };
    // Effects run in the browser only. A new period clears the old timer.
    Effect::new(move || {
        if let Ok(timer) = set_interval_with_handle(if_visible, period.get()) {
            on_cleanup(move || timer.clear());
        }
    });
    Effect::new(move || {
        let listener = window_event_listener_untyped("visibilitychange", move |_| if_visible());
        on_cleanup(move || listener.remove());
    });
}
