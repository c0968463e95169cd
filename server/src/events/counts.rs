//! How many events came over HTTP, for the metrics.

use std::sync::atomic::{AtomicU64, Ordering::Relaxed};

use model::{event::Rejection, topic::Topic};

use super::receipt::{EventResult, EventStatus};

#[derive(Debug, Default)]
struct OfTopic {
    accepted: AtomicU64,
    rejected: [AtomicU64; Rejection::ALL.len()],
    failed: AtomicU64,
}

/// What was counted since the process began.
#[derive(Debug, Default)]
pub struct Counts([OfTopic; Topic::ALL.len()]);

impl Counts {
    fn of(&self, topic: Topic) -> &OfTopic {
        &self.0[topic as usize]
    }

    pub(super) fn add(&self, topic: Topic, results: &[EventResult]) {
        let counts = self.of(topic);
        for result in results {
            let count = match (result.status, result.fault) {
                (EventStatus::Accepted, _) => &counts.accepted,
                (EventStatus::Rejected, Some(fault)) => &counts.rejected[fault as usize],
                (EventStatus::Rejected, None) | (EventStatus::Failed, _) => &counts.failed,
            };
            count.fetch_add(1, Relaxed);
        }
    }

    pub fn accepted(&self, topic: Topic) -> u64 {
        self.of(topic).accepted.load(Relaxed)
    }

    pub fn rejected(&self, topic: Topic, fault: Rejection) -> u64 {
        self.of(topic).rejected[fault as usize].load(Relaxed)
    }

    pub fn failed(&self, topic: Topic) -> u64 {
        self.of(topic).failed.load(Relaxed)
    }
}
