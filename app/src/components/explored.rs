//! What the server answers to a view, whichever way it turns out: numbers, drawn as the view says, or why there are none.

use std::time::Duration;

use leptos::prelude::*;
use model::{
    explore::{ChartKind, ExploreAnswer, ExploreView},
    overview::change_percent,
    range::Granularity,
};

use crate::{
    api,
    charts::explore::{COMPARABLE, ExploreChart, Explored, followed},
    components::{
        explore_table::ExploreTable,
        icon::Shape,
        notice::{Notice, ProblemNotice, Remark},
        skeleton::Skeleton,
    },
    format,
    problem::Problem,
    refresh::refresh_every,
    session::leave_when_signed_out,
};

/// While there is an error, or the server is coming up, it is asked sooner.
const BUSY: Duration = Duration::from_secs(4);
const CALM: Duration = Duration::from_secs(30);

/// A view, or why the text in the URL is none.
pub type Parsed = Result<ExploreView, String>;
/// What the server said to which view; nothing where the URL names no view.
type Answer = Option<(ExploreView, Result<ExploreAnswer, Problem>)>;

#[component]
pub fn ExploreResult(
    view: Memo<Parsed>,
    /// Unique on the page.
    id: String,
    /// In the place of what the view says of itself.
    #[prop(optional)]
    title: Option<String>,
    /// Whether the table below the chart is shown without being asked for.
    #[prop(optional)]
    open: bool,
    /// What stands beside the title.
    #[prop(into)]
    head: ViewFn,
) -> impl IntoView {
    let answer: Resource<Answer> = Resource::new(
        move || view.get().ok(),
        |view| async move {
            match view {
                Some(view) => {
                    let answer = api::get_explore(view.to_query()).await;
                    Some((view, answer))
                }
                None => None,
            }
        },
    );
    view! {
        <Transition fallback=|| view! { <Skeleton cards=0 panels=1 /> }>
            <Faces view answer id=id.clone() title=title.clone() open head=head.clone() />
        </Transition>
    }
    .into_any()
}

/// Which of its faces is shown. Numbers change within a face without drawing it anew.
#[derive(Clone, Debug, PartialEq)]
enum Face {
    /// The skeleton stands in for it.
    Waiting,
    BadView(String),
    Problem(Problem),
    Empty,
    /// One number for each metric.
    Totals,
    Table,
    Chart,
}

/// The last answer, and the last good numbers of the same view.
#[derive(Clone, Default, PartialEq)]
struct Known {
    asked: Option<ExploreView>,
    explored: Option<Explored>,
    problem: Option<Problem>,
}

impl Known {
    fn after(previous: Option<&Known>, answer: Answer) -> Known {
        let Some((view, result)) = answer else { return Known::default() };
        let asked = Some(view.clone());
        match result {
            Ok(answer) => Known { asked, explored: Some(Explored { view, answer }), problem: None },
            Err(problem) => {
                let kept = previous.filter(|known| known.asked == asked).and_then(|known| known.explored.clone());
                Known { asked, explored: kept, problem: Some(problem) }
            }
        }
    }

    fn face(&self) -> Face {
        match (&self.explored, &self.problem) {
            (Some(explored), _) if explored.answer.rows.is_empty() => Face::Empty,
            (Some(Explored { view, answer }), _) => match (view.split, answer.granularity, view.chart) {
                (None, None, _) => Face::Totals,
                (.., ChartKind::Table) => Face::Table,
                _ => Face::Chart,
            },
            (None, Some(problem)) => Face::Problem(problem.clone()),
            (None, None) => Face::Waiting,
        }
    }
}

#[component]
fn Faces(
    view: Memo<Parsed>,
    answer: Resource<Answer>,
    id: String,
    title: Option<String>,
    open: bool,
    head: ViewFn,
) -> impl IntoView {
    let known = Memo::new(move |previous| Known::after(previous, answer.get().flatten()));
    let face = Memo::new(move |_| match view.get() {
        Err(reason) => Face::BadView(reason),
        Ok(_) => known.read().face(),
    });
    // Another view was chosen and its numbers are on their way.
    let pending = move || view.with(|view| view.as_ref().ok() != known.read().asked.as_ref() && view.is_ok());
    leave_when_signed_out(move || known.read().problem.clone());
    let troubled = Memo::new(move |_| known.read().problem.is_some());
    let refetch = move || answer.refetch();
    refresh_every(move || if troubled.get() { BUSY } else { CALM }, refetch);
    // While a face is being taken down it keeps the last numbers.
    let explored = Memo::new(move |previous: Option<&Option<Explored>>| {
        known.read().explored.clone().or_else(|| previous.cloned().flatten())
    });
    let title = Signal::derive(move || match &title {
        Some(title) => title.clone(),
        None => explored.with(|explored| explored.as_ref().map(|explored| explored.view.title()).unwrap_or_default()),
    });
    let body = move || {
        match face.get() {
        Face::Waiting => ().into_any(),
        Face::BadView(reason) => view! {
            <Headed title=title head=head.clone()>
                <Notice title="This view cannot be shown" detail=reason shape=Shape::Warning>
                    <a class="button" href="/explore">
                        "Show the default view"
                    </a>
                </Notice>
            </Headed>
        }
        .into_any(),
        Face::Problem(problem) => {
            let href = view.get_untracked().map(|view| view.href()).unwrap_or_default();
            view! {
                <Headed title=title head=head.clone()>
                    <ProblemNotice problem href retry=refetch />
                </Headed>
            }
            .into_any()
        }
        Face::Empty => view! {
            <Headed title=title head=head.clone()>
                <Notice
                    title="Nothing is known of this"
                    detail="No data lie in this range and pass the filters. Choose a longer range, or take a filter off."
                    shape=Shape::Empty
                />
            </Headed>
        }
        .into_any(),
        face => {
            let Some(first) = explored.get_untracked() else { return ().into_any() };
            let explored = Memo::new(move |_| explored.get().unwrap_or_else(|| first.clone()));
            let (id, head) = (id.clone(), head.clone());
            view! { <Numbers explored face title id open head /> }.into_any()
        }
    }
    };
    let stale = move || {
        let problem = known.read().problem.clone().filter(|_| known.read().explored.is_some());
        problem.map(|problem| {
            view! { <Remark>"These numbers could not be brought up to date. " {problem.into_detail()}</Remark> }
        })
    };
    view! {
        <div class="report" aria-busy=move || pending().to_string() data-pending=move || pending().to_string()>
            {stale}
            {body}
        </div>
    }
    .into_any()
}

#[component]
fn Numbers(
    explored: Memo<Explored>,
    face: Face,
    title: Signal<String>,
    id: String,
    open: bool,
    head: ViewFn,
) -> impl IntoView {
    let subtitle = Signal::derive(move || explored.with(subtitle));
    let remarks =
        move || explored.with(remarks).into_iter().map(|text| view! { <p class="muted">{text}</p> }).collect_view();
    let body = match face {
        Face::Chart => view! { <ExploreChart explored title subtitle id open head=head.run() /> }.into_any(),
        Face::Table => view! {
            <Headed title subtitle=subtitle head id>
                <div class="table-scroll" tabindex="0" role="region" aria-label=move || format!("{}: data", title.read())>
                    <ExploreTable explored />
                </div>
            </Headed>
        }
        .into_any(),
        _ => view! {
            <Headed title subtitle=subtitle head id>
                <Totals explored />
            </Headed>
        }
        .into_any(),
    };
    view! {
        {body}
        <div class="explored-foot">
            {remarks}
            <p class="muted computed">
                "Computed on " {move || explored.with(|explored| format::instant(explored.answer.computed_at))}
            </p>
        </div>
    }
    .into_any()
}

/// What stands where a chart would, with the same head.
#[component]
fn Headed(
    title: Signal<String>,
    #[prop(optional)] subtitle: Option<Signal<String>>,
    head: ViewFn,
    #[prop(optional)] id: Option<String>,
    children: Children,
) -> impl IntoView {
    view! {
        <section class="panel" id=id aria-label=move || title.get()>
            <div class="figure-head">
                <h2 class="panel-title">{title}</h2>
                <span class="figure-actions">{head.run()}</span>
                {subtitle.map(|subtitle| view! { <span class="figure-subtitle">{subtitle}</span> })}
            </div>
            {children()}
        </section>
    }
    .into_any()
}

/// One number for each metric, where there is neither time nor split.
#[component]
fn Totals(explored: Memo<Explored>) -> impl IntoView {
    let totals = move || {
        explored.with(|Explored { view, answer }| {
            let value = |rows: &[model::query::Row], index: usize| {
                rows.first().and_then(|row| row.values.get(index).copied().flatten())
            };
            let all = view.metrics().into_iter().enumerate().map(|(index, metric)| {
                let (now, before) = (value(&answer.rows, index), value(&answer.previous, index));
                let written = |value: Option<_>| value.map(|value| format::by_unit(metric.unit, value));
                let change = change_percent(now, before);
                let compared = view.compare.then(|| {
                    let change = change.map_or_else(|| "No earlier data".to_owned(), format::change);
                    let before = written(before).map(|before| format!(" from {before} in the period before"));
                    view! { <dd class="change" data-direction=format::direction(change_percent(now, value(&answer.previous, index)))>{change} <span class="muted">{before}</span></dd> }
                });
                view! {
                    <div class="total" data-metric=metric.name>
                        <dt class="muted">{metric.label}</dt>
                        <dd class="total-value">{written(now).unwrap_or_else(|| "–".to_owned())}</dd>
                        {compared}
                    </div>
                }
            });
            all.collect_view()
        })
    };
    view! { <dl class="totals">{totals}</dl> }.into_any()
}

/// The time and the filters: what the title does not say.
fn subtitle(Explored { view, answer }: &Explored) -> String {
    let mut parts = Vec::new();
    parts.extend(answer.granularity.map(|granularity| match granularity {
        Granularity::Hour => "By hour".to_owned(),
        Granularity::Day => "By day".to_owned(),
        Granularity::Week => "By week".to_owned(),
        Granularity::Month => "By month".to_owned(),
    }));
    parts.push(format!("{} to {}", format::minute(answer.interval.from), format::minute(answer.interval.to)));
    for filter in &view.filters {
        let values: Vec<_> = filter.values.iter().map(|value| answer.name_of(Some(value))).collect();
        parts.push(format!("{}: {}", filter.dimension.label(), values.join(" or ")));
    }
    parts.extend(view.as_of.map(|at| format!("as it stood on {}", format::instant(at))));
    parts.join(" · ")
}

/// What one should know of the numbers.
fn remarks(Explored { view, answer }: &Explored) -> Vec<String> {
    let mut remarks = Vec::new();
    let over_time = answer.granularity.is_some();
    if let (true, Some(dimension), Some(metric)) = (answer.more, view.split, view.metrics().first()) {
        let shown = if over_time { followed(answer) } else { answer.rows.len() };
        remarks.push(format!(
            "There are more values of {}: these {shown} have the greatest {}.",
            dimension.label().to_lowercase(),
            metric.label.to_lowercase()
        ));
    }
    if view.compare && over_time && view.chart != ChartKind::Table {
        remarks.push(if view.chart == ChartKind::Heat || followed(answer) > COMPARABLE {
            "The period before is in the table alone: the chart could not be read with it.".to_owned()
        } else if view.chart == ChartKind::Bar {
            "The period before is drawn paler.".to_owned()
        } else {
            "The period before is drawn with dashes.".to_owned()
        });
    }
    remarks
}
