//! Keeps the tables' files few and their logs short, beside the pipeline and without harming it.
//!
//! A stream of small batches leaves many small files. After a number of commits a table's small files are merged into larger
//! ones; readers of changes skip such commits, since they add no rows. Files and log entries that no version within the
//! retention needs are then deleted. A conflict with a writer costs maintenance its turn and the writer nothing.

use std::{collections::HashMap, sync::Arc, time::Duration};

use anyhow::{Context, Result};
use deltalake::protocol::checkpoints;
use tokio::time::MissedTickBehavior;
use tokio_util::sync::CancellationToken;
use tracing::{debug, info, warn};

use crate::{
    lake::{Lake, LakeTable, TableSpec, schema},
    settings::Settings,
};

/// How often the tables are looked at.
const EVERY: Duration = Duration::from_secs(20);

/// Runs until it is told to stop.
///
/// # Errors
/// Never: what fails is tried again on the next round.
pub async fn run(lake: Lake, settings: Arc<Settings>, stop: CancellationToken) -> Result<()> {
    let mut done: HashMap<&'static str, i64> = HashMap::new();
    let mut tick = tokio::time::interval(EVERY);
    tick.set_missed_tick_behavior(MissedTickBehavior::Delay);
    loop {
        tokio::select! {
            () = stop.cancelled() => return Ok(()),
            _ = tick.tick() => {}
        }
        for spec in schema::all() {
            let round = look_after(&lake, spec, &settings, &mut done);
            tokio::select! {
                () = stop.cancelled() => return Ok(()),
                result = round => if let Err(error) = result {
                    debug!(table = spec.name, error = format!("{error:#}"), "maintenance is put off");
                }
            }
        }
    }
}

async fn look_after(
    lake: &Lake,
    spec: &'static TableSpec,
    settings: &Settings,
    done: &mut HashMap<&'static str, i64>,
) -> Result<()> {
    let table = lake.table(spec).await?;
    let last = *done.entry(spec.name).or_insert_with(|| table.version());
    let every = i64::try_from(settings.maintenance.every_commits).unwrap_or(i64::MAX).max(1);
    if table.version() - last < every {
        return Ok(());
    }
    // Whatever comes of it, the next turn is as many commits away: a table under load is not tried again and again.
    done.insert(spec.name, table.version());
    merge_small_files(&table, spec).await?;
    delete_old(lake, spec, settings).await
}

/// Merges the small files of a table into larger ones.
///
/// # Errors
/// When a writer's commit comes between, or the lake cannot be read or written.
pub async fn merge_small_files(table: &LakeTable, spec: &TableSpec) -> Result<()> {
    let (_, metrics) = table
        .delta()
        .clone()
        .optimize()
        .with_max_concurrent_tasks(1)
        .with_commit_properties(LakeTable::commit_properties(&[]))
        .with_writer_properties(crate::lake::table::writer_properties(spec))
        .await
        .with_context(|| format!("merging small files of {}", table.source_name()))?;
    if metrics.num_files_removed > 0 {
        info!(
            table = table.source_name(),
            removed = metrics.num_files_removed,
            added = metrics.num_files_added,
            "small files merged"
        );
    }
    Ok(())
}

async fn delete_old(lake: &Lake, spec: &'static TableSpec, settings: &Settings) -> Result<()> {
    let table = lake.table(spec).await?;
    let hours = i64::try_from(settings.maintenance.retention_hours).unwrap_or(i64::MAX);
    let retention = chrono::TimeDelta::try_hours(hours).context("maintenance.retention_hours is too large")?;
    let (_, metrics) = table
        .delta()
        .clone()
        .vacuum()
        .with_retention_period(retention)
        .with_enforce_retention_duration(false)
        .await
        .with_context(|| format!("deleting old files of {}", table.source_name()))?;
    if !metrics.files_deleted.is_empty() {
        info!(table = table.source_name(), files = metrics.files_deleted.len(), "old files deleted");
    }
    if let Err(error) = checkpoints::cleanup_metadata(lake.table(spec).await?.delta(), None).await {
        warn!(table = spec.name, %error, "old log entries were not deleted");
    }
    Ok(())
}
