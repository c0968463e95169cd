//! One answer of the server on a page: grey while it is on its way, a notice where it failed, else what is made of it.

use leptos::prelude::*;
use serde::{Serialize, de::DeserializeOwned};

use crate::{
    components::{notice::ProblemNotice, skeleton::Skeleton},
    problem::Problem,
    session::leave_when_signed_out,
};

#[component]
pub fn Answered<T>(
    answer: Resource<Result<T, Problem>>,
    /// The page itself, for trying again.
    #[prop(into)]
    href: Signal<String>,
    show: impl Fn(T) -> AnyView + Send + Sync + 'static,
) -> impl IntoView
where
    T: Clone + Serialize + DeserializeOwned + Send + Sync + 'static,
{
    leave_when_signed_out(move || answer.get().and_then(Result::err));
    let retry = move || answer.refetch();
    let shown = move || {
        answer.get().map(|answer| match answer {
            Ok(value) => show(value),
            Err(problem) => view! { <ProblemNotice problem href=href.get_untracked() retry /> }.into_any(),
        })
    };
    view! { <Transition fallback=|| view! { <Skeleton cards=0 panels=1 /> }>{shown}</Transition> }.into_any()
}
