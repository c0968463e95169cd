//! A saved view on a dashboard.

use leptos::prelude::*;

#[component]
pub fn ExploreCard(
    #[prop(into)] title: String,
    /// As in the address of the page Explore.
    #[prop(into)]
    query: String,
) -> impl IntoView {
    view! {
        <section class="panel">
            <h2 class="panel-title">
                <a href=format!("/explore?{query}")>{title}</a>
            </h2>
            <p class="muted code wrap">{query}</p>
        </section>
    }
    .into_any()
}
