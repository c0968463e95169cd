//! Whether the lake holds what it must, worked out anew from what is in Kafka.

use std::collections::{BTreeMap, BTreeSet};

use anyhow::{Context, Result, bail, ensure};
use chrono::{DateTime, DurationRound, Utc};
use deltalake::arrow::util::display::array_value_to_string;
use etl::lake::{Lake, TableSpec, schema};
use model::{metric::BUCKET, range::GRAIN, topic::Topic};
use rust_decimal::Decimal;
use serde_json::Value;

use crate::{
    events::{Fate, Made},
    world::Place,
};

/// A row by the names of its columns, as text. The partition columns are not among them, but for `date`.
type Row = BTreeMap<String, String>;

async fn rows(lake: &Lake, spec: &'static TableSpec) -> Result<Vec<Row>> {
    let table = lake.table(spec).await?;
    let in_files = spec.schema.fields().iter().map(|field| field.name().as_str());
    let columns: Vec<&str> = in_files.filter(|name| !spec.partitioned_by.contains(name)).collect();
    let mut rows = Vec::new();
    for file in table.files(None)? {
        let date = file.partition_values.get("date").cloned().flatten();
        for batch in table.read(&file, &columns).await? {
            for number in 0..batch.num_rows() {
                let mut row = Row::new();
                for (field, column) in batch.schema().fields().iter().zip(batch.columns()) {
                    row.insert(field.name().clone(), array_value_to_string(column, number)?);
                }
                row.extend(date.clone().map(|date| ("date".to_owned(), date)));
                rows.push(row);
            }
        }
    }
    Ok(rows)
}

fn place(row: &Row, topic: Option<Topic>, partition: &str, offset: &str) -> Result<Place> {
    let topic = topic.or_else(|| Topic::from_name(row.get("topic")?)).context("a row of no topic")?;
    Ok((topic, row[partition].parse()?, row[offset].parse()?))
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

fn time(text: &str) -> Result<DateTime<Utc>> {
    Ok(DateTime::parse_from_rfc3339(text).with_context(|| format!("the time {text}"))?.to_utc())
}

fn text(event: &Value, field: &str) -> String {
    event[field].as_str().unwrap_or_default().to_owned()
}

fn amount(value: &Value) -> Result<Decimal> {
    let text = value.as_str().map_or_else(|| value.to_string(), ToOwned::to_owned);
    Ok(Decimal::from_str_exact(&text)?)
}

/// Says what is in only one of two sets of things, which have to be equal.
fn same<T: Ord + std::fmt::Debug>(what: &str, found: &BTreeSet<T>, expected: &BTreeSet<T>) -> Result<()> {
    let (lost, strange): (Vec<_>, Vec<_>) =
        (expected.difference(found).collect(), found.difference(expected).collect());
    ensure!(
        lost.is_empty() && strange.is_empty(),
        "{what}: {} missing, such as {:?}; {} that should not be, such as {:?}",
        lost.len(),
        lost.first(),
        strange.len(),
        strange.first()
    );
    Ok(())
}

/// A set, in which nothing may be twice.
fn once<T: Ord + Clone + std::fmt::Debug>(what: &str, things: impl IntoIterator<Item = T>) -> Result<BTreeSet<T>> {
    let mut set = BTreeSet::new();
    for thing in things {
        ensure!(set.insert(thing.clone()), "{what}: {thing:?} is there twice");
    }
    Ok(set)
}

/// What is in Kafka, and what has to become of it.
pub(crate) struct Truth {
    messages: BTreeMap<Place, (Vec<u8>, Fate)>,
}

impl Truth {
    /// Kafka may hold a message twice that a producer sent again; it has to hold each that it acknowledged.
    pub(crate) fn new(in_kafka: BTreeMap<Place, Vec<u8>>, acknowledged: &BTreeMap<Place, Made>) -> Result<Truth> {
        for (place, made) in acknowledged {
            ensure!(
                in_kafka.get(place) == Some(&made.payload),
                "Kafka lost or changed what it acknowledged: {place:?}"
            );
        }
        let fates: BTreeMap<(Topic, &[u8]), Fate> =
            acknowledged.values().map(|made| ((made.topic, made.payload.as_slice()), made.fate)).collect();
        let mut messages = BTreeMap::new();
        for (place, payload) in in_kafka {
            let fate = *fates.get(&(place.0, payload.as_slice())).context("Kafka holds what nobody sent")?;
            messages.insert(place, (payload, fate));
        }
        Ok(Truth { messages })
    }

    pub(crate) fn count(&self) -> usize {
        self.messages.len()
    }

    fn places(&self, topic: Option<Topic>, fates: &[Fate], show: fn(&[u8]) -> String) -> BTreeSet<(Place, String)> {
        let wanted = self
            .messages
            .iter()
            .filter(|(place, (_, fate))| topic.is_none_or(|topic| place.0 == topic) && fates.contains(fate));
        wanted.map(|(place, (payload, _))| (*place, show(payload))).collect()
    }

    /// The good events of a topic by identifier, and where each is in Kafka.
    fn events(&self, topic: Topic) -> Result<BTreeMap<String, (Value, BTreeSet<Place>)>> {
        let mut events: BTreeMap<String, (Value, BTreeSet<Place>)> = BTreeMap::new();
        for (place, (payload, fate)) in &self.messages {
            if place.0 == topic && *fate == Fate::Good {
                let event: Value = serde_json::from_slice(payload)?;
                events.entry(text(&event, "event_id")).or_insert_with(|| (event, BTreeSet::new())).1.insert(*place);
            }
        }
        Ok(events)
    }

    pub(crate) async fn check(&self, lake: &Lake) -> Result<()> {
        self.check_bronze(lake).await.context("Bronze")?;
        let sources = self.check_events(lake).await.context("silver.events")?;
        self.check_transactions(lake, &sources).await.context("Silver's transactions")?;
        self.check_things(lake, Topic::Customer, &schema::CUSTOMERS, "customer_id")
            .await
            .context("silver.customers")?;
        self.check_things(lake, Topic::Product, &schema::PRODUCTS, "product_id").await.context("silver.products")?;
        check_gold(lake).await.context("Gold")
    }

    /// Every message once, by its place in Kafka, and as it was.
    async fn check_bronze(&self, lake: &Lake) -> Result<()> {
        for topic in Topic::ALL {
            let mut found = Vec::new();
            for row in rows(lake, schema::bronze_of(topic)).await? {
                found.push((place(&row, Some(topic), "partition", "offset")?, row["payload"].clone()));
            }
            let expected = self
                .places(Some(topic), &[Fate::Good, Fate::Untyped], |bytes| String::from_utf8_lossy(bytes).into_owned());
            same(topic.name(), &once(topic.name(), found)?, &expected)?;
        }
        let mut of_stage: BTreeMap<String, Vec<(Place, String)>> = BTreeMap::new();
        for row in rows(lake, &schema::DEAD_LETTERS).await? {
            let found = (place(&row, None, "partition", "offset")?, row["payload"].clone());
            of_stage.entry(row["stage"].clone()).or_default().push(found);
        }
        for (stage, fate) in [("bronze", Fate::Unreadable), ("silver", Fate::Untyped)] {
            let what = format!("dead letters of {stage}");
            let found = once(&what, of_stage.remove(stage).unwrap_or_default())?;
            same(&what, &found, &self.places(None, &[fate], hex))?;
        }
        Ok(())
    }

    /// Every event once; returns from which message each was taken.
    async fn check_events(&self, lake: &Lake) -> Result<BTreeMap<String, Place>> {
        let mut found = Vec::new();
        let mut sources = BTreeMap::new();
        for row in rows(lake, &schema::EVENTS).await? {
            let occurred_at = time(&row["occurred_at"])?;
            ensure!(
                row["date"] == occurred_at.date_naive().to_string(),
                "{} is under the date {}",
                occurred_at,
                row["date"]
            );
            sources.insert(row["event_id"].clone(), place(&row, None, "source_partition", "source_offset")?);
            found.push((row["event_id"].clone(), row["topic"].clone(), row["event_type"].clone(), occurred_at));
        }
        let mut expected = BTreeSet::new();
        for topic in Topic::ALL {
            for (id, (event, places)) in self.events(topic)? {
                let source = sources.get(&id);
                ensure!(source.is_none_or(|source| places.contains(source)), "{id} says that it came from {source:?}");
                expected.insert((
                    id,
                    topic.name().to_owned(),
                    text(&event, "event_type"),
                    time(&text(&event, "occurred_at"))?,
                ));
            }
        }
        same("events", &once("events", found)?, &expected)?;
        Ok(sources)
    }

    async fn check_transactions(&self, lake: &Lake, sources: &BTreeMap<String, Place>) -> Result<()> {
        let fields = ["store_id", "customer_id", "payment_method", "currency"];
        let mut found = Vec::new();
        for row in rows(lake, &schema::TRANSACTIONS).await? {
            let from = place(&row, Some(Topic::Transaction), "source_partition", "source_offset")?;
            ensure!(
                sources.get(&row["event_id"]) == Some(&from),
                "{} came from {from:?}, but not in events",
                row["event_id"]
            );
            let sums = [decimal(&row, "amount")?, decimal(&row, "discount")?, decimal(&row, "units")?];
            let names = fields.map(|field| row[field].clone());
            found.push((row["event_id"].clone(), time(&row["occurred_at"])?, names, sums, row["line_count"].clone()));
        }
        let mut found_lines = Vec::new();
        for row in rows(lake, &schema::TRANSACTION_LINES).await? {
            let sums = [decimal(&row, "quantity")?, decimal(&row, "amount")?, decimal(&row, "discount")?];
            found_lines.push((row["event_id"].clone(), row["line_number"].clone(), row["product_id"].clone(), sums));
        }
        let (mut expected, mut expected_lines) = (BTreeSet::new(), BTreeSet::new());
        for (id, (event, _)) in self.events(Topic::Transaction)? {
            let lines = event["lines"].as_array().context("lines")?;
            let mut units = Decimal::ZERO;
            for (number, line) in lines.iter().enumerate() {
                let sums = [amount(&line["quantity"])?, amount(&line["amount"])?, amount(&line["discount"])?];
                units += sums[0];
                expected_lines.insert((id.clone(), (number + 1).to_string(), text(line, "product_id"), sums));
            }
            let sums = [amount(&event["amount"])?, amount(&event["discount"])?, units];
            let names = fields.map(|field| text(&event, field));
            expected.insert((id, time(&text(&event, "occurred_at"))?, names, sums, lines.len().to_string()));
        }
        same("transactions", &once("transactions", found)?, &expected)?;
        same("transaction lines", &once("transaction lines", found_lines)?, &expected_lines)
    }

    /// One row for each customer or product: what occurred last.
    async fn check_things(&self, lake: &Lake, topic: Topic, spec: &'static TableSpec, key: &str) -> Result<()> {
        let mut newest: BTreeMap<String, (DateTime<Utc>, String)> = BTreeMap::new();
        for (id, (event, _)) in self.events(topic)? {
            let described = (time(&text(&event, "occurred_at"))?, id);
            let known = newest.entry(text(&event, key)).or_insert_with(|| described.clone());
            if described > *known {
                *known = described;
            }
        }
        let mut found = Vec::new();
        for row in rows(lake, spec).await? {
            found.push((row[key].clone(), (time(&row["occurred_at"])?, row["event_id"].clone())));
        }
        same(spec.name, &once(spec.name, found)?, &newest.into_iter().collect())
    }
}

fn decimal(row: &Row, column: &str) -> Result<Decimal> {
    Ok(Decimal::from_str_exact(&row[column])?.normalize())
}

type Sums = BTreeMap<(DateTime<Utc>, Vec<String>), Vec<Decimal>>;

/// Gold equals what Silver's rows add up to, each in the quarter of an hour in which it occurred.
async fn check_gold(lake: &Lake) -> Result<()> {
    let (transactions, lines) =
        (rows(lake, &schema::TRANSACTIONS).await?, rows(lake, &schema::TRANSACTION_LINES).await?);
    let sales: fn(&Row) -> Result<Vec<Decimal>> = |row| {
        Ok(vec![
            Decimal::ONE,
            decimal(row, "line_count")?,
            decimal(row, "units")?,
            decimal(row, "amount")?,
            decimal(row, "discount")?,
        ])
    };
    let sales_columns = ["orders", "lines", "units", "revenue", "discount"];
    let expected = add_up(&transactions, &["store_id", "payment_method"], sales)?;
    compare(lake, &schema::SALES, &["store_id", "payment_method"], &sales_columns, &expected).await?;
    let expected = add_up(&transactions, &["customer_id"], sales)?;
    compare(lake, &schema::CUSTOMER_SALES, &["customer_id"], &sales_columns, &expected).await?;
    let expected = add_up(&lines, &["product_id"], |row| {
        let discount = decimal(row, "discount")? + decimal(row, "coupon_discount")?;
        Ok(vec![Decimal::ONE, decimal(row, "quantity")?, decimal(row, "amount")?, discount])
    })?;
    compare(lake, &schema::PRODUCT_SALES, &["product_id"], &["lines", "units", "revenue", "discount"], &expected)
        .await?;
    let expected = add_up(&rows(lake, &schema::EVENTS).await?, &["topic", "event_type"], |_| Ok(vec![Decimal::ONE]))?;
    compare(lake, &schema::EVENT_COUNTS, &["topic", "event_type"], &["events"], &expected).await
}

fn add_up(rows: &[Row], dimensions: &[&str], measures: impl Fn(&Row) -> Result<Vec<Decimal>>) -> Result<Sums> {
    let mut sums = Sums::new();
    for row in rows {
        let bucket = time(&row["occurred_at"])?.duration_trunc(GRAIN)?;
        let group = dimensions.iter().map(|&dimension| row[dimension].clone()).collect();
        let more = measures(row)?;
        let sum = sums.entry((bucket, group)).or_insert_with(|| vec![Decimal::ZERO; more.len()]);
        for (sum, more) in sum.iter_mut().zip(more) {
            *sum = (*sum + more).normalize();
        }
    }
    Ok(sums)
}

async fn compare(
    lake: &Lake,
    spec: &'static TableSpec,
    dimensions: &[&str],
    measures: &[&str],
    expected: &Sums,
) -> Result<()> {
    let mut found = Sums::new();
    for row in rows(lake, spec).await? {
        let bucket = time(&row[BUCKET])?;
        ensure!(
            row["date"] == bucket.date_naive().to_string(),
            "{}: {bucket} is under the date {}",
            spec.name,
            row["date"]
        );
        let group = dimensions.iter().map(|&dimension| row[dimension].clone()).collect();
        let sums = measures.iter().map(|measure| decimal(&row, measure)).collect::<Result<_>>()?;
        if let Some(twice) = found.insert((bucket, group), sums) {
            bail!("{}: a group is there twice, also with {twice:?}", spec.name);
        }
    }
    same(spec.name, &found.into_iter().collect(), &expected.clone().into_iter().collect())
}
