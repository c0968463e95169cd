//! The quality of the data: rules of the settings, asked of the rows of each Silver batch before they are written.
//!
//! * [`rules`]: SQL expressions, compiled once; a wrong one is refused at the start
//! * [`judge`]: what the rules say of a batch, and which events they take out of it
//! * [`results`]: what was said, as the table `gold.quality_results`
//! * [`fields`]: columns of Silver that the settings declare
//! * [`kept`]: what was declared when a batch was begun
//!
//! # Exactly once
//! What the rules found in the rows of a commit stands in that commit's own entry of the Delta log ([`NOTE`]): it is there if and
//! only if the rows are, and costs no commit of its own. [`results`] copies it into a table every few seconds, with the version that
//! it has read as its position, as Gold does with rows.
//!
//! A rule says the same whenever it is asked (functions such as `now()` are refused), and a batch that was begun is ended by the
//! rules that it was begun with, so that a batch that is taken again after a crash loses the same events. Bronze has every one of them, whatever the rules say.
//!
//! # The books
//! Of the events of a batch of Bronze some become dead letters in Silver, some are taken out here, the rest goes to
//! Silver's tables, where duplicates are left out. How many were dropped and quarantined, by partition, stands once in the commit to
//! `silver.events`, where every event has one row, and then in those rows of `gold.quality_results` that have a partition.

pub mod fields;
pub mod judge;
pub mod kept;
pub mod results;
pub mod rules;

use std::collections::BTreeMap;

use model::quality::Verdict;
use serde::{Deserialize, Serialize};

pub use rules::Rules;

/// The name in a commit's entry under which a [`Note`] stands.
pub const NOTE: &str = "quality";

/// Events that went into no Silver table because of a rule.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct TakenOut {
    pub dropped: u64,
    pub quarantined: u64,
}

/// What a commit to a Silver table says of the rows that were to be written.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct Note {
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub verdicts: Vec<Verdict>,
    /// By partition of the topic; in commits to `silver.events` only.
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    pub taken_out: BTreeMap<i32, TakenOut>,
}

impl Note {
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.verdicts.is_empty() && self.taken_out.is_empty()
    }
}
