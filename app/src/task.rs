//! Work that goes on in the browser beside the page.

use std::time::Duration;

use futures_channel::oneshot;
use futures_util::{
    FutureExt,
    future::{AbortHandle, Abortable},
};
use leptos::{prelude::*, task::spawn_local};

/// Runs, in the browser only, the first future that `begin` gives, and drops it when the owner is gone. `begin` is asked
/// again whenever what it reads changes.
pub fn run_while_here<F>(begin: impl Fn() -> Option<F> + 'static)
where
    F: Future<Output = ()> + 'static,
{
    let (abort, registration) = AbortHandle::new_pair();
    on_cleanup(move || abort.abort());
    let registration = StoredValue::new(Some(registration));
    // Effects run in the browser only.
    Effect::new(move || {
        if registration.with_value(Option::is_none) {
            return;
        }
        let Some(future) = begin() else { return };
        if let Some(registration) = registration.write_value().take() {
            spawn_local(Abortable::new(future, registration).map(drop));
        }
    });
}

pub async fn sleep(duration: Duration) {
    let (done, wait) = oneshot::channel();
    set_timeout(move || _ = done.send(()), duration);
    // An error would mean that the timer was dropped unfired, which ends the wait just as well.
    _ = wait.await;
}

/// Whether the page is alive. What only scripts can do stays hidden until then.
pub fn use_alive() -> ReadSignal<bool> {
    let (alive, set_alive) = signal(false);
    Effect::new(move || set_alive.set(true));
    alive
}
