//! Where the tables come from: topics at the left, then layer by layer, with a line from each source to what is made of it.

use leptos::prelude::*;
use model::{
    lake::TableSummary,
    topic::{Layer, Topic},
};

/// The width of a column and of the box in it, and the height of a row, in units of the drawing.
const COLUMN: usize = 100;
const BOX: usize = 74;
const ROW: usize = 20;

/// A box of the drawing.
#[derive(Clone, Debug, PartialEq)]
struct Node {
    /// As [`TableSummary::sources`] names it.
    name: String,
    label: String,
    column: usize,
    row: usize,
    /// None for what is not in the lake.
    href: Option<String>,
    rows: Option<u64>,
}

fn nodes(tables: &[TableSummary]) -> Vec<Node> {
    let topics = Topic::ALL.into_iter().enumerate().map(|(row, topic)| Node {
        name: format!("kafka:{}", topic.name()),
        label: topic.name().to_owned(),
        column: 0,
        row,
        href: None,
        rows: None,
    });
    let layers = Layer::ALL.into_iter().enumerate().flat_map(|(index, layer)| {
        tables.iter().filter(move |table| table.layer == layer).enumerate().map(move |(row, table)| Node {
            name: table.full_name(),
            label: table.name.clone(),
            column: index + 1,
            row,
            href: Some(format!("/tables/{}/{}", layer.name(), table.name)),
            rows: Some(table.rows),
        })
    });
    topics.chain(layers).collect()
}

/// A line from the right of one box to the left of another.
fn line(from: &Node, to: &Node) -> String {
    let middle = |row: usize| row * ROW + ROW / 2;
    let (left, right) = (from.column * COLUMN + BOX, to.column * COLUMN);
    let bend = usize::midpoint(left, right);
    let (top, bottom) = (middle(from.row), middle(to.row));
    format!("M{left} {top}C{bend} {top} {bend} {bottom} {right} {bottom}")
}

fn lines(tables: &[TableSummary], nodes: &[Node]) -> Vec<String> {
    let find = |name: &str| nodes.iter().find(|node| node.name == name);
    let of_table = |table: &TableSummary| {
        let to = find(&table.full_name());
        let sources = table.sources.iter().filter_map(|source| Some(line(find(source)?, to?)));
        sources.collect::<Vec<_>>()
    };
    tables.iter().flat_map(of_table).collect()
}

/// The drawing of all tables.
pub fn lineage(tables: &[TableSummary]) -> AnyView {
    let nodes = nodes(tables);
    let rows = nodes.iter().map(|node| node.row + 1).max().unwrap_or(1);
    let lines = lines(tables, &nodes).into_iter().map(|d| view! { <path d=d /> }).collect_view();
    let view_box = format!("0 0 {} {}", 4 * COLUMN, rows * ROW);
    let heads = ["Kafka topics", "Bronze", "Silver", "Gold"]
        .map(|label| view! { <p class="lineage-head">{label}</p> })
        .collect_view();
    let boxes = nodes
        .into_iter()
        .map(|node| {
            let place = format!("grid-column:{};grid-row:{}", node.column + 1, node.row + 1);
            let rows = node.rows.map(|rows| view! { <span class="detail">{crate::format::whole(rows)} " rows"</span> });
            let label = view! { <span class="lineage-label">{node.label}</span> };
            match node.href {
                Some(href) => {
                    view! { <li style=place><a class="lineage-box" href=href>{label} {rows}</a></li> }.into_any()
                }
                None => {
                    view! { <li style=place><span class="lineage-box" data-kind="topic">{label}</span></li> }.into_any()
                }
            }
        })
        .collect_view();
    view! {
        <section class="panel" aria-labelledby="lineage-title">
            <h2 class="panel-title" id="lineage-title">
                "From topic to Gold"
            </h2>
            <div class="table-scroll" tabindex="0" role="region" aria-labelledby="lineage-title">
                <div class="lineage">
                    <div class="lineage-heads" aria-hidden="true">{heads}</div>
                    <div class="lineage-body">
                        <svg viewBox=view_box preserveAspectRatio="none" aria-hidden="true" focusable="false">
                            {lines}
                        </svg>
                        <ul>{boxes}</ul>
                    </div>
                </div>
            </div>
        </section>
    }
    .into_any()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn table(layer: Layer, name: &str, sources: &[&str]) -> TableSummary {
        let sources = sources.iter().map(|&source| source.to_owned()).collect();
        let (rows, files, bytes, version) = (1, 1, 1, 1);
        let (name, description) = (name.to_owned(), String::new());
        TableSummary { layer, name, rows, files, bytes, version, last_commit: None, description, sources }
    }

    #[test]
    fn each_source_that_is_there_has_a_line() {
        let tables = [
            table(Layer::Bronze, "transaction_events", &["kafka:transaction-events"]),
            table(Layer::Silver, "transactions", &["bronze.transaction_events", "bronze.not_made"]),
        ];
        let nodes = nodes(&tables);
        assert_eq!(lines(&tables, &nodes), ["M74 10C87 10 87 10 100 10", "M174 10C187 10 187 10 200 10"]);
    }
}
