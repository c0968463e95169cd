//! How far the layers are behind Kafka, asked of Kafka and of the tables themselves.

use anyhow::{Context, Result};
use futures::{FutureExt, future::BoxFuture};
use model::topic::{Layer, Topic};

use crate::{
    kafka::{Cluster, Watermarks},
    lake::{Lake, LakeTable, TableSpec, schema, table::Position},
    silver,
};

/// Which Gold tables are made from which Silver table.
const DERIVED: [(&std::sync::LazyLock<TableSpec>, &[&std::sync::LazyLock<TableSpec>]); 3] = [
    (&schema::TRANSACTIONS, &[&schema::SALES, &schema::CUSTOMER_SALES]),
    (&schema::TRANSACTION_LINES, &[&schema::PRODUCT_SALES]),
    (&schema::EVENTS, &[&schema::EVENT_COUNTS]),
];

/// What has still to be done.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Behind {
    /// Events in Kafka that are not in Bronze.
    pub events: u64,
    /// Tables that have not consumed all of the table below them.
    pub tables: u32,
}

impl Behind {
    /// Whether everything that is in Kafka is in Gold.
    #[must_use]
    pub fn is_nothing(self) -> bool {
        self == Behind::default()
    }
}

/// Compares Kafka with Bronze and each layer with the one below.
///
/// # Errors
/// When Kafka or the lake cannot be read.
pub fn behind<'a>(cluster: &'a Cluster, lake: &'a Lake) -> BoxFuture<'a, Result<Behind>> {
    compare(cluster, lake).boxed()
}

async fn compare(cluster: &Cluster, lake: &Lake) -> Result<Behind> {
    let mut behind = Behind::default();
    let kafka = Watermarks::new(cluster)?;
    for topic in Topic::ALL {
        let kafka = kafka.clone();
        let ends = tokio::task::spawn_blocking(move || kafka.of(topic)).await.context("asking Kafka")??;
        let mut bronze = lake.table(schema::bronze_of(topic)).await?;
        for (partition, (first, end)) in ends {
            let source = Position::kafka(topic.name(), partition, 0).source;
            let next = bronze.position(&source).await?.map_or(first, |last| last + 1);
            behind.events += u64::try_from(end - next).unwrap_or(0);
        }
        for spec in silver::tables_of(topic) {
            behind.tables += u32::from(!consumed(&bronze, lake.table(spec).await?).await?);
        }
    }
    for (source, tables) in DERIVED {
        let source = lake.table(source).await?;
        for spec in tables {
            behind.tables += u32::from(!consumed(&source, lake.table(spec).await?).await?);
        }
    }
    Ok(behind)
}

/// The tables that are made from this one.
fn made_from(spec: &'static TableSpec) -> Vec<&'static TableSpec> {
    if let Some(topic) = Topic::ALL.into_iter().find(|&topic| std::ptr::eq(schema::bronze_of(topic), spec)) {
        return silver::tables_of(topic);
    }
    let derived = DERIVED.iter().filter(|(source, _)| std::ptr::eq::<TableSpec>(&***source, spec));
    let gold = derived.flat_map(|(_, tables)| tables.iter().map(|table| &***table));
    // What the quality rules found stands in the logs of Silver, until it is copied.
    let results = (spec.layer == Layer::Silver).then_some(&*schema::QUALITY_RESULTS);
    gold.chain(results).collect()
}

/// The version up to which every table that is made from this one has consumed it: its newest, where there is none; -1 where
/// one has not begun.
///
/// # Errors
/// When the lake cannot be read.
pub async fn consumed_by_all(lake: &Lake, table: &LakeTable) -> Result<i64> {
    let source = table.source_name();
    let mut consumed = table.version();
    for spec in made_from(table.spec()) {
        consumed = consumed.min(lake.table(spec).await?.position(&source).await?.unwrap_or(-1));
    }
    Ok(consumed)
}

/// Whether the table has consumed every version of its source that holds rows.
async fn consumed(source: &LakeTable, mut table: LakeTable) -> Result<bool> {
    let position = table.position(&source.source_name()).await?;
    let changes = source.changes_since(position, u64::MAX, u64::MAX).await?;
    Ok(changes.iter().all(|change| change.files.is_empty()))
}
