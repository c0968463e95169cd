//! The lake's tables, and SQL over them.

use leptos::{prelude::*, server_fn::codec::GetUrl};
use model::{
    lake::{Behind, PastStatement, RawEvent, SqlOutcome, SqlTable, TableDetail, TableSummary},
    topic::{Layer, Topic},
};

use crate::problem::Problem;
#[cfg(feature = "ssr")]
use {
    super::{dashboard, people},
    crate::ports::Unavailable,
    model::access::Permission,
};

/// An answer about one thing; where there is no such thing, the status says so too.
#[cfg(feature = "ssr")]
fn one<T>(answer: Result<T, Unavailable>) -> Result<T, Problem> {
    if matches!(answer, Err(Unavailable::Missing(_))) {
        people()?.missing();
    }
    Ok(answer?)
}

/// The tables of the lake that were made.
#[server(prefix = "/api/ui", endpoint = "tables", input = GetUrl)]
pub async fn get_tables() -> Result<Vec<TableSummary>, Problem> {
    Ok(dashboard(Permission::PipelineRead)?.tables().await?)
}

/// A table at its newest version, or at an earlier one.
#[server(prefix = "/api/ui", endpoint = "table", input = GetUrl)]
pub async fn get_table(layer: Layer, name: String, version: Option<u64>) -> Result<TableDetail, Problem> {
    one(dashboard(Permission::PipelineRead)?.table(layer, &name, version).await)
}

/// The rows behind a number; `query` is what stands after the question mark of the page.
#[server(prefix = "/api/ui", endpoint = "rows", input = GetUrl)]
pub async fn get_rows(query: String) -> Result<Behind, Problem> {
    Ok(dashboard(Permission::PipelineRead)?.rows_behind(&query).await?)
}

/// An event as it came.
#[server(prefix = "/api/ui", endpoint = "event", input = GetUrl)]
pub async fn get_event(topic: Topic, partition: i32, offset: i64) -> Result<RawEvent, Problem> {
    one(dashboard(Permission::PipelineRead)?.event(topic, partition, offset).await)
}

/// What statements may name.
#[server(prefix = "/api/ui", endpoint = "sql-tables", input = GetUrl)]
pub async fn get_sql_tables() -> Result<Vec<SqlTable>, Problem> {
    Ok(dashboard(Permission::SqlRun)?.sql_tables().await?)
}

/// The newest statements of the person who asks.
#[server(prefix = "/api/ui", endpoint = "statements", input = GetUrl)]
pub async fn get_statements() -> Result<Vec<PastStatement>, Problem> {
    people()?.require(Permission::SqlRun)?;
    Ok(people()?.statements().await?)
}

/// Runs a statement that reads. Dropping the future ends it, here and on the server.
#[server(prefix = "/api/ui", endpoint = "run-sql")]
pub async fn run_sql(sql: String) -> Result<SqlOutcome, Problem> {
    let dashboard = dashboard(Permission::SqlRun)?;
    people()?.note_statement(&sql).await?;
    Ok(dashboard.run_sql(&sql).await?)
}
