//! The lake: where its tables are, what they hold, and how they are read and committed to.
//!
//! * [`schema`]: every table's columns and partitioning
//! * [`positions`]: what commits carry beside rows
//! * [`files`]: how Parquet files are written
//! * [`table`]: one Delta table: commits that carry their source position
//! * [`reader`]: what changed since a version, and the rows of files

pub mod files;
mod positions;
pub mod reader;
pub mod schema;
pub mod table;

use std::path::{Path, PathBuf};

use anyhow::{Context, Result};
use futures::{FutureExt, future::BoxFuture};
use url::Url;

pub use schema::TableSpec;
pub use table::LakeTable;

/// The lake's root folder.
#[derive(Clone, Debug)]
pub struct Lake {
    root: PathBuf,
}

impl Lake {
    /// # Errors
    /// When the folder cannot be made.
    pub fn open(root: &Path) -> Result<Lake> {
        std::fs::create_dir_all(root)
            .with_context(|| format!("the lake's folder {} cannot be made", root.display()))?;
        let root =
            root.canonicalize().with_context(|| format!("the lake's folder {} cannot be read", root.display()))?;
        Ok(Lake { root })
    }

    #[must_use]
    pub fn root(&self) -> &Path {
        &self.root
    }

    /// Where the table is, or would be.
    ///
    /// # Errors
    /// When the folder's path cannot be a URL.
    pub fn url(&self, spec: &TableSpec) -> Result<Url> {
        let path = self.root.join(spec.layer.name()).join(spec.name);
        Url::from_directory_path(&path).map_err(|()| anyhow::anyhow!("{} cannot be named by a URL", path.display()))
    }

    /// Opens the table, which is made if it is not there yet.
    ///
    /// # Errors
    /// When its log cannot be read or its folder cannot be written.
    pub fn table(&self, spec: &'static TableSpec) -> BoxFuture<'_, Result<LakeTable>> {
        self.open_table(spec).boxed()
    }

    async fn open_table(&self, spec: &'static TableSpec) -> Result<LakeTable> {
        // Delta makes a table in a folder, but not the folder.
        let path = self.root.join(spec.layer.name()).join(spec.name);
        std::fs::create_dir_all(&path).with_context(|| format!("the folder {} cannot be made", path.display()))?;
        LakeTable::open(self.url(spec)?, spec).await
    }
}
