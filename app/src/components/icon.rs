//! Small pictures, drawn with the colour of the text around them.

use leptos::prelude::*;

#[derive(Clone, Copy)]
pub enum Shape {
    Logo,
    Overview,
    Pipeline,
    Menu,
    Info,
    Warning,
    Empty,
}

/// Decoration only: the text beside it says what it means.
#[component]
pub fn Icon(shape: Shape) -> impl IntoView {
    let path = match shape {
        Shape::Logo => "M3 7c4 0 5 3 9 3s5-3 9-3M3 12c4 0 5 3 9 3s5-3 9-3M3 17c4 0 5 3 9 3s5-3 9-3",
        Shape::Overview => "M4 20V11M10 20V4M16 20v-7M21 20H3",
        Shape::Pipeline => "M5 6h.01M5 6a2 2 0 1 0 0-.01M19 18a2 2 0 1 0 0-.01M7 6h7a4 4 0 0 1 0 8H9a2 2 0 0 0 0 4h8",
        Shape::Menu => "M4 7h16M4 12h16M4 17h16",
        Shape::Info => "M12 21a9 9 0 1 0 0-18 9 9 0 0 0 0 18zM12 11v5M12 8h.01",
        Shape::Warning => "M12 4 2.5 20h19zM12 10v4M12 17h.01",
        Shape::Empty => "M4 13l3-8h10l3 8v6H4zM4 13h5l1.5 3h3L15 13h5",
    };
    view! {
        <svg class="icon" viewBox="0 0 24 24" width="20" height="20" aria-hidden="true" focusable="false">
            <path
                d=path
                fill="none"
                stroke="currentColor"
                stroke-width="1.75"
                stroke-linecap="round"
                stroke-linejoin="round"
            />
        </svg>
    }
}
