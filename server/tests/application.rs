//! The whole program on free ports and in a temporary folder, with services of its own.

use std::{net::SocketAddr, time::Duration};

use chrono::{DateTime, Utc};
use etl::{
    embedded::Services,
    kafka::Cluster,
    lake::Lake,
    produce::generate::{self, Load},
    progress,
    settings::Settings,
};
use model::{
    health::{Health, ReplayState, Status},
    ledger::Ledger,
    pipeline::PipelineView,
};
use server::{
    access::{Access, audit::Actor, limits::RateLimits, sessions::Client},
    startup::Application,
    store::{ReplayStep, Store},
};
use tempfile::TempDir;
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::TcpStream,
    sync::oneshot,
    time::{Instant, sleep, timeout},
};
use tokio_util::sync::CancellationToken;

/// Services start within seconds; a busy machine gets more.
const PATIENCE: Duration = Duration::from_secs(90);

fn settings(folder: &TempDir) -> Settings {
    let mut settings = Settings::defaults();
    settings.port = 0;
    settings.data_dir = folder.path().join("data");
    settings.kafka.embedded_port = 0;
    settings
}

/// The status and the body of an answer; with an access token where one is needed.
async fn get(address: SocketAddr, path: &str, token: &str) -> std::io::Result<(u16, String)> {
    let mut connection = TcpStream::connect(address).await?;
    let authorization = if token.is_empty() { String::new() } else { format!("authorization: Bearer {token}\r\n") };
    connection.write_all(format!("GET {path} HTTP/1.0\r\nhost: {address}\r\n{authorization}\r\n").as_bytes()).await?;
    let mut answer = String::new();
    connection.read_to_string(&mut answer).await?;
    let status = answer.split(' ').nth(1).and_then(|status| status.parse().ok()).unwrap_or_default();
    let body = answer.split_once("\r\n\r\n").map(|(_, body)| body.to_owned()).unwrap_or_default();
    Ok((status, body))
}

async fn health(address: SocketAddr) -> Health {
    let (_, body) = get(address, "/api/v1/health", "").await.expect("health answers from the first moment");
    serde_json::from_str(&body).expect("JSON")
}

/// Opens the socket of the live metrics and waits for what comes over it.
async fn first_of_live_socket(address: SocketAddr, token: &str) -> TcpStream {
    let mut socket = TcpStream::connect(address).await.expect("a connection");
    let handshake = format!(
        "GET /api/ui/live HTTP/1.1\r\nhost: {address}\r\norigin: http://{address}\r\nconnection: Upgrade\r\n\
         upgrade: websocket\r\nsec-websocket-version: 13\r\nsec-websocket-key: dGhlIHNhbXBsZSBub25jZQ==\r\n\
         authorization: Bearer {token}\r\n\r\n"
    );
    socket.write_all(handshake.as_bytes()).await.expect("a request");
    let mut received = Vec::new();
    let mut chunk = [0; 4096];
    while !String::from_utf8_lossy(&received).contains("\"events_per_second\"") {
        let read = timeout(PATIENCE, socket.read(&mut chunk)).await.expect("live metrics").expect("an open socket");
        received.extend_from_slice(&chunk[..read]);
        assert!(read > 0, "closed: {}", String::from_utf8_lossy(&received));
    }
    assert!(received.starts_with(b"HTTP/1.1 101 "), "{}", String::from_utf8_lossy(&received));
    socket
}

/// Rows of the events' Gold table, as the pipeline page shows them.
async fn events_in_gold(address: SocketAddr, token: &str) -> u64 {
    let (_, body) = get(address, "/api/ui/pipeline", token).await.expect("an answer");
    let view: PipelineView = serde_json::from_str(&body).unwrap_or_else(|error| panic!("{error}: {body}"));
    view.tables.iter().find(|table| table.name == "event_counts").map_or(0, |table| table.rows)
}

/// The access token of a new user, made from outside as the commands do it.
async fn access_token(settings: &Settings) -> String {
    let services = Services::database(settings).await.expect("the running database");
    let store = Store::connect(&services.database_url).await.expect("an answer");
    let access = Access::new(store.pool().clone(), RateLimits::none(), settings).expect("the file of keys");
    let client = Client { address: "192.0.2.1".parse().expect("an address"), user_agent: String::new() };
    let link = access.create_user("Ann", "ann@example.com", "admin", None, &Actor::default()).await.expect("a user");
    let tokens = access.accept(&link, "purple elephants paint fences", &client).await.expect("a password");
    store.close().await;
    services.stop().await;
    tokens.expect("no second factor").access
}

#[tokio::test(flavor = "multi_thread")]
async fn it_starts_serves_and_stops() {
    let folder = tempfile::tempdir().expect("a temporary folder");
    let application =
        Application::build(settings(&folder), folder.path().join("site"), env!("CARGO_BIN_EXE_streamlinehub").into())
            .await
            .expect("a free port");
    let address = application.address();
    let (stop, stopped) = oneshot::channel::<()>();
    let running = tokio::spawn(application.run_until(async move { _ = stopped.await }));

    assert_eq!(health(address).await.status, Status::Starting);
    let begun = Instant::now();
    let ready = loop {
        let health = health(address).await;
        if health.status == Status::Ok {
            break health;
        }
        assert!(!running.is_finished() && begun.elapsed() < PATIENCE, "not up: {health:?}");
        sleep(Duration::from_millis(100)).await;
    };
    assert_eq!(ready.replay.state, ReplayState::Off);
    assert!(ready.components.iter().all(|component| component.detail.is_none()), "that is not for everybody");
    let token = access_token(&settings(&folder)).await;
    let (_, body) = get(address, "/api/v1/health", &token).await.expect("an answer");
    let ready: Health = serde_json::from_str(&body).expect("JSON");
    let broker =
        ready.components.iter().find(|component| component.name == "broker").and_then(|broker| broker.detail.clone());
    let broker = broker.expect("the broker's address");

    let load = Load { rate: 1000.0, count: 50, seed: 1, bytes: None };
    tokio::task::spawn_blocking(move || generate::run(&Cluster::local(&broker), load, &CancellationToken::new()))
        .await
        .expect("a thread")
        .expect("Kafka takes events");
    let begun = Instant::now();
    while events_in_gold(address, &token).await == 0 {
        assert!(begun.elapsed() < PATIENCE, "the events did not reach Gold");
        sleep(Duration::from_millis(100)).await;
    }

    let begun = Instant::now();
    let books = loop {
        let (_, body) = get(address, "/api/v1/ledger", &token).await.expect("an answer");
        let books: Ledger = serde_json::from_str(&body).unwrap_or_else(|error| panic!("{error}: {body}"));
        assert_eq!(books.discrepancies, [], "whatever is under way");
        if books.topics.iter().map(|topic| topic.gold).sum::<i64>() == 50 {
            break books;
        }
        assert!(begun.elapsed() < PATIENCE, "the books do not tell of every event: {books:?}");
        sleep(Duration::from_millis(100)).await;
    };
    assert_eq!(books.partitions.iter().map(|partition| partition.bronze).sum::<i64>(), 50);
    let books = health(address).await.components.into_iter().find(|component| component.name == "books");
    assert_eq!(books.map(|books| books.status), Some(Status::Ok));

    // A browser that stays does not hold up the end.
    let _watching = first_of_live_socket(address, &token).await;
    stop.send(()).expect("it is running");
    running.await.expect("no panic").expect("a clean stop");
    assert!(TcpStream::connect(address).await.is_err(), "nobody listens any more");
}

/// Waits until health says this of the whole.
async fn wait_for(address: SocketAddr, status: Status) {
    let begun = Instant::now();
    while health(address).await.status != status {
        assert!(begun.elapsed() < PATIENCE, "never {status:?}: {:?}", health(address).await);
        sleep(Duration::from_millis(100)).await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn without_its_database_the_site_says_so_and_events_go_on_to_gold() {
    let folder = tempfile::tempdir().expect("a temporary folder");
    let mut settings = settings(&folder);
    settings.database.url = "postgres://unused".to_owned();
    let others = Services::start(&settings).await.expect("a broker and a Redis");
    settings.kafka.bootstrap_servers = others.kafka.servers().to_owned();
    settings.redis.url = others.redis_url.clone();
    settings.database.url = String::new();
    let database = Services::start(&settings).await.expect("a database");
    settings.database.url = database.database_url.clone();
    let lake = settings.lake_path();
    let application =
        Application::build(settings, folder.path().join("site"), env!("CARGO_BIN_EXE_streamlinehub").into())
            .await
            .expect("a free port");
    let address = application.address();
    let (stop, stopped) = oneshot::channel::<()>();
    let running = tokio::spawn(application.run_until(async move { _ = stopped.await }));
    wait_for(address, Status::Ok).await;

    database.stop().await;
    wait_for(address, Status::Down).await;
    let wrong = health(address).await.components.into_iter().filter(|component| component.status != Status::Ok);
    assert_eq!(wrong.map(|component| component.name).collect::<Vec<_>>(), ["postgres"]);
    let broker = others.kafka.clone();
    let load = Load { rate: 1000.0, count: 50, seed: 2, bytes: None };
    let sent = tokio::task::spawn_blocking(move || generate::run(&broker, load, &CancellationToken::new())).await;
    assert_eq!(sent.expect("a thread").expect("Kafka takes events"), 50);
    let lake = Lake::open(&lake).expect("the lake");
    let begun = Instant::now();
    while !progress::behind(&others.kafka, &lake).await.expect("an answer").is_nothing() {
        assert!(begun.elapsed() < PATIENCE, "the events did not reach Gold");
        sleep(Duration::from_millis(100)).await;
    }
    assert_eq!(health(address).await.status, Status::Down);

    stop.send(()).expect("it is running");
    running.await.expect("no panic").expect("a clean stop");
    others.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn the_store_remembers_how_far_a_replay_is() {
    let folder = tempfile::tempdir().expect("a temporary folder");
    let services = Services::start(&settings(&folder)).await.expect("services");
    let store = Store::connect(&services.database_url).await.expect("a database");
    // Migrations are applied once.
    let store_of_next_start = Store::connect(&services.database_url).await.expect("the same database");
    store.ping().await.expect("an answer");

    assert_eq!(store.replay("demo").await.expect("an answer"), None);
    assert!(store.advance_replay("demo", ReplayStep::Sent, 1, 2).await.is_err(), "it was not begun");
    let anchor: DateTime<Utc> = "2025-11-16T10:00:00Z".parse().expect("a time");
    let begun = store.begin_replay("demo", anchor).await.expect("begun");
    assert_eq!((begun.step, begun.anchor, begun.sent, begun.total), (ReplayStep::Running, anchor, 0, 0));
    store.advance_replay("demo", ReplayStep::Done, 7, 9).await.expect("noted");
    let again = store_of_next_start.begin_replay("demo", Utc::now()).await.expect("begun again");
    assert_eq!((again.step, again.anchor, again.sent, again.total), (ReplayStep::Done, anchor, 7, 9));

    store.close().await;
    store_of_next_start.close().await;
    services.stop().await;
}
