//! Keeps the tables' files few and their logs short, beside the pipeline and without harming it.
//!
//! A stream of small batches leaves many small files. After a number of commits a table's small files are merged into larger
//! ones; readers of changes skip such commits, since they add no rows. Files and log entries that are older than their
//! retention are then deleted, but nothing that a table made from this one has still to read. A conflict with a writer costs
//! maintenance its turn and the writer nothing.

use std::{collections::HashMap, num::NonZeroU64, sync::Arc, time::Duration};

use anyhow::{Context, Result};
use chrono::{DateTime, TimeDelta, Utc};
use deltalake::{
    datafusion::{execution::SessionStateBuilder, prelude::SessionConfig},
    protocol::checkpoints,
};
use tokio::time::MissedTickBehavior;
use tokio_util::sync::CancellationToken;
use tracing::{debug, info};

use crate::{
    chaos,
    lake::{Lake, LakeTable, TableSpec, schema},
    lease::Lease,
    pipeline::caught,
    progress,
    settings::Settings,
};

/// The size of files that small ones are merged into, in bytes. Such a file is held in memory while it is written.
const MERGED: NonZeroU64 = NonZeroU64::new(64 << 20).expect("more than nothing");

/// Works while the lease is held, until it is told to stop.
///
/// # Errors
/// Never: what fails is tried again on the next round.
pub async fn run(lake: Lake, settings: Arc<Settings>, lease: Lease, stop: CancellationToken) -> Result<()> {
    let mut kept: HashMap<&'static str, Kept> = HashMap::new();
    let mut tick = tokio::time::interval(Duration::from_secs(settings.maintenance.look_every_seconds.max(1)));
    tick.set_missed_tick_behavior(MissedTickBehavior::Delay);
    loop {
        tokio::select! {
            () = stop.cancelled() => return Ok(()),
            _ = tick.tick() => {}
        }
        if !lease.is_held() {
            continue;
        }
        for spec in schema::all() {
            let round = caught(look_after(&lake, spec, &settings, &mut kept));
            tokio::select! {
                () = stop.cancelled() => return Ok(()),
                result = round => if let Err(error) = result {
                    debug!(table = spec.name, error = format!("{error:#}"), "maintenance is put off");
                }
            }
        }
    }
}

/// A table that stays open, and its version at its last turn.
struct Kept {
    table: LakeTable,
    done: i64,
}

async fn look_after(
    lake: &Lake,
    spec: &'static TableSpec,
    settings: &Settings,
    kept: &mut HashMap<&'static str, Kept>,
) -> Result<()> {
    if !kept.contains_key(spec.name) {
        let table = lake.table(spec).await?;
        let done = table.version();
        kept.insert(spec.name, Kept { table, done });
    }
    let Some(Kept { table, done }) = kept.get_mut(spec.name) else { return Ok(()) };
    table.refresh().await?;
    let every = i64::try_from(settings.maintenance.every_commits).unwrap_or(i64::MAX).max(1);
    if table.version() - *done < every {
        return Ok(());
    }
    // Whatever comes of it, the next turn is as many commits away: a table under load is not tried again and again.
    *done = table.version();
    merge_small_files(table, spec).await?;
    table.refresh().await?;
    delete_old(lake, table, settings).await
}

/// Merges the small files of a table into larger ones.
///
/// # Errors
/// When a writer's commit comes between, or the lake cannot be read or written.
pub async fn merge_small_files(table: &LakeTable, spec: &TableSpec) -> Result<()> {
    chaos::point(format_args!("maintenance.merge.before"))?;
    // One file after the other: what is merged waits in memory.
    let session =
        SessionStateBuilder::new().with_config(SessionConfig::new().with_target_partitions(1)).with_default_features();
    let (_, metrics) = table
        .delta()
        .clone()
        .optimize()
        .with_max_concurrent_tasks(1)
        .with_target_size(MERGED)
        .with_session_state(Arc::new(session.build()))
        .with_commit_properties(LakeTable::commit_properties(&[]))
        .with_writer_properties(crate::lake::files::merged_properties(spec))
        .await
        .with_context(|| format!("merging small files of {}", table.source_name()))?;
    chaos::point(format_args!("maintenance.merge.after"))?;
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

/// Deletes files that are no part of the table any more and log entries, all older than their retention.
///
/// # Errors
/// When the lake cannot be read or written.
pub async fn delete_old(lake: &Lake, table: &LakeTable, settings: &Settings) -> Result<()> {
    let consumed = progress::consumed_by_all(lake, table).await?;
    let retention = hours(settings.maintenance.retention_hours)?;
    // What is read next was added after this version, and can only have been replaced after that.
    let read_lately = consumed == table.version()
        || table.committed_at(consumed).is_some_and(|at: DateTime<Utc>| at > Utc::now() - retention);
    if read_lately {
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
    }
    chaos::point(format_args!("maintenance.log.before"))?;
    // By the clock of the storage: whatever this machine takes for the time, entries that are new stay for those who are
    // about to read them.
    let until = table.stored_at().await? - hours(settings.maintenance.log_retention_hours)?;
    let keep = u64::try_from(consumed).unwrap_or(0);
    let log = table.delta().log_store();
    let deleted = checkpoints::cleanup_expired_logs_for(keep, log.as_ref(), until.timestamp_millis(), None)
        .await
        .with_context(|| format!("deleting old log entries of {}", table.source_name()))?;
    chaos::point(format_args!("maintenance.log.after"))?;
    if deleted > 0 {
        info!(table = table.source_name(), entries = deleted, "old log entries deleted");
    }
    Ok(())
}

fn hours(hours: u64) -> Result<TimeDelta> {
    let hours = i64::try_from(hours).ok().and_then(TimeDelta::try_hours);
    hours.context("a retention of the maintenance is too long")
}
