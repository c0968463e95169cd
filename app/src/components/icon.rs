//! Small pictures, drawn with the colour of the text around them.

use leptos::prelude::*;

#[derive(Clone, Copy)]
pub enum Shape {
    Logo,
    Overview,
    Dashboard,
    Saved,
    Explore,
    Pipeline,
    Quality,
    Table,
    Terminal,
    Menu,
    Info,
    Warning,
    Empty,
    Person,
    People,
    Shield,
    Device,
    Log,
    Key,
    Done,
    Up,
    Down,
}

/// Decoration only: the text beside it says what it means.
#[component]
pub fn Icon(shape: Shape) -> impl IntoView {
    let path = match shape {
        Shape::Logo => "M3 7c4 0 5 3 9 3s5-3 9-3M3 12c4 0 5 3 9 3s5-3 9-3M3 17c4 0 5 3 9 3s5-3 9-3",
        Shape::Overview => "M4 20V11M10 20V4M16 20v-7M21 20H3",
        Shape::Dashboard => "M4 4h7v9H4zM15 4h5v5h-5zM15 13h5v7h-5zM4 17h7v3H4z",
        Shape::Saved => "M6 4h12v17l-6-4.5L6 21z",
        Shape::Explore => "M10.5 18a7.5 7.5 0 1 0 0-15 7.5 7.5 0 0 0 0 15zM16 16l5 5",
        Shape::Pipeline => "M5 6h.01M5 6a2 2 0 1 0 0-.01M19 18a2 2 0 1 0 0-.01M7 6h7a4 4 0 0 1 0 8H9a2 2 0 0 0 0 4h8",
        Shape::Quality => "M4 5h10M4 12h6M4 19h6M13 15l3.5 3.5L21 11",
        Shape::Table => "M3 5h18v14H3zM3 10h18M3 14.5h18M9 10v9",
        Shape::Terminal => "M3 5h18v14H3zM7 10l3 2.5L7 15M13 15h4",
        Shape::Menu => "M4 7h16M4 12h16M4 17h16",
        Shape::Info => "M12 21a9 9 0 1 0 0-18 9 9 0 0 0 0 18zM12 11v5M12 8h.01",
        Shape::Warning => "M12 4 2.5 20h19zM12 10v4M12 17h.01",
        Shape::Empty => "M4 13l3-8h10l3 8v6H4zM4 13h5l1.5 3h3L15 13h5",
        Shape::Person => "M12 12a4 4 0 1 0 0-8 4 4 0 0 0 0 8zM4 21c0-4 3.5-6 8-6s8 2 8 6",
        Shape::People => {
            "M9 11a3.5 3.5 0 1 0 0-7 3.5 3.5 0 0 0 0 7zM2 20c0-3.5 3-5.5 7-5.5s7 2 7 5.5M16 4.5a3.5 3.5 0 0 1 0 6.5M22 20c0-2.5-1.5-4.3-4-5"
        }
        Shape::Shield => "M12 3l8 3v5c0 5-3.5 8.5-8 10-4.5-1.5-8-5-8-10V6zM8.5 12l2.5 2.5 4.5-5",
        Shape::Device => "M3 5h18v11H3zM9 20h6M12 16v4",
        Shape::Log => "M6 3h9l4 4v14H6zM9 11h7M9 15h7M9 7h3",
        Shape::Key => "M8 15a4 4 0 1 0 0-8 4 4 0 0 0 0 8zM12 11h9v4M17 11v3",
        Shape::Up => "M12 20V5M5 12l7-7 7 7",
        Shape::Down => "M12 4v15M5 12l7 7 7-7",
        Shape::Done => "M12 21a9 9 0 1 0 0-18 9 9 0 0 0 0 18zM8 12l3 3 5-6",
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
