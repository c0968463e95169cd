//! Which of several workers does what only one needs to do: a topic's Silver, Gold, the maintenance.
//!
//! This saves work and nothing else. That an event counts once is the tables' business, whoever works on them; so a lease may
//! be wrong for a while, and where Redis does not answer everybody works.

use std::{
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering::Relaxed},
    },
    time::Duration,
};

use anyhow::Result;
use redis::aio::ConnectionManager;
use tokio::{sync::watch, time::MissedTickBehavior};
use tokio_util::sync::CancellationToken;
use tracing::{debug, info};

/// How long a lease lasts that nobody renews: so much later others go on with the work of a worker that died.
const LASTS_MS: u64 = 4_000;
const RENEW_EVERY: Duration = Duration::from_secs(1);

/// Takes the lease if it is free and renews it if it is ours; 1 if it is.
const TAKE: &str = "if redis.call('SET', KEYS[1], ARGV[1], 'NX', 'PX', ARGV[2]) then return 1 end \
    if redis.call('GET', KEYS[1]) == ARGV[1] then redis.call('PEXPIRE', KEYS[1], ARGV[2]) return 1 end return 0";
const GIVE_BACK: &str = "if redis.call('GET', KEYS[1]) == ARGV[1] then return redis.call('DEL', KEYS[1]) end return 0";

/// Whether a piece of work is this worker's now.
#[derive(Clone, Debug)]
pub struct Lease {
    held: watch::Receiver<bool>,
    passed_on: Arc<AtomicBool>,
}

impl Lease {
    /// For whoever is alone.
    #[must_use]
    pub fn always() -> Lease {
        Lease { held: watch::channel(true).1, passed_on: Arc::default() }
    }

    #[must_use]
    pub fn is_held(&self) -> bool {
        *self.held.borrow()
    }

    /// Waits until the work is this worker's.
    pub async fn held(&mut self) {
        if self.held.wait_for(|&held| held).await.is_err() {
            // Nobody renews it any more: the pipeline stops.
            std::future::pending::<()>().await;
        }
    }

    /// Lets another worker try, after a failure: this one may have a fault that others do not have. Where there is no other,
    /// the lease comes back within two seconds.
    pub fn pass_on(&self) {
        self.passed_on.store(true, Relaxed);
    }
}

/// A lease to be had, and the task's end of it.
pub struct Offer {
    name: String,
    held: watch::Sender<bool>,
    passed_on: Arc<AtomicBool>,
}

/// A lease of that name, and what [`keep`] needs to get it.
#[must_use]
pub fn offer(name: &str) -> (Lease, Offer) {
    let (sender, held) = watch::channel(false);
    let passed_on = Arc::new(AtomicBool::new(false));
    let offer = Offer { name: format!("streamlinehub:lease:{name}"), held: sender, passed_on: Arc::clone(&passed_on) };
    (Lease { held, passed_on }, offer)
}

/// Takes and renews the leases for the worker until it is told to stop, and gives them back.
pub async fn keep(offers: Vec<Offer>, worker: Arc<str>, mut redis: ConnectionManager, stop: CancellationToken) {
    let (take, give_back) = (redis::Script::new(TAKE), redis::Script::new(GIVE_BACK));
    let mut tick = tokio::time::interval(RENEW_EVERY);
    tick.set_missed_tick_behavior(MissedTickBehavior::Delay);
    loop {
        tokio::select! {
            () = stop.cancelled() => break,
            _ = tick.tick() => {}
        }
        for offer in &offers {
            let passed_on = offer.passed_on.swap(false, Relaxed);
            let script = if passed_on { &give_back } else { &take };
            let answer: Result<u8, _> =
                script.key(&offer.name).arg(&*worker).arg(LASTS_MS).invoke_async(&mut redis).await;
            let held = match answer {
                Ok(answer) => answer == 1 && !passed_on,
                Err(error) => {
                    debug!(lease = offer.name, %error, "Redis does not say who works; all do");
                    true
                }
            };
            if offer.held.send_replace(held) != held {
                info!(lease = offer.name, held, "the work changed hands");
            }
        }
    }
    for offer in &offers {
        let _: Result<u8, _> = give_back.key(&offer.name).arg(&*worker).invoke_async(&mut redis).await;
    }
}
