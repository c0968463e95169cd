//! Where the audit log ends, kept beside the file of keys: whoever can write to the database cannot cut off its newest lines, or
//! empty it, without this file saying so. It only ever moves on to lines that follow the one it names.

use std::{
    io::Write as _,
    os::unix::fs::OpenOptionsExt as _,
    path::{Path, PathBuf},
};

use anyhow::{Context, Result};
use sqlx::PgPool;

use super::{audit::hex, keys::KeyRing};

/// A line of the log.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Anchor {
    pub number: i64,
    /// In hexadecimal.
    pub mac: String,
}

/// How the log stands to the line that was kept.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Kept {
    /// The log has that line; the kept one is now the last.
    Follows(Option<Anchor>),
    /// The log has no such line any more. What was kept stays.
    Lost(Anchor),
}

/// The file of this log's end.
pub fn path(keys: &KeyRing) -> PathBuf {
    keys.path().with_extension("audit-end")
}

/// What was kept; none before the first line.
///
/// # Errors
/// The file cannot be read, or is not of this form.
pub fn read(path: &Path) -> Result<Option<Anchor>> {
    if !path.exists() {
        return Ok(None);
    }
    let text = std::fs::read_to_string(path).with_context(|| format!("{} cannot be read", path.display()))?;
    let anchor = text
        .trim()
        .split_once(' ')
        .and_then(|(number, mac)| Some(Anchor { number: number.parse().ok()?, mac: mac.to_owned() }));
    Ok(Some(anchor.with_context(|| {
        format!("{} says where the audit log ends, as a number and a mac; found something else", path.display())
    })?))
}

/// Keeps the last line, if the log still has the one that was kept before.
///
/// # Errors
/// The database does not answer, or the file cannot be read or written.
pub async fn advance(pool: &PgPool, keys: &KeyRing) -> Result<Kept> {
    let path = path(keys);
    let kept = read(&path)?;
    if let Some(kept) = &kept {
        let found: Option<Vec<u8>> = sqlx::query_scalar("SELECT mac FROM streamlinehub.audit_log WHERE number = $1")
            .bind(kept.number)
            .fetch_optional(pool)
            .await?;
        if found.is_none_or(|mac| hex(&mac) != kept.mac) {
            return Ok(Kept::Lost(kept.clone()));
        }
    }
    let last: Option<(i64, Vec<u8>)> =
        sqlx::query_as("SELECT number, mac FROM streamlinehub.audit_log ORDER BY number DESC LIMIT 1")
            .fetch_optional(pool)
            .await?;
    let last = last.map(|(number, mac)| Anchor { number, mac: hex(&mac) });
    if let Some(last) = last.as_ref().filter(|last| Some(*last) != kept.as_ref()) {
        write(&path, last)?;
    }
    Ok(Kept::Follows(last))
}

/// Puts a new file in the place of the old one, so that no reader meets half a file.
fn write(path: &Path, anchor: &Anchor) -> Result<()> {
    // Several processes may share the folder.
    let temporary = path.with_extension(format!("audit-end-{}", std::process::id()));
    let write = || -> std::io::Result<()> {
        let mut file =
            std::fs::OpenOptions::new().create(true).write(true).truncate(true).mode(0o600).open(&temporary)?;
        writeln!(file, "{} {}", anchor.number, anchor.mac)?;
        file.sync_all()?;
        std::fs::rename(&temporary, path)
    };
    write().with_context(|| format!("{} cannot be written, which says where the audit log ends", path.display()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_kept_is_read_again_or_refused() {
        let folder = tempfile::tempdir().expect("a folder");
        let path = folder.path().join("keys.audit-end");
        assert_eq!(read(&path).expect("no file"), None);
        let anchor = Anchor { number: 12, mac: "ab".repeat(32) };
        write(&path, &anchor).expect("written");
        assert_eq!(read(&path).expect("a file"), Some(anchor));
        assert_eq!(std::fs::read_dir(folder.path()).expect("a folder").count(), 1, "nothing is left over");
        for text in ["", "12", "x y"] {
            std::fs::write(&path, text).expect("written");
            assert!(read(&path).is_err(), "{text:?}");
        }
    }
}
