//! The pipeline: where events are right now, what the lake holds, and what could not be read.

use std::time::Duration;

use leptos::prelude::*;
use leptos_meta::Title;
use model::{health::Health, ledger::Ledger, pipeline::PipelineView};

use crate::{
    api,
    components::{
        books::Books,
        dead_letters::DeadLetterTable,
        flow::Flow,
        health::ComponentList,
        lake::LakeTable,
        notice::{ProblemNotice, Remark},
        replay::ReplayBanner,
        skeleton::Skeleton,
        topics::TopicTable,
    },
    live::use_live_feed,
    problem::Problem,
    refresh::refresh_every,
    session::leave_when_signed_out,
};

const PERIOD: Duration = Duration::from_secs(5);

#[component]
pub fn PipelinePage() -> impl IntoView {
    let feed = use_live_feed();
    let view = Resource::new(|| (), |()| api::get_pipeline());
    let health = Resource::new(|| (), |()| api::get_health());
    let ledger = Resource::new(|| (), |()| api::get_ledger());
    refresh_every(
        || PERIOD,
        move || {
            view.refetch();
            health.refetch();
            ledger.refetch();
        },
    );
    let live = Signal::derive(move || feed.current());
    view! {
        <Title text="Pipeline" />
        <h1 class="page-title">"Pipeline"</h1>
        <ReplayBanner />
        <Transition fallback=|| view! { <Skeleton cards=7 panels=1 /> }>
            <Flow live />
            <TopicTable live />
        </Transition>
        <Transition fallback=|| view! { <Skeleton cards=0 panels=2 /> }>
            <Accounts answer=ledger />
            <Stored answer=view />
            <Components answer=health />
        </Transition>
    }
    .into_any()
}

/// The last good answer, and the problem of the last one.
#[derive(Clone, Debug, PartialEq)]
struct Known<T> {
    value: Option<T>,
    problem: Option<Problem>,
}

impl<T: Clone> Known<T> {
    fn after(previous: Option<&Known<T>>, answer: Option<Result<T, Problem>>) -> Known<T> {
        let kept = || previous.and_then(|known| known.value.clone());
        match answer {
            Some(Ok(value)) => Known { value: Some(value), problem: None },
            Some(Err(problem)) => Known { value: kept(), problem: Some(problem) },
            None => Known { value: kept(), problem: None },
        }
    }
}

#[component]
fn Stored(answer: Resource<Result<PipelineView, Problem>>) -> impl IntoView {
    let known = Memo::new(move |previous| Known::after(previous, answer.get()));
    let there = Memo::new(move |_| known.read().value.is_some());
    let problem = Memo::new(move |_| known.read().problem.clone());
    leave_when_signed_out(move || problem.get());
    let stored = Signal::derive(move || known.get().value.unwrap_or_default());
    let retry = move || answer.refetch();
    move || match (there.get(), problem.get()) {
        (true, problem) => {
            let remark = problem.map(|problem| {
                view! { <Remark>"The tables could not be brought up to date. " {problem.into_detail()}</Remark> }
            });
            view! {
                {remark}
                <LakeTable tables=Signal::derive(move || stored.get().tables) />
                <DeadLetterTable letters=Signal::derive(move || stored.get().dead_letters) />
            }
            .into_any()
        }
        (false, Some(problem)) => view! { <ProblemNotice problem href="/pipeline" retry /> }.into_any(),
        (false, None) => ().into_any(),
    }
}

#[component]
fn Accounts(answer: Resource<Result<Ledger, Problem>>) -> impl IntoView {
    let known = Memo::new(move |previous| Known::after(previous, answer.get()));
    let there = Memo::new(move |_| known.read().value.is_some());
    let ledger = Signal::derive(move || known.get().value.unwrap_or_default());
    move || there.get().then(|| view! { <Books ledger /> })
}

#[component]
fn Components(answer: Resource<Result<Health, Problem>>) -> impl IntoView {
    let known = Memo::new(move |previous| Known::after(previous, answer.get()));
    let there = Memo::new(move |_| known.read().value.is_some());
    let health = Signal::derive(move || known.get().value.unwrap_or_default());
    move || there.get().then(|| view! { <ComponentList health /> })
}
