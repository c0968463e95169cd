//! A Silver table under way, of whichever kind.

use std::{path::Path, sync::Arc};

use anyhow::Result;
use deltalake::arrow::array::RecordBatch;
use model::topic::Topic;
use tokio::sync::Mutex;

use super::{events::Events, tables::Rows, things::Things};
use crate::{
    lake::{
        Lake, LakeTable,
        schema::{self, TableSpec},
        table::Position,
    },
    ledger::Tally,
    quality::Rules,
};

/// Rows on their way into a table.
pub(super) struct Addition<'a> {
    pub(super) topic: Topic,
    pub(super) rows: Rows,
    /// The position that the table is at, ...
    pub(super) before: Option<i64>,
    /// ... and the one that comes with the rows.
    pub(super) position: &'a Position,
    /// By which rules the rows were judged.
    pub(super) rules: &'a Position,
    /// What became of the batch.
    pub(super) tally: &'a Tally,
    /// What the commit has to say beside.
    pub(super) note: Option<(&'static str, serde_json::Value)>,
}

/// What was written of a batch.
pub(super) struct Written {
    pub(super) batch: RecordBatch,
    /// Events that were in the table already, or twice in the batch.
    pub(super) duplicates: u64,
}

pub(super) enum Target {
    Events(Events),
    /// `silver.events`, of which a process has one for all topics.
    AllEvents(AllEvents),
    Things(Things),
}

/// `silver.events`, to which all topics write, one after the other: a process keeps it once, so that its events are read and
/// remembered once, and not for each topic.
#[derive(Clone)]
pub struct AllEvents(Arc<Mutex<Events>>);

impl AllEvents {
    /// `folder` is for what has no room in memory.
    ///
    /// # Errors
    /// When the table cannot be opened.
    pub async fn open(lake: &Lake, rules: &Rules, folder: &Path) -> Result<AllEvents> {
        let table = table(lake, &schema::EVENTS, rules).await?;
        Ok(AllEvents(Arc::new(Mutex::new(Events::new(table, folder.to_owned())))))
    }
}

/// The table, with the columns that the settings declare.
async fn table(lake: &Lake, spec: &'static TableSpec, rules: &Rules) -> Result<LakeTable> {
    let mut table = lake.table(spec).await?;
    rules.fields().evolve(&mut table).await?;
    Ok(table)
}

impl Target {
    pub(super) async fn open(
        lake: &Lake,
        spec: &'static TableSpec,
        rules: &Rules,
        events: &AllEvents,
        folder: &Path,
    ) -> Result<Target> {
        let is = |other: &'static TableSpec| std::ptr::eq(spec, other);
        if is(&schema::EVENTS) {
            return Ok(Target::AllEvents(events.clone()));
        }
        let table = table(lake, spec, rules).await?;
        Ok(if is(&schema::CUSTOMERS) {
            Target::Things(Things::new(table, "customer_id"))
        } else if is(&schema::PRODUCTS) {
            Target::Things(Things::new(table, "product_id"))
        } else {
            Target::Events(Events::new(table, folder.to_owned()))
        })
    }

    /// The position up to which the source is in the table now.
    pub(super) async fn position(&mut self, source: &str) -> Result<Option<i64>> {
        match self {
            Target::Events(events) => events.position(source).await,
            Target::AllEvents(events) => events.0.lock().await.position(source).await,
            Target::Things(things) => things.position(source).await,
        }
    }

    /// Reads what the table has of today, so that the first events need not wait for that.
    pub(super) async fn look_ahead(&mut self) -> Result<()> {
        match self {
            Target::Events(events) => events.look_ahead().await,
            Target::AllEvents(events) => events.0.lock().await.look_ahead().await,
            Target::Things(_) => Ok(()),
        }
    }

    /// Writes the rows that the table does not have yet, and with them the position and what became of the batch.
    ///
    /// # Errors
    /// A conflict where another worker has written them; the table is as that one left it.
    pub(super) async fn write(&mut self, addition: Addition<'_>) -> Result<Written> {
        match self {
            Target::Events(events) => events.write(addition).await,
            Target::AllEvents(events) => events.0.lock().await.write(addition).await,
            Target::Things(things) => things.write(addition).await,
        }
    }
}
