//! For addresses that lead nowhere.

use leptos::prelude::*;
use leptos_meta::Title;

use crate::components::{icon::Shape, notice::Notice};

#[component]
pub fn NotFound() -> impl IntoView {
    view! {
        <Title text="Not found" />
        <h1 class="page-title">"Page not found"</h1>
        <Notice title="Nothing is here" detail="The address may be mistyped, or the page may have moved." shape=Shape::Empty>
            <a class="button" href="/">
                "To the overview"
            </a>
        </Notice>
    }
}
