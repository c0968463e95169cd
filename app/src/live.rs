//! The one live connection of a tab: a socket that is opened again whenever it breaks, and the newest values it brought.

use std::{
    pin::{Pin, pin},
    time::Duration,
};

use futures_channel::mpsc;
use futures_util::{
    StreamExt,
    future::{Either, select},
    stream,
};
use leptos::{ev, prelude::*};
use model::{access::Permission, health::ReplayState, live::Live};

use crate::{
    api,
    problem::Problem,
    session::{self, SignedIn},
    task::{run_while_here, sleep},
};

/// Nothing newer for this long, and the values on the screen are called stale.
const STALE_AFTER: Duration = Duration::from_secs(5);
/// Nothing newer for this long after that, and the socket is taken for dead.
const GIVE_UP_AFTER: Duration = Duration::from_secs(10);
const FIRST_RETRY_MS: f64 = 500.0;
const LONGEST_RETRY_MS: f64 = 15_000.0;

/// What a person is told about the connection.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Connection {
    /// As the server rendered the page; without JavaScript it stays so.
    #[default]
    Snapshot,
    Connecting,
    Connected,
    Reconnecting,
    /// Connected, but nothing new arrives.
    Stale,
}

impl Connection {
    pub fn name(self) -> &'static str {
        match self {
            Connection::Snapshot => "snapshot",
            Connection::Connecting => "connecting",
            Connection::Connected => "connected",
            Connection::Reconnecting => "reconnecting",
            Connection::Stale => "stale",
        }
    }

    pub fn label(self) -> &'static str {
        match self {
            Connection::Snapshot => "As of page load",
            Connection::Connecting => "Connecting",
            Connection::Connected => "Live",
            Connection::Reconnecting => "Reconnecting",
            Connection::Stale => "Stale",
        }
    }
}

/// The live metrics, shared by every page through the context.
#[derive(Clone, Copy)]
pub struct LiveFeed {
    first: Resource<Result<Live, Problem>>,
    newest: RwSignal<Option<Live>>,
    connection: RwSignal<Connection>,
}

impl LiveFeed {
    /// The newest values: of the socket, else those that came with the page. Read it inside a `Suspense`.
    pub fn current(self) -> Option<Live> {
        let first = self.first.get().and_then(Result::ok);
        self.newest.get().or(first)
    }

    pub fn connection(self) -> Connection {
        self.connection.get()
    }

    /// Whether the demo data are still on their way, so that totals grow quickly.
    pub fn is_replaying(self) -> bool {
        self.newest.with(|live| {
            live.as_ref().is_some_and(|live| matches!(live.replay.state, ReplayState::Pending | ReplayState::Running))
        })
    }
}

/// Makes the feed available to all pages and, in the browser, keeps it connected. For who may not see it, it stays empty.
pub fn provide_live_feed(me: SignedIn) -> LiveFeed {
    let first = move |()| async move {
        match me.await {
            Ok(me) if me.may(Permission::MetricsRead) => api::get_live().await,
            Ok(_) => Err(Problem::Forbidden(Permission::MetricsRead.description().to_owned())),
            Err(problem) => Err(problem),
        }
    };
    let feed = LiveFeed {
        first: Resource::new(|| (), first),
        newest: RwSignal::new(None),
        connection: RwSignal::new(Connection::default()),
    };
    provide_context(feed);
    run_while_here(move || {
        let me = me.get()?.ok()?;
        me.may(Permission::MetricsRead).then(|| stay_connected(feed))
    });
    feed
}

pub fn use_live_feed() -> LiveFeed {
    expect_context()
}

async fn stay_connected(feed: LiveFeed) {
    let mut network = network_changes();
    feed.connection.set(Connection::Connecting);
    let mut failures = 0;
    loop {
        let arrived = follow_one_socket(feed, &mut network).await;
        feed.connection.set(Connection::Reconnecting);
        if arrived {
            failures = 0;
        } else if api::get_me().await == Err(Problem::SignedOut) {
            // The browser does not say why a socket was refused, so that was asked for.
            session::leave();
        }
        // Whatever the network does may be the moment at which it works again.
        select(pin!(sleep(retry_delay(failures, js_sys::Math::random()))), network.next()).await;
        failures += 1;
    }
}

/// Reads one socket until it ends, breaks or falls silent. Answers whether anything arrived.
async fn follow_one_socket(feed: LiveFeed, network: &mut mpsc::UnboundedReceiver<Network>) -> bool {
    let Ok(socket) = api::follow_live(stream::empty().into()).await else { return false };
    let mut socket = pin!(stream::select(
        Pin::from(socket).map(|item| item.map_err(drop)).chain(stream::iter([Err(())])),
        network.by_ref().filter_map(|change| async move { (change == Network::Lost).then_some(Err(())) }),
    ));
    let mut arrived = false;
    let mut patience = STALE_AFTER;
    loop {
        match select(socket.next(), pin!(sleep(patience))).await {
            Either::Left((Some(Ok(live)), _)) => {
                arrived = true;
                patience = STALE_AFTER;
                feed.newest.set(Some(live));
                feed.connection.set(Connection::Connected);
            }
            Either::Right(_) if arrived && patience == STALE_AFTER => {
                patience = GIVE_UP_AFTER;
                feed.connection.set(Connection::Stale);
            }
            Either::Left(_) | Either::Right(_) => return arrived,
        }
    }
}

/// Doubles with each failure up to a limit; `random` (0 to 1) spreads the tabs that one restart cut off.
fn retry_delay(failures: i32, random: f64) -> Duration {
    let backoff = (FIRST_RETRY_MS * 2_f64.powi(failures.min(10))).min(LONGEST_RETRY_MS);
    Duration::from_secs_f64(backoff * (0.5 + random / 2.0) / 1000.0)
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Network {
    Lost,
    Back,
}

/// What the browser says of its network: a socket over a lost one takes minutes to fail by itself.
fn network_changes() -> mpsc::UnboundedReceiver<Network> {
    let (sender, receiver) = mpsc::unbounded();
    let lost = sender.clone();
    let handles = [
        window_event_listener(ev::offline, move |_| _ = lost.unbounded_send(Network::Lost)),
        window_event_listener(ev::online, move |_| _ = sender.unbounded_send(Network::Back)),
    ];
    on_cleanup(move || handles.into_iter().for_each(WindowListenerHandle::remove));
    receiver
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn retries_slow_down_to_a_limit_and_are_spread() {
        assert_eq!(retry_delay(0, 1.0), Duration::from_millis(500));
        assert_eq!(retry_delay(1, 0.0), Duration::from_millis(500));
        assert_eq!(retry_delay(3, 1.0), Duration::from_secs(4));
        assert_eq!(retry_delay(1000, 1.0), Duration::from_secs(15));
        assert!(retry_delay(5, 0.2) < retry_delay(5, 0.9));
    }
}
