//! Keeps what a page shows: a view of the page Explore, or SQL. A plain form, with or without JavaScript.

use leptos::prelude::*;
use model::{
    access::Permission,
    saved::{LONGEST_NAME, SavedKind},
};

use crate::session::use_may;

/// For who may keep such things; for others there is nothing.
#[component]
pub fn SaveForm(
    kind: SavedKind,
    /// What is kept.
    #[prop(into)]
    text: Signal<String>,
    /// The page that comes after it: a path of ours.
    #[prop(into)]
    back: Signal<String>,
    /// The name that is suggested.
    #[prop(optional, into)]
    name: Signal<String>,
) -> impl IntoView {
    let (saves, runs_sql) = (use_may(Permission::SavedEdit), use_may(Permission::SqlRun));
    let may = move || saves.get() && (kind == SavedKind::View || runs_sql.get());
    view! { <Transition>{move || may().then(|| view! { <Disclosure kind text back name /> })}</Transition> }.into_any()
}

#[component]
fn Disclosure(kind: SavedKind, text: Signal<String>, back: Signal<String>, name: Signal<String>) -> impl IntoView {
    let (label, example) = match kind {
        SavedKind::View => ("Save this view", "Such as: Revenue by store"),
        SavedKind::Query => ("Save this query", "Such as: Customers who came back"),
    };
    view! {
        <details class="menu-below save">
            <summary class="button button-secondary">{label}</summary>
            <form class="form menu-below-panel" method="post" action="/saved/create">
                <input type="hidden" name="kind" value=kind.name() />
                <input type="hidden" name="text" value=move || text.get() prop:value=move || text.get() />
                <input type="hidden" name="back" value=move || back.get() prop:value=move || back.get() />
                <label class="field">
                    "Name"
                    <input
                        name="name"
                        type="text"
                        autocomplete="off"
                        maxlength=LONGEST_NAME.to_string()
                        placeholder=example
                        value=move || name.get()
                        prop:value=move || name.get()
                        required
                    />
                </label>
                <SharedBox hint="They can open it, and only you can change it." />
                <button type="submit" class="button">
                    "Save"
                </button>
            </form>
        </details>
    }
    .into_any()
}

/// Whether others see what is being made.
#[component]
pub fn SharedBox(hint: &'static str) -> impl IntoView {
    view! {
        <label class="choice">
            <input type="checkbox" name="shared" value="true" />
            <span>"Everybody sees it" <span class="detail">{hint}</span></span>
        </label>
    }
}
