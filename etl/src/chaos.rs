//! Places where the chaos suite (`etl/tests/chaos`) makes the pipeline fail, named by step: `buffer.push.before`,
//! `silver/transactions.commit.after`.
//!
//! What happens where is said by the variable FAILPOINTS in the syntax of the crate `fail`: `return(kill)` kills the process
//! as `kill -9` does, `return(any words)` is an error of those words, `panic` and `sleep(milliseconds)` are what they say.
//! After a step an error means that the step was done but nobody was told. Without the variable a place costs one look at a
//! flag.

use std::{
    fmt,
    sync::atomic::{AtomicBool, Ordering::Relaxed},
};

use anyhow::{Result, anyhow};
use chrono::{DateTime, TimeDelta, Utc};
use nix::{
    sys::signal::{Signal, kill},
    unistd::getpid,
};
use tracing::warn;

const VARIABLE: &str = "FAILPOINTS";

static ARMED: AtomicBool = AtomicBool::new(false);

/// Takes the places' actions from the environment, where there are any.
///
/// # Panics
/// When they are not in the syntax of `fail`.
pub fn arm() {
    if std::env::var_os(VARIABLE).is_some() {
        // The scenario ends with the process.
        std::mem::forget(fail::FailScenario::setup());
        ARMED.store(true, Relaxed);
    }
}

/// A place in the pipeline where it may be made to fail. The name is only put together when somebody asks for it.
///
/// # Errors
/// The one that was asked for.
pub fn point(name: fmt::Arguments<'_>) -> Result<()> {
    if !ARMED.load(Relaxed) {
        return Ok(());
    }
    let name = name.to_string();
    fail::fail_point!(&name, |what| {
        let what = what.unwrap_or_else(|| "an error".to_owned());
        warn!(point = name, what, "injected");
        if what == "kill" {
            let _ = kill(getpid(), Signal::SIGKILL);
        }
        Err(anyhow!("{what} (injected at {name})"))
    });
    Ok(())
}

/// The time by which arrivals are dated. `clock=return(seconds)` makes it jump.
#[must_use]
pub fn now() -> DateTime<Utc> {
    Utc::now() + jump()
}

fn jump() -> TimeDelta {
    if ARMED.load(Relaxed) {
        fail::fail_point!("clock", |seconds| {
            let seconds = seconds.and_then(|seconds| seconds.parse().ok()).unwrap_or(0);
            TimeDelta::try_seconds(seconds).unwrap_or_default()
        });
    }
    TimeDelta::zero()
}
