//! One table of the lake, as it is or as it was.

use leptos::prelude::*;
use leptos_meta::Title;
use leptos_router::hooks::{use_params_map, use_query_map};
use model::{
    lake::{ColumnInfo, Commit, TableDetail},
    topic::Layer,
};

use crate::{
    api,
    components::{answered::Answered, grid::GridTable, notice::Remark},
    format,
    problem::Problem,
};

#[component]
pub fn TablePage() -> impl IntoView {
    let (params, query) = (use_params_map(), use_query_map());
    let asked = Memo::new(move |_| {
        let params = params.read();
        let name = params.get_str("name").unwrap_or_default().to_owned();
        (params.get_str("layer").unwrap_or_default().to_owned(), name, query.read().get("version").unwrap_or_default())
    });
    let table = Resource::new(
        move || asked.get(),
        |(layer, name, version)| async move {
            let unknown = || Problem::Failed(format!("There is no layer {layer}; there are bronze, silver and gold."));
            let layer = Layer::from_name(&layer).ok_or_else(unknown)?;
            let wrong = |_| Problem::Failed("The version must be a whole number, such as 12.".to_owned());
            let version = if version.is_empty() { None } else { Some(version.parse::<u64>().map_err(wrong)?) };
            Ok((version, api::get_table(layer, name, version).await?))
        },
    );
    let full_name = move || asked.with(|(layer, name, _)| format!("{layer}.{name}"));
    let here = Signal::derive(move || asked.with(|(layer, name, _)| format!("/tables/{layer}/{name}")));
    let show = |(asked, table): (Option<u64>, TableDetail)| view! { <Table asked table /> }.into_any();
    view! {
        <Title text=full_name />
        <p class="breadcrumb">
            <a href="/tables">"Tables"</a>
        </p>
        <h1 class="page-title code">{full_name}</h1>
        <Answered answer=table href=here show />
    }
    .into_any()
}

#[component]
fn Table(asked: Option<u64>, table: TableDetail) -> impl IntoView {
    let summary = table.summary;
    let path = format!("/tables/{}/{}", summary.layer.name(), summary.name);
    let newest = path.clone();
    let earlier = asked.map(|version| {
        view! {
            <Remark>
                "This is the table as it was at version " {version} ". " <a href=newest>"Show it as it is now"</a>
            </Remark>
        }
    });
    let sources = summary.sources.iter().map(|source| view! { <li>{linked_source(source)}</li> }).collect_view();
    let sql =
        format!("/sql?q={}", format::percent_encoded(&format!("SELECT * FROM {} LIMIT 100", summary.full_name())));
    let partitions =
        if table.partitioned_by.is_empty() { "nothing".to_owned() } else { table.partitioned_by.join(", ") };
    let columns = table.columns.into_iter().map(column).collect_view();
    let history = table.history.into_iter().map(|commit| past(&path, commit)).collect_view();
    let preview = table.preview;
    let rows = preview.rows.len();
    let some = if preview.truncated { format!("The first {rows} that were found") } else { format!("All {rows} rows") };
    view! {
        {earlier}
        <section class="panel" aria-labelledby="about-title">
            <div class="panel-head">
                <h2 class="panel-title" id="about-title">
                    "About"
                </h2>
                <a class="button button-secondary" href=sql>
                    "Query it"
                </a>
            </div>
            <p>{summary.description}</p>
            <dl class="facts about-table">
                <div><dt>"Rows"</dt><dd>{format::whole(summary.rows)}</dd></div>
                <div><dt>"Files"</dt><dd>{format::whole(summary.files)}</dd></div>
                <div><dt>"Size"</dt><dd>{format::bytes(summary.bytes)}</dd></div>
                <div><dt>"Version"</dt><dd>{format::whole(summary.version)}</dd></div>
                <div>
                    <dt>"Last commit"</dt>
                    <dd>{summary.last_commit.map_or_else(|| "–".to_owned(), format::instant)}</dd>
                </div>
                <div><dt>"Partitioned by"</dt><dd class="code">{partitions}</dd></div>
                <div><dt>"Made from"</dt><dd><ul class="plain-list">{sources}</ul></dd></div>
            </dl>
        </section>
        <section class="panel" aria-labelledby="preview-title">
            <h2 class="panel-title" id="preview-title">
                "Rows"
            </h2>
            <p class="muted section-text">{some}</p>
            <GridTable grid=Signal::stored(preview) label="Rows of the table" />
        </section>
        <section class="panel" aria-labelledby="columns-title">
            <h2 class="panel-title" id="columns-title">
                "Columns"
            </h2>
            <div class="table-scroll" tabindex="0" role="region" aria-labelledby="columns-title">
                <table>
                    <thead>
                        <tr>
                            <th scope="col">"Column"</th>
                            <th scope="col">"Type"</th>
                            <th scope="col">"May be null"</th>
                            <th scope="col">"What it is"</th>
                        </tr>
                    </thead>
                    <tbody>{columns}</tbody>
                </table>
            </div>
        </section>
        <section class="panel" aria-labelledby="history-title">
            <h2 class="panel-title" id="history-title">
                "History"
            </h2>
            <p class="muted section-text">
                "The newest commits whose log is kept. A version can be shown as long as its files are there."
            </p>
            <div class="table-scroll" tabindex="0" role="region" aria-labelledby="history-title">
                <table>
                    <thead>
                        <tr>
                            <th scope="col" class="number">"Version"</th>
                            <th scope="col">"When"</th>
                            <th scope="col">"Operation"</th>
                            <th scope="col" class="number">"Rows in new files"</th>
                            <th scope="col" class="number">"Files added"</th>
                            <th scope="col" class="number">"Files removed"</th>
                        </tr>
                    </thead>
                    <tbody>{history}</tbody>
                </table>
            </div>
        </section>
    }
    .into_any()
}

/// A table is a link to it, a topic is not.
fn linked_source(source: &str) -> AnyView {
    match source.split_once('.') {
        Some((layer, name)) => {
            let href = format!("/tables/{layer}/{name}");
            view! { <a class="code" href=href>{source.to_owned()}</a> }.into_any()
        }
        None => view! { <span class="code">{source.to_owned()}</span> }.into_any(),
    }
}

fn column(column: ColumnInfo) -> impl IntoView {
    view! {
        <tr>
            <th scope="row" class="code">{column.name}</th>
            <td class="code">{column.data_type}</td>
            <td>{if column.nullable { "yes" } else { "no" }}</td>
            <td class="wrap">{column.description}</td>
        </tr>
    }
}

fn past(path: &str, commit: Commit) -> impl IntoView {
    let number = |number: Option<u64>| number.map_or_else(|| "–".to_owned(), format::whole);
    view! {
        <tr>
            <th scope="row" class="number">
                <a href=format!("{path}?version={}", commit.version)>{format::whole(commit.version)}</a>
            </th>
            <td class="nowrap">{commit.at.map_or_else(|| "–".to_owned(), format::instant)}</td>
            <td class="code">{commit.operation}</td>
            <td class="number">{number(commit.rows_added)}</td>
            <td class="number">{number(commit.files_added)}</td>
            <td class="number">{number(commit.files_removed)}</td>
        </tr>
    }
}
