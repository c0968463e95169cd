//! Sends the whole data set as fast as Kafka takes it, with a checkpoint now and then from which it goes on after a crash.
//! What was sent after the last checkpoint is sent twice; Silver keeps it once.

use anyhow::Result;
use chrono::{DateTime, Utc};
use tokio_util::sync::CancellationToken;

use super::{
    journey::{Journey, Shift},
    sender::Sender,
};
use crate::kafka::Cluster;

/// Events between two checkpoints.
pub const CHECKPOINT: u64 = 5_000;

/// Sends what comes after the first `done` events. `acknowledged` is told how many events Kafka has for certain; when it
/// fails, the replay ends. Blocks: run it on a thread that may.
///
/// Returns how many events have been sent in all, which is fewer than the data set has when it was told to stop.
///
/// # Errors
/// When the data set cannot be read or Kafka does not take an event.
pub fn run(
    journey: &Journey,
    cluster: &Cluster,
    ends_at: DateTime<Utc>,
    done: u64,
    stop: &CancellationToken,
    mut acknowledged: impl FnMut(u64) -> Result<()>,
) -> Result<u64> {
    let mut sender = Sender::new(cluster)?;
    let mut sent = 0;
    for message in journey.messages(Shift::ending_at(ends_at))? {
        let message = message?;
        sent += 1;
        if sent <= done {
            continue;
        }
        sender.send(&message)?;
        if sent % CHECKPOINT == 0 {
            sender.flush()?;
            acknowledged(sent)?;
            if stop.is_cancelled() {
                return Ok(sent);
            }
        }
    }
    sender.flush()?;
    acknowledged(sent)?;
    Ok(sent)
}
