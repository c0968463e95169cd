//! Several workers that do Silver's work in turns.

use std::sync::Arc;

use anyhow::{Context, Result, ensure};
use deltalake::arrow::array::{
    ArrayRef, AsArray, BinaryArray, Int32Array, Int64Array, RecordBatch, StringArray, TimestampMicrosecondArray,
};
use etl::{
    lake::{Lake, schema, table::Position},
    live::WorkerStats,
    quality::Rules,
    settings::Settings,
    silver::Silver,
};
use model::topic::Topic;
use tokio::sync::watch;
use uuid::Uuid;

const TOPIC: Topic = Topic::Analytics;

/// Puts an event into Bronze, as partition 0 had it at the offset.
async fn into_bronze(lake: &Lake, offset: i64, event: Uuid) -> Result<()> {
    let payload =
        format!(r#"{{"event_id":"{event}","event_type":"page.viewed","occurred_at":"2026-11-02T08:00:00Z"}}"#);
    let number = |value: i32| Arc::new(Int32Array::from_iter_values([value])) as ArrayRef;
    let text = |value: &str| Arc::new(StringArray::from_iter_values([value])) as ArrayRef;
    let time = Arc::new(TimestampMicrosecondArray::from_iter_values([offset]).with_timezone("UTC")) as ArrayRef;
    let columns = vec![
        text(TOPIC.name()),
        number(0),
        Arc::new(Int64Array::from_iter_values([offset])),
        time.clone(),
        time,
        text("page.viewed"),
        Arc::new(BinaryArray::from_iter([None::<&[u8]>])),
        Arc::new(StringArray::new_null(1)),
        text(&payload),
        number(2026),
        number(11),
        number(2),
    ];
    let mut bronze = lake.table(schema::bronze_of(TOPIC)).await?;
    let rows = RecordBatch::try_new(bronze.spec().schema.clone(), columns)?;
    bronze.append(vec![rows], &[Position::kafka(TOPIC.name(), 0, offset)]).await
}

async fn worker(lake: &Lake, settings: &Arc<Settings>) -> Result<Silver> {
    let stats = Arc::new(WorkerStats::new(Uuid::new_v4().simple().to_string()));
    let rules = Arc::new(Rules::compile(settings)?);
    Silver::open(TOPIC, settings.clone(), rules, lake, stats, watch::channel(0).0).await
}

async fn events(lake: &Lake) -> Result<Vec<String>> {
    let table = lake.table(&schema::EVENTS).await?;
    let mut events = Vec::new();
    for file in table.files(None)? {
        for batch in table.read(&file, &["event_id"]).await? {
            events.extend(batch["event_id"].as_string::<i32>().iter().flatten().map(ToOwned::to_owned));
        }
    }
    events.sort_unstable();
    Ok(events)
}

#[tokio::test]
async fn an_event_that_another_worker_wrote_is_not_taken_again() -> Result<()> {
    let folder = tempfile::tempdir()?;
    let mut settings = Settings::defaults();
    settings.data_dir = folder.path().join("data");
    let settings = Arc::new(settings);
    // Each process has its own.
    let lakes = [Lake::open(&folder.path().join("lake"))?, Lake::open(&folder.path().join("lake"))?];
    let mut workers = [worker(&lakes[0], &settings).await?, worker(&lakes[1], &settings).await?];
    let sent: Vec<Uuid> = (0..8).map(|_| Uuid::new_v4()).collect();
    let mut offset = 0..;
    let mut next = || offset.next().context("an offset");

    // They take turns, and each event comes once more in the turn after its own: then it is the other worker's.
    for (turn, &event) in sent.iter().enumerate() {
        into_bronze(&lakes[0], next()?, event).await?;
        if turn > 0 {
            into_bronze(&lakes[0], next()?, sent[turn - 1]).await?;
        }
        workers[turn % 2].drain().await?;
    }

    let mut expected: Vec<String> = sent.iter().map(Uuid::to_string).collect();
    expected.sort_unstable();
    let found = events(&lakes[0]).await?;
    ensure!(found == expected, "Silver has {found:?} of {expected:?}");
    Ok(())
}
