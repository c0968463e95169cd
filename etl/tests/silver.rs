//! Several workers and topics that write to one Silver.

use std::{path::Path, sync::Arc};

use anyhow::{Context, Result, anyhow, ensure};
use deltalake::arrow::array::{
    ArrayRef, AsArray, BinaryArray, Int32Array, Int64Array, RecordBatch, StringArray, TimestampMicrosecondArray,
};
use etl::{
    lake::{Lake, schema, table::Position},
    live::WorkerStats,
    quality::Rules,
    settings::Settings,
    silver::{AllEvents, Silver},
};
use model::topic::Topic;
use tokio::sync::watch;
use uuid::Uuid;

/// Puts an event into Bronze, as the topic's partition 0 had it at the offset.
async fn into_bronze(lake: &Lake, topic: Topic, offset: i64, event: Uuid) -> Result<()> {
    let payload = format!(
        r#"{{"event_id":"{event}","event_type":"page.viewed","occurred_at":"2026-11-02T08:00:00Z","customer_id":"one"}}"#
    );
    let number = |value: i32| Arc::new(Int32Array::from_iter_values([value])) as ArrayRef;
    let text = |value: &str| Arc::new(StringArray::from_iter_values([value])) as ArrayRef;
    let time = Arc::new(TimestampMicrosecondArray::from_iter_values([offset]).with_timezone("UTC")) as ArrayRef;
    let columns = vec![
        text(topic.name()),
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
    let mut bronze = lake.table(schema::bronze_of(topic)).await?;
    let rows = RecordBatch::try_new(bronze.spec().schema.clone(), columns)?;
    bronze.append(vec![rows], &[Position::kafka(topic.name(), 0, offset)]).await
}

fn settings(folder: &Path) -> Arc<Settings> {
    let mut settings = Settings::defaults();
    settings.data_dir = folder.join("data");
    Arc::new(settings)
}

/// What a process of its own knows of all events.
async fn all_events(lake: &Lake, settings: &Settings) -> Result<AllEvents> {
    AllEvents::open(lake, &Rules::compile(settings)?, &settings.cache_dir()).await
}

async fn worker(lake: &Lake, topic: Topic, settings: &Arc<Settings>, events: &AllEvents) -> Result<Silver> {
    let stats = Arc::new(WorkerStats::new(Uuid::new_v4().simple().to_string()));
    let rules = Arc::new(Rules::compile(settings)?);
    Silver::open(topic, settings.clone(), rules, lake, events, stats, watch::channel(0).0).await
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

fn sorted(events: &[Uuid]) -> Vec<String> {
    let mut events: Vec<String> = events.iter().map(Uuid::to_string).collect();
    events.sort_unstable();
    events
}

#[tokio::test]
async fn an_event_that_another_worker_wrote_is_not_taken_again() -> Result<()> {
    let folder = tempfile::tempdir()?;
    let settings = settings(folder.path());
    // Each process has its own.
    let lakes = [Lake::open(&folder.path().join("lake"))?, Lake::open(&folder.path().join("lake"))?];
    let known = [all_events(&lakes[0], &settings).await?, all_events(&lakes[1], &settings).await?];
    let mut workers = [
        worker(&lakes[0], Topic::Analytics, &settings, &known[0]).await?,
        worker(&lakes[1], Topic::Analytics, &settings, &known[1]).await?,
    ];
    let sent: Vec<Uuid> = (0..8).map(|_| Uuid::new_v4()).collect();
    let mut offset = 0..;
    let mut next = || offset.next().context("an offset");

    // They take turns, and each event comes once more in the turn after its own: then it is the other worker's.
    for (turn, &event) in sent.iter().enumerate() {
        into_bronze(&lakes[0], Topic::Analytics, next()?, event).await?;
        if turn > 0 {
            into_bronze(&lakes[0], Topic::Analytics, next()?, sent[turn - 1]).await?;
        }
        workers[turn % 2].drain().await?;
    }

    let found = events(&lakes[0]).await?;
    ensure!(found == sorted(&sent), "Silver has {found:?} of {sent:?}");
    Ok(())
}

/// Two topics get the same events, and are worked on at the same time.
async fn at_the_same_moment(processes: usize) -> Result<()> {
    let folder = tempfile::tempdir()?;
    let settings = settings(folder.path());
    let topics = [Topic::Analytics, Topic::Customer];
    let mut lakes = Vec::new();
    let mut known = Vec::new();
    for _ in 0..processes {
        let lake = Lake::open(&folder.path().join("lake"))?;
        known.push(all_events(&lake, &settings).await?);
        lakes.push(lake);
    }
    let (first, last) = (0, processes - 1);
    let mut one = worker(&lakes[first], topics[0], &settings, &known[first]).await?;
    let mut other = worker(&lakes[last], topics[1], &settings, &known[last]).await?;

    let mut sent = Vec::new();
    for offset in 0..30 {
        let event = Uuid::new_v4();
        for topic in topics {
            into_bronze(&lakes[0], topic, offset, event).await?;
        }
        sent.push(event);
        tokio::try_join!(one.drain(), other.drain())?;
    }
    let found = events(&lakes[0]).await?;
    ensure!(found == sorted(&sent), "Silver has {} rows of {} events", found.len(), sent.len());
    Ok(())
}

#[tokio::test]
async fn an_event_that_two_topics_have_at_the_same_moment_is_there_once() -> Result<()> {
    at_the_same_moment(1).await
}

#[tokio::test]
async fn an_event_that_two_workers_have_at_the_same_moment_is_there_once() -> Result<()> {
    at_the_same_moment(2).await
}

#[tokio::test]
async fn what_another_worker_commits_costs_itself_and_not_the_day() -> Result<()> {
    let folder = tempfile::tempdir()?;
    let settings = settings(folder.path());
    let lakes = [Lake::open(&folder.path().join("lake"))?, Lake::open(&folder.path().join("lake"))?];
    let known = [all_events(&lakes[0], &settings).await?, all_events(&lakes[1], &settings).await?];
    let mut ours = worker(&lakes[0], Topic::Analytics, &settings, &known[0]).await?;
    let mut theirs = worker(&lakes[1], Topic::Customer, &settings, &known[1]).await?;
    let sent: Vec<Uuid> = (0..3).map(|_| Uuid::new_v4()).collect();
    into_bronze(&lakes[0], Topic::Analytics, 0, sent[0]).await?;
    ours.drain().await?;

    // The file of the day's first event cannot be read any more, so nobody may need it.
    let [file] = lakes[0].table(&schema::EVENTS).await?.files(None)?.try_into().map_err(|_| anyhow!("one file"))?;
    into_bronze(&lakes[0], Topic::Customer, 0, sent[1]).await?;
    theirs.drain().await?;
    let path = folder.path().join("lake/silver/events").join(&file.path);
    let content = std::fs::read(&path)?;
    std::fs::remove_file(&path)?;
    // Both are known: the one by itself, the other by what was committed.
    for (offset, &event) in (1..).zip(&sent) {
        into_bronze(&lakes[0], Topic::Analytics, offset, event).await?;
    }
    ours.drain().await?;

    std::fs::write(&path, content)?;
    let found = events(&lakes[0]).await?;
    ensure!(found == sorted(&sent), "Silver has {found:?} of {sent:?}");
    Ok(())
}
