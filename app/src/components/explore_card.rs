//! A view of the Explore page as a part of another page.

use std::hash::{DefaultHasher, Hash, Hasher};

use leptos::prelude::*;
use model::explore::ExploreView;

use crate::components::explored::{ExploreResult, Parsed};

/// Shows a view with a way to the page where it can be changed. It fetches its numbers by itself, keeps them up to date, and
/// explains what goes wrong.
#[component]
pub fn ExploreCard(
    #[prop(into)] title: String,
    /// The view, as it stands in the URL of its page.
    #[prop(into)]
    query: String,
    /// Unique on the page. Needed only where the same view is shown twice under the same title.
    #[prop(optional, into)]
    id: String,
) -> impl IntoView {
    let id = if id.is_empty() { id_of(&title, &query) } else { id };
    let parsed = ExploreView::parse(&query);
    // What is no view is explained there as well.
    let href = format!("/explore?{}", parsed.as_ref().map_or(query, ExploreView::to_query));
    let label = format!("Open {title} in Explore");
    let view: Memo<Parsed> = Memo::new(move |_| parsed.clone());
    let head = move || {
        view! {
            <a class="button button-secondary" href=href.clone() aria-label=label.clone()>
                "Open in Explore"
            </a>
        }
    };
    view! { <ExploreResult view id title head /> }.into_any()
}

/// The same on the server and in the browser.
fn id_of(title: &str, query: &str) -> String {
    let mut hasher = DefaultHasher::new();
    (title, query).hash(&mut hasher);
    format!("view-{:x}", hasher.finish())
}
