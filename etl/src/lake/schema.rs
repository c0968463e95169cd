//! Every table of the lake: its columns, its partitioning, and of which columns Delta keeps statistics.
//!
//! Times are in UTC with microseconds. Amounts and quantities are decimals with [`money::SCALE`] places.

use std::sync::{Arc, LazyLock};

use deltalake::arrow::datatypes::{DataType, Field, Schema, SchemaRef, TimeUnit};
use model::{
    metric::BUCKET,
    money,
    topic::{Layer, Topic},
};

/// What a table is, before it exists.
#[derive(Debug)]
pub struct TableSpec {
    pub layer: Layer,
    pub name: &'static str,
    /// All columns, partition columns last.
    pub schema: SchemaRef,
    pub partitioned_by: &'static [&'static str],
    /// Columns with minimum and maximum in the Delta log; the rest would only make the log larger.
    pub statistics: &'static [&'static str],
    /// Columns whose values hardly ever repeat: for them a dictionary is wasted work.
    pub distinct: &'static [&'static str],
}

#[must_use]
pub fn timestamp() -> DataType {
    DataType::Timestamp(TimeUnit::Microsecond, Some("UTC".into()))
}

/// An amount or a quantity.
#[must_use]
pub fn amount() -> DataType {
    DataType::Decimal128(money::PRECISION, 4)
}

/// A sum of amounts: ten digits more, as SQL's `sum` gives.
#[must_use]
pub fn total() -> DataType {
    DataType::Decimal128(money::PRECISION + 10, 4)
}

fn schema(fields: Vec<(&str, DataType, bool)>) -> SchemaRef {
    Arc::new(Schema::new(fields.into_iter().map(|(name, kind, null)| Field::new(name, kind, null)).collect::<Vec<_>>()))
}

const REQUIRED: bool = false;
const OPTIONAL: bool = true;
const BY_INGEST_DATE: &[&str] = &["year", "month", "day"];
const BY_DATE: &[&str] = &["date"];

fn bronze(name: &'static str) -> TableSpec {
    TableSpec {
        layer: Layer::Bronze,
        name,
        schema: schema(vec![
            ("topic", DataType::Utf8, REQUIRED),
            ("partition", DataType::Int32, REQUIRED),
            ("offset", DataType::Int64, REQUIRED),
            ("kafka_time", timestamp(), REQUIRED),
            ("ingested_at", timestamp(), REQUIRED),
            ("event_type", DataType::Utf8, REQUIRED),
            ("key", DataType::Binary, OPTIONAL),
            ("headers", DataType::Utf8, OPTIONAL),
            ("payload", DataType::Utf8, REQUIRED),
            ("year", DataType::Int32, REQUIRED),
            ("month", DataType::Int32, REQUIRED),
            ("day", DataType::Int32, REQUIRED),
        ]),
        partitioned_by: BY_INGEST_DATE,
        statistics: &["partition", "offset", "kafka_time", "ingested_at", "event_type"],
        distinct: &["offset", "kafka_time", "payload"],
    }
}

static CUSTOMER_EVENTS: LazyLock<TableSpec> = LazyLock::new(|| bronze(Topic::Customer.table()));
static TRANSACTION_EVENTS: LazyLock<TableSpec> = LazyLock::new(|| bronze(Topic::Transaction.table()));
static ANALYTICS_EVENTS: LazyLock<TableSpec> = LazyLock::new(|| bronze(Topic::Analytics.table()));
static PRODUCT_EVENTS: LazyLock<TableSpec> = LazyLock::new(|| bronze(Topic::Product.table()));

/// The Bronze table of a topic: every readable event as it came.
#[must_use]
pub fn bronze_of(topic: Topic) -> &'static TableSpec {
    match topic {
        Topic::Customer => &CUSTOMER_EVENTS,
        Topic::Transaction => &TRANSACTION_EVENTS,
        Topic::Analytics => &ANALYTICS_EVENTS,
        Topic::Product => &PRODUCT_EVENTS,
    }
}

/// What could not be read, with the reason, whole, so that it can be replayed once the fault is mended.
pub static DEAD_LETTERS: LazyLock<TableSpec> = LazyLock::new(|| TableSpec {
    layer: Layer::Bronze,
    name: "dead_letters",
    schema: schema(vec![
        ("topic", DataType::Utf8, REQUIRED),
        ("partition", DataType::Int32, REQUIRED),
        ("offset", DataType::Int64, REQUIRED),
        ("kafka_time", timestamp(), REQUIRED),
        ("ingested_at", timestamp(), REQUIRED),
        ("key", DataType::Binary, OPTIONAL),
        ("headers", DataType::Utf8, OPTIONAL),
        ("payload", DataType::Binary, REQUIRED),
        ("payload_bytes", DataType::Int64, REQUIRED),
        ("stage", DataType::Utf8, REQUIRED),
        ("rejection", DataType::Utf8, REQUIRED),
        ("reason", DataType::Utf8, REQUIRED),
        ("year", DataType::Int32, REQUIRED),
        ("month", DataType::Int32, REQUIRED),
        ("day", DataType::Int32, REQUIRED),
    ]),
    partitioned_by: BY_INGEST_DATE,
    statistics: &["partition", "offset", "kafka_time", "rejection"],
    distinct: &["offset", "payload"],
});

/// Where a Silver row came from: its place in Kafka, and when it arrived there and here.
fn provenance() -> Vec<(&'static str, DataType, bool)> {
    vec![
        ("source_partition", DataType::Int32, REQUIRED),
        ("source_offset", DataType::Int64, REQUIRED),
        ("kafka_time", timestamp(), REQUIRED),
        ("ingested_at", timestamp(), REQUIRED),
    ]
}

fn silver(
    name: &'static str,
    fields: Vec<(&'static str, DataType, bool)>,
    partitioned_by: &'static [&'static str],
) -> TableSpec {
    let mut fields = fields;
    fields.extend(provenance());
    if partitioned_by == BY_DATE {
        fields.push(("date", DataType::Date32, REQUIRED));
    }
    TableSpec {
        layer: Layer::Silver,
        name,
        schema: schema(fields),
        partitioned_by,
        statistics: &["occurred_at", "kafka_time"],
        distinct: &["event_id", "occurred_at", "properties", "source_offset", "kafka_time"],
    }
}

/// One row per completed transaction.
pub static TRANSACTIONS: LazyLock<TableSpec> = LazyLock::new(|| {
    silver(
        "transactions",
        vec![
            ("event_id", DataType::Utf8, REQUIRED),
            ("transaction_id", DataType::Utf8, REQUIRED),
            ("customer_id", DataType::Utf8, OPTIONAL),
            ("store_id", DataType::Utf8, OPTIONAL),
            ("occurred_at", timestamp(), REQUIRED),
            ("amount", amount(), REQUIRED),
            ("discount", amount(), REQUIRED),
            ("currency", DataType::Utf8, REQUIRED),
            ("payment_method", DataType::Utf8, OPTIONAL),
            ("coupon_codes", DataType::Utf8, OPTIONAL),
            ("units", total(), REQUIRED),
            ("line_count", DataType::Int32, REQUIRED),
        ],
        BY_DATE,
    )
});

/// One row per line of a transaction.
pub static TRANSACTION_LINES: LazyLock<TableSpec> = LazyLock::new(|| {
    silver(
        "transaction_lines",
        vec![
            ("event_id", DataType::Utf8, REQUIRED),
            ("transaction_id", DataType::Utf8, REQUIRED),
            ("line_number", DataType::Int32, REQUIRED),
            ("product_id", DataType::Utf8, REQUIRED),
            ("customer_id", DataType::Utf8, OPTIONAL),
            ("store_id", DataType::Utf8, OPTIONAL),
            ("occurred_at", timestamp(), REQUIRED),
            ("quantity", amount(), REQUIRED),
            ("unit_price", amount(), OPTIONAL),
            ("amount", amount(), REQUIRED),
            ("discount", amount(), REQUIRED),
            ("coupon_discount", amount(), REQUIRED),
        ],
        BY_DATE,
    )
});

/// One row per customer: what is known now.
pub static CUSTOMERS: LazyLock<TableSpec> = LazyLock::new(|| {
    silver(
        "customers",
        vec![
            ("customer_id", DataType::Utf8, REQUIRED),
            ("event_id", DataType::Utf8, REQUIRED),
            ("occurred_at", timestamp(), REQUIRED),
            ("age", DataType::Utf8, OPTIONAL),
            ("income", DataType::Utf8, OPTIONAL),
            ("home_ownership", DataType::Utf8, OPTIONAL),
            ("marital_status", DataType::Utf8, OPTIONAL),
            ("household_size", DataType::Utf8, OPTIONAL),
            ("household_composition", DataType::Utf8, OPTIONAL),
            ("kids_count", DataType::Utf8, OPTIONAL),
            ("segment", DataType::Utf8, OPTIONAL),
            ("lifetime_value", amount(), OPTIONAL),
            ("churn_probability", DataType::Float64, OPTIONAL),
            ("properties", DataType::Utf8, OPTIONAL),
        ],
        &[],
    )
});

/// One row per product: what is known now.
pub static PRODUCTS: LazyLock<TableSpec> = LazyLock::new(|| {
    silver(
        "products",
        vec![
            ("product_id", DataType::Utf8, REQUIRED),
            ("event_id", DataType::Utf8, REQUIRED),
            ("occurred_at", timestamp(), REQUIRED),
            ("name", DataType::Utf8, OPTIONAL),
            ("department", DataType::Utf8, OPTIONAL),
            ("category", DataType::Utf8, OPTIONAL),
            ("product_type", DataType::Utf8, OPTIONAL),
            ("brand", DataType::Utf8, OPTIONAL),
            ("manufacturer_id", DataType::Utf8, OPTIONAL),
            ("package_size", DataType::Utf8, OPTIONAL),
            ("price", amount(), OPTIONAL),
            ("inventory", DataType::Int64, OPTIONAL),
            ("rating", DataType::Float64, OPTIONAL),
            ("recommendation_score", DataType::Float64, OPTIONAL),
            ("properties", DataType::Utf8, OPTIONAL),
        ],
        &[],
    )
});

/// One row per event of any topic.
pub static EVENTS: LazyLock<TableSpec> = LazyLock::new(|| {
    silver(
        "events",
        vec![
            ("event_id", DataType::Utf8, REQUIRED),
            ("topic", DataType::Utf8, REQUIRED),
            ("event_type", DataType::Utf8, REQUIRED),
            ("occurred_at", timestamp(), REQUIRED),
            ("customer_id", DataType::Utf8, OPTIONAL),
            ("session_id", DataType::Utf8, OPTIONAL),
            ("device", DataType::Utf8, OPTIONAL),
            ("properties", DataType::Utf8, OPTIONAL),
        ],
        BY_DATE,
    )
});

fn gold(
    name: &'static str,
    dimensions: Vec<(&'static str, DataType, bool)>,
    measures: Vec<(&'static str, DataType)>,
) -> TableSpec {
    // When the bucket begins, which is `GRAIN` long.
    let mut fields = vec![(BUCKET, timestamp(), REQUIRED)];
    fields.extend(dimensions);
    fields.extend(measures.into_iter().map(|(measure, kind)| (measure, kind, REQUIRED)));
    fields.push(("date", DataType::Date32, REQUIRED));
    TableSpec {
        layer: Layer::Gold,
        name,
        schema: schema(fields),
        partitioned_by: BY_DATE,
        statistics: &[BUCKET],
        distinct: &[],
    }
}

pub static SALES: LazyLock<TableSpec> = LazyLock::new(|| {
    gold(
        "sales",
        vec![("store_id", DataType::Utf8, OPTIONAL), ("payment_method", DataType::Utf8, OPTIONAL)],
        vec![
            ("orders", DataType::Int64),
            ("lines", DataType::Int64),
            ("units", total()),
            ("revenue", total()),
            ("discount", total()),
        ],
    )
});

pub static PRODUCT_SALES: LazyLock<TableSpec> = LazyLock::new(|| {
    gold(
        "product_sales",
        vec![("product_id", DataType::Utf8, REQUIRED)],
        vec![("lines", DataType::Int64), ("units", total()), ("revenue", total()), ("discount", total())],
    )
});

pub static CUSTOMER_SALES: LazyLock<TableSpec> = LazyLock::new(|| {
    gold(
        "customer_sales",
        vec![("customer_id", DataType::Utf8, OPTIONAL)],
        vec![
            ("orders", DataType::Int64),
            ("lines", DataType::Int64),
            ("units", total()),
            ("revenue", total()),
            ("discount", total()),
        ],
    )
});

pub static EVENT_COUNTS: LazyLock<TableSpec> = LazyLock::new(|| {
    gold(
        "event_counts",
        vec![("topic", DataType::Utf8, REQUIRED), ("event_type", DataType::Utf8, REQUIRED)],
        vec![("events", DataType::Int64)],
    )
});

/// What the quality rules found, and the events that they took out. Rows with a rule count rows of a Silver table; rows with a
/// partition count the events of that partition of the topic which went into no Silver table.
pub static QUALITY_RESULTS: LazyLock<TableSpec> = LazyLock::new(|| TableSpec {
    layer: Layer::Gold,
    name: "quality_results",
    schema: schema(vec![
        ("checked_at", timestamp(), REQUIRED),
        ("topic", DataType::Utf8, REQUIRED),
        ("table_name", DataType::Utf8, REQUIRED),
        ("rule", DataType::Utf8, OPTIONAL),
        ("action", DataType::Utf8, OPTIONAL),
        ("partition", DataType::Int32, OPTIONAL),
        ("bronze_version", DataType::Int64, REQUIRED),
        ("rows_checked", DataType::Int64, REQUIRED),
        ("rows_failed", DataType::Int64, REQUIRED),
        ("events_dropped", DataType::Int64, REQUIRED),
        ("events_quarantined", DataType::Int64, REQUIRED),
        ("samples", DataType::Utf8, OPTIONAL),
        ("offenders", DataType::Utf8, OPTIONAL),
        ("date", DataType::Date32, REQUIRED),
    ]),
    partitioned_by: BY_DATE,
    statistics: &["checked_at"],
    distinct: &[],
});

/// Every table of the lake, layer by layer.
#[must_use]
pub fn all() -> Vec<&'static TableSpec> {
    let mut tables: Vec<_> = Topic::ALL.into_iter().map(bronze_of).collect();
    let others: [&'static LazyLock<TableSpec>; 11] = [
        &DEAD_LETTERS,
        &TRANSACTIONS,
        &TRANSACTION_LINES,
        &CUSTOMERS,
        &PRODUCTS,
        &EVENTS,
        &SALES,
        &PRODUCT_SALES,
        &CUSTOMER_SALES,
        &EVENT_COUNTS,
        &QUALITY_RESULTS,
    ];
    tables.extend(others.into_iter().map(|table| &**table));
    tables
}
