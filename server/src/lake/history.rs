//! The commits of a table, from its log.

use anyhow::Result;
use chrono::{DateTime, Utc};
use deltalake::{
    DeltaTable, ObjectStoreError,
    logstore::{commit_uri_from_version, object_store::ObjectStoreExt},
};
use model::lake::Commit;
use serde::Deserialize;

/// Commits that are shown.
const COMMITS: u64 = 20;
/// A commit whose file is larger is shown without its numbers.
const LARGEST_COMMIT: u64 = 4 << 20;

/// A line of a commit's file, as far as it matters here.
#[derive(Default, Deserialize)]
#[serde(default, rename_all = "camelCase")]
struct Line {
    commit_info: Option<CommitInfo>,
    add: Option<Add>,
    remove: Option<serde::de::IgnoredAny>,
}

#[derive(Deserialize)]
struct CommitInfo {
    timestamp: Option<i64>,
    operation: Option<String>,
}

#[derive(Deserialize)]
struct Add {
    stats: Option<String>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Stats {
    num_records: Option<u64>,
}

/// When a version was committed, if its file is still there.
pub(super) async fn committed_at(table: &DeltaTable, version: u64) -> Option<DateTime<Utc>> {
    let entry = commit_uri_from_version(Some(version));
    table.object_store().head(&entry).await.ok().map(|entry| entry.last_modified)
}

/// The newest commits up to a version, as far back as the log goes.
///
/// # Errors
/// The storage does not answer.
pub(super) async fn of(table: &DeltaTable, version: u64) -> Result<Vec<Commit>> {
    let store = table.object_store();
    let mut commits = Vec::new();
    for version in (version.saturating_sub(COMMITS - 1)..=version).rev() {
        let file = match store.get(&commit_uri_from_version(Some(version))).await {
            Ok(file) => file,
            Err(ObjectStoreError::NotFound { .. }) => break,
            Err(error) => return Err(error.into()),
        };
        let written = file.meta.last_modified;
        let content = if file.meta.size <= LARGEST_COMMIT { file.bytes().await? } else { bytes::Bytes::new() };
        commits.push(read(version, written, &content));
    }
    Ok(commits)
}

fn read(version: u64, written: DateTime<Utc>, content: &[u8]) -> Commit {
    let mut commit = Commit {
        version,
        at: Some(written),
        operation: "unknown".to_owned(),
        rows_added: None,
        files_added: None,
        files_removed: None,
    };
    if content.is_empty() {
        return commit;
    }
    let (mut rows, mut added, mut removed) = (Some(0), 0, 0);
    let lines = content.split(|byte| *byte == b'\n').filter_map(|line| serde_json::from_slice::<Line>(line).ok());
    for line in lines {
        if let Some(info) = line.commit_info {
            commit.at = info.timestamp.and_then(DateTime::from_timestamp_millis).or(commit.at);
            commit.operation = info.operation.unwrap_or(commit.operation);
        }
        if let Some(add) = line.add {
            added += 1;
            let stats = add.stats.and_then(|stats| serde_json::from_str::<Stats>(&stats).ok());
            rows = rows.zip(stats.and_then(|stats| stats.num_records)).map(|(sum, rows): (u64, u64)| sum + rows);
        }
        removed += u64::from(line.remove.is_some());
    }
    Commit { rows_added: rows, files_added: Some(added), files_removed: Some(removed), ..commit }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_commit_counts_its_files_and_rows() {
        let content = concat!(
            r#"{"commitInfo":{"timestamp":1000,"operation":"WRITE"}}"#,
            "\n",
            r#"{"add":{"path":"a","stats":"{\"numRecords\":3}"}}"#,
            "\n",
            r#"{"remove":{"path":"b"}}"#,
        );
        let commit = read(4, DateTime::UNIX_EPOCH, content.as_bytes());
        let numbers = (commit.rows_added, commit.files_added, commit.files_removed);
        assert_eq!((commit.operation.as_str(), numbers), ("WRITE", (Some(3), Some(1), Some(1))));
        assert_eq!(commit.at, DateTime::from_timestamp(1, 0));
    }
}
