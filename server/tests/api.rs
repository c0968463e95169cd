//! What programs ask, of the whole program over HTTP: the examples of docs/API.md, and what the description promises.

use std::{collections::BTreeSet, net::SocketAddr, process::Command, sync::Arc, time::Duration};

use etl::{embedded::Services, produce::generate, settings::Settings};
use http::StatusCode;
use model::health::{Health, Status};
use serde_json::Value;
use server::{
    access::{Access, Credential, audit::Actor, limits::RateLimits, sessions::Client},
    openapi::openapi,
    routes::api,
    startup::Application,
    store::Store,
};
use tempfile::TempDir;
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::TcpStream,
    sync::oneshot,
    task::JoinHandle,
    time::{Instant, sleep},
};
use tokio_util::sync::CancellationToken;

/// Services start within seconds; a busy machine gets more.
const PATIENCE: Duration = Duration::from_secs(90);
const EXAMPLES: &str = include_str!("../../docs/API.md");

/// The whole program, with some events in Gold and a key that may do everything.
struct Program {
    address: SocketAddr,
    key: String,
    store: Store,
    stop: oneshot::Sender<()>,
    running: JoinHandle<anyhow::Result<()>>,
    _folder: TempDir,
}

struct Answer {
    status: StatusCode,
    head: String,
    body: String,
}

impl Answer {
    fn json(&self) -> Value {
        serde_json::from_str(&self.body).unwrap_or_else(|error| panic!("{error}: {}", self.body))
    }

    fn header(&self, name: &str) -> Option<String> {
        self.head.lines().find_map(|line| {
            let (known, value) = line.split_once(':')?;
            known.eq_ignore_ascii_case(name).then(|| value.trim().to_owned())
        })
    }
}

impl Program {
    async fn start() -> Program {
        let folder = tempfile::tempdir().expect("a temporary folder");
        let mut settings = Settings::defaults();
        settings.port = 0;
        settings.data_dir = folder.path().join("data");
        settings.kafka.embedded_port = 0;
        let application = Application::build(settings.clone(), folder.path().join("site")).await.expect("a free port");
        let address = application.address();
        let (stop, stopped) = oneshot::channel::<()>();
        let running = tokio::spawn(application.run_until(async move { _ = stopped.await }));
        let begun = Instant::now();
        loop {
            let ready = ask(address, "/api/v1/health/ready", &[]).await;
            let health = ask(address, "/api/v1/health", &[]).await;
            let health: Health = serde_json::from_str(&health.body).expect("JSON");
            if ready.status == StatusCode::OK && health.components.len() == 6 && health.status == Status::Ok {
                break;
            }
            assert!(!running.is_finished() && begun.elapsed() < PATIENCE, "not up: {health:?}, {}", ready.body);
            sleep(Duration::from_millis(100)).await;
        }
        // From outside, as the commands do it.
        let services = Services::database(&settings).await.expect("the running database");
        let store = Store::connect(&services.database_url).await.expect("an answer");
        let access =
            Arc::new(Access::new(store.pool().clone(), RateLimits::none(), &settings).expect("the file of keys"));
        let client = Client { address: "192.0.2.1".parse().expect("an address"), user_agent: String::new() };
        let actor = Actor::default();
        let link = access.create_user("Ann", "ann@example.com", "admin", None, &actor).await.expect("a user");
        let tokens = access.accept(&link, "purple elephants paint fences", &client).await.expect("a password");
        let session = Credential::Session(tokens.expect("no second factor").session);
        let standing = access.standing(&session).await.expect("an answer").expect("a session");
        let key = access.create_api_key(&standing, "all", &standing.permissions, 7, &actor).await.expect("a key");
        services.stop().await;

        let broker = ask(address, "/api/v1/health", &[("authorization", &format!("Bearer {key}"))]).await.json();
        let components = broker["components"].as_array().expect("components").clone();
        let broker = components.iter().find(|component| component["name"] == "broker").expect("a broker");
        let broker = broker["detail"].as_str().expect("its address").to_owned();
        tokio::task::spawn_blocking(move || generate::run(&broker, 10_000.0, 200, 1, &CancellationToken::new()))
            .await
            .expect("a thread")
            .expect("Kafka takes events");
        let program = Program { address, key, store, stop, running, _folder: folder };
        let begun = Instant::now();
        let counted = "/api/v1/analytics/historical?metric=events&days=3660&granularity=none";
        while program.get(counted).await.json()["rows"][0]["values"]["events"].as_str() != Some("200") {
            assert!(begun.elapsed() < PATIENCE, "the events did not reach Gold");
            sleep(Duration::from_millis(100)).await;
        }
        program
    }

    async fn get(&self, path: &str) -> Answer {
        self.get_with(path, &[]).await
    }

    async fn get_with(&self, path: &str, headers: &[(&str, &str)]) -> Answer {
        let bearer = format!("Bearer {}", self.key);
        let mut all = vec![("authorization", bearer.as_str())];
        all.extend(headers);
        ask(self.address, path, &all).await
    }

    async fn stop(self) {
        self.store.close().await;
        self.stop.send(()).expect("it is running");
        self.running.await.expect("no panic").expect("a clean stop");
    }
}

async fn ask(address: SocketAddr, path: &str, headers: &[(&str, &str)]) -> Answer {
    let mut connection = TcpStream::connect(address).await.expect("a connection");
    let headers: String = headers.iter().map(|(name, value)| format!("{name}: {value}\r\n")).collect();
    let request = format!("GET {path} HTTP/1.0\r\nhost: {address}\r\n{headers}\r\n");
    connection.write_all(request.as_bytes()).await.expect("sent");
    let mut answer = String::new();
    connection.read_to_string(&mut answer).await.expect("text");
    let (head, body) = answer.split_once("\r\n\r\n").expect("a head");
    let status = head.split(' ').nth(1).and_then(|status| status.parse().ok()).expect("a status");
    Answer { status, head: head.to_owned(), body: body.to_owned() }
}

/// The commands in the blocks of the document.
fn examples() -> Vec<&'static str> {
    EXAMPLES.split("```bash\n").skip(1).filter_map(|rest| rest.split("```").next()).collect()
}

#[test]
fn what_is_described_is_what_there_is() {
    let described: BTreeSet<String> = openapi().paths.paths.into_keys().collect();
    let routes: BTreeSet<String> = api().into_iter().map(|(path, _)| path.to_owned()).collect();
    assert_eq!(described, routes);
}

#[tokio::test(flavor = "multi_thread")]
async fn programs_get_what_the_documents_promise() {
    let program = Program::start().await;
    every_example_works(&program).await;
    answers_have_tags(&program).await;
    pages_follow_each_other(&program).await;
    nonsense_is_explained(&program).await;
    requests_have_names(&program).await;
    sockets_follow_and_end_with_rights(&program).await;
    program.stop().await;
}

async fn every_example_works(program: &Program) {
    assert!(examples().len() >= 10, "{:?}", examples());
    for example in examples() {
        let mut command = Command::new("bash");
        command.args(["-euc", example]);
        command.env("STREAMLINEHUB", format!("http://{}", program.address)).env("KEY", &program.key);
        let ran =
            tokio::task::spawn_blocking(move || command.output()).await.expect("a thread").expect("bash and curl");
        let said = String::from_utf8_lossy(&ran.stdout);
        assert!(
            ran.status.success() && !said.is_empty(),
            "{example}\n{said}\n{}",
            String::from_utf8_lossy(&ran.stderr)
        );
    }
}

async fn answers_have_tags(program: &Program) {
    let path = "/api/v1/analytics/historical?metric=revenue&from=2025-01-01&to=2025-12-31&granularity=month";
    let first = program.get(path).await;
    let tag = first.header("etag").expect("a tag");
    let again = program.get_with(path, &[("if-none-match", &tag)]).await;
    assert_eq!((again.status, again.body.as_str()), (StatusCode::NOT_MODIFIED, ""));
}

async fn pages_follow_each_other(program: &Program) {
    let path = "/api/v1/analytics/historical?metric=revenue&days=3660&group_by=product";
    let whole = program.get(path).await.json();
    let keys = |answer: &Value| -> Vec<String> {
        let rows = answer["rows"].as_array().expect("rows");
        rows.iter().map(|row| row["key"].to_string()).collect()
    };
    let mut pages = Vec::new();
    let mut next = program.get(&format!("{path}&limit=7")).await.json();
    loop {
        pages.extend(keys(&next));
        let Some(cursor) = next["next"].as_str() else { break };
        assert!(pages.len() <= keys(&whole).len(), "it comes to an end");
        next = program.get(&format!("{path}&limit=7&cursor={cursor}")).await.json();
    }
    assert!(pages.len() > 7, "{pages:?}");
    assert_eq!(pages, keys(&whole));
}

async fn nonsense_is_explained(program: &Program) {
    for (path, status, words) in [
        ("/api/v1/analytics/historical?metric=revenu", StatusCode::BAD_REQUEST, "there are revenue, orders"),
        ("/api/v1/analytics/historical?metric=revenue&day=7", StatusCode::BAD_REQUEST, "is not a parameter"),
        ("/api/v1/analytics/historical?metric=events&group_by=store", StatusCode::BAD_REQUEST, "cannot be split"),
        ("/api/v1/analytics/historical?metric=revenue&filter=store:%00%27", StatusCode::OK, "\"rows\""),
        ("/api/v1/nothing", StatusCode::NOT_FOUND, "There is nothing at /api/v1/nothing."),
        ("/ws/dashboard", StatusCode::UPGRADE_REQUIRED, "This is a WebSocket"),
    ] {
        let answer = program.get(path).await;
        assert!(answer.status == status && answer.body.contains(words), "{path}: {} {}", answer.status, answer.body);
        if status != StatusCode::OK {
            assert_eq!(answer.header("content-type").as_deref(), Some("application/problem+json"), "{path}");
        }
    }
}

async fn requests_have_names(program: &Program) {
    let named = program.get_with("/api/v1/nothing", &[("x-request-id", "order-17.retry-2")]).await;
    assert_eq!(named.header("x-request-id").as_deref(), Some("order-17.retry-2"));
    assert_eq!(named.json()["request_id"], "order-17.retry-2");
    let forged = program.get_with("/api/v1/nothing", &[("x-request-id", "<script>")]).await;
    assert_ne!(forged.header("x-request-id").expect("a name"), "<script>");
}

async fn sockets_follow_and_end_with_rights(program: &Program) {
    let address = program.address;
    let mut socket = TcpStream::connect(address).await.expect("a connection");
    let handshake = format!(
        "GET /ws/dashboard?channels=metrics HTTP/1.1\r\nhost: {address}\r\nconnection: Upgrade\r\nupgrade: websocket\r\n\
         sec-websocket-version: 13\r\nsec-websocket-key: dGhlIHNhbXBsZSBub25jZQ==\r\nauthorization: Bearer {}\r\n\r\n",
        program.key
    );
    socket.write_all(handshake.as_bytes()).await.expect("sent");
    let heard = hear(&mut socket, "\"kind\":\"update\"").await;
    assert!(heard.contains("\"kind\":\"snapshot\"") && heard.contains("\"channel\":\"metrics\""), "{heard}");
    let snapshot = heard.find("\"kind\":\"snapshot\"");
    assert!(snapshot < heard.find("\"kind\":\"update\""), "the snapshot comes first");

    // A text frame of a client, masked with zeros.
    let wish = br#"{"subscribe":["pipeline","nonsense"]}"#;
    let mut frame = vec![0x81, 0x80 | u8::try_from(wish.len()).expect("short"), 0, 0, 0, 0];
    frame.extend(wish);
    socket.write_all(&frame).await.expect("sent");
    let refused = hear(&mut socket, "`nonsense` is not a channel").await;
    assert!(refused.contains("\"kind\":\"error\""), "{refused}");

    // The key goes, and the socket with it.
    let keys = sqlx::query("UPDATE streamlinehub.api_keys SET revoked_at = now()").execute(program.store.pool()).await;
    assert_eq!(keys.expect("revoked").rows_affected(), 1);
    hear(&mut socket, "the rights of the caller have ended").await;
    assert_eq!(program.get("/api/v1/analytics/metrics").await.status, StatusCode::UNAUTHORIZED);
}

/// What the socket says until it has said this.
async fn hear(socket: &mut TcpStream, words: &str) -> String {
    let begun = Instant::now();
    let mut heard = Vec::new();
    let mut chunk = vec![0; 16_384];
    while !String::from_utf8_lossy(&heard).contains(words) {
        let read =
            tokio::time::timeout(PATIENCE, socket.read(&mut chunk)).await.expect("words").expect("an open socket");
        heard.extend_from_slice(&chunk[..read]);
        assert!(read > 0 && begun.elapsed() < PATIENCE, "not said: {words}: {}", String::from_utf8_lossy(&heard));
    }
    String::from_utf8_lossy(&heard).into_owned()
}
