//! SQL of people over the lake's tables.
//!
//! Every statement runs in a process of its own kind, a worker: what it costs cannot be foreseen (planning cannot be
//! stopped, and a short text can build huge values), so that bounds are held from outside. The kernel bounds a worker's
//! memory, and whoever goes over the time, or stops waiting, has it killed. A worker knows the lake's tables and nothing
//! else: it has no functions that read files, plans nothing that writes, and gets none of our environment.
//!
//! * [`Workers`]: asks them; keeps those that are idle for the next statement
//! * [`worker`]: what runs in the process

mod schema;
pub mod worker;
mod workers;

use std::{collections::BTreeMap, time::Duration};

use anyhow::{Result, anyhow};
use deltalake::arrow::{
    array::RecordBatch,
    datatypes::SchemaRef,
    ipc::{reader::StreamReader, writer::StreamWriter},
};
use serde::{Deserialize, Serialize};
use tokio_util::codec::LengthDelimitedCodec;

pub use workers::Workers;

/// The longest statement, in bytes.
pub const LONGEST: usize = 64 << 10;

/// The bounds of every statement.
#[derive(Clone, Copy, Debug)]
pub struct Limits {
    /// From the moment it is begun to the answer.
    pub time: Duration,
    /// As long as this a statement waits for its turn.
    pub wait: Duration,
    /// What a worker's statement may use in DataFusion's own count, in bytes; the kernel stops it at [`Limits::DATA`] times as
    /// much, for what DataFusion does not count.
    pub memory_bytes: u64,
    /// The largest answer, in bytes of Arrow.
    pub answer_bytes: usize,
    /// Statements that run at the same time; more have to wait.
    pub concurrency: usize,
}

impl Limits {
    /// See [`Limits::memory_bytes`].
    pub const DATA: u64 = 3;
}

impl Default for Limits {
    fn default() -> Limits {
        // Together less than the server gives a response, so that it is these bounds that speak.
        Limits {
            time: Duration::from_secs(20),
            wait: Duration::from_secs(8),
            memory_bytes: 256 << 20,
            answer_bytes: 48 << 20,
            concurrency: 2,
        }
    }
}

/// A statement and what it is run over.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
pub struct Question {
    pub sql: String,
    /// At most so many rows, and one more where there are more.
    pub rows: usize,
    /// Versions of tables, by their full names, that are read instead of the newest.
    pub versions: BTreeMap<String, u64>,
}

/// The rows of an answer.
#[derive(Clone, Debug)]
pub struct Rows {
    pub schema: SchemaRef,
    pub batches: Vec<RecordBatch>,
}

/// Why a worker gives no answer.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
enum Refusal {
    Invalid(String),
    TooLarge,
    Changed,
    Internal(String),
}

/// Why a statement has no answer.
#[derive(Debug, thiserror::Error)]
pub enum SqlError {
    /// It is wrong, or not allowed.
    #[error("{0}")]
    Invalid(String),
    #[error("the statement was stopped after {} seconds; ask for less, or filter by a partition column", .0.as_secs())]
    TooLong(Duration),
    #[error(
        "the statement needs more memory than it may have, or is nested too deeply; ask for fewer rows or columns, or filter earlier"
    )]
    TooLarge,
    #[error("too many statements are running; try again in a moment")]
    Busy,
    #[error("a table's files were replaced while it was read; ask again")]
    Changed,
    #[error("something went wrong on the server; its log says what")]
    Internal(anyhow::Error),
}

impl SqlError {
    /// For the person who asked.
    pub fn sentence(&self) -> String {
        let why = self.to_string();
        let end = if why.ends_with(['.', '?', '!']) { "" } else { "." };
        format!("There is no answer: {why}{end}")
    }
}

impl From<Refusal> for SqlError {
    fn from(refusal: Refusal) -> SqlError {
        match refusal {
            Refusal::Invalid(why) => SqlError::Invalid(why),
            Refusal::TooLarge => SqlError::TooLarge,
            Refusal::Changed => SqlError::Changed,
            Refusal::Internal(why) => SqlError::Internal(anyhow!(why)),
        }
    }
}

/// Messages as they go through the pipes: a question is one frame of JSON; an answer is one that says how it went and, where
/// it went well, another with the rows as an Arrow IPC stream.
fn frames(answer_bytes: usize) -> LengthDelimitedCodec {
    // What is around the rows is small.
    LengthDelimitedCodec::builder().max_frame_length(answer_bytes + (16 << 20)).new_codec()
}

fn to_ipc(schema: &SchemaRef, batches: &[RecordBatch]) -> Result<Vec<u8>> {
    let mut writer = StreamWriter::try_new(Vec::new(), schema)?;
    for batch in batches {
        writer.write(batch)?;
    }
    Ok(writer.into_inner()?)
}

fn from_ipc(content: &[u8]) -> Result<Rows> {
    let reader = StreamReader::try_new(content, None)?;
    let schema = reader.schema();
    Ok(Rows { schema, batches: reader.collect::<Result<_, _>>()? })
}
