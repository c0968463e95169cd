//! Quality rules, declared fields and late events against a real broker and a real Redis.

mod common;

use std::{os::unix::process::ExitStatusExt as _, process::Stdio, sync::Arc, time::Duration};

use anyhow::{Context, Result, ensure};
use common::{INSTANCE, World};
use deltalake::arrow::array::{Array, AsArray};
use etl::{
    lake::schema,
    pipeline::Pipeline,
    produce::Message,
    settings::{Field, FieldKind, Settings},
};
use model::{
    quality::{Action, Rule},
    topic::Topic,
};
use rand::{Rng, SeedableRng, rngs::StdRng};
use tokio::process::Command;
use uuid::Uuid;

fn rule(name: &str, table: &str, expression: &str, action: Action) -> Rule {
    Rule {
        name: name.to_owned(),
        table: table.to_owned(),
        expression: expression.to_owned(),
        action,
        description: String::new(),
    }
}

/// A sale with one line, and whatever else is to be in it.
fn sale(number: u32, amount: &str, rest: &str) -> (String, Vec<u8>) {
    let payload = format!(
        r#"{{"event_id":"{}","event_type":"transaction.completed","occurred_at":"2026-03-01T10:00:00Z","customer_id":"c{}",
        "transaction_id":"t{number}","store_id":"s{}","amount":"{amount}","currency":"USD",
        "lines":[{{"product_id":"p1","quantity":1,"amount":"{amount}"}}]{rest}}}"#,
        Uuid::from_u128(u128::from(number) + 1),
        number % 7,
        number % 3,
    );
    (format!("c{}", number % 7), payload.into_bytes())
}

async fn start(world: &World, change: impl FnOnce(&mut Settings)) -> Result<Pipeline> {
    let mut settings = Settings::clone(&world.settings);
    settings.quality.rules = Vec::new();
    settings.quality.results_every_ms = 100;
    change(&mut settings);
    Pipeline::start(Arc::new(settings), &world.services.kafka, &world.services.redis_url).await
}

/// A worker with these rules, in a process of its own.
fn worker(world: &World, rules: &str) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_streamlinehub-worker"));
    command
        .arg("run")
        .env("KAFKA_BOOTSTRAP_SERVERS", world.services.kafka.servers())
        .env("REDIS_URL", &world.services.redis_url)
        .env("KAFKA_INSTANCE", INSTANCE)
        .env("DATABASE_URL", "postgres://unused")
        .env("DELTA_LAKE_PATH", world.lake.root())
        .env("BUFFER_MAX_WAIT_MS", "50")
        .env("QUALITY_RESULTS_EVERY_MS", "100")
        .env("QUALITY_RULES", rules)
        .env("LOG_LEVEL", "error")
        .stdin(Stdio::null())
        .kill_on_drop(true);
    command
}

const TOPIC: Topic = Topic::Transaction;

/// Rules of which each takes another kind of event: amounts of 0 are warned of, of 1 dropped, of 2 quarantined, of 3 both.
fn rules() -> Vec<Rule> {
    vec![
        rule("above_zero", "silver.transactions", "amount > 0", Action::Warn),
        rule("not_one", "silver.transaction_lines", "amount NOT IN (1, 3)", Action::Drop),
        rule("not_two", "silver.transactions", "amount NOT IN (2, 3)", Action::Quarantine),
        rule("nothing_known", "silver.transactions", "payment_method = 'cash'", Action::Drop),
    ]
}

#[tokio::test(flavor = "multi_thread")]
async fn each_action_does_what_it_says() -> Result<()> {
    let world = World::start().await?;
    let pipeline = start(&world, |settings| settings.quality.rules = rules()).await?;
    let amounts = ["10", "0", "1", "2", "3"];
    world.send(TOPIC.name(), (0..500).map(|number| sale(number, amounts[number as usize % 5], ""))).await?;
    world.settle().await?;
    pipeline.stop().await;
    // Those of 10 and 0 are in; the layers agree on them, and everything is in Bronze.
    world.check_layers(200).await?;
    let bronze = world.row("SELECT count(*) FROM bronze_transaction_events").await?;
    ensure!(bronze == ["500"], "{bronze:?}");
    let left = world.row("SELECT count(*) FROM silver_events WHERE event_type <> 'transaction.completed'").await?;
    ensure!(left == ["0"], "{left:?}");

    let letters = world
        .row(
            "SELECT count(*), count(DISTINCT \"offset\" * 10 + partition), min(stage), max(rejection), min(reason), max(reason), \
             count(DISTINCT arrow_cast(payload, 'Utf8')) FROM bronze_dead_letters",
        )
        .await?;
    let reasons = ["not_two: amount = 2.0000", "not_two: amount = 3.0000"];
    ensure!(letters == ["200", "200", "quality", "quality", reasons[0], reasons[1], "200"], "{letters:?}");

    for (rule, checked, failed) in
        [("above_zero", 500, 100), ("not_one", 500, 200), ("not_two", 500, 200), ("nothing_known", 500, 0)]
    {
        let found = world
            .row(&format!(
                "SELECT sum(rows_checked), sum(rows_failed), count(samples) > 0 FROM gold_quality_results WHERE rule = '{rule}'"
            ))
            .await?;
        ensure!(found == [checked.to_string(), failed.to_string(), (failed > 0).to_string()], "{rule}: {found:?}");
    }
    let books = world
        .row(
            "SELECT sum(events_dropped), sum(events_quarantined), count(DISTINCT partition), max(topic) \
             FROM gold_quality_results WHERE partition IS NOT NULL",
        )
        .await?;
    ensure!(books == ["100", "200", "2", "transaction-events"], "{books:?}");
    let offenders = world
        .row("SELECT max(offenders) FROM gold_quality_results WHERE rule = 'above_zero' AND offenders IS NOT NULL")
        .await?;
    ensure!(offenders[0].contains("\"s0\":") && offenders[0].contains("\"s2\":"), "{offenders:?}");
    world.services.stop().await;
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn a_rule_that_stops_its_topic_lets_it_go_on_once_it_is_mended() -> Result<()> {
    let world = World::start().await?;
    let strict = rule("never_five", "silver.transactions", "amount <> 5", Action::Fail);
    let pipeline = start(&world, |settings| settings.quality.rules = vec![strict]).await?;
    world.send(TOPIC.name(), (0..100).map(|number| sale(number, if number == 50 { "5" } else { "6" }, ""))).await?;
    let product = br#"{"event_id":"6a2f41a3-c54c-4c4a-9c3e-0d6c6d3c2b11","event_type":"product.created","occurred_at":"2026-03-01T10:00:00Z","product_id":"p1"}"#;
    let product = Message { topic: Topic::Product, key: "p1".to_owned(), payload: product.to_vec() };
    world.send_messages(&[product]).await?;
    let stats = pipeline.stats();
    let (stopped, other) = (stats.topic(TOPIC), stats.topic(Topic::Product));
    let waited = tokio::time::timeout(Duration::from_secs(60), async {
        loop {
            if let Some(error) = stopped.silver.error().filter(|_| other.gold.total() > 0) {
                return error;
            }
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
    });
    let error = waited.await.context("nobody complained, or the other topic waits too")?;
    ensure!(error.contains("the quality rule `never_five` of silver.transactions does not hold for 1 rows"), "{error}");
    ensure!(error.contains("amount = 5.0000"), "{error}");
    pipeline.stop().await;
    let silver = world.row("SELECT count(*) FROM bronze_transaction_events").await?;
    ensure!(silver == ["100"], "Bronze goes on: {silver:?}");

    let pipeline = start(&world, |_| {}).await?;
    world.settle().await?;
    pipeline.stop().await;
    world.check_layers(100).await?;
    world.services.stop().await;
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn what_was_found_is_counted_once_though_workers_are_killed() -> Result<()> {
    let world = World::start().await?;
    let list = "[{name = 'above_zero', table = 'silver.transactions', expression = 'amount > 0', action = 'warn'}, \
        {name = 'not_two', table = 'silver.transactions', expression = 'amount <> 2', action = 'quarantine'}, \
        {name = 'not_one', table = 'silver.transactions', expression = 'amount <> 1', action = 'drop'}]";
    let mut random = StdRng::seed_from_u64(9);
    for round in 0..6 {
        let mut worker = worker(&world, list).spawn().context("the worker")?;
        let numbers = round * 1_000..(round + 1) * 1_000;
        world
            .send(TOPIC.name(), numbers.map(|number| sale(number, ["7", "0", "1", "2"][number as usize % 4], "")))
            .await?;
        // A random moment, not a condition: what is tested is that no moment does harm.
        tokio::time::sleep(Duration::from_millis(random.random_range(50..2_500))).await;
        worker.kill().await?;
    }
    let pipeline = start(&world, |settings| {
        settings.quality.rules = vec![
            rule("above_zero", "silver.transactions", "amount > 0", Action::Warn),
            rule("not_two", "silver.transactions", "amount <> 2", Action::Quarantine),
            rule("not_one", "silver.transactions", "amount <> 1", Action::Drop),
        ];
    })
    .await?;
    world.settle().await?;
    pipeline.stop().await;
    world.check_layers(3_000).await?;
    for rule in ["above_zero", "not_two", "not_one"] {
        let found = world
            .row(&format!("SELECT sum(rows_checked), sum(rows_failed) FROM gold_quality_results WHERE rule = '{rule}'"))
            .await?;
        ensure!(found == ["6000", "1500"], "{rule}: {found:?}");
    }
    let books = world
        .row(
            "SELECT sum(events_dropped), sum(events_quarantined) FROM gold_quality_results WHERE partition IS NOT NULL",
        )
        .await?;
    ensure!(books == ["1500", "1500"], "{books:?}");
    let letters =
        world.row("SELECT count(*), count(DISTINCT \"offset\" * 10 + partition) FROM bronze_dead_letters").await?;
    ensure!(letters == ["1500", "1500"], "{letters:?}");
    world.services.stop().await;
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn a_batch_is_ended_by_the_rules_that_it_was_begun_with() -> Result<()> {
    let world = World::start().await?;
    // The tables are there, and what made them is consumed.
    let pipeline = start(&world, |_| {}).await?;
    world.send(TOPIC.name(), std::iter::once(sale(1_000, "7", ""))).await?;
    world.settle().await?;
    pipeline.stop().await;
    world
        .send(TOPIC.name(), (0..1_000).map(|number| sale(number, ["7", "0", "1", "2"][number as usize % 4], "")))
        .await?;
    // Each worker dies at a later step of one batch, and the next has other rules.
    for (amount, step) in [(1, "transactions"), (2, "transaction_lines"), (0, "events")] {
        let rules = format!(
            "[{{name = 'other_than', table = 'silver.transactions', expression = 'amount <> {amount}', action = 'quarantine'}}]"
        );
        let mut worker = worker(&world, &rules)
            .env("FAILPOINTS", format!("silver/{step}.commit.before=return(kill)"))
            .spawn()
            .context("the worker")?;
        let ended = tokio::time::timeout(Duration::from_secs(60), worker.wait()).await;
        let signal = ended.context("the worker did not die")??.signal();
        ensure!(signal == Some(9), "{step}: the worker was to be killed there, and ended with {signal:?}");
    }
    let pipeline = start(&world, |_| {}).await?;
    world.settle().await?;
    pipeline.stop().await;

    let letters = world.row("SELECT count(*), max(reason) FROM bronze_dead_letters").await?;
    ensure!(letters[0] != "0" && letters[1] == "other_than: amount = 1.0000", "{letters:?}");
    let both = world
        .row(
            "SELECT count(*) FROM silver_events JOIN bronze_dead_letters ON source_partition = partition \
             AND source_offset = \"offset\"",
        )
        .await?;
    ensure!(both == ["0"], "{both:?} events are in Silver and dead letters");
    world.check_layers(1_001 - letters[0].parse::<u64>()?).await?;
    world.services.stop().await;
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn new_fields_stay_in_bronze_and_become_columns_once_they_are_declared() -> Result<()> {
    let world = World::start().await?;
    let campaign = |value: &str| format!(r#","properties":{{"campaign":{value}}},"later":{{"unknown":[1,2,3]}}"#);
    let pipeline = start(&world, |_| {}).await?;
    world.send(TOPIC.name(), (0..10).map(|number| sale(number, "6", &campaign("\"winter\"")))).await?;
    world.settle().await?;
    pipeline.stop().await;
    let came = world
        .row("SELECT count(*) FROM bronze_transaction_events WHERE payload LIKE '%\"later\":{\"unknown\":[1,2,3]}}'")
        .await?;
    ensure!(came == ["10"], "Bronze keeps what nobody knows: {came:?}");

    // Declared, it is in the rows that come from now on; a value of another type is put aside and holds up nobody.
    let field = |table: &str, column: &str, path: &str, kind| Field {
        table: table.to_owned(),
        column: column.to_owned(),
        path: path.to_owned(),
        kind,
    };
    let declared = |settings: &mut Settings| {
        settings.silver.fields = vec![
            field("silver.events", "campaign", "properties.campaign", FieldKind::Text),
            field("silver.transaction_lines", "till", "till", FieldKind::Integer),
        ];
        settings.quality.rules = vec![rule("small_till", "silver.transaction_lines", "till < 100", Action::Drop)];
    };
    let pipeline = start(&world, declared).await?;
    world
        .send(
            TOPIC.name(),
            (10..20).map(|number| {
                let rest = match number {
                    10 => campaign("7"),
                    11 => ",\"till\":\"first\"".to_owned(),
                    12 => ",\"till\":250".to_owned(),
                    13 => String::new(),
                    _ => format!("{},\"till\":12", campaign("\"spring\"")),
                };
                sale(number, "6", &rest)
            }),
        )
        .await?;
    world.settle().await?;
    pipeline.stop().await;
    world.check_layers(17).await?;
    let letters = world
        .row("SELECT count(*), min(stage), min(rejection), min(reason), max(reason) FROM bronze_dead_letters")
        .await?;
    let reasons = [
        "properties.campaign: expected a text of at most 4096 bytes, found `7`",
        "till: expected a whole number, found `\"first\"`",
    ];
    ensure!(letters == ["2", "silver", "fields", reasons[0], reasons[1]], "{letters:?}");
    let mut campaigns = Vec::new();
    let events = world.lake.table(&schema::EVENTS).await?;
    for file in events.files(None)? {
        for batch in events.read(&file, &["event_id", "campaign"]).await? {
            let Some(column) = batch.column_by_name("campaign") else { continue };
            campaigns.extend(column.as_string::<i32>().iter().flatten().map(ToOwned::to_owned));
        }
    }
    ensure!(campaigns == ["spring"; 6], "{campaigns:?}");
    let mut tills = 0;
    let lines = world.lake.table(&schema::TRANSACTION_LINES).await?;
    for file in lines.files(None)? {
        for batch in lines.read(&file, &["event_id", "till"]).await? {
            tills += batch.column_by_name("till").map_or(0, |column| column.len() - column.null_count());
        }
    }
    ensure!(tills == 6, "{tills}");

    // Without the declaration, and with one that contradicts the table.
    let pipeline = start(&world, |_| {}).await?;
    world.send(TOPIC.name(), (20..25).map(|number| sale(number, "6", &campaign("\"autumn\"")))).await?;
    world.settle().await?;
    pipeline.stop().await;
    world.check_layers(22).await?;
    let other = |settings: &mut Settings| {
        settings.silver.fields = vec![field("silver.events", "campaign", "properties.campaign", FieldKind::Integer)];
    };
    let refused = start(&world, other).await.err().context("another type must be refused")?;
    ensure!(format!("{refused:#}").contains("give it another name"), "{refused:#}");
    world.services.stop().await;
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn late_and_unordered_events_are_counted_in_the_quarter_of_an_hour_in_which_they_occurred() -> Result<()> {
    let world = World::start().await?;
    let pipeline = start(&world, |_| {}).await?;
    let at = |number: u32, time: &str| {
        let (key, payload) = sale(number, "2", "");
        (key, String::from_utf8_lossy(&payload).replace("2026-03-01T10:00:00Z", time).into_bytes())
    };
    // The newest first, one from a year before, one from another zone, and the last moment of a quarter of an hour.
    let first = ["2026-03-02T00:30:00Z", "2026-03-01T22:59:59.999999Z", "2025-03-01T10:00:00Z"];
    world.send(TOPIC.name(), first.iter().zip(0..).map(|(time, number)| at(number, time))).await?;
    world.settle().await?;
    let late = ["2026-03-01T23:30:00Z", "2026-03-01T19:30:00-03:30", "2026-03-01T23:00:00Z", "2026-03-02T00:00:00Z"];
    world.send(TOPIC.name(), late.iter().zip(10..).map(|(time, number)| at(number, time))).await?;
    world.settle().await?;
    pipeline.stop().await;
    world.check_layers(7).await?;
    for (bucket, orders) in [
        ("2025-03-01T10:00:00", 1),
        ("2026-03-01T22:45:00", 1),
        ("2026-03-01T23:00:00", 2),
        ("2026-03-01T23:30:00", 1),
        ("2026-03-02T00:00:00", 1),
        ("2026-03-02T00:30:00", 1),
    ] {
        let found = world
            .row(&format!(
                "SELECT sum(orders), sum(revenue), count(DISTINCT bucket) FROM gold_sales WHERE bucket = '{bucket}'"
            ))
            .await?;
        ensure!(found == [orders.to_string(), format!("{}.0000", orders * 2), "1".to_owned()], "{bucket}: {found:?}");
    }
    world.services.stop().await;
    Ok(())
}
