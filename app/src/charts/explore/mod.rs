//! The numbers of a view, drawn.

mod fallback;
mod heat;
mod option;
mod series;

use leptos::prelude::*;
use model::explore::{ExploreAnswer, ExploreView};

use self::fallback::Fallback;
use crate::{charts::Figure, components::explore_table::ExploreTable};

pub use self::series::COMPARABLE;
pub use self::series::followed;

/// A view and what the server answered to it.
#[derive(Clone, Debug, PartialEq)]
pub struct Explored {
    pub view: ExploreView,
    pub answer: ExploreAnswer,
}

#[component]
pub fn ExploreChart(
    explored: Memo<Explored>,
    #[prop(into)] title: Signal<String>,
    /// What the title does not say: the time, the filters.
    subtitle: Signal<String>,
    /// Unique on the page.
    id: String,
    /// Whether the table is shown without being asked for.
    open: bool,
    /// What stands beside the title.
    head: AnyView,
) -> impl IntoView {
    let option = move || {
        explored.with(|Explored { view, answer }| option::drawn(view, answer, vec![title.get(), subtitle.get()]))
    };
    let height = Signal::derive(move || explored.with(|Explored { view, answer }| option::height(view, answer)));
    let file = Signal::derive(move || explored.with(|Explored { view, .. }| view.file_name()));
    view! {
        <Figure title id option subtitle=subtitle height=height open file=file head fallback=view! { <Fallback explored /> }>
            <ExploreTable explored />
        </Figure>
    }
    .into_any()
}
