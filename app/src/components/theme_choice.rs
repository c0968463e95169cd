//! Light, dark, or as the system has it.

use leptos::prelude::*;
use leptos_router::hooks::use_location;

use crate::theme::{self, Theme};

#[component]
pub fn ThemeChoice() -> impl IntoView {
    let location = use_location();
    // The way back.
    let here = move || {
        let (path, query) = (location.pathname.get(), location.search.get());
        if query.is_empty() { path } else { format!("{path}?{query}") }
    };
    let current = theme::current();
    let buttons = Theme::ALL
        .map(|theme| {
            view! {
                <button
                    type="submit"
                    name="theme"
                    value=theme.name()
                    class="segment"
                    aria-pressed=(theme == current).to_string()
                >
                    {theme.label()}
                </button>
            }
        })
        .collect_view();
    view! {
        <form class="theme-choice" method="post" action="/theme">
            <input type="hidden" name="next" value=here />
            <fieldset class="segments">
                <legend>"Theme"</legend>
                {buttons}
            </fieldset>
        </form>
    }
    .into_any()
}
