//! What is known of the lake's tables, and what a statement over them answers.

use chrono::{DateTime, Utc};
use serde::{Deserialize, Serialize};

use crate::{query::Filter, range::Interval, topic::Layer};

/// A table, as lists show it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct TableSummary {
    pub layer: Layer,
    pub name: String,
    pub rows: u64,
    pub files: u64,
    pub bytes: u64,
    /// The Delta version that the numbers belong to.
    pub version: u64,
    /// When that version was committed.
    pub last_commit: Option<DateTime<Utc>>,
    /// One sentence.
    pub description: String,
    /// What the table is made from: `kafka:transaction-events`, `bronze.transaction_events`.
    pub sources: Vec<String>,
}

impl TableSummary {
    /// As SQL names it.
    pub fn full_name(&self) -> String {
        format!("{}.{}", self.layer.name(), self.name)
    }
}

/// All that is known of a table, at one of its versions.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct TableDetail {
    pub summary: TableSummary,
    pub columns: Vec<ColumnInfo>,
    pub partitioned_by: Vec<String>,
    /// The newest commits up to this version, the newest first.
    pub history: Vec<Commit>,
    /// Some of the rows.
    pub preview: Grid,
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct ColumnInfo {
    pub name: String,
    pub data_type: String,
    pub nullable: bool,
    /// Empty where the name says it all.
    pub description: String,
}

/// A commit of a table, as far as its log says.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct Commit {
    pub version: u64,
    pub at: Option<DateTime<Utc>>,
    pub operation: String,
    /// Rows of the files that were added, whether their content is new or was only moved.
    pub rows_added: Option<u64>,
    pub files_added: Option<u64>,
    pub files_removed: Option<u64>,
}

/// Rows and columns of any kind, for people.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct Grid {
    pub columns: Vec<GridColumn>,
    /// Each value as exact text; null where there is none.
    pub rows: Vec<Vec<Option<String>>>,
    /// Whether there are more rows than these.
    pub truncated: bool,
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct GridColumn {
    pub name: String,
    pub data_type: String,
}

/// What a statement answers.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct SqlAnswer {
    pub grid: Grid,
    /// From the question to the answer, on the server.
    pub milliseconds: u64,
}

/// Rows behind a number.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct Behind {
    pub metric: String,
    /// The table that the rows are of, as SQL names it: `silver.transactions`.
    pub table: String,
    pub interval: Interval,
    pub filters: Vec<Filter>,
    /// Only what had come in by then, where that was asked for.
    pub as_of: Option<DateTime<Utc>>,
    /// In the order in which things happened. The columns `topic`, `source_partition` and `source_offset` say where each
    /// came from.
    pub rows: Grid,
    /// Send it as `cursor` with the same parameters for the next page; null on the last one.
    pub next: Option<String>,
}

/// An event as it came, with what is known of its way.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct RawEvent {
    pub topic: String,
    pub partition: i32,
    pub offset: i64,
    /// Where the lake has it, as SQL names it.
    pub table: String,
    /// When Kafka got it, and when it was read from there.
    pub kafka_time: String,
    pub ingested_at: String,
    pub key: Option<String>,
    /// As JSON.
    pub headers: Option<String>,
    pub event_type: Option<String>,
    /// Exactly as it came; what is not UTF-8 is null and can be had with SQL.
    pub payload: String,
    /// Of a dead letter: the kind of fault, and what was wrong.
    pub rejection: Option<String>,
    pub reason: Option<String>,
}

/// How a statement went.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum SqlOutcome {
    Answered(SqlAnswer),
    /// Why there is no answer: the statement is wrong, not allowed, or costs too much.
    Refused(String),
}

/// A table as statements may use it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct SqlTable {
    /// As SQL names it: `gold.sales`.
    pub name: String,
    pub columns: Vec<GridColumn>,
}

/// A statement that a person ran.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct PastStatement {
    pub sql: String,
    pub at: DateTime<Utc>,
}

impl GridColumn {
    /// Whether its values are numbers, however exact.
    pub fn is_number(&self) -> bool {
        ["integer", "bigint", "double"].contains(&self.data_type.as_str()) || self.data_type.starts_with("decimal")
    }
}
