//! The overview: what was sold over a range of time, and what happens right now.

use std::time::Duration;

use leptos::prelude::*;
use leptos_meta::Title;
use leptos_router::hooks::use_query_map;
use model::{
    overview::Overview,
    range::{Parsed, Range},
};

use crate::{
    api,
    charts::{
        ranking::{Ranking, RankingChart},
        revenue::RevenueChart,
    },
    components::{
        dashboard_list::DashboardRow,
        icon::Shape,
        kpi::KpiCard,
        live_strip::LiveStrip,
        notice::{Notice, ProblemNotice, Remark},
        products::ProductTable,
        range_picker::RangePicker,
        replay::ReplayBanner,
        skeleton::Skeleton,
    },
    format,
    live::use_live_feed,
    problem::Problem,
    refresh::refresh_every,
    session::leave_when_signed_out,
};

/// While the demo data stream in, or the server is coming up, totals change quickly.
const BUSY: Duration = Duration::from_secs(3);
const CALM: Duration = Duration::from_secs(12);

/// What the server said about which range; nothing where the URL names no range.
type Answer = Option<(Range, Result<Overview, Problem>)>;

#[component]
pub fn OverviewPage() -> impl IntoView {
    let query = use_query_map();
    let range: Memo<Parsed> = Memo::new(move |_| {
        let query = query.read();
        Range::parse(query.get_str("range"), query.get_str("from"), query.get_str("to"))
    });
    let answer: Resource<Answer> = Resource::new(
        move || range.get().ok(),
        |range| async move {
            match range {
                Some(range) => Some((range, api::get_overview(range).await)),
                None => None,
            }
        },
    );
    view! {
        <Title text="Overview" />
        <div class="page-head">
            <h1 class="page-title">"Overview"</h1>
            <RangePicker range />
        </div>
        <DashboardRow />
        <ReplayBanner />
        <LiveStrip />
        <Transition fallback=|| view! { <Skeleton cards=8 panels=4 /> }>
            <Report range answer />
        </Transition>
    }
    .into_any()
}

/// Which of its faces the page shows. Numbers change within a face without drawing it anew.
#[derive(Clone, Debug, PartialEq)]
enum Face {
    /// The skeleton stands in for it.
    Waiting,
    BadRange(String),
    Problem(Problem),
    Empty,
    Numbers,
}

/// The last answer, and the last good numbers of the same range.
#[derive(Clone, Default, PartialEq)]
struct Known {
    range: Option<Range>,
    overview: Option<Overview>,
    problem: Option<Problem>,
}

impl Known {
    fn after(previous: Option<&Known>, answer: Answer) -> Known {
        let Some((range, result)) = answer else { return Known::default() };
        match result {
            Ok(overview) => Known { range: Some(range), overview: Some(overview), problem: None },
            Err(problem) => {
                let kept = previous.filter(|known| known.range == Some(range)).and_then(|known| known.overview.clone());
                Known { range: Some(range), overview: kept, problem: Some(problem) }
            }
        }
    }

    fn face(&self) -> Face {
        match (&self.overview, &self.problem) {
            (Some(overview), _) if overview.is_empty() => Face::Empty,
            (Some(_), _) => Face::Numbers,
            (None, Some(problem)) => Face::Problem(problem.clone()),
            (None, None) => Face::Waiting,
        }
    }
}

#[component]
fn Report(range: Memo<Parsed>, answer: Resource<Answer>) -> impl IntoView {
    let feed = use_live_feed();
    let known = Memo::new(move |previous| Known::after(previous, answer.get().flatten()));
    let face = Memo::new(move |_| match range.get() {
        Err(reason) => Face::BadRange(reason),
        Ok(_) => known.read().face(),
    });
    // Another range was chosen and its numbers are on their way.
    let pending = move || known.read().range != range.get().ok() && face.get() == Face::Numbers;
    leave_when_signed_out(move || known.read().problem.clone());
    let troubled = Memo::new(move |_| known.read().problem.is_some());
    let refetch = move || answer.refetch();
    refresh_every(move || if feed.is_replaying() || troubled.get() { BUSY } else { CALM }, refetch);

    let here = move || range.get().map(|range| format!("/?{}", range.to_query())).unwrap_or_default();
    let body = move || match face.get() {
        Face::Waiting => ().into_any(),
        Face::BadRange(reason) => view! {
            <Notice title="This time range cannot be shown" detail=reason shape=Shape::Warning>
                <a class="button" href="/">
                    "Show the default range"
                </a>
            </Notice>
        }
        .into_any(),
        Face::Problem(problem) => view! { <ProblemNotice problem href=here() retry=refetch /> }.into_any(),
        Face::Empty => view! {
            <Notice
                title="Nothing was sold in this time"
                detail="No orders lie in this range. Choose a longer one, or wait for the data to arrive."
                shape=Shape::Empty
            />
        }
        .into_any(),
        Face::Numbers => {
            let first = known.read_untracked().overview.clone();
            first.map(|first| view! { <Numbers known first /> }).into_any()
        }
    };
    view! {
        <div class="report" aria-busy=move || pending().to_string() data-pending=move || pending().to_string()>
            {body}
        </div>
    }
    .into_any()
}

#[component]
fn Numbers(
    known: Memo<Known>,
    /// What is shown first.
    first: Overview,
) -> impl IntoView {
    // While this face is being taken down it keeps the last numbers.
    let overview = Memo::new(move |previous: Option<&Overview>| {
        known.read().overview.as_ref().or(previous).unwrap_or(&first).clone()
    });
    let stale = move || known.read().problem.clone();
    let cards = move || {
        let Overview { kpis, interval, .. } = overview.get();
        kpis.into_iter().map(|kpi| view! { <KpiCard kpi interval /> }).collect_view()
    };
    view! {
        {move || {
            stale()
                .map(|problem| {
                    view! { <Remark>"These numbers could not be brought up to date. " {problem.into_detail()}</Remark> }
                })
        }}
        <section class="kpis" aria-label="Key figures">
            {cards}
        </section>
        <div class="panels">
            <div class="panel-wide">
                <RevenueChart overview />
            </div>
            <RankingChart overview ranking=DEPARTMENTS />
            <RankingChart overview ranking=STORES />
            <div class="panel-wide">
                <ProductTable overview />
            </div>
        </div>
        <p class="muted computed">
            "Computed on " {move || format::instant(overview.read().computed_at)} ", for "
            {move || interval_in_words(&overview.read())}
        </p>
    }
    .into_any()
}

const DEPARTMENTS: Ranking = Ranking {
    id: "departments",
    title: "Revenue by department",
    what: "Department",
    counted: "Units",
    pick: |overview| &overview.departments,
};

const STORES: Ranking = Ranking {
    id: "stores",
    title: "Revenue by store",
    what: "Store",
    counted: "Orders",
    pick: |overview| &overview.stores,
};

fn interval_in_words(overview: &Overview) -> String {
    let pattern = "%-d %b %Y, %H:%M";
    let interval = overview.interval;
    format!("{} to {} UTC", interval.from.format(pattern), interval.to.format(pattern))
}
