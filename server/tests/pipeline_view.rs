//! The tables and dead letters of a real lake.

mod common;

use common::{Text, Time, at};
use etl::lake::schema;
use model::{pipeline::TableInfo, topic::Layer};
use server::pipeline_view::PipelineTables;

const LETTERS: &[&str] = &["ingested_at", "topic", "rejection", "reason"];
const CUSTOMERS: &[&str] = &["customer_id"];

fn tables(lake: &common::TestLake) -> PipelineTables {
    let all = schema::all().into_iter().map(|table| (table.layer, table.name));
    PipelineTables::new(&lake.url(), all, schema::DEAD_LETTERS.name)
}

#[tokio::test(start_paused = true)]
async fn tables_appear_and_grow() {
    let lake = common::TestLake::new();
    let tables = tables(&lake);
    assert_eq!(tables.view().await.expect("a view").tables, []);

    lake.append(&schema::CUSTOMERS, CUSTOMERS, &[&[Text("1")], &[Text("2")]]).await;
    lake.append(&schema::CUSTOMERS, CUSTOMERS, &[&[Text("3")]]).await;
    assert_eq!(tables.view().await.expect("a view").tables, [], "the answer of a moment ago is still good");
    tokio::time::advance(std::time::Duration::from_secs(2)).await;
    let view = tables.view().await.expect("a view");
    let [TableInfo { layer: Layer::Silver, name, rows: 3, files: 2, bytes: 1.., version: 2, last_commit: Some(_) }] =
        &view.tables[..]
    else {
        panic!("not what was written: {:?}", view.tables)
    };
    assert_eq!(name, "customers");
}

#[tokio::test]
async fn dead_letters_are_counted_by_kind() {
    let lake = common::TestLake::new();
    let letter = |time, topic, rejection, reason| [Time(time), Text(topic), Text(rejection), Text(reason)];
    let first = [
        letter("2025-01-01T10:00:00Z", "customer-events", "not_json", "old"),
        letter("2025-01-01T10:00:01Z", "customer-events", "envelope", "missing field"),
    ];
    lake.append(&schema::DEAD_LETTERS, LETTERS, &first.each_ref().map(|row| row.as_slice())).await;
    lake.append(
        &schema::DEAD_LETTERS,
        LETTERS,
        &[&letter("2025-01-01T11:00:00Z", "customer-events", "not_json", "new")],
    )
    .await;
    let letters = tables(&lake).view().await.expect("a view").dead_letters;
    assert_eq!(letters.len(), 2);
    assert_eq!((letters[0].rejection.as_str(), letters[0].count, letters[0].example.as_str()), ("not_json", 2, "new"));
    assert_eq!(letters[0].newest, at("2025-01-01T11:00:00Z"));
}
