//! The pages for people who are not signed in yet.

pub mod invitation;
pub mod login;
pub mod login_code;
pub mod setup;

use leptos::prelude::*;
use leptos_router::hooks::use_query_map;

/// A hidden field that takes a value of the page's address along to the next step.
#[component]
fn Carried(
    /// Of the field, and of the value in the address.
    name: &'static str,
    /// Where the address has none.
    #[prop(default = "")]
    otherwise: &'static str,
) -> impl IntoView {
    let query = use_query_map();
    let value = move || query.read().get(name).unwrap_or_else(|| otherwise.to_owned());
    view! { <input type="hidden" name=name value=value /> }
}
