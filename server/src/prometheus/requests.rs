//! Counts requests by route and status, and how long their answers took to begin.
//!
//! A route is counted by its pattern and never by the address that was asked for, and a method that is not one of HTTP's own
//! as `other`: so there are as many series as there are routes, whatever callers think of.

use std::{
    collections::BTreeMap,
    sync::{Arc, Mutex, PoisonError},
    time::{Duration, Instant},
};

use axum::{
    extract::{MatchedPath, Request, State},
    middleware::Next,
    response::Response,
};
use http::Method;

/// Upper bounds of the buckets, in seconds.
pub(super) const BOUNDS: [f64; 12] = [0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 10.0];
/// Where there is no route: files, and what does not exist.
const NO_ROUTE: &str = "none";

/// How long the answers of a route took.
#[derive(Clone, Debug, Default)]
pub(super) struct Durations {
    /// By bucket; what is above all bounds is in none.
    buckets: [u64; BOUNDS.len()],
    pub(super) sum: Duration,
    pub(super) count: u64,
}

impl Durations {
    fn add(&mut self, took: Duration) {
        let seconds = took.as_secs_f64();
        if let Some(bucket) = BOUNDS.iter().position(|bound| seconds <= *bound) {
            self.buckets[bucket] += 1;
        }
        self.sum += took;
        self.count += 1;
    }

    /// For each bound how many were not above it.
    pub(super) fn cumulated(&self) -> Vec<(f64, u64)> {
        let mut below = 0;
        let bounds = BOUNDS.iter().zip(self.buckets);
        bounds
            .map(|(bound, count)| {
                (*bound, {
                    below += count;
                    below
                })
            })
            .collect()
    }
}

#[derive(Clone, Debug, Default)]
pub(super) struct Counts {
    /// By method, route and status.
    pub(super) requests: BTreeMap<(&'static str, String, u16), u64>,
    /// By method and route.
    pub(super) durations: BTreeMap<(&'static str, String), Durations>,
}

/// What was counted since the process began.
#[derive(Debug, Default)]
pub struct Requests(Mutex<Counts>);

impl Requests {
    fn add(&self, method: &'static str, route: &str, status: u16, took: Duration) {
        let mut counts = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        *counts.requests.entry((method, route.to_owned(), status)).or_default() += 1;
        counts.durations.entry((method, route.to_owned())).or_default().add(took);
    }

    pub(super) fn counts(&self) -> Counts {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }
}

fn name_of(method: &Method) -> &'static str {
    let known = ["GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS"];
    known.into_iter().find(|name| method.as_str() == *name).unwrap_or("other")
}

/// The middleware.
pub async fn count(State(requests): State<Arc<Requests>>, request: Request, next: Next) -> Response {
    let begun = Instant::now();
    let method = name_of(request.method());
    let route = request.extensions().get::<MatchedPath>().cloned();
    let response = next.run(request).await;
    let route = route.as_ref().map_or(NO_ROUTE, MatchedPath::as_str);
    requests.add(method, route, response.status().as_u16(), begun.elapsed());
    response
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_duration_counts_in_every_bucket_above_it() {
        let mut durations = Durations::default();
        for milliseconds in [1, 30, 20_000] {
            durations.add(Duration::from_millis(milliseconds));
        }
        let cumulated = durations.cumulated();
        assert_eq!((cumulated[0], cumulated[4], cumulated[5]), ((0.001, 1), (0.025, 1), (0.05, 2)));
        assert_eq!((cumulated[11].1, durations.count), (2, 3));
    }

    #[test]
    fn methods_that_callers_make_up_are_one() {
        let made_up = Method::from_bytes(b"MADEUP").expect("a method");
        assert_eq!((name_of(&Method::GET), name_of(&made_up)), ("GET", "other"));
    }
}
