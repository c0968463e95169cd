//! The rows behind a number. Everything stands in the URL, as `/api/v1/analytics/rows` takes it.

use leptos::prelude::*;
use leptos_meta::Title;
use leptos_router::hooks::use_query_map;
use model::{
    lake::{Behind, GridColumn},
    metric,
    query::Filter,
};

use crate::{
    api,
    components::{answered::Answered, grid::GridTable, icon::Shape, notice::Notice},
    format,
};

#[component]
pub fn RowsPage() -> impl IntoView {
    let query = use_query_map();
    let asked = Memo::new(move |_| query.read().to_query_string().trim_start_matches('?').to_owned());
    let rows = Resource::new(move || asked.get(), api::get_rows);
    let here = Signal::derive(move || format!("/rows?{}", asked.read()));
    let show = move |behind| view! { <Rows behind asked=asked.get_untracked() /> }.into_any();
    view! {
        <Title text="Rows behind a number" />
        <h1 class="page-title">"Rows behind a number"</h1>
        <Answered answer=rows href=here show />
    }
    .into_any()
}

#[component]
fn Rows(behind: Behind, asked: String) -> impl IntoView {
    let known = metric::find(&behind.metric);
    let label = known.map_or(behind.metric.clone(), |metric| metric.label.to_owned());
    let description = known.map(|metric| metric.description);
    let (from, to) = (format::minute(behind.interval.from), format::minute(behind.interval.to));
    let filters = behind.filters.iter().map(|filter| view! { <li>{in_words(filter)}</li> }).collect_view();
    let as_of = behind.as_of.map(|at| view! { <li>{format!("what had come in by {}", format::instant(at))}</li> });
    let more = behind.next.map(|cursor| {
        let kept: Vec<&str> = asked.split('&').filter(|pair| !pair.starts_with("cursor=")).collect();
        let href = format!("/rows?{}&cursor={}", kept.join("&"), format::percent_encoded(&cursor));
        view! {
            <p class="pager">
                <a class="button button-secondary" href=href>
                    "Next rows"
                </a>
            </p>
        }
    });
    let table = behind.table.clone();
    let (layer, name) = table.split_once('.').unwrap_or(("silver", &table));
    let href = format!("/tables/{layer}/{name}");
    let rows = if behind.rows.rows.is_empty() {
        view! {
            <Notice
                title="There are no rows"
                detail="Nothing lies in this time and passes the filters."
                shape=Shape::Empty
            />
        }
        .into_any()
    } else {
        view! { <GridTable grid=Signal::stored(behind.rows) label="Rows behind the number" href=event /> }.into_any()
    };
    view! {
        <section class="panel" aria-labelledby="behind-title">
            <h2 class="panel-title" id="behind-title">
                {label}
            </h2>
            <p>{description}</p>
            <ul class="plain-list section-text">
                <li>{format!("{from} to {to}")}</li>
                {filters}
                {as_of}
                <li>
                    "from " <a class="code" href=href>
                        {table.clone()}
                    </a>
                </li>
            </ul>
            {rows}
            {more}
        </section>
    }
    .into_any()
}

fn in_words(filter: &Filter) -> String {
    let value = |value: &String| if value.is_empty() { "unknown".to_owned() } else { value.clone() };
    let values: Vec<String> = filter.values.iter().map(value).collect();
    format!("{}: {}", filter.dimension.label(), values.join(" or "))
}

/// The event that a row comes from.
fn event(columns: &[GridColumn], row: &[Option<String>]) -> Option<String> {
    let cell = |name: &str| row.get(columns.iter().position(|column| column.name == name)?)?.as_deref();
    Some(format!("/events/{}/{}/{}", cell("topic")?, cell("source_partition")?, cell("source_offset")?))
}
