//! Dead letters: messages that could not be used, why, and what was done with them since.

use chrono::{DateTime, Utc};
use serde::{Deserialize, Serialize};
use uuid::Uuid;

/// Letters of one page where nothing is said, and at most.
pub const PAGE: usize = 50;
pub const LARGEST_PAGE: usize = 500;
/// Letters that one replay of a filter takes at most.
pub const LARGEST_BATCH: usize = 10_000;

/// Which dead letters are asked for; what is empty matches everything. It stands in the page's URL.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct LetterFilter {
    /// A topic's name.
    pub topic: String,
    /// Which stage refused it: `bronze`, `silver` or `quality`.
    pub stage: String,
    /// A name of [`crate::event::Rejection`].
    pub rejection: String,
    /// The name of a quality rule.
    pub rule: String,
    /// Days as `2026-11-22`, in UTC, both included: when it came in.
    pub from: String,
    pub to: String,
}

impl LetterFilter {
    pub fn fields(&self) -> [(&'static str, &str); 6] {
        [
            ("topic", &self.topic),
            ("stage", &self.stage),
            ("rejection", &self.rejection),
            ("rule", &self.rule),
            ("from", &self.from),
            ("to", &self.to),
        ]
    }
}

/// The stages that refuse messages, in the order in which they see them.
pub const STAGES: [&str; 3] = ["bronze", "silver", "quality"];

/// A dead letter, without its content.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct Letter {
    /// Its place in Kafka, which names it.
    pub topic: String,
    pub partition: i32,
    pub offset: i64,
    pub kafka_time: DateTime<Utc>,
    pub ingested_at: DateTime<Utc>,
    pub stage: String,
    /// A name of [`crate::event::Rejection`].
    pub rejection: String,
    pub reason: String,
    pub bytes: u64,
    /// How often it was replayed.
    pub replays: u64,
}

impl Letter {
    /// `topic/partition/offset`, as addresses have it.
    pub fn place(&self) -> String {
        format!("{}/{}/{}", self.topic, self.partition, self.offset)
    }
}

/// A page of letters, the newest first.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct LetterPage {
    pub letters: Vec<Letter>,
    /// Where the next page begins, if there is one: send it as `cursor`.
    pub next: Option<String>,
}

/// All of a letter.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct LetterDetail {
    #[serde(flatten)]
    pub letter: Letter,
    pub key: Option<String>,
    /// JSON: an array of name and value.
    pub headers: Option<String>,
    /// The message; what is no text is replaced by `\u{fffd}`.
    pub payload: String,
    /// Whether `payload` is all of it, as it came. Only then can it be edited: not where it is no text, or too long to be shown.
    pub whole: bool,
    /// The oldest first.
    pub trail: Vec<Replayed>,
}

/// How a replay ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub enum ReplayOutcome {
    /// It is under way, or the server ended before it knew.
    Begun,
    /// Kafka has it.
    Sent,
    /// Kafka did not say that it has it.
    Unknown,
}

impl ReplayOutcome {
    pub const ALL: [ReplayOutcome; 3] = [ReplayOutcome::Begun, ReplayOutcome::Sent, ReplayOutcome::Unknown];

    pub fn name(self) -> &'static str {
        match self {
            ReplayOutcome::Begun => "begun",
            ReplayOutcome::Sent => "sent",
            ReplayOutcome::Unknown => "unknown",
        }
    }

    pub fn label(self) -> &'static str {
        match self {
            ReplayOutcome::Begun => "Under way",
            ReplayOutcome::Sent => "Sent",
            ReplayOutcome::Unknown => "Not known",
        }
    }

    pub fn from_name(name: &str) -> Option<ReplayOutcome> {
        ReplayOutcome::ALL.into_iter().find(|outcome| outcome.name() == name)
    }
}

/// A letter that was sent again.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct Replayed {
    /// Counts up.
    pub id: i64,
    /// The letter's place.
    pub topic: String,
    pub partition: i32,
    pub offset: i64,
    pub at: DateTime<Utc>,
    /// Who did it: the address of the user or the name of the key.
    pub by: String,
    pub edited: bool,
    /// SHA-256 of the content before and after, in hexadecimal.
    pub hash_before: String,
    pub hash_after: String,
    pub outcome: ReplayOutcome,
    /// Where it went.
    pub new_partition: Option<i32>,
    pub new_offset: Option<i64>,
    /// The replay of a filter that it was part of.
    pub batch: Option<Uuid>,
}

/// How far the replay of a filter is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub enum BatchState {
    Running,
    Done,
    /// Something failed; what was sent until then is sent.
    Failed,
    /// The server ended while it ran.
    Interrupted,
}

impl BatchState {
    pub const ALL: [BatchState; 4] =
        [BatchState::Running, BatchState::Done, BatchState::Failed, BatchState::Interrupted];

    pub fn name(self) -> &'static str {
        match self {
            BatchState::Running => "running",
            BatchState::Done => "done",
            BatchState::Failed => "failed",
            BatchState::Interrupted => "interrupted",
        }
    }

    pub fn from_name(name: &str) -> Option<BatchState> {
        BatchState::ALL.into_iter().find(|state| state.name() == name)
    }
}

/// The replay of all letters that a filter lets through.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct ReplayBatch {
    pub id: Uuid,
    pub at: DateTime<Utc>,
    pub by: String,
    pub filter: LetterFilter,
    pub state: BatchState,
    /// Letters that the filter lets through, at most [`LARGEST_BATCH`].
    pub total: u64,
    pub sent: u64,
    /// Those that were replayed before, which were left alone, or that cannot be sent.
    pub skipped: u64,
    /// Those of which Kafka did not say that it has them.
    pub failed: u64,
    /// Why it failed; empty where it did not.
    pub error: String,
}
