//! Rules are kept beside the dead letters, by a number, and each of Silver's commits says by which its rows were judged. So a batch
//! that was begun and not ended is ended by the same rules, also when the settings are others by then, or another worker's.

use anyhow::{Context, Result, ensure};
use aws_lc_rs::digest::{SHA256, digest};
use deltalake::{
    ObjectStore, ObjectStoreError, Path,
    logstore::object_store::{ObjectStoreExt as _, PutMode, PutOptions},
};
use tracing::warn;

use super::Rules;
use crate::lake::{LakeTable, table::Position};

/// Where they are in the table's folder: what begins like this is no data, and is not cleaned up.
const FOLDER: &str = "_rules";

fn path(number: i64) -> Path {
    Path::from(FOLDER).join(format!("{number:016x}.json"))
}

/// The number of rules whose declaration is this text, from the beginning of its SHA-256.
pub(super) fn number_of(text: &[u8]) -> i64 {
    let number = digest(&SHA256, text).as_ref().iter().take(8).fold(0, |number, &byte| number << 8 | i64::from(byte));
    number & i64::MAX
}

impl Rules {
    /// The name under which commits say by which rules the rows of the source were judged.
    #[must_use]
    pub fn key(source: &str) -> String {
        format!("rules/{source}")
    }

    /// What a commit says that has rows of the source.
    #[must_use]
    pub fn position(&self, source: &str) -> Position {
        Position { source: Rules::key(source), at: self.number }
    }

    /// Keeps them beside the table, unless they are there.
    ///
    /// # Errors
    /// When they cannot be written.
    pub async fn keep(&self, table: &LakeTable) -> Result<()> {
        let path = path(self.number);
        let store = table.delta().object_store();
        if store.head(&path).await.is_ok() {
            return Ok(());
        }
        match store.put_opts(&path, self.declared.clone().into(), PutOptions::from(PutMode::Create)).await {
            Ok(_) | Err(ObjectStoreError::AlreadyExists { .. }) => Ok(()),
            Err(error) => Err(error).with_context(|| format!("keeping the quality rules as {path}")),
        }
    }

    /// Those that were kept under the number; `None` where they are gone, or this program cannot use them any more.
    ///
    /// # Errors
    /// When the storage does not answer.
    pub async fn kept(table: &LakeTable, number: i64) -> Result<Option<Rules>> {
        let path = path(number);
        let text = match table.delta().object_store().get(&path).await {
            Ok(found) => found.bytes().await?,
            Err(ObjectStoreError::NotFound { .. }) => {
                warn!(%path, "quality rules are gone");
                return Ok(None);
            }
            Err(error) => return Err(error).with_context(|| format!("reading the quality rules {path}")),
        };
        let usable = || {
            ensure!(number_of(&text) == number, "the file is damaged");
            Rules::from_declared(&serde_json::from_slice(&text)?)
        };
        match usable() {
            Ok(rules) => Ok(Some(rules)),
            Err(error) => {
                warn!(%path, error = format!("{error:#}"), "quality rules that were kept cannot be used");
                Ok(None)
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use deltalake::operations::vacuum::VacuumMode;

    use super::*;
    use crate::{
        lake::{Lake, schema},
        settings::Settings,
    };

    #[tokio::test]
    async fn what_was_kept_are_the_same_rules() -> Result<()> {
        let folder = tempfile::tempdir()?;
        let table = Lake::open(folder.path())?.table(&schema::DEAD_LETTERS).await?;
        let rules = Rules::compile(&Settings::defaults())?;
        ensure!(!rules.of("transactions").is_empty(), "there are none");
        // By two workers.
        rules.keep(&table).await?;
        rules.keep(&table).await?;
        // They are no files that nobody needs.
        let vacuum = table.delta().clone().vacuum().with_mode(VacuumMode::Full);
        let vacuum = vacuum.with_retention_period(chrono::TimeDelta::zero()).with_enforce_retention_duration(false);
        let (_, done) = vacuum.await?;
        ensure!(done.files_deleted.is_empty(), "{:?} were deleted", done.files_deleted);
        let position = rules.position("bronze/a");
        let kept = Rules::kept(&table, position.at).await?.context("they are not there")?;
        ensure!(kept.position("bronze/a") == position, "others");

        let mut settings = Settings::defaults();
        settings.quality.rules.pop();
        let fewer = Rules::compile(&settings)?.position("bronze/a");
        ensure!(fewer.at != position.at, "the same number for others");
        ensure!(Rules::kept(&table, fewer.at).await?.is_none(), "these were not kept");
        Ok(())
    }
}
