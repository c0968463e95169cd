//! The lake's tables: what there is, and what is made of what.

use leptos::prelude::*;
use leptos_meta::Title;
use model::{lake::TableSummary, topic::Layer};

use crate::{
    api,
    components::{answered::Answered, icon::Shape, lineage::lineage, notice::Notice},
    format,
};

#[component]
pub fn TablesPage() -> impl IntoView {
    let tables = Resource::new(|| (), |()| api::get_tables());
    view! {
        <Title text="Tables" />
        <h1 class="page-title">"Tables"</h1>
        <Answered answer=tables href="/tables" show=|tables| view! { <Tables tables /> }.into_any() />
    }
    .into_any()
}

#[component]
fn Tables(tables: Vec<TableSummary>) -> impl IntoView {
    if tables.is_empty() {
        return view! {
            <Notice
                title="There are no tables yet"
                detail="The first events create them. Send some to a Kafka topic, or to the API."
                shape=Shape::Empty
            />
        }
        .into_any();
    }
    let layers = Layer::ALL
        .map(|layer| {
            let of_layer: Vec<_> = tables.iter().filter(|table| table.layer == layer).cloned().collect();
            (!of_layer.is_empty()).then(|| view! { <LayerTables layer tables=of_layer /> })
        })
        .collect_view();
    view! {
        {lineage(&tables)}
        {layers}
    }
    .into_any()
}

#[component]
fn LayerTables(layer: Layer, tables: Vec<TableSummary>) -> impl IntoView {
    let (title, what) = match layer {
        Layer::Bronze => ("Bronze", "Every event as it came."),
        Layer::Silver => ("Silver", "Typed, cleaned, each event once."),
        Layer::Gold => ("Gold", "Small aggregates that answer the dashboards."),
    };
    let id = format!("layer-{}", layer.name());
    let labelled_by = id.clone();
    let rows = tables.into_iter().map(row).collect_view();
    view! {
        <section class="panel" aria-labelledby=labelled_by>
            <h2 class="panel-title" id=id>
                {title}
            </h2>
            <p class="muted section-text">{what}</p>
            <table class="stacked">
                <thead>
                    <tr>
                        <th scope="col">"Table"</th>
                        <th scope="col" class="number">"Rows"</th>
                        <th scope="col" class="number">"Files"</th>
                        <th scope="col" class="number">"Size"</th>
                        <th scope="col" class="number">"Version"</th>
                        <th scope="col" class="number">"Last commit"</th>
                    </tr>
                </thead>
                <tbody>{rows}</tbody>
            </table>
        </section>
    }
    .into_any()
}

fn row(table: TableSummary) -> impl IntoView {
    let href = format!("/tables/{}/{}", table.layer.name(), table.name);
    view! {
        <tr>
            <th scope="row" data-label="Table">
                <a class="code" href=href>
                    {table.name}
                </a>
                <span class="detail">{table.description}</span>
            </th>
            <td class="number" data-label="Rows">{format::whole(table.rows)}</td>
            <td class="number" data-label="Files">{format::whole(table.files)}</td>
            <td class="number" data-label="Size">{format::bytes(table.bytes)}</td>
            <td class="number" data-label="Version">{format::whole(table.version)}</td>
            <td class="number" data-label="Last commit">
                {table.last_commit.map_or_else(|| "–".to_owned(), format::instant)}
            </td>
        </tr>
    }
}
