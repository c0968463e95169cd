//! Events over HTTP, against a real broker, Redis and PostgreSQL: what is told to be accepted is in the topic.

use std::{collections::BTreeMap, path::Path, sync::Arc, time::Duration};

use axum::{
    Router,
    body::{Body, to_bytes},
    http::{HeaderMap, Request, Response, StatusCode, header},
};
use etl::{
    embedded::Services,
    kafka::{Cluster, Watermarks},
    produce::generate::Generator,
    settings::Settings,
};
use futures::future::BoxFuture;
use model::{access::Permission, topic::Topic};
use rdkafka::{
    Message as _, Offset, TopicPartitionList,
    consumer::{BaseConsumer, Consumer as _},
};
use serde_json::{Value as Json, json};
use server::{
    access::{Access, Credential, audit::Actor, gate::Gate, limits::RateLimits, roles, sessions::Client},
    dashboard::Parts,
    events::{
        body::BODY_LIMIT,
        door::{Door, Limits},
    },
    probes,
    routes::{WebState, leptos_options, router},
    store::Store,
};
use tempfile::TempDir;
use tower::ServiceExt as _;
use uuid::Uuid;

const JSON: &str = "application/json";
const LINES: &str = "application/x-ndjson";
/// Longer than any test takes: what is waited for comes, or never.
const LONG: Duration = Duration::from_secs(300);
/// Nobody listens there.
const NOBODY: &str = "127.0.0.1:1";

/// The services of a test.
struct World {
    settings: Settings,
    access: Arc<Access>,
    store: Store,
    services: Services,
    folder: TempDir,
    /// Of somebody who may send events and read the metrics.
    key: String,
}

/// A web process.
struct Web {
    router: Router,
    door: Arc<Door>,
    key: String,
}

struct Answer {
    status: StatusCode,
    headers: HeaderMap,
    bytes: Vec<u8>,
}

impl Answer {
    fn json(&self) -> Json {
        serde_json::from_slice(&self.bytes).unwrap_or_else(|error| panic!("{error}: {:?}", self.bytes))
    }

    fn detail(&self) -> String {
        assert_eq!(self.headers[header::CONTENT_TYPE], "application/problem+json");
        self.json()["detail"].as_str().unwrap_or_default().to_owned()
    }

    fn replayed(&self) -> bool {
        self.headers.get("idempotency-replayed").is_some_and(|value| value == "true")
    }
}

/// A broker with its data in a folder.
async fn broker(folder: &Path, port: u16) -> Services {
    let mut settings = Settings::defaults();
    settings.data_dir = folder.join("broker");
    settings.kafka.embedded_port = port;
    // Named, so that they are not started.
    settings.redis.url = "redis://unused".to_owned();
    settings.database.url = "postgres://unused".to_owned();
    // One that has just stopped may still be letting go of its database.
    let services = until(async || Services::start(&settings).await.ok()).await;
    services.kafka.create_topics(2).await.expect("topics");
    services
}

impl World {
    fn start() -> BoxFuture<'static, World> {
        Box::pin(World::begin())
    }

    async fn begin() -> World {
        let folder = tempfile::tempdir().expect("a temporary folder");
        let mut settings = Settings::defaults();
        settings.data_dir = folder.path().join("data");
        settings.kafka.bootstrap_servers = NOBODY.to_owned();
        let services = Services::start(&settings).await.expect("services");
        let store = Store::connect(&services.database_url).await.expect("an answer");
        roles::write_built_in(store.pool()).await.expect("roles");
        let access =
            Arc::new(Access::new(store.pool().clone(), RateLimits::none(), &settings).expect("a file of keys"));
        let mut world = World { settings, access, store, services, folder, key: String::new() };
        let permissions = [Permission::EventsWrite, Permission::PipelineRead];
        world.key = world.key_of("sender@example.com", "operator", &permissions).await;
        world
    }

    async fn stop(self) {
        self.store.close().await;
        self.services.stop().await;
    }

    /// An API key with these permissions, of a new user with this role.
    async fn key_of(&self, email: &str, role: &str, permissions: &[Permission]) -> String {
        let client = Client { address: "192.0.2.1".parse().expect("an address"), user_agent: String::new() };
        let link = self.access.create_user("Ann", email, role, None, &Actor::default()).await.expect("a user");
        let tokens = self.access.accept(&link, "purple elephants paint fences", &client).await.expect("a password");
        let session = Credential::Session(tokens.expect("no second factor").session);
        let standing = self.access.standing(&session).await.expect("an answer").expect("signed in");
        let key = self.access.create_api_key(&standing, "test", permissions, 1, &standing.actor("")).await;
        key.expect("a key")
    }

    /// A web process that sends to this broker.
    async fn web(&self, kafka: &Cluster, limits: Limits) -> Web {
        let redis = probes::connect_redis(&self.services.redis_url).await.expect("Redis");
        let door = Arc::new(Door::new(kafka, redis, limits).expect("a door"));
        let gate = Arc::new(Gate::new(&self.settings.web, "http://localhost:3000".to_owned()));
        gate.open(Arc::clone(&self.access));
        let parts = Arc::new(Parts::default());
        _ = parts.events.set(Arc::clone(&door));
        let dashboard = Arc::clone(&parts) as Arc<_>;
        let leptos = leptos_options(&self.folder.path().to_string_lossy());
        Web { router: router(WebState { dashboard, parts, gate, leptos }), door, key: self.key.clone() }
    }

    /// How many requests with a key Redis knows.
    async fn known_requests(&self) -> usize {
        let mut redis = probes::connect_redis(&self.services.redis_url).await.expect("Redis");
        let keys: Vec<String> =
            redis::cmd("KEYS").arg("streamlinehub:idempotency:*").query_async(&mut redis).await.expect("an answer");
        keys.len()
    }
}

fn limits() -> Limits {
    Limits { patience: LONG, ..Limits::new(1 << 20) }
}

impl Web {
    async fn ask(&self, request: http::request::Builder, body: Body) -> Answer {
        let request = request
            .header(header::HOST, "localhost:3000")
            .header(header::AUTHORIZATION, format!("Bearer {}", self.key))
            .body(body)
            .expect("a request");
        let response: Response<Body> = self.router.clone().oneshot(request).await.expect("a router never fails");
        let (parts, body) = response.into_parts();
        let bytes = to_bytes(body, 1 << 24).await.expect("a body").to_vec();
        Answer { status: parts.status, headers: parts.headers, bytes }
    }

    async fn send(&self, path: &str, content_type: &str, body: impl Into<Body>) -> Answer {
        let request = Request::post(format!("/api/v1/events/{path}")).header(header::CONTENT_TYPE, content_type);
        self.ask(request, body.into()).await
    }

    async fn send_with_key(&self, path: &str, key: &str, body: &str) -> Answer {
        let request = Request::post(format!("/api/v1/events/{path}"))
            .header(header::CONTENT_TYPE, JSON)
            .header("idempotency-key", key);
        self.ask(request, Body::from(body.to_owned())).await
    }

    /// A metric, by its name and labels.
    async fn metric(&self, series: &str) -> String {
        let text = self.ask(Request::get("/metrics"), Body::empty()).await.bytes;
        let text = String::from_utf8(text).expect("text");
        let line = text.lines().find_map(|line| line.strip_prefix(series)?.strip_prefix(' '));
        line.unwrap_or_else(|| panic!("{series} is not in\n{text}")).to_owned()
    }
}

/// Waits for something that comes by itself.
async fn until<T>(mut look: impl AsyncFnMut() -> Option<T>) -> T {
    let waited = tokio::time::timeout(LONG, async {
        loop {
            if let Some(found) = look().await {
                return found;
            }
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    });
    waited.await.expect("what is waited for")
}

/// Key and payload of every event in the topic, by partition and offset.
fn topic(kafka: &Cluster, topic: Topic) -> BTreeMap<(i32, i64), (Option<String>, String)> {
    let ends = Watermarks::new(kafka).and_then(|kafka| kafka.of(topic)).expect("the topic's ends");
    let mut places = TopicPartitionList::new();
    for partition in ends.keys() {
        places.add_partition_offset(topic.name(), *partition, Offset::Beginning).expect("a place");
    }
    let consumer: BaseConsumer = kafka.config().set("group.id", "test").create().expect("a consumer");
    consumer.assign(&places).expect("assigned");
    let all: usize = ends.values().map(|(start, end)| usize::try_from(end - start).expect("a count")).sum();
    let mut found = BTreeMap::new();
    while found.len() < all {
        let message = consumer.poll(LONG).expect("an event").expect("no error");
        let text = |bytes: &[u8]| String::from_utf8(bytes.to_vec()).expect("text");
        let event = (message.key().map(text), message.payload().map(text).unwrap_or_default());
        found.insert((message.partition(), message.offset()), event);
    }
    found
}

fn view(customer: &str) -> String {
    let id = Uuid::new_v4();
    format!(
        r#"{{"event_id": "{id}", "event_type":"page.viewed",  "occurred_at":"2025-11-16T10:00:00Z", "customer_id":"{customer}"}}"#
    )
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_accepted_is_in_the_topic_byte_for_byte() {
    let world = World::start().await;
    let broker = broker(world.folder.path(), 0).await;
    let web = world.web(&broker.kafka, limits()).await;
    let (one, two, three, four, five) = (view("a"), view("b"), view("a"), view("c"), view("a"));
    let with_amount = one.replacen('{', r#"{ "more": {"amount": 1.500, "text": "\u00e9 é"},"#, 1);
    // However it is sent: alone with space around it, in an array, on lines.
    let mut sent = BTreeMap::new();
    for (content_type, body, events) in [
        (JSON, format!(" \n{with_amount}\n"), vec![&with_amount]),
        (JSON, format!("[{two} ,\n {three}]"), vec![&two, &three]),
        (LINES, format!("{four}\r\n\n{five}"), vec![&four, &five]),
    ] {
        let answer = web.send("analytics-events", content_type, body).await;
        let receipt = answer.json();
        assert_eq!(answer.status, StatusCode::OK, "{receipt}");
        assert_eq!((&receipt["accepted"], &receipt["rejected"]), (&json!(events.len()), &json!(0)));
        for (event, result) in events.into_iter().zip(receipt["results"].as_array().expect("results")) {
            let number = |name| result[name].as_i64().expect("a number");
            let partition = i32::try_from(number("partition")).expect("a partition");
            sent.insert((partition, number("offset")), event.clone());
        }
    }
    let found = topic(&broker.kafka, Topic::Analytics);
    let payloads: BTreeMap<_, _> = found.iter().map(|(place, (_, payload))| (*place, payload.clone())).collect();
    assert_eq!(payloads, sent);
    let keys: Vec<&str> = found.values().filter_map(|(key, _)| key.as_deref()).collect();
    assert_eq!((keys.len(), keys.iter().filter(|key| **key == "a").count()), (5, 3));
    // Events of one key in the order in which they came.
    let of_a: Vec<&String> =
        found.values().filter(|(key, _)| key.as_deref() == Some("a")).map(|(_, payload)| payload).collect();
    assert_eq!(of_a, [&with_amount, &three, &five]);

    // What the demo's producers make goes through this door too, with the keys that they give.
    let mut generator = Generator::new(7);
    let made: Vec<_> = (0..400).map(|_| generator.next(chrono::Utc::now()).expect("plain data")).collect();
    for of in [Topic::Transaction, Topic::Product] {
        let made: Vec<_> = made.iter().filter(|message| message.topic == of).collect();
        let body = made.iter().map(|message| message.payload.clone()).collect::<Vec<_>>().join(&b'\n');
        let receipt = web.send(of.name(), LINES, body).await.json();
        assert_eq!((&receipt["accepted"], &receipt["failed"]), (&json!(made.len()), &json!(0)), "{receipt}");
        let sort = |mut events: Vec<(Option<String>, String)>| {
            events.sort();
            events
        };
        let made = made
            .iter()
            .map(|message| (Some(message.key.clone()), String::from_utf8(message.payload.clone()).expect("text")));
        assert_eq!(sort(topic(&broker.kafka, of).into_values().collect()), sort(made.collect()));
    }
    let series = r#"streamlinehub_http_events_accepted_total{topic="analytics-events"}"#;
    assert_eq!(web.metric(series).await, "5");
    broker.stop().await;
    world.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn good_events_are_taken_and_bad_ones_told_why() {
    let world = World::start().await;
    let broker = broker(world.folder.path(), 0).await;
    let web = world.web(&broker.kafka, Limits { event_bytes: 1000, ..limits() }).await;
    let (good, other) = (view("a"), view("b"));
    let wrong_time = view("c").replace("2025-11-16T", "yesterday ");
    let large = view("d").replacen('{', &format!(r#"{{"more":"{}","#, "x".repeat(1000)), 1);
    let answer = web.send("analytics-events", JSON, format!("[{good},{wrong_time},7,{large},{other}]")).await;
    let receipt = answer.json();
    assert_eq!(answer.status, StatusCode::MULTI_STATUS);
    assert_eq!((&receipt["received"], &receipt["accepted"], &receipt["rejected"]), (&json!(5), &json!(2), &json!(3)));
    let told: Vec<(u64, &str, &str)> = receipt["results"]
        .as_array()
        .expect("results")
        .iter()
        .map(|result| {
            let text = |name: &str| result[name].as_str().unwrap_or_default();
            (result["index"].as_u64().expect("a place"), text("status"), text("fault"))
        })
        .collect();
    assert_eq!(
        told,
        [
            (0, "accepted", ""),
            (1, "rejected", "envelope"),
            (2, "rejected", "not_json"),
            (3, "rejected", "too_large"),
            (4, "accepted", "")
        ]
    );
    assert!(receipt["results"][1]["reason"].as_str().is_some_and(|why| why.contains("occurred_at: `yesterday ")));

    // On lines a broken one is by itself. Fields of the topic are asked for.
    let answer = web.send("analytics-events", LINES, format!("{}\n{{\"event_id\":\n", view("a"))).await;
    assert_eq!((answer.status, &answer.json()["results"][1]["fault"]), (StatusCode::MULTI_STATUS, &json!("not_json")));
    let answer = web.send("product-events", JSON, view("a")).await;
    assert_eq!(answer.status, StatusCode::UNPROCESSABLE_ENTITY);
    assert_eq!(answer.detail(), "None of 1 events was accepted; `receipt` says why.");
    assert_eq!(answer.json()["receipt"]["results"][0]["reason"], "missing field `product_id`");

    // Of many those are listed that are not accepted, unless all are asked for.
    let many: Vec<String> = (0..150).map(|n| if n == 77 { "{}".to_owned() } else { view("a") }).collect();
    let some = web.send("analytics-events", LINES, many.join("\n")).await.json();
    assert_eq!((some["results"].as_array().map(Vec::len), &some["results"][0]["index"]), (Some(1), &json!(77)));
    let all = web.send("analytics-events?results=all", LINES, many.join("\n")).await.json();
    assert_eq!(all["results"].as_array().map(Vec::len), Some(150));

    let found = topic(&broker.kafka, Topic::Analytics);
    assert_eq!(found.len(), 2 + 1 + 149 * 2);
    assert!(topic(&broker.kafka, Topic::Product).is_empty());
    let series = r#"streamlinehub_http_events_rejected_total{topic="analytics-events",fault="not_json"}"#;
    assert_eq!(web.metric(series).await, "2");
    broker.stop().await;
    world.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_request_that_is_no_events_is_refused_whole() {
    let world = World::start().await;
    let broker = broker(world.folder.path(), 0).await;
    let web = world.web(&broker.kafka, limits()).await;
    let good = view("a");
    for (path, content_type, body, status, why) in [
        (
            "weather-events",
            JSON,
            good.clone(),
            404,
            "`weather-events` is not a topic; there are transaction-events, cust",
        ),
        ("analytics-events", "text/plain", good.clone(), 415, "Content-Type must be application/json"),
        ("analytics-events", JSON, String::new(), 400, "There are no events in the body."),
        ("analytics-events", JSON, "[]".to_owned(), 400, "There are no events in the body."),
        ("analytics-events", LINES, "\n\n".to_owned(), 400, "There are no events in the body."),
        ("analytics-events", JSON, format!("[{good},\n{{]"), 400, "line 2 column 2"),
        ("analytics-events", JSON, format!("[{}{{}}]", "{},".repeat(10_000)), 413, "more than 10000 events"),
        ("analytics-events", LINES, " ".repeat(BODY_LIMIT + 1), 413, "larger than 16 MiB"),
        ("analytics-events?results=some", JSON, good.clone(), 400, "there are all, rejected"),
        ("analytics-events?result=all", JSON, good.clone(), 400, "`result` is not a parameter"),
    ] {
        let answer = web.send(path, content_type, body).await;
        assert_eq!(answer.status.as_u16(), status, "{path}: {}", answer.detail());
        assert!(answer.detail().contains(why), "{}", answer.detail());
    }
    let compressed = Request::post("/api/v1/events/analytics-events")
        .header(header::CONTENT_TYPE, JSON)
        .header(header::CONTENT_ENCODING, "gzip");
    assert_eq!(web.ask(compressed, Body::from(good.clone())).await.status, StatusCode::UNSUPPORTED_MEDIA_TYPE);
    assert_eq!(web.send_with_key("analytics-events", "two words", &good).await.status, StatusCode::BAD_REQUEST);
    assert!(topic(&broker.kafka, Topic::Analytics).is_empty());
    assert_eq!(web.door.held_bytes(), 0);
    broker.stop().await;
    world.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn only_who_may_send_events_sends_them() {
    let world = World::start().await;
    let broker = broker(world.folder.path(), 0).await;
    let mut web = world.web(&broker.kafka, limits()).await;
    let reading =
        world.key_of("reader@example.com", "admin", &[Permission::MetricsRead, Permission::PipelineRead]).await;
    for (key, status) in [(reading, StatusCode::FORBIDDEN), ("slh_none".to_owned(), StatusCode::UNAUTHORIZED)] {
        web.key = key;
        assert_eq!(web.send("analytics-events", JSON, view("a")).await.status, status);
    }
    assert!(topic(&broker.kafka, Topic::Analytics).is_empty());
    web.key = world.key_of("writer@example.com", "admin", &[Permission::EventsWrite]).await;
    assert_eq!(web.send("analytics-events", JSON, view("a")).await.status, StatusCode::OK);
    broker.stop().await;
    world.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_repeat_is_answered_as_the_first_and_sends_nothing() {
    let world = World::start().await;
    let broker = broker(world.folder.path(), 0).await;
    let few = Limits { kept_answers: 3, ..limits() };
    let web = world.web(&broker.kafka, few).await;
    let body = format!("[{},{{}}]", view("a"));
    let first = web.send_with_key("analytics-events", "k-1", &body).await;
    assert_eq!((first.status, first.replayed()), (StatusCode::MULTI_STATUS, false));
    // Another web process, as after a restart.
    for web in [&web, &world.web(&broker.kafka, few).await] {
        let again = web.send_with_key("analytics-events", "k-1", &body).await;
        assert_eq!((again.status, again.replayed()), (first.status, true));
        assert_eq!(
            (again.json(), &again.headers[header::CONTENT_TYPE]),
            (first.json(), &first.headers[header::CONTENT_TYPE])
        );
    }
    assert_eq!(topic(&broker.kafka, Topic::Analytics).len(), 1);

    for (path, other) in [("analytics-events", view("a")), ("customer-events", body.clone())] {
        let refused = web.send_with_key(path, "k-1", &other).await;
        assert_eq!(refused.status, StatusCode::UNPROCESSABLE_ENTITY);
        assert!(refused.detail().contains("Idempotency-Key came with another"), "{}", refused.detail());
    }
    // Nothing was accepted: that is an answer too. What cannot be read is none.
    let none = web.send_with_key("analytics-events", "k-2", "{}").await;
    let again = web.send_with_key("analytics-events", "k-2", "{}").await;
    assert_eq!((none.status, again.status, again.replayed()), (StatusCode::UNPROCESSABLE_ENTITY, none.status, true));
    assert_eq!(again.detail(), none.detail());
    for body in ["[", "[{}"] {
        assert_eq!(web.send_with_key("analytics-events", "k-3", body).await.status, StatusCode::BAD_REQUEST);
    }
    assert_eq!(topic(&broker.kafka, Topic::Analytics).len(), 1);

    // Keys are everybody's own.
    let mut other = world.web(&broker.kafka, few).await;
    other.key = world.key_of("other@example.com", "operator", &[Permission::EventsWrite]).await;
    let theirs = other.send_with_key("analytics-events", "k-1", &body).await;
    assert_eq!((theirs.status, theirs.replayed()), (StatusCode::MULTI_STATUS, false));
    assert_eq!(world.known_requests().await, 3);
    // Three are kept, so now the oldest goes: its request is carried out once more.
    web.send_with_key("analytics-events", "k-4", &view("b")).await;
    assert_eq!(world.known_requests().await, 3);
    assert_eq!(topic(&broker.kafka, Topic::Analytics).len(), 3);
    assert!(!web.send_with_key("analytics-events", "k-1", &body).await.replayed());
    assert_eq!(topic(&broker.kafka, Topic::Analytics).len(), 4);
    broker.stop().await;
    world.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn without_a_broker_nothing_is_said_to_be_in() {
    let world = World::start().await;
    let web = world.web(&Cluster::local(NOBODY), Limits { patience: Duration::from_secs(1), ..limits() }).await;
    let body = format!("[{},{{}},{}]", view("a"), view("b"));
    for _ in 0..2 {
        let answer = web.send_with_key("analytics-events", "k-1", &body).await;
        let receipt = &answer.json()["receipt"];
        assert_eq!((answer.status, answer.replayed()), (StatusCode::SERVICE_UNAVAILABLE, false));
        assert!(answer.headers.contains_key(header::RETRY_AFTER));
        assert!(answer.detail().contains("did not acknowledge 2 of 3 events"), "{}", answer.detail());
        let counts = ["accepted", "rejected", "failed"].map(|name| receipt[name].as_u64());
        assert_eq!(counts, [Some(0), Some(1), Some(2)]);
        assert_eq!(
            (&receipt["results"][0]["status"], &receipt["results"][1]["status"]),
            (&json!("failed"), &json!("rejected"))
        );
        assert_eq!(world.known_requests().await, 0, "it may come again");
    }
    let series = r#"streamlinehub_http_events_failed_total{topic="analytics-events"}"#;
    assert_eq!(web.metric(series).await, "4");
    world.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_request_is_carried_out_though_its_sender_left_and_the_broker_was_away() {
    let world = World::start().await;
    let first = broker(world.folder.path(), 0).await;
    let address = first.kafka.clone();
    let port: u16 = address.servers().rsplit(':').next().and_then(|port| port.parse().ok()).expect("a port");
    let web = Arc::new(world.web(&address, limits()).await);
    assert_eq!(web.send("analytics-events", JSON, view("a")).await.status, StatusCode::OK);
    first.stop().await;

    let body = view("b");
    let sender = tokio::spawn({
        let (web, body) = (Arc::clone(&web), body.clone());
        async move { web.send_with_key("analytics-events", "k-1", &body).await }
    });
    until(async || (world.known_requests().await == 1).then_some(())).await;
    let repeat = web.send_with_key("analytics-events", "k-1", &body).await;
    assert_eq!(repeat.status, StatusCode::CONFLICT, "{}", repeat.detail());
    sender.abort();
    assert!(sender.await.is_err_and(|ended| ended.is_cancelled()));
    assert_ne!(web.door.held_bytes(), 0, "it goes on");

    let second = broker(world.folder.path(), port).await;
    assert_eq!(second.kafka.servers(), address.servers());
    let answer = until(async || {
        let repeat = web.send_with_key("analytics-events", "k-1", &body).await;
        (repeat.status != StatusCode::CONFLICT).then_some(repeat)
    })
    .await;
    assert_eq!((answer.status, answer.replayed()), (StatusCode::OK, true));
    let payloads: Vec<String> = topic(&address, Topic::Analytics).into_values().map(|(_, payload)| payload).collect();
    assert_eq!((payloads.len(), payloads.iter().filter(|payload| **payload == body).count()), (2, 1));
    second.stop().await;
    world.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn without_room_for_more_a_sender_is_told_to_wait() {
    let world = World::start().await;
    let web = Arc::new(world.web(&Cluster::local(NOBODY), Limits { held_bytes: 100 << 10, ..limits() }).await);
    let sender = tokio::spawn({
        let web = Arc::clone(&web);
        async move { web.send("analytics-events", JSON, view("a")).await }
    });
    until(async || (web.door.held_bytes() > 0).then_some(())).await;
    let refused = web.send("analytics-events", JSON, view("b")).await;
    assert_eq!(refused.status, StatusCode::TOO_MANY_REQUESTS);
    assert_eq!(refused.headers[header::RETRY_AFTER], "1");
    assert!(refused.detail().contains("Nothing of this request was taken"), "{}", refused.detail());
    assert_ne!(web.metric("streamlinehub_http_events_held_bytes").await, "0");
    sender.abort();
    world.stop().await;
}
