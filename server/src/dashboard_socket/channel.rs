//! A channel: its newest content, written once for all who follow it.
//!
//! It is fed while somebody follows it, and by nobody else's work. Whoever is slow finds the newest and nothing in between.

use std::sync::{
    Arc, Mutex, PoisonError,
    atomic::{AtomicU64, Ordering::Relaxed},
};

use axum::extract::ws::Utf8Bytes;
use chrono::{DateTime, Utc};
use futures::stream::{BoxStream, StreamExt};
use serde::Serialize;
use serde_json::value::{RawValue, to_raw_value};
use tokio::sync::watch;

/// What the server sends of a channel.
#[derive(Serialize)]
struct Frame<'a> {
    channel: &'static str,
    sequence: u64,
    kind: &'static str,
    at: DateTime<Utc>,
    #[serde(skip_serializing_if = "Option::is_none")]
    missed: Option<Option<u64>>,
    data: &'a RawValue,
}

/// The content of a channel at one moment.
#[derive(Debug)]
pub(super) struct Content {
    channel: &'static str,
    pub(super) sequence: u64,
    /// The sequence of the first content of this process.
    first: u64,
    at: DateTime<Utc>,
    data: Box<RawValue>,
    /// The frame for those who have the content before.
    update: Utf8Bytes,
}

impl Content {
    fn new(channel: &'static str, sequence: u64, first: u64, data: Box<RawValue>) -> Content {
        let at = Utc::now();
        let update = write(&Frame { channel, sequence, kind: "update", at, missed: None, data: &data });
        Content { channel, sequence, first, at, data, update }
    }

    /// The frame for who had content of this sequence last: an update if that is the one before, else a snapshot.
    pub(super) fn after(&self, last: Option<u64>) -> Utf8Bytes {
        if last.is_some_and(|last| last + 1 == self.sequence) { self.update.clone() } else { self.snapshot(None) }
    }

    /// The frame for who comes back having had this sequence: it says how much was missed, or null if that is not known.
    pub(super) fn resumed(&self, last: u64) -> Utf8Bytes {
        let known = (self.first..=self.sequence).contains(&last);
        self.snapshot(Some(known.then(|| self.sequence - last)))
    }

    fn snapshot(&self, missed: Option<Option<u64>>) -> Utf8Bytes {
        let Content { channel, sequence, at, data, .. } = self;
        write(&Frame { channel, sequence: *sequence, kind: "snapshot", at: *at, missed, data })
    }
}

fn write(frame: &Frame<'_>) -> Utf8Bytes {
    serde_json::to_string(frame).map(Utf8Bytes::from).unwrap_or_default()
}

/// What followers hold.
pub(super) type Follower = watch::Receiver<Option<Arc<Content>>>;

#[derive(Debug)]
pub(super) struct Channel {
    name: &'static str,
    /// None until there is something, and again when nobody follows any more.
    newest: watch::Sender<Option<Arc<Content>>>,
    first: u64,
    next: AtomicU64,
    fed: Mutex<bool>,
}

impl Channel {
    pub(super) fn new(name: &'static str) -> Arc<Channel> {
        // Another start of the process begins with a greater number, so that no two contents have one.
        let first = u64::try_from(Utc::now().timestamp_micros()).unwrap_or(0);
        let (newest, next) = (watch::Sender::new(None), AtomicU64::new(first));
        Arc::new(Channel { name, newest, first, next, fed: Mutex::new(false) })
    }

    /// Follows the channel. What it is fed with is asked for where nobody followed it until now.
    pub(super) fn follow<T: Serialize + Send + 'static>(
        self: &Arc<Self>,
        feed: impl FnOnce() -> BoxStream<'static, T>,
    ) -> Follower {
        let follower = self.newest.subscribe();
        let mut fed = self.fed.lock().unwrap_or_else(PoisonError::into_inner);
        if !*fed {
            *fed = true;
            let (channel, feed) = (Arc::clone(self), feed());
            tokio::spawn(async move { channel.run(feed).await });
        }
        follower
    }

    async fn run<T: Serialize>(&self, mut feed: BoxStream<'static, T>) {
        while let Some(content) = feed.next().await {
            if self.is_left() {
                return;
            }
            match to_raw_value(&content) {
                Ok(data) => self.publish(data),
                Err(error) => tracing::error!("the channel {} cannot be written: {error}", self.name),
            }
        }
        *self.fed.lock().unwrap_or_else(PoisonError::into_inner) = false;
    }

    /// Whether nobody follows any more; then whoever comes next feeds it anew.
    fn is_left(&self) -> bool {
        let mut fed = self.fed.lock().unwrap_or_else(PoisonError::into_inner);
        if self.newest.receiver_count() > 0 {
            return false;
        }
        *fed = false;
        self.newest.send_replace(None);
        true
    }

    fn publish(&self, data: Box<RawValue>) {
        let same = self.newest.borrow().as_ref().is_some_and(|newest| newest.data.get() == data.get());
        if !same {
            let sequence = self.next.fetch_add(1, Relaxed);
            self.newest.send_replace(Some(Arc::new(Content::new(self.name, sequence, self.first, data))));
        }
    }
}

#[cfg(test)]
mod tests {
    use serde_json::Value;
    use tokio::sync::mpsc;
    use tokio_stream::wrappers::ReceiverStream;

    use super::*;

    fn json(frame: &Utf8Bytes) -> Value {
        serde_json::from_str(frame).expect("JSON")
    }

    async fn newest(follower: &mut Follower) -> Arc<Content> {
        follower.changed().await.expect("the channel is there");
        follower.borrow_and_update().clone().expect("content")
    }

    #[tokio::test]
    async fn whoever_is_slow_finds_the_newest_as_a_snapshot() {
        let channel = Channel::new("metrics");
        let (send, receive) = mpsc::channel::<u32>(1);
        let mut follower = channel.follow(|| ReceiverStream::new(receive).boxed());
        send.send(1).await.expect("fed");
        let first = newest(&mut follower).await;
        let frame = json(&first.after(None));
        assert_eq!(
            (&frame["kind"], &frame["data"], &frame["channel"]),
            (&"snapshot".into(), &1.into(), &"metrics".into())
        );
        assert!(frame.get("missed").is_none());

        // The same again is no news.
        for content in [1, 2] {
            send.send(content).await.expect("fed");
        }
        let second = newest(&mut follower).await;
        assert_eq!(second.sequence, first.sequence + 1);
        assert_eq!(json(&second.after(Some(first.sequence)))["kind"], "update");

        for content in [3, 4, 5] {
            send.send(content).await.expect("fed");
        }
        while follower.borrow().as_ref().is_some_and(|content| content.data.get() != "5") {
            tokio::task::yield_now().await;
        }
        let late = newest(&mut follower).await;
        let frame = json(&late.after(Some(second.sequence)));
        assert_eq!((&frame["kind"], &frame["data"]), (&"snapshot".into(), &5.into()));

        assert_eq!(json(&late.resumed(second.sequence))["missed"], 3);
        assert_eq!(json(&late.resumed(1))["missed"], Value::Null, "of another process");
    }

    #[tokio::test]
    async fn a_channel_is_fed_while_somebody_follows_it() {
        let channel = Channel::new("pipeline");
        let (send, receive) = mpsc::channel::<u32>(1);
        let follower = channel.follow(|| ReceiverStream::new(receive).boxed());
        drop(follower);
        send.send(1).await.expect("the feed still waits");
        send.closed().await;
        let (send, receive) = mpsc::channel::<u32>(1);
        let mut again = channel.follow(|| ReceiverStream::new(receive).boxed());
        send.send(2).await.expect("fed");
        assert_eq!(json(&newest(&mut again).await.after(None))["data"], 2);
    }
}
