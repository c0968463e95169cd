//! What the pipeline page shows, beside the live metrics.

use chrono::{DateTime, Utc};
use serde::{Deserialize, Serialize};

use crate::topic::Layer;

/// A table of the lake.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct TableInfo {
    pub layer: Layer,
    pub name: String,
    pub rows: u64,
    pub files: u64,
    pub bytes: u64,
    /// The Delta version.
    pub version: u64,
    pub last_commit: Option<DateTime<Utc>>,
}

/// Dead letters of one kind.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct DeadLetters {
    pub topic: String,
    /// A name of [`crate::event::Rejection`].
    pub rejection: String,
    pub count: u64,
    pub newest: DateTime<Utc>,
    /// The reason given for one of them.
    pub example: String,
}

#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct PipelineView {
    pub tables: Vec<TableInfo>,
    pub dead_letters: Vec<DeadLetters>,
}
