//! Explore: any metrics of the catalogue, over any range, split, filtered and compared. The whole view stands in the URL.

use leptos::prelude::*;
use leptos_meta::Title;
use leptos_router::hooks::use_query_map;
use model::{
    explore::{ExploreAnswer, ExploreView},
    query::Row,
};

use crate::{
    api,
    charts::explore::ExploreChart,
    components::{
        answered::Answered,
        explore_form::ExploreForm,
        icon::Shape,
        notice::{Notice, Remark},
    },
    format,
};

#[component]
pub fn ExplorePage() -> impl IntoView {
    let query = use_query_map();
    let view = Memo::new(move |_| {
        let parameters: Vec<_> = query.get().into_iter().collect();
        ExploreView::parse(parameters.iter().map(|(name, value)| (name.as_ref(), value.as_str())))
    });
    let answer = Resource::new(
        move || view.get().ok(),
        |view| async move {
            match view {
                Some(view) => api::get_explore(view.clone()).await.map(|answer| Some((view, answer))),
                None => Ok(None),
            }
        },
    );
    let here = Signal::derive(move || address("/explore", &view.get().unwrap_or_default()));
    let export = move || address("/explore.csv", &view.get().unwrap_or_default());
    let explained = move || {
        view.get().err().map(|reason| {
            view! {
                <Notice title="This view cannot be shown" detail=reason shape=Shape::Warning>
                    <a class="button" href="/explore">
                        "Show the default view"
                    </a>
                </Notice>
            }
        })
    };
    let show = |shown: Option<(ExploreView, ExploreAnswer)>| {
        shown.map(|(view, answer)| view! { <Numbers view answer /> }).into_any()
    };
    view! {
        <Title text="Explore" />
        <div class="page-head">
            <h1 class="page-title">"Explore"</h1>
            <a class="button button-secondary" href=export rel="external" download="explore.csv">
                "Export as CSV"
            </a>
        </div>
        <section class="panel" aria-label="View">
            {move || view! { <ExploreForm view=view.get().unwrap_or_default() /> }}
        </section>
        {explained}
        <Answered
            answer
            href=here
            show
        />
    }
    .into_any()
}

pub fn address(path: &str, view: &ExploreView) -> String {
    format!("{path}?{}", view.to_query())
}

#[component]
fn Numbers(view: ExploreView, answer: ExploreAnswer) -> impl IntoView {
    if answer.rows.is_empty() {
        return view! {
            <Notice
                title="Nothing is known of this"
                detail="No data lie in this range and pass the filters. Choose a longer range, or take a filter off."
                shape=Shape::Empty
            />
        }
        .into_any();
    }
    let more = answer.more.then(|| view! { <Remark>"There are more values; these are the greatest."</Remark> });
    let computed = format!(
        "Computed on {}, for {} to {}",
        format::instant(answer.computed_at),
        format::minute(answer.interval.from),
        format::minute(answer.interval.to)
    );
    view! {
        {more}
        <ExploreChart view=view.clone() answer=answer.clone() table=view! { <Table view answer /> }.into_any() />
        <p class="muted computed">{computed}</p>
    }
    .into_any()
}

/// The numbers, each row a way one step down.
#[component]
fn Table(view: ExploreView, answer: ExploreAnswer) -> impl IntoView {
    let metrics = view.metrics();
    let compared = !answer.previous.is_empty();
    let heads = metrics
        .iter()
        .flat_map(|metric| {
            let before = compared.then(|| format!("{}, period before", metric.label));
            [Some(metric.label.to_owned()), before].into_iter().flatten()
        })
        .map(|label| view! { <th scope="col" class="number">{label}</th> })
        .collect_view();
    let cell = |row: Option<&Row>, index: usize| {
        let value = row.and_then(|row| row.values.get(index).copied().flatten());
        let text = value.map_or_else(|| "–".to_owned(), |value| format::by_unit(metrics[index].unit, value));
        view! { <td class="number">{text}</td> }
    };
    let rows = answer
        .rows
        .iter()
        .enumerate()
        .map(|(place, row)| {
            let time = answer.granularity.zip(row.time).map(|(granularity, time)| {
                let label = format::bucket(granularity, time);
                let href = view.zoomed_to(granularity, time).map(|view| address("/explore", &view));
                view! { <th scope="row">{linked(label, href)}</th> }
            });
            let key = view.split.map(|_| {
                let label = row.key.clone().unwrap_or_else(|| "Unknown".to_owned());
                let href = view.narrowed_to(row.key.as_deref()).map(|view| address("/explore", &view));
                view! { <th scope="row">{linked(label, href)}</th> }
            });
            let cells = (0..metrics.len())
                .map(|index| {
                    let before = compared.then(|| cell(answer.previous.get(place), index));
                    view! { {cell(Some(row), index)} {before} }
                })
                .collect_view();
            view! { <tr>{time} {key} {cells}</tr> }
        })
        .collect_view();
    let time = answer.granularity.map(|_| view! { <th scope="col">"Time (UTC)"</th> });
    let split = view.split.map(|dimension| view! { <th scope="col">{dimension.label()}</th> });
    view! {
        <table>
            <caption class="visually-hidden">"The numbers of this view"</caption>
            <thead>
                <tr>{time} {split} {heads}</tr>
            </thead>
            <tbody>{rows}</tbody>
        </table>
    }
    .into_any()
}

fn linked(label: String, href: Option<String>) -> AnyView {
    match href {
        Some(href) => view! { <a href=href>{label}</a> }.into_any(),
        None => label.into_any(),
    }
}
