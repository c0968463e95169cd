//! Who is signed in and, in the browser, what keeps it so.

use std::time::Duration;

use leptos::{prelude::*, task::spawn_local};
use model::access::{Me, Permission};

use crate::{
    api, browser,
    problem::Problem,
    task::{run_while_here, sleep},
};

/// The lock that lets one tab at a time renew the tokens that all of them share.
const LOCK: &str = "session";
/// What part of the time that the access token has left may pass before it is renewed.
const RENEW_AFTER: f64 = 0.6;
/// Clocks stand still while a computer sleeps, so a long wait is made of short ones.
const LONGEST_WAIT: Duration = Duration::from_secs(20);
/// After an attempt that failed for a reason other than a session that has ended.
const RETRY_AFTER: Duration = Duration::from_secs(15);
/// Where the tab keeps the moment of the last reload, and how long no other may follow, in milliseconds.
const RELOADED_AT: &str = "reloaded-at";
const RELOAD_PAUSE: f64 = 10_000.0;

/// The person who is signed in, asked for once and shared by everything on the page.
pub type SignedIn = Resource<Result<Me, Problem>>;

#[derive(Clone, Copy)]
struct Session(SignedIn);

/// Makes the person known to all parts of the page and keeps the session fresh while it is open.
pub fn provide_session() -> SignedIn {
    let me = Resource::new(|| (), |()| api::get_me());
    provide_context(Session(me));
    leave_when_signed_out(move || me.get().and_then(Result::err));
    run_while_here(move || {
        let me = me.get()?.ok()?;
        Some(keep_fresh(me.access_seconds_left))
    });
    me
}

/// Read it inside a `Suspense`.
pub fn use_me() -> SignedIn {
    let Session(me) = expect_context();
    me
}

/// Whether the person may do something, as a signal. Read it inside a `Suspense`.
pub fn use_may(permission: Permission) -> Signal<bool> {
    let me = use_me();
    Signal::derive(move || me.get().and_then(Result::ok).is_some_and(|me| me.may(permission)))
}

/// Leads to the login as soon as an answer says that nobody is signed in any more.
pub fn leave_when_signed_out(problem: impl Fn() -> Option<Problem> + 'static) {
    Effect::new(move || {
        if problem() == Some(Problem::SignedOut) {
            leave();
        }
    });
}

/// Loads the page again, which leads to the login unless the session can still be renewed. Never twice in a row.
pub fn leave() {
    let now = js_sys::Date::now();
    let last = browser::remembered(RELOADED_AT).and_then(|last| last.parse().ok());
    if !may_reload(now, last) || !browser::remember(RELOADED_AT, &now.to_string()) {
        return;
    }
    spawn_local(async {
        // A computer that has slept wakes up with an old access token and a session that still holds.
        _ = renew_if_due(0).await;
        _ = window().location().reload();
    });
}

/// A moment that lies ahead comes from a clock that was set back.
fn may_reload(now: f64, last: Option<f64>) -> bool {
    last.is_none_or(|last| now < last || now - last >= RELOAD_PAUSE)
}

async fn keep_fresh(mut left: i64) {
    let mut lifetime = left;
    loop {
        wait_until(js_sys::Date::now() + wait_in_seconds(left) * 1000.0).await;
        left = loop {
            match renew_if_due(lifetime).await {
                Ok(left) => break left,
                Err(Problem::SignedOut) => return leave(),
                Err(_) => sleep(RETRY_AFTER).await,
            }
        };
        lifetime = lifetime.max(left);
    }
}

#[expect(clippy::cast_precision_loss, reason = "seconds of a token's life are few")]
fn wait_in_seconds(left: i64) -> f64 {
    (left as f64 * RENEW_AFTER).max(5.0)
}

/// `moment` is in milliseconds, as the browser's clock counts them.
async fn wait_until(moment: f64) {
    loop {
        let left = (moment - js_sys::Date::now()) / 1000.0;
        if left <= 0.0 {
            return;
        }
        sleep(LONGEST_WAIT.min(Duration::from_secs_f64(left))).await;
    }
}

/// Renews the tokens unless another tab has just done so, and answers the seconds that the access token has left.
async fn renew_if_due(lifetime: i64) -> Result<i64, Problem> {
    let _lock = browser::lock(LOCK).await;
    match api::get_me().await {
        Ok(me) if me.access_seconds_left >= lifetime / 2 => Ok(me.access_seconds_left),
        Ok(_) | Err(Problem::SignedOut) => api::renew_session().await,
        Err(problem) => Err(problem),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_page_is_not_loaded_again_and_again() {
        assert!(may_reload(50_000.0, None));
        assert!(!may_reload(50_000.0, Some(45_000.0)));
        assert!(may_reload(50_000.0, Some(40_000.0)));
        assert!(may_reload(50_000.0, Some(60_000.0)));
    }

    #[test]
    fn tokens_are_renewed_well_before_they_end() {
        assert!((wait_in_seconds(600) - 360.0).abs() < 1e-9);
        assert!((wait_in_seconds(0) - 5.0).abs() < 1e-9);
    }
}
