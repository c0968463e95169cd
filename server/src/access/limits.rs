//! How many requests a caller may make: counted in Redis, so that several web processes count together.

use std::{
    sync::atomic::{AtomicI64, Ordering::Relaxed},
    time::Duration,
};

use chrono::Utc;
use redis::{Script, aio::ConnectionManager};
use tokio::time::timeout;

/// The generic cell rate algorithm (ITU-T I.371): one time per caller says how far ahead of its rate it is. Answers 0, or
/// the milliseconds until the next request may be made. KEYS[1]: the caller. ARGV: milliseconds between requests at the
/// allowed rate, milliseconds that a burst may be ahead.
const GCRA: &str = r"
local time = redis.call('TIME')
local now = time[1] * 1000 + time[2] / 1000
local arrival = math.max(tonumber(redis.call('GET', KEYS[1]) or now), now) + ARGV[1]
local wait = arrival - now - ARGV[2]
if wait > 0 then return math.ceil(wait) end
redis.call('SET', KEYS[1], arrival, 'PX', math.ceil(arrival - now) + 1)
return 0
";

/// Redis gets this long; a request does not wait for it longer.
const PATIENCE: Duration = Duration::from_millis(250);

/// Requests per minute, which may all come at once; 0 for no limit.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Rate(pub u32);

pub struct RateLimits {
    /// None: nothing is counted.
    redis: Option<ConnectionManager>,
    script: Script,
    /// When it was last said that Redis does not answer, in seconds since 1970.
    complained: AtomicI64,
}

impl RateLimits {
    pub fn new(redis: ConnectionManager) -> RateLimits {
        RateLimits { redis: Some(redis), script: Script::new(GCRA), complained: AtomicI64::new(0) }
    }

    /// For commands, which count nothing.
    pub fn none() -> RateLimits {
        RateLimits { redis: None, script: Script::new(GCRA), complained: AtomicI64::new(0) }
    }

    /// `Some`: too many; the next may be made after that long. Without Redis everything passes: logins are slowed down
    /// in PostgreSQL as well, and a dashboard that still works is worth more than a count.
    pub async fn exceeded(&self, caller: &str, rate: Rate) -> Option<Duration> {
        let mut redis = self.redis.clone().filter(|_| rate.0 > 0)?;
        let (between, burst) = (60_000.0 / f64::from(rate.0), 60_000.0);
        let mut call = self.script.key(format!("streamlinehub:rate:{caller}"));
        let asked = timeout(PATIENCE, call.arg(between).arg(burst).invoke_async::<u64>(&mut redis)).await;
        match asked {
            Ok(Ok(0)) => None,
            Ok(Ok(milliseconds)) => Some(Duration::from_millis(milliseconds)),
            Ok(Err(_)) | Err(_) => {
                let now = Utc::now().timestamp();
                if self.complained.swap(now, Relaxed) < now - 60 {
                    tracing::warn!("Redis does not answer: requests are not counted");
                }
                None
            }
        }
    }
}
