//! Real baskets at the present moment: the data set's baskets are paid again, one after the other, at a steady rate.

use std::time::{Duration, Instant};

use anyhow::{Context, Result};
use chrono::Utc;
use tokio_util::sync::CancellationToken;
use uuid::Uuid;

use super::{journey::Journey, sender::Sender};
use crate::kafka::Cluster;

/// Sends `rate` baskets per second, at most `count` of them, until it is told to stop. Blocks.
///
/// # Errors
/// When the data set cannot be read or Kafka does not take an event.
pub fn run(
    journey: &Journey,
    cluster: &Cluster,
    rate: f64,
    count: Option<u64>,
    stop: &CancellationToken,
) -> Result<u64> {
    let mut sender = Sender::new(cluster)?;
    let pause = Duration::try_from_secs_f64(1.0 / rate).context("the rate must be above 0")?;
    let mut due = Instant::now();
    let mut sent = 0;
    // After the last basket the first is paid again.
    while !stop.is_cancelled() && count.is_none_or(|count| sent < count) {
        for basket in journey.baskets()? {
            let basket = basket?;
            let id = Uuid::new_v4();
            sender.send(&basket.message(id, &id.simple().to_string(), Utc::now())?)?;
            sent += 1;
            due += pause;
            while Instant::now() < due && !stop.is_cancelled() {
                std::thread::sleep((due - Instant::now().min(due)).min(Duration::from_millis(200)));
            }
            if stop.is_cancelled() || count.is_some_and(|count| sent >= count) {
                break;
            }
        }
    }
    sender.flush()?;
    Ok(sent)
}
