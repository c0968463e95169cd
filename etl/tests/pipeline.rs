//! The pipeline against a real broker and a real Redis: everything arrives, once, whatever happens on the way.

mod common;

use std::{fs::File, path::Path, process::Stdio};

use anyhow::{Context, Result, ensure};
use chrono::{DateTime, Utc};
use common::{INSTANCE, World};
use deltalake::parquet::file::reader::{FileReader as _, SerializedFileReader};
use etl::{
    lake::schema,
    maintenance::merge_small_files,
    pipeline::Pipeline,
    produce::{Message, generate::Generator},
};
use model::{ledger::Book, topic::Topic};
use rand::{Rng, SeedableRng, rngs::StdRng};
use tokio::process::Command;

fn moment() -> DateTime<Utc> {
    "2026-03-01T23:59:00Z".parse().expect("a constant")
}

/// Events around a midnight, so that more than one partition of the lake is written.
fn events(seed: u64, count: usize) -> Result<Vec<Message>> {
    let mut generator = Generator::new(seed);
    (0..count).map(|number| generator.next(moment() + chrono::TimeDelta::seconds(i64::try_from(number)?))).collect()
}

fn transactions(messages: &[Message]) -> u64 {
    messages.iter().filter(|message| message.topic == Topic::Transaction).count() as u64
}

async fn start(world: &World) -> Result<Pipeline> {
    Pipeline::start(world.settings.clone(), &world.services.kafka, &world.services.redis_url).await
}

/// A worker in a process of its own, which ends with the test.
fn worker(world: &World) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_streamlinehub-worker"));
    command
        .arg("run")
        .env("KAFKA_BOOTSTRAP_SERVERS", world.services.kafka.servers())
        .env("REDIS_URL", &world.services.redis_url)
        .env("KAFKA_INSTANCE", INSTANCE)
        .env("KAFKA_GROUP", &world.settings.kafka.group)
        .env("DATABASE_URL", "postgres://unused")
        .env("DELTA_LAKE_PATH", world.lake.root())
        .env("BUFFER_MAX_WAIT_MS", "50")
        .env("LOG_LEVEL", "error")
        .stdin(Stdio::null())
        .kill_on_drop(true);
    command
}

#[tokio::test(flavor = "multi_thread")]
async fn every_event_arrives_once_though_it_is_sent_twice() -> Result<()> {
    let world = World::start().await?;
    let messages = events(1, 3_000)?;
    let pipeline = start(&world).await?;
    world.send_messages(&messages).await?;
    world.settle().await?;
    world.send_messages(&messages[1_000..2_000]).await?;
    world.settle().await?;
    world.check_layers(transactions(&messages)).await?;
    let bronze = world.row("SELECT count(*) FROM bronze_transaction_events").await?;
    let sent = transactions(&messages) + transactions(&messages[1_000..2_000]);
    ensure!(bronze == [sent.to_string()], "Bronze keeps every message, duplicates too: {bronze:?} of {sent}");
    let products = world.row("SELECT count(*) = count(DISTINCT product_id) FROM silver_products").await?;
    ensure!(products == ["true"], "a product has two rows");
    pipeline.stop().await;
    world.services.stop().await;
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_no_event_becomes_a_dead_letter_with_its_reason() -> Result<()> {
    let world = World::start().await?;
    let good = events(2, 400)?;
    let pattern = String::from_utf8(
        good.iter().find(|message| message.topic == Topic::Transaction).context("a transaction")?.payload.clone(),
    )?;
    let wrong = |from: &str, to: &str| {
        assert!(pattern.contains(from), "the pattern lacks {from}");
        pattern.replacen(from, to, 1).into_bytes()
    };
    let deep = format!("{}{}", "[".repeat(50_000), "]".repeat(50_000));
    let bad: Vec<(&str, Vec<u8>)> = vec![
        ("empty", Vec::new()),
        ("not_json", b"hello".to_vec()),
        ("not_json", b"{\"event_id\":".to_vec()),
        ("not_json", wrong("\"lines\":", "\"lines\":NaN,\"x\":")),
        ("not_json", deep.clone().into_bytes()),
        ("not_utf8", wrong("synthetic", "\u{0}").into_iter().map(|byte| if byte == 0 { 0xff } else { byte }).collect()),
        ("too_large", format!("{{\"event_id\":\"{}\"}}", "x".repeat(5_000_000)).into_bytes()),
        ("envelope", b"{}".to_vec()),
        ("envelope", wrong("\"event_type\"", "\"kind\"")),
        ("envelope", wrong("\"occurred_at\":\"2026", "\"occurred_at\":\"99999")),
        ("envelope", wrong("\"customer_id\":\"", "\"customer_id\":\"\\u0000")),
        ("envelope", wrong("\"event_id\":\"", "\"event_id\":\"not-a-uuid-")),
        ("fields", wrong("\"amount\":\"", "\"amount\":\"much ")),
        ("fields", wrong("\"transaction_id\"", "\"transaction\"")),
        ("fields", wrong("\"currency\":\"USD\"", "\"currency\":7")),
        ("fields", wrong("\"lines\":[", &format!("\"lines\":{deep},\"x\":["))),
    ];
    let pipeline = start(&world).await?;
    for (number, chunk) in good.chunks(40).enumerate() {
        world.send_messages(chunk).await?;
        let kinds = bad.iter().skip(number % bad.len()).take(4);
        world.send(Topic::Transaction.name(), kinds.map(|(_, payload)| ("bad".to_owned(), payload.clone()))).await?;
    }
    world.send(Topic::Transaction.name(), bad.iter().map(|(_, payload)| ("bad".to_owned(), payload.clone()))).await?;
    world.settle().await?;
    world.check_layers(transactions(&good)).await?;
    for rejection in ["empty", "not_json", "not_utf8", "too_large", "envelope", "fields"] {
        let kinds: Vec<&str> = bad.iter().map(|(kind, _)| *kind).collect();
        let sent: usize = (0..good.len().div_ceil(40))
            .map(|number| kinds.iter().skip(number % kinds.len()).take(4).filter(|kind| **kind == rejection).count())
            .sum();
        let expected = sent + kinds.iter().filter(|kind| **kind == rejection).count();
        let found = world
            .row(&format!("SELECT count(*), count(DISTINCT partition * 1000000000 + \"offset\"), min(length(reason)) > 10 FROM bronze_dead_letters WHERE rejection = '{rejection}'"))
            .await?;
        ensure!(
            found == [expected.to_string(), expected.to_string(), "true".to_owned()],
            "{rejection}: {found:?}, expected {expected}"
        );
    }
    pipeline.stop().await;
    world.services.stop().await;
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn a_wiped_redis_loses_nothing() -> Result<()> {
    let world = World::start().await?;
    let messages = events(3, 6_000)?;
    let pipeline = start(&world).await?;
    let client = redis::Client::open(world.services.redis_url.as_str())?;
    let mut redis = client.get_multiplexed_async_connection().await?;
    for chunk in messages.chunks(500) {
        world.send_messages(chunk).await?;
        redis::cmd("FLUSHALL").query_async::<()>(&mut redis).await?;
    }
    world.settle().await?;
    world.check_layers(transactions(&messages)).await?;
    pipeline.stop().await;
    world.services.stop().await;
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn a_killed_redis_comes_back_and_loses_nothing() -> Result<()> {
    let world = World::start().await?;
    let messages = events(4, 4_000)?;
    let pipeline = start(&world).await?;
    world.send_messages(&messages[..2_000]).await?;
    let client = redis::Client::open(world.services.redis_url.as_str())?;
    let mut redis = client.get_multiplexed_async_connection().await?;
    // With all that it has on disk.
    std::fs::remove_dir_all(world.settings.data_dir.join("redis"))?;
    // The server ends before it answers.
    let _ = redis::cmd("SHUTDOWN").arg("NOSAVE").query_async::<()>(&mut redis).await;
    world.send_messages(&messages[2_000..]).await?;
    world.settle().await?;
    world.check_layers(transactions(&messages)).await?;
    pipeline.stop().await;
    world.services.stop().await;
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn a_worker_killed_at_any_moment_loses_and_doubles_nothing() -> Result<()> {
    let world = World::start().await?;
    let messages = events(5, 12_000)?;
    let mut random = StdRng::seed_from_u64(5);
    let mut sending = messages.chunks(2_000);
    for _ in 0..6 {
        let mut worker = worker(&world).spawn().context("the worker")?;
        if let Some(chunk) = sending.next() {
            world.send_messages(chunk).await?;
        }
        // A random moment, not a condition: what is tested is that no moment does harm.
        tokio::time::sleep(std::time::Duration::from_millis(random.random_range(50..2_500))).await;
        worker.kill().await?;
    }
    let pipeline = start(&world).await?;
    world.settle().await?;
    world.check_layers(transactions(&messages)).await?;
    pipeline.stop().await;
    world.services.stop().await;
    Ok(())
}

/// A chunk comes while the one before is written, and Redis then does not drop that one: the list is one chunk too long, and the
/// next batch, of one chunk as well, must not take the old one for the new.
#[tokio::test(flavor = "multi_thread")]
async fn a_chunk_that_redis_kept_is_not_taken_for_the_next() -> Result<()> {
    let world = World::start().await?;
    let mut messages = events(9, 200)?;
    messages.retain(|message| message.topic == Topic::Transaction);
    let send = |number: usize| {
        let one_partition = ("key".to_owned(), messages[number].payload.clone());
        world.send(Topic::Transaction.name(), std::iter::once(one_partition))
    };
    let failpoints = "bronze/transaction_events.files.before=1*sleep(4000);buffer.trim.before=1*return(no answer)";
    let mut worker = worker(&world).env("FAILPOINTS", failpoints).spawn().context("the worker")?;
    send(0).await?;
    let mut redis = redis::Client::open(world.services.redis_url.as_str())?.get_connection()?;
    let mut lists = || redis::cmd("KEYS").arg("streamlinehub:buffer:*").query::<Vec<String>>(&mut redis);
    let waits = tokio::time::timeout(std::time::Duration::from_secs(60), async {
        while lists()?.is_empty() {
            tokio::time::sleep(std::time::Duration::from_millis(20)).await;
        }
        anyhow::Ok(())
    });
    waits.await.context("the first event never came into Redis")??;
    // The batch was begun and sleeps.
    tokio::time::sleep(std::time::Duration::from_millis(1_000)).await;
    send(1).await?;
    world.settle().await?;
    world.check_layers(2).await?;
    worker.kill().await?;
    world.services.stop().await;
    Ok(())
}

/// Whether each row group has a Bloom filter of its events.
fn has_filter(file: &Path) -> Result<bool> {
    let reader = SerializedFileReader::new(File::open(file)?)?;
    let mut groups = reader.metadata().row_groups().iter();
    Ok(groups.all(|group| {
        let mut columns = group.columns().iter();
        columns.any(|column| column.column_path().string() == "event_id" && column.bloom_filter_offset().is_some())
    }))
}

#[tokio::test(flavor = "multi_thread")]
async fn merged_files_are_read_like_those_they_were_made_of() -> Result<()> {
    let world = World::start().await?;
    let messages = events(8, 600)?;
    let pipeline = start(&world).await?;
    world.send_messages(&messages[..messages.len() / 2]).await?;
    world.settle().await?;
    pipeline.stop().await;
    for spec in schema::all() {
        merge_small_files(&world.lake.table(spec).await?, spec).await?;
    }
    // Each topic wrote files of its own for each date.
    let table = world.lake.table(&schema::EVENTS).await?;
    let folder = world.lake.root().join(table.source_name());
    let files = table.files(None)?;
    let filtered = files.iter().map(|file| has_filter(&folder.join(&file.path))).collect::<Result<Vec<_>>>()?;
    ensure!(filtered.contains(&true), "no merged file tells which events it may have");
    // The first half comes again. The new pipeline remembers nothing of it, and looks for its events in the merged files.
    let pipeline = start(&world).await?;
    world.send_messages(&messages).await?;
    world.settle().await?;
    world.check_layers(transactions(&messages)).await?;
    pipeline.stop().await;
    world.services.stop().await;
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn a_topic_that_was_made_anew_is_not_taken_for_the_old_one() -> Result<()> {
    let old = World::start().await?;
    let messages = events(6, 400)?;
    let pipeline = start(&old).await?;
    old.send_messages(&messages).await?;
    old.settle().await?;
    pipeline.stop().await;

    let new = World::start_over(old.lake.root()).await?;
    let pipeline = start(&new).await?;
    new.send_messages(&events(7, 20)?).await?;
    let stats = pipeline.stats().topic(Topic::Transaction);
    let complaint = tokio::time::timeout(std::time::Duration::from_secs(60), async {
        loop {
            if let Some(error) = stats.bronze.error() {
                return error;
            }
            tokio::time::sleep(std::time::Duration::from_millis(50)).await;
        }
    });
    let complaint = complaint.await.context("nobody complained")?;
    ensure!(complaint.contains("was made anew"), "{complaint}");
    pipeline.stop().await;
    new.check_tables(transactions(&messages)).await?;
    let off = new.books().await?.discrepancies;
    ensure!(!off.is_empty() && off.iter().all(|off| off.book == Book::Broker), "the books say so too: {off:?}");
    new.services.stop().await;
    old.services.stop().await;
    Ok(())
}
