//! The filters of a view: those that hold, each with a way to take it off, and one to add.

use leptos::{html::Input, prelude::*};
use model::{
    explore::{ExploreView, KnownValue},
    metric::Dimension,
};

use crate::api;

#[component]
pub fn ExploreFilters(view: Memo<ExploreView>) -> impl IntoView {
    let chips = move || {
        let view = view.get();
        let chips = view.filter_values().map(|(dimension, value)| {
            let shown = if value.is_empty() { "Unknown" } else { value };
            let text = format!("{}: {shown}", dimension.label());
            let label = format!("Take off the filter {text}");
            view! {
                <li class="chip">
                    // Sent along with whatever else is changed.
                    <input type="hidden" name="filter" value=format!("{}:{value}", dimension.name()) />
                    <span>{text}</span>
                    <a href=view.without_filter(dimension, value).href() aria-label=label data-noscroll="">
                        "×"
                    </a>
                </li>
            }
        });
        chips.collect_view()
    };
    let chosen = RwSignal::new(String::new());
    let value = NodeRef::<Input>::new();
    // With the next view both fields begin anew.
    Effect::new(move || {
        view.track();
        chosen.set(String::new());
        if let Some(value) = value.get_untracked() {
            value.set_value("");
        }
    });
    let range = Memo::new(move |_| view.read().range);
    let known = LocalResource::new(move || {
        let (dimension, range) = (Dimension::from_name(&chosen.read()), range.get());
        async move {
            match dimension {
                Some(dimension) => api::get_known_values(dimension, range).await.unwrap_or_default(),
                None => Vec::new(),
            }
        }
    });
    let known = move || {
        let known: Vec<KnownValue> = known.get().unwrap_or_default();
        let options = known.into_iter().map(|KnownValue { value, name }| view! { <option value=value label=name /> });
        options.collect_view()
    };
    let possible = move |dimension| {
        let view = view.read();
        view.metrics().iter().all(|metric| metric.dimensions().any(|known| known == dimension))
    };
    let dimensions = Dimension::ALL.map(|dimension| {
        view! {
            <option value=dimension.name() hidden=move || !possible(dimension)>
                {dimension.label()}
            </option>
        }
    });
    let filtered = move || !view.read().filters.is_empty();
    let changed = move || *view.read() != ExploreView::default();
    view! {
        <div class="explore-row explore-filters">
            <ul class="chips" aria-label="Filters" hidden=move || !filtered()>
                {chips}
            </ul>
            <label class="field">
                "Filter by"
                <select name="where" prop:value=chosen on:change=move |event| chosen.set(event_target_value(&event))>
                    <option value="">"Nothing more"</option>
                    {dimensions.collect_view()}
                </select>
            </label>
            <label class="field">
                "Value"
                <input
                    name="is"
                    type="text"
                    maxlength="256"
                    autocomplete="off"
                    list="explore-values"
                    placeholder="Choose or type one"
                    node_ref=value
                />
            </label>
            <datalist id="explore-values">{known}</datalist>
            <a class="button button-secondary explore-reset" href="/explore" hidden=move || !changed()>
                "Reset"
            </a>
        </div>
    }
    .into_any()
}
