//! What each table holds, and what it is made from.

use etl::lake::TableSpec;
use model::topic::{Layer, Topic};

/// One sentence.
pub(super) fn table(spec: &TableSpec) -> &'static str {
    match spec.name {
        "dead_letters" => "What could not be read, whole, with the reason.",
        "transactions" => "One row per completed transaction.",
        "transaction_lines" => "One row per line of a transaction.",
        "customers" => "One row per customer: what is known now.",
        "products" => "One row per product: what is known now.",
        "events" => "One row per event of any topic.",
        "sales" => "Sales by quarter of an hour, store and payment method.",
        "product_sales" => "Sales by quarter of an hour and product.",
        "customer_sales" => "Sales by quarter of an hour and customer.",
        "quality_results" => "What the quality rules found, and the events that they took out.",
        "event_counts" => "Events by quarter of an hour, topic and type.",
        _ => "Every readable event of its topic, as it came.",
    }
}

/// Where the rows come from, one step back.
pub(super) fn sources(spec: &TableSpec) -> Vec<String> {
    let topics = |prefix: &str, name: fn(Topic) -> &'static str| -> Vec<String> {
        Topic::ALL.into_iter().map(|topic| format!("{prefix}{}", name(topic))).collect()
    };
    match (spec.layer, spec.name) {
        (Layer::Bronze, "dead_letters") => topics("kafka:", Topic::name),
        (Layer::Bronze, table) => Topic::ALL
            .into_iter()
            .filter(|topic| topic.table() == table)
            .map(|topic| format!("kafka:{}", topic.name()))
            .collect(),
        (Layer::Silver, "events") => topics("bronze.", Topic::table),
        (Layer::Silver, "customers") => vec![format!("bronze.{}", Topic::Customer.table())],
        (Layer::Silver, "products") => vec![format!("bronze.{}", Topic::Product.table())],
        (Layer::Silver, _) => vec![format!("bronze.{}", Topic::Transaction.table())],
        (Layer::Gold, "quality_results") => ["transactions", "transaction_lines", "customers", "products", "events"]
            .map(|table| format!("silver.{table}"))
            .into(),
        (Layer::Gold, "event_counts") => vec!["silver.events".to_owned()],
        (Layer::Gold, "product_sales") => vec!["silver.transaction_lines".to_owned()],
        (Layer::Gold, _) => vec!["silver.transactions".to_owned()],
    }
}

/// Empty where the name says it all.
pub(super) fn column(spec: &TableSpec, name: &str) -> &'static str {
    match name {
        _ if spec.schema.field_with_name(name).is_err() => "Declared in the settings, taken out of the event.",
        "partition" | "source_partition" => "The partition of its topic in Kafka.",
        "offset" | "source_offset" => "Its place in that partition.",
        "kafka_time" => "When Kafka got it, in UTC.",
        "ingested_at" => "When it was read from Kafka, in UTC.",
        "occurred_at" => "When it happened, in UTC.",
        "payload" => "The event as it came.",
        "properties" => "What has no column of its own, as JSON.",
        "bucket" => "When the quarter of an hour begins, in UTC.",
        "year" | "month" | "day" => "Of the day in UTC on which it was read; a partition of the table.",
        "date" => "The day in UTC; a partition of the table.",
        _ => "",
    }
}
