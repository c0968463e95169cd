//! What stands in the place of numbers when there are none, and the remarks above numbers that are not quite right.

use leptos::prelude::*;

use crate::{
    components::icon::{Icon, Shape},
    problem::Problem,
};

/// Fills the place of what could not be shown.
#[component]
pub fn Notice(
    #[prop(into)] title: String,
    #[prop(into)] detail: String,
    #[prop(default = Shape::Info)] shape: Shape,
    /// What to do about it: links or buttons.
    #[prop(optional)]
    children: Option<Children>,
) -> impl IntoView {
    view! {
        <section class="notice">
            <Icon shape />
            <h2>{title}</h2>
            <p>{detail}</p>
            {children.map(|children| view! { <p class="notice-actions">{children()}</p> })}
        </section>
    }
}

/// A problem in the place of an answer. `href` loads the same view again, with or without JavaScript.
#[component]
pub fn ProblemNotice(problem: Problem, #[prop(into)] href: String, retry: impl Fn() + Send + 'static) -> impl IntoView {
    let shape = if problem.is_starting() { Shape::Info } else { Shape::Warning };
    let retry = move |event: leptos::ev::MouseEvent| {
        event.prevent_default();
        retry();
    };
    let action = match problem {
        // Asking again does not help who may not ask.
        Problem::Forbidden(_) => ().into_any(),
        // A page that is loaded anew leads to the login and back.
        Problem::SignedOut => view! {
            <a class="button" href=href rel="external">
                "Log in"
            </a>
        }
        .into_any(),
        Problem::Starting(_) | Problem::Failed(_) | Problem::Missing(_) | Problem::Unreachable => view! {
            <a class="button" href=href on:click=retry>
                "Try again"
            </a>
        }
        .into_any(),
    };
    view! {
        <div role="alert">
            <Notice title=problem.title() detail=problem.into_detail() shape>
                {action}
            </Notice>
        </div>
    }
}

/// A remark above numbers that are still worth reading.
#[component]
pub fn Remark(children: Children) -> impl IntoView {
    view! {
        <div class="remark" role="status">
            <Icon shape=Shape::Warning />
            <p>{children()}</p>
        </div>
    }
}
