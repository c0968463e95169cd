//! The tables of the lake.

use std::cmp::Ordering;

use leptos::prelude::*;
use model::pipeline::TableInfo;

use crate::{
    components::sortable::{Order, SortHeader},
    format,
};

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Column {
    Layer,
    Name,
    Rows,
    Files,
    Bytes,
    Version,
    LastCommit,
}

impl Column {
    fn compare(self, one: &TableInfo, other: &TableInfo) -> Ordering {
        match self {
            Column::Layer => one.layer.cmp(&other.layer),
            Column::Name => one.name.cmp(&other.name),
            Column::Rows => one.rows.cmp(&other.rows),
            Column::Files => one.files.cmp(&other.files),
            Column::Bytes => one.bytes.cmp(&other.bytes),
            Column::Version => one.version.cmp(&other.version),
            Column::LastCommit => one.last_commit.cmp(&other.last_commit),
        }
    }
}

#[component]
pub fn LakeTable(#[prop(into)] tables: Signal<Vec<TableInfo>>) -> impl IntoView {
    let order = RwSignal::new(None::<Order<Column>>);
    let sorted = Memo::new(move |_| {
        let mut tables = tables.get();
        if let Some(order) = order.get() {
            tables.sort_by(|one, other| order.apply(order.column.compare(one, other)));
        }
        tables
    });
    view! {
        <section class="panel" aria-labelledby="lake-title">
            <h2 class="panel-title" id="lake-title">
                "Tables of the lake"
            </h2>
            <Show
                when=move || !tables.read().is_empty()
                fallback=|| view! { <p class="empty">"There are no tables yet. The first events create them."</p> }
            >
                <div class="table-scroll" tabindex="0" role="region" aria-labelledby="lake-title">
                    <table>
                        <thead>
                            <tr>
                                <SortHeader order column=Column::Layer label="Layer" />
                                <SortHeader order column=Column::Name label="Table" />
                                <SortHeader order column=Column::Rows label="Rows" number=true />
                                <SortHeader order column=Column::Files label="Files" number=true />
                                <SortHeader order column=Column::Bytes label="Size" number=true />
                                <SortHeader order column=Column::Version label="Version" number=true />
                                <SortHeader order column=Column::LastCommit label="Last commit" number=true />
                            </tr>
                        </thead>
                        <tbody>{move || sorted.get().into_iter().map(row).collect_view()}</tbody>
                    </table>
                </div>
            </Show>
        </section>
    }
    .into_any()
}

fn row(table: TableInfo) -> impl IntoView {
    view! {
        <tr>
            <td>
                <span class="layer" data-layer=table.layer.name()>
                    {table.layer.name()}
                </span>
            </td>
            <th scope="row" class="code">
                {table.name}
            </th>
            <td class="number">{format::whole(table.rows)}</td>
            <td class="number">{format::whole(table.files)}</td>
            <td class="number">{format::bytes(table.bytes)}</td>
            <td class="number">{format::whole(table.version)}</td>
            <td class="number">{table.last_commit.map_or_else(|| "–".to_owned(), format::instant)}</td>
        </tr>
    }
}
