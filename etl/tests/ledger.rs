//! The books of the pipeline: they balance whatever happens, and say so when somebody changes the lake behind its back.

mod common;

use std::path::Path;

use anyhow::{Context, Result, ensure};
use chrono::{DateTime, TimeDelta, Utc};
use common::World;
use etl::{
    lake::schema,
    ledger::{begin::begin, reader::Reader},
    maintenance::merge_small_files,
    pipeline::Pipeline,
    produce::{Message, generate::Generator},
};
use model::{
    ledger::{Book, Ledger, PartitionLedger},
    topic::Topic,
};

fn events(seed: u64, count: usize) -> Result<Vec<Message>> {
    let moment: DateTime<Utc> = "2026-03-01T23:59:00Z".parse()?;
    let mut generator = Generator::new(seed);
    (0..count).map(|number| generator.next(moment + TimeDelta::seconds(i64::try_from(number)?))).collect()
}

async fn start(world: &World) -> Result<Pipeline> {
    Pipeline::start(world.settings.clone(), &world.services.kafka, &world.services.redis_url).await
}

fn sum(ledger: &Ledger, topic: Topic, number: fn(&PartitionLedger) -> i64) -> i64 {
    ledger.partitions.iter().filter(|partition| partition.topic == topic.name()).map(number).sum()
}

/// Brings events of every kind through the pipeline: duplicates, and what is no event for Bronze or for Silver.
async fn fill(world: &World, messages: &[Message]) -> Result<()> {
    let pipeline = start(world).await?;
    world.send_messages(messages).await?;
    world.send_messages(&messages[..100]).await?;
    let pattern = messages.iter().find(|message| message.topic == Topic::Transaction).context("a transaction")?;
    let pattern = String::from_utf8(pattern.payload.clone())?;
    let unreadable = (0..7).map(|number| (number.to_string(), b"hello".to_vec()));
    let unusable = pattern.replacen("\"amount\":\"", "\"amount\":\"much ", 1);
    let unusable = (0..5).map(|number| (number.to_string(), unusable.clone().into_bytes()));
    world.send(Topic::Transaction.name(), unreadable.chain(unusable)).await?;
    world.settle().await?;
    pipeline.stop().await;
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn every_event_is_accounted_for_and_merging_files_changes_nothing() -> Result<()> {
    let world = World::start().await?;
    let messages = events(11, 2_000)?;
    fill(&world, &messages).await?;
    let transactions = messages.iter().filter(|message| message.topic == Topic::Transaction).count();
    world.check_layers(transactions as u64).await?;
    let books = world.books().await?;
    for topic in Topic::ALL {
        let of = |messages: &[Message]| messages.iter().filter(|message| message.topic == topic).count() as i64;
        let (once, again) = (of(&messages), of(&messages[..100]));
        let (unreadable, unusable) = if topic == Topic::Transaction { (7, 5) } else { (0, 0) };
        let numbers = [
            sum(&books, topic, |partition| partition.bronze),
            sum(&books, topic, |partition| partition.dead_letters),
            sum(&books, topic, |partition| partition.silver),
            sum(&books, topic, |partition| partition.duplicates),
            sum(&books, topic, |partition| partition.rejected),
            sum(&books, topic, |partition| partition.no_event),
            sum(&books, topic, |partition| partition.waiting().unwrap_or(-1)),
        ];
        let expected = [once + again + unusable, unreadable, once, again, unusable, 0, 0];
        ensure!(numbers == expected, "{topic:?}: {numbers:?}, expected {expected:?}");
        let gold = books.topics.iter().find(|of| of.topic == topic.name()).context("a topic")?.gold;
        ensure!(gold == once, "{topic:?}: Gold has {gold} of {once}");
    }
    for spec in schema::all() {
        merge_small_files(&world.lake.table(spec).await?, spec).await?;
    }
    // Silver and Gold have not seen the merging commits yet, which hold nothing for them.
    let merged = world.books().await?;
    ensure!(merged.discrepancies.is_empty(), "{:?}", merged.discrepancies);
    let pipeline = start(&world).await?;
    world.settle().await?;
    pipeline.stop().await;
    let after = world.books().await?;
    ensure!(after.partitions == books.partitions, "{:?} became {:?}", books.partitions, after.partitions);
    world.services.stop().await;
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_changed_behind_its_back_is_told_by_how_much() -> Result<()> {
    let world = World::start().await?;
    fill(&world, &events(12, 600)?).await?;
    let mut reader = Reader::open(&world.lake, &world.services.kafka).await?;
    ensure!(reader.read().await?.discrepancies.is_empty(), "nothing was done yet");

    let table = world.lake.table(schema::bronze_of(Topic::Transaction)).await?;
    let (_, removed) = table.delta().clone().delete().with_predicate("\"offset\" % 10 = 3").await?;
    let removed = i64::try_from(removed.num_deleted_rows.context("rows")?)?;
    ensure!(removed > 5, "{removed} rows are too few for a test");
    let found = reader.read().await?.discrepancies;
    let [found] = &found[..] else { anyhow::bail!("one book is off: {found:?}") };
    ensure!(
        (found.book, found.place.as_str(), found.off_by) == (Book::Rows, "bronze.transaction_events", -removed),
        "{found:?}, but {removed} rows are gone"
    );

    let gold = world.lake.table(&schema::EVENT_COUNTS).await?;
    gold.delta().clone().update().with_update("events", "events + 1").await?;
    let found = reader.read().await?.discrepancies;
    let in_gold: Vec<_> = found.iter().filter(|found| found.book == Book::Gold).collect();
    ensure!(in_gold.len() == 3 && in_gold.iter().all(|found| found.off_by > 0), "each topic has too much: {found:?}");
    world.services.stop().await;
    Ok(())
}

/// Takes the counts out of a table's log, as it was before there were any.
fn forget_counts(table: &Path) -> Result<usize> {
    let mut forgotten = 0;
    for entry in std::fs::read_dir(table.join("_delta_log"))? {
        let path = entry?.path();
        ensure!(!path.to_string_lossy().contains(".checkpoint."), "a test with fewer commits is wanted");
        if path.extension().is_none_or(|extension| extension != "json") {
            continue;
        }
        let text = std::fs::read_to_string(&path)?;
        let is_count = |line: &&str| {
            ["count/", "counted/", "first/"].iter().any(|name| line.contains(&format!("\"appId\":\"{name}")))
        };
        forgotten += text.lines().filter(is_count).count();
        let kept: Vec<&str> = text.lines().filter(|line| !is_count(line)).collect();
        std::fs::write(&path, kept.join("\n") + "\n")?;
    }
    Ok(forgotten)
}

#[tokio::test(flavor = "multi_thread")]
async fn a_lake_from_before_there_were_books_is_counted_once() -> Result<()> {
    let world = World::start().await?;
    fill(&world, &events(13, 900)?).await?;
    let books = world.books().await?;
    for spec in schema::all() {
        let folder = world.lake.root().join(spec.layer.name()).join(spec.name);
        let forgotten = forget_counts(&folder)?;
        let has_counts =
            spec.name.ends_with("_events") || ["dead_letters", "events", "event_counts"].contains(&spec.name);
        ensure!(has_counts || forgotten == 0, "{} has counts", spec.name);
    }
    ensure!(!world.books().await?.discrepancies.is_empty(), "without counts nothing balances");
    begin(&world.lake).await?;
    let counted = world.books().await?;
    ensure!(counted.discrepancies.is_empty(), "{:?}", counted.discrepancies);
    let comparable = |ledger: &Ledger| -> Vec<PartitionLedger> {
        let partitions = ledger.partitions.iter().cloned();
        // The commits with the counts are still to be read by the layer above.
        partitions.map(|partition| PartitionLedger { silver_done: true, ..partition }).collect()
    };
    ensure!(comparable(&counted) == comparable(&books), "{:?} became {:?}", books.partitions, counted.partitions);
    let version = world.lake.table(&schema::EVENTS).await?.version();
    begin(&world.lake).await?;
    ensure!(world.lake.table(&schema::EVENTS).await?.version() == version, "it is counted once");

    // And it goes on from there.
    let pipeline = start(&world).await?;
    world.send_messages(&events(14, 300)?).await?;
    world.settle().await?;
    pipeline.stop().await;
    let after = world.books().await?;
    ensure!(after.discrepancies.is_empty(), "{:?}", after.discrepancies);
    world.services.stop().await;
    Ok(())
}
