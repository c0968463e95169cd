//! Grey shapes in the place of what is still loading.

use leptos::prelude::*;

/// Announces the wait once; the shapes themselves say nothing.
#[component]
pub fn Skeleton(
    /// A row of this many cards, then this many panels.
    cards: usize,
    panels: usize,
) -> impl IntoView {
    view! {
        <div class="skeleton" role="status">
            <span class="visually-hidden">"Loading"</span>
            <div class="kpis" aria-hidden="true">
                {(0..cards).map(|_| view! { <div class="panel skeleton-card"></div> }).collect_view()}
            </div>
            <div class="panels" aria-hidden="true">
                {(0..panels).map(|_| view! { <div class="panel skeleton-panel"></div> }).collect_view()}
            </div>
        </div>
    }
}
