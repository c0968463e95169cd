//! `/ws/dashboard`: what changes, as it changes, for programs and for pages of others' making.
//!
//! The client says what it wants to follow (`{"subscribe":["metrics"]}`, or `?channels=metrics` when it connects). It gets a
//! snapshot first and then each change, numbered; every frame holds the whole content, so that a client who was too slow, or
//! was away, goes on with the newest. Nothing is queued. A socket ends at once when its caller's rights do.

mod channel;
mod feeds;

use std::{collections::BTreeMap, sync::Arc, time::Duration};

use axum::{
    Extension,
    extract::{
        RawQuery, State,
        ws::{
            CloseFrame, Message, Utf8Bytes, WebSocket, WebSocketUpgrade, close_code,
            rejection::WebSocketUpgradeRejection,
        },
    },
    response::Response,
    routing::{MethodRouter, get},
};
use futures::{
    FutureExt as _,
    future::BoxFuture,
    stream::{FuturesUnordered, StreamExt},
};
use http::StatusCode;
use model::access::Permission;
use serde::{Deserialize, Serialize};
use tokio::{
    sync::{OwnedSemaphorePermit, Semaphore},
    time::{Instant, MissedTickBehavior, interval, timeout},
};

use crate::{
    access::{Access, guard::Identity},
    dashboard::Parts,
    openapi::Refusals,
    parameters::Parameters,
    problem::Problem,
    routes::WebState,
};
use channel::{Channel, Content, Follower};

/// Sockets that may be open at once.
const MOST: usize = 5_000;
/// The longest message of a client, in bytes.
const LONGEST_MESSAGE: usize = 4_096;
/// Messages of a client in a minute.
const MOST_MESSAGES: u32 = 60;
const PING_EVERY: Duration = Duration::from_secs(20);
/// Who has not answered for so long is gone.
const SILENCE: Duration = Duration::from_secs(60);
/// Who does not take a frame within this time is cut off.
const SEND_WITHIN: Duration = Duration::from_secs(20);

/// What can be followed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Topic {
    /// The live metrics.
    Metrics,
    /// The tables of the lake and the dead letters.
    Pipeline,
    /// What does not work.
    Alerts,
}

impl Topic {
    const ALL: [Topic; 3] = [Topic::Metrics, Topic::Pipeline, Topic::Alerts];

    fn name(self) -> &'static str {
        match self {
            Topic::Metrics => "metrics",
            Topic::Pipeline => "pipeline",
            Topic::Alerts => "alerts",
        }
    }

    fn needs(self) -> Permission {
        match self {
            Topic::Metrics => Permission::MetricsRead,
            Topic::Pipeline | Topic::Alerts => Permission::PipelineRead,
        }
    }

    fn named(name: &str) -> Result<Topic, Refused> {
        Topic::ALL.into_iter().find(|topic| topic.name() == name).ok_or_else(|| Refused::Unknown(name.to_owned()))
    }
}

/// Why a message of a client is not followed.
#[derive(Debug)]
enum Refused {
    Unknown(String),
    Forbidden(Topic),
    NotUnderstood(String),
}

impl Refused {
    fn status(&self) -> StatusCode {
        if matches!(self, Refused::Forbidden(_)) { StatusCode::FORBIDDEN } else { StatusCode::BAD_REQUEST }
    }

    fn sentence(&self) -> String {
        let names = Topic::ALL.map(Topic::name).join(", ");
        match self {
            Refused::Unknown(name) => {
                format!("`{}` is not a channel; there are {names}.", name.chars().take(40).collect::<String>())
            }
            Refused::Forbidden(topic) => {
                format!("The channel `{}` needs the permission {}.", topic.name(), topic.needs().name())
            }
            Refused::NotUnderstood(why) => {
                format!("This is not understood ({why}). Send {{\"subscribe\":[\"metrics\"]}}, with names of {names}.")
            }
        }
    }
}

/// The channels of this process, and the sockets that may still be opened.
pub struct Channels {
    all: [Arc<Channel>; Topic::ALL.len()],
    places: Arc<Semaphore>,
}

impl Default for Channels {
    fn default() -> Channels {
        Channels { all: Topic::ALL.map(|topic| Channel::new(topic.name())), places: Arc::new(Semaphore::new(MOST)) }
    }
}

impl Channels {
    /// Sockets that are open now.
    pub fn open(&self) -> usize {
        MOST - self.places.available_permits()
    }

    fn follow(&self, topic: Topic, parts: &Arc<Parts>) -> Follower {
        let channel = &self.all[topic as usize];
        match topic {
            Topic::Metrics => channel.follow(|| parts.live.stream()),
            Topic::Pipeline => channel.follow(|| feeds::tables(Arc::clone(parts))),
            Topic::Alerts => channel.follow(|| feeds::alerts(Arc::clone(parts))),
        }
    }
}

pub fn routes() -> Vec<(&'static str, MethodRouter<WebState>)> {
    vec![("/ws/dashboard", get(connect))]
}

/// Follow what changes
///
/// A WebSocket of JSON text frames. Send `{"subscribe":["metrics","pipeline"]}` (or name the channels when connecting) and
/// `{"unsubscribe":[...]}`. Each frame of the server is `{"channel","sequence","kind","at","data"}`: first a `snapshot`, then
/// `update`s numbered one after the other. Every frame holds the whole content; who is too slow gets the newest, as a
/// `snapshot`. After a lost connection send `{"resume":{"metrics":17}}` with the last sequence: the answer is a `snapshot` that
/// says with `missed` how many updates came meanwhile, null if that is not known. What is not understood is answered with
/// `{"kind":"error","detail"}`. The channels `pipeline` and `alerts` need
/// the permission `pipeline:read`. The socket ends at once when
/// rights end (close code 1008).
#[utoipa::path(
    get, path = "/ws/dashboard", tag = "Analytics", operation_id = "dashboard_socket",
    params(("channels" = Option<String>, Query, description = "Channels to follow from the beginning, with commas between: \
        `metrics`, `pipeline`, `alerts`.", example = "metrics")),
    responses(
        (status = 101, description = "The socket is open."),
        (status = 426, description = "This is a WebSocket.", body = Problem, content_type = "application/problem+json"),
        Refusals,
    ),
)]
pub(crate) async fn connect(
    State(state): State<WebState>,
    Extension(identity): Extension<Identity>,
    RawQuery(query): RawQuery,
    upgrade: Result<WebSocketUpgrade, WebSocketUpgradeRejection>,
) -> Result<Response, Problem> {
    let given = Parameters::read(query.as_deref(), &["channels"], &[])?;
    let names = given.get("channels").into_iter().flat_map(|names| names.split(',')).map(str::trim);
    let mut wanted = Vec::new();
    for name in names {
        let topic = Topic::named(name).and_then(|topic| permitted(&identity, topic));
        wanted.push(topic.map_err(|refused| Problem::new(refused.status(), refused.sentence()))?);
    }
    let upgrade = upgrade.map_err(|_| {
        Problem::new(
            StatusCode::UPGRADE_REQUIRED,
            "This is a WebSocket: connect with ws:// or wss:// and a client for it.",
        )
    })?;
    let access = state.gate.access().cloned().ok_or_else(Problem::starting)?;
    let place = Arc::clone(&state.parts.channels.places).try_acquire_owned().map_err(|_| {
        Problem::new(StatusCode::SERVICE_UNAVAILABLE, "Too many sockets are open. Try again in a moment.")
    })?;
    let upgrade = upgrade.max_message_size(LONGEST_MESSAGE).max_frame_size(LONGEST_MESSAGE);
    Ok(upgrade.on_upgrade(move |socket| Visitor::new(socket, state.parts, access, identity, place).serve(wanted)))
}

fn permitted(identity: &Identity, topic: Topic) -> Result<Topic, Refused> {
    if identity.standing.may(topic.needs()) { Ok(topic) } else { Err(Refused::Forbidden(topic)) }
}

/// What a client may send.
#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
struct Wish {
    subscribe: Vec<String>,
    unsubscribe: Vec<String>,
    /// The last sequence that was seen of each channel.
    resume: BTreeMap<String, u64>,
}

#[derive(Serialize)]
struct ErrorFrame<'a> {
    kind: &'static str,
    detail: &'a str,
}

/// Why a socket ends.
enum End {
    /// The client is gone, or does not take what it is sent.
    Gone,
    /// Said to the client, with the code of RFC 6455.
    Said(u16, &'static str),
}

/// A channel that a socket follows.
struct Following {
    follower: Follower,
    /// The sequence that was sent last.
    last: Option<u64>,
}

/// One socket, and who is at its other end.
struct Visitor {
    socket: WebSocket,
    rights: FuturesUnordered<BoxFuture<'static, ()>>,
    parts: Arc<Parts>,
    access: Arc<Access>,
    identity: Identity,
    following: BTreeMap<Topic, Following>,
    /// Whether the end of the right to see the pipeline is waited for.
    watches_pipeline: bool,
    heard: Instant,
    minute: Instant,
    messages: u32,
    _place: OwnedSemaphorePermit,
}

impl Visitor {
    fn new(
        socket: WebSocket,
        parts: Arc<Parts>,
        access: Arc<Access>,
        identity: Identity,
        place: OwnedSemaphorePermit,
    ) -> Visitor {
        let now = Instant::now();
        let visitor = Visitor {
            socket,
            rights: FuturesUnordered::new(),
            parts,
            access,
            identity,
            following: BTreeMap::new(),
            watches_pipeline: false,
            heard: now,
            minute: now,
            messages: 0,
            _place: place,
        };
        visitor.watch(Permission::MetricsRead);
        visitor
    }

    /// The socket ends when the caller may do this no longer.
    fn watch(&self, permission: Permission) {
        let (access, credential) = (Arc::clone(&self.access), self.identity.credential.clone());
        self.rights.push(async move { access.right_ends(credential, permission).await }.boxed());
    }

    async fn serve(mut self, wanted: Vec<Topic>) {
        for topic in wanted {
            self.follow(topic);
        }
        let end = self.talk().await;
        if let End::Said(code, reason) = end {
            let close = Message::Close(Some(CloseFrame { code, reason: Utf8Bytes::from_static(reason) }));
            let _ = timeout(Duration::from_secs(1), self.socket.send(close)).await;
        }
    }

    async fn talk(&mut self) -> End {
        let mut ping = interval(PING_EVERY);
        ping.set_missed_tick_behavior(MissedTickBehavior::Delay);
        loop {
            let frame = tokio::select! {
                _ = self.rights.next() => return rights_ended(),
                received = self.socket.recv() => match self.received(received) {
                    Ok(frames) => frames,
                    Err(end) => return end,
                },
                (topic, content) = news(&mut self.following) => vec![self.frame(topic, &content)],
                _ = ping.tick() => {
                    if self.heard.elapsed() > SILENCE {
                        return End::Gone;
                    }
                    vec![Message::Ping(Default::default())]
                }
            };
            for frame in frame {
                if let Err(end) = self.send(frame).await {
                    return end;
                }
            }
        }
    }

    /// Sends while rights last and the client takes it.
    async fn send(&mut self, frame: Message) -> Result<(), End> {
        tokio::select! {
            _ = self.rights.next() => Err(rights_ended()),
            sent = timeout(SEND_WITHIN, self.socket.send(frame)) => match sent {
                Ok(Ok(())) => Ok(()),
                Ok(Err(_)) | Err(_) => Err(End::Gone),
            },
        }
    }

    fn frame(&mut self, topic: Topic, content: &Content) -> Message {
        let last = self.following.get_mut(&topic).and_then(|following| following.last.replace(content.sequence));
        Message::Text(content.after(last))
    }

    /// What a message of the client leads to at once.
    fn received(&mut self, message: Option<Result<Message, axum::Error>>) -> Result<Vec<Message>, End> {
        self.heard = Instant::now();
        let text = match message {
            Some(Ok(Message::Text(text))) => text,
            Some(Ok(Message::Ping(_) | Message::Pong(_))) => return Ok(Vec::new()),
            Some(Ok(Message::Binary(_))) => return Err(End::Said(close_code::UNSUPPORTED, "text frames only")),
            Some(Ok(Message::Close(_)) | Err(_)) | None => return Err(End::Gone),
        };
        if self.minute.elapsed() > Duration::from_secs(60) {
            (self.minute, self.messages) = (Instant::now(), 0);
        }
        self.messages += 1;
        if self.messages > MOST_MESSAGES {
            return Err(End::Said(close_code::POLICY, "too many messages"));
        }
        Ok(self.grant(&text).unwrap_or_else(|refused| vec![error(&refused.sentence())]))
    }

    fn grant(&mut self, text: &str) -> Result<Vec<Message>, Refused> {
        let wish: Wish = serde_json::from_str(text).map_err(|error| Refused::NotUnderstood(error.to_string()))?;
        let topics = |names: &mut dyn Iterator<Item = &String>| -> Result<Vec<Topic>, Refused> {
            names.map(|name| permitted(&self.identity, Topic::named(name)?)).collect()
        };
        let (subscribe, resume) = (topics(&mut wish.subscribe.iter())?, topics(&mut wish.resume.keys())?);
        for name in &wish.unsubscribe {
            self.following.remove(&Topic::named(name)?);
        }
        for topic in subscribe {
            self.follow(topic);
        }
        let mut frames = Vec::new();
        for (topic, last) in resume.into_iter().zip(wish.resume.into_values()) {
            self.follow(topic);
            let Some(following) = self.following.get_mut(&topic) else { continue };
            // Where nobody followed until now there is nothing yet: the snapshot comes as soon as there is.
            let content = following.follower.borrow_and_update().clone();
            if let Some(content) = content {
                following.last = Some(content.sequence);
                frames.push(Message::Text(content.resumed(last)));
            }
        }
        Ok(frames)
    }

    /// From now on the channel is followed, beginning with a snapshot.
    fn follow(&mut self, topic: Topic) {
        let mut follower = self.parts.channels.follow(topic, &self.parts);
        follower.mark_changed();
        self.following.insert(topic, Following { follower, last: None });
        if topic.needs() == Permission::PipelineRead && !self.watches_pipeline {
            self.watches_pipeline = true;
            self.watch(topic.needs());
        }
    }
}

fn rights_ended() -> End {
    End::Said(close_code::POLICY, "the rights of the caller have ended")
}

fn error(detail: &str) -> Message {
    let frame = ErrorFrame { kind: "error", detail };
    Message::Text(serde_json::to_string(&frame).unwrap_or_default().into())
}

/// The next content of any channel that is followed.
async fn news(following: &mut BTreeMap<Topic, Following>) -> (Topic, Arc<Content>) {
    loop {
        if following.is_empty() {
            return std::future::pending().await;
        }
        let changes = following.iter_mut().map(|(topic, following)| {
            async move {
                // Fails only when the process ends.
                if following.follower.changed().await.is_err() {
                    std::future::pending::<()>().await;
                }
                (*topic, following.follower.borrow_and_update().clone())
            }
            .boxed()
        });
        let ((topic, content), _, _) = futures::future::select_all(changes).await;
        if let Some(content) = content {
            return (topic, content);
        }
    }
}
