//! Explore: any metrics of the catalogue, over any range, split, filtered and compared. The whole view stands in the URL.

use leptos::prelude::*;
use leptos_meta::Title;
use leptos_router::hooks::use_location;
use model::{explore::ExploreView, saved::SavedKind};

use crate::components::{
    explore_form::ExploreForm,
    explored::{ExploreResult, Parsed},
    save_form::SaveForm,
};

#[component]
pub fn ExplorePage() -> impl IntoView {
    let search = use_location().search;
    let view: Memo<Parsed> = Memo::new(move |_| ExploreView::parse(&search.read()));
    // The form keeps the last view that could be understood.
    let understood = Memo::new(move |previous: Option<&ExploreView>| {
        view.get().ok().or_else(|| previous.cloned()).unwrap_or_default()
    });
    let kept = Signal::derive(move || understood.read().to_query());
    let here = Signal::derive(move || format!("/explore?{}", kept.read()));
    let name = Signal::derive(move || understood.read().title());
    let title = move || format!("{} · Explore", understood.read().title());
    let head = move || {
        let export = move || format!("/explore.csv?{}", understood.read().to_query());
        let name = move || format!("{}.csv", understood.read().file_name());
        view.with(Result::is_ok).then(|| {
            view! {
                <a class="button button-secondary" href=export rel="external" download=name>
                    "Export as CSV"
                </a>
            }
        })
    };
    view! {
        <Title text=title />
        <div class="page-head">
            <h1 class="page-title">"Explore"</h1>
            <SaveForm kind=SavedKind::View text=kept back=here name />
        </div>
        <ExploreForm view=understood />
        <ExploreResult view id="explored".to_owned() open=true head />
    }
    .into_any()
}
