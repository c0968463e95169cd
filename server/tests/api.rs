//! The API as programs use it: over a real database, a real lake and a real port.

mod common;

use std::{
    collections::{BTreeMap, BTreeSet},
    net::SocketAddr,
    process::Command,
    sync::Arc,
    time::Duration,
};

use axum::{
    Router,
    body::{Body, to_bytes},
    http::{Request, Response, StatusCode, header},
};
use common::{Amount, Count, Text, Time, Value};
use deltalake::{arrow::ipc::reader::StreamReader, parquet::arrow::arrow_reader::ParquetRecordBatchReaderBuilder};
use etl::{embedded::Services, lake::schema, settings::Settings};
use futures::{SinkExt as _, StreamExt as _, future::BoxFuture};
use model::{access::Permission, ledger::Ledger};
use rust_decimal::Decimal;
use serde_json::{Value as Json, json};
use server::{
    access::{
        Access, Credential,
        audit::Actor,
        gate::Gate,
        limits::RateLimits,
        roles,
        rules::{Kind, RULES, kind},
        sessions::Client,
    },
    dashboard::Parts,
    events::door::{self, Door},
    lake::{Catalogue, Limits as SqlLimits},
    openapi::openapi,
    pipeline_view::PipelineTables,
    probes,
    quality::Quality,
    routes::{WebState, leptos_options, router},
    store::Store,
    warehouse::{Limits, Warehouse},
};
use tempfile::TempDir;
use tokio::net::{TcpListener, TcpStream};
use tokio_tungstenite::{
    WebSocketStream, client_async,
    tungstenite::{self, Message, client::IntoClientRequest},
};
use tower::ServiceExt as _;

const SALES: &[&str] = &["bucket", "store_id", "payment_method", "orders", "lines", "units", "revenue", "discount"];
/// The page for those who write programs.
const PAGE: &str = include_str!("../../docs/API.md");
const HISTORICAL: &str = "/api/v1/analytics/historical";

/// The web half of the program over a database and a lake of its own.
struct Platform {
    router: Router,
    access: Arc<Access>,
    warehouse: Arc<Warehouse>,
    lake: common::TestLake,
    parts: Arc<Parts>,
    services: Services,
    store: Store,
    /// May do everything.
    key: String,
    folder: TempDir,
}

fn sale(bucket: &'static str, store: &'static str, orders: i64, revenue: &'static str) -> [Value; 8] {
    let (lines, units, discount) = (Count(orders), Amount("1"), Amount("0"));
    [Time(bucket), Text(store), Text("card"), Count(orders), lines, units, Amount(revenue), discount]
}

impl Platform {
    fn start() -> BoxFuture<'static, Platform> {
        Box::pin(Platform::begin())
    }

    async fn begin() -> Platform {
        let folder = tempfile::tempdir().expect("a temporary folder");
        let mut settings = Settings::defaults();
        settings.data_dir = folder.path().join("data");
        std::fs::create_dir(&settings.data_dir).expect("a folder");
        let services = Services::database(&settings).await.expect("a database");
        let store = Store::connect(&services.database_url).await.expect("an answer");
        roles::write_built_in(store.pool()).await.expect("roles");
        let access =
            Arc::new(Access::new(store.pool().clone(), RateLimits::none(), &settings).expect("a file of keys"));
        let gate = Arc::new(Gate::new(&settings.web, "http://localhost:3000".to_owned()));
        gate.open(Arc::clone(&access));

        let lake = common::TestLake::new();
        let rows = [
            sale("2024-12-31T10:00:00Z", "1", 1, "0.0001"),
            sale("2025-01-01T10:00:00Z", "1", 1, "10.10"),
            sale("2025-01-01T11:00:00Z", "2", 2, "99999999999999.9999"),
            sale("2025-01-02T10:00:00Z", "1", 1, "5"),
        ];
        lake.append(&schema::SALES, SALES, &rows.each_ref().map(|row| row.as_slice())).await;
        let warehouse = Arc::new(Warehouse::new(&lake.url(), Limits::default()).expect("a warehouse"));
        warehouse.refresh().await.expect("a lake that can be read");
        let parts = Arc::new(Parts::default());
        parts.ledger.put(Ledger::default());
        _ = parts.warehouse.set(Arc::clone(&warehouse));
        let tables = schema::all().into_iter().map(|table| (table.layer, table.name));
        _ = parts.tables.set(PipelineTables::new(&lake.url(), tables, schema::DEAD_LETTERS.name));
        let program = env!("CARGO_BIN_EXE_streamlinehub").into();
        _ = parts.catalogue.set(Arc::new(Catalogue::new(&lake.url(), program, SqlLimits::default())));
        _ = parts.quality.set(Arc::new(Quality::new(settings.quality.rules.clone(), &lake.url())));
        let dashboard = Arc::clone(&parts) as Arc<_>;
        let leptos = leptos_options(&folder.path().to_string_lossy());
        let router = router(WebState { dashboard, parts: Arc::clone(&parts), gate, leptos });
        let mut platform =
            Platform { router, access, warehouse, lake, parts, services, store, key: String::new(), folder };
        platform.key = platform.key_of("root@example.com", "admin", &Permission::ALL).await;
        platform
    }

    /// Events can be sent from now on, to the broker that is answered.
    async fn open_for_events(&self) -> Services {
        let mut settings = Settings::defaults();
        settings.data_dir = self.folder.path().join("broker");
        settings.kafka.embedded_port = 0;
        // Named, so that it is not started again.
        settings.database.url.clone_from(&self.services.database_url);
        let services = Services::start(&settings).await.expect("a broker and Redis");
        services.kafka.create_topics(settings.kafka.partitions).await.expect("topics");
        let redis = probes::connect_redis(&services.redis_url).await.expect("Redis");
        let limits = door::Limits::new(settings.ingest.max_event_bytes);
        _ = self.parts.events.set(Arc::new(Door::new(&services.kafka, redis, limits).expect("a door")));
        services
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

    async fn send(&self, request: http::request::Builder) -> Response<Body> {
        let request = request
            .header(header::HOST, "localhost:3000")
            .header(header::AUTHORIZATION, format!("Bearer {}", self.key))
            .body(Body::empty())
            .expect("a request");
        self.router.clone().oneshot(request).await.expect("a router never fails")
    }

    async fn get(&self, path: &str) -> (StatusCode, Json) {
        let response = self.send(Request::get(path)).await;
        let status = response.status();
        let body = to_bytes(response.into_body(), 1 << 22).await.expect("a body");
        (status, serde_json::from_slice(&body).unwrap_or_else(|error| panic!("{path}: {error}: {body:?}")))
    }

    async fn historical(&self, query: &str) -> Json {
        let (status, answer) = self.get(&format!("{HISTORICAL}?{query}")).await;
        assert_eq!(status, StatusCode::OK, "{query}: {answer}");
        answer
    }

    /// The same on a port of its own, for as long as the test runs.
    async fn listen(&self) -> SocketAddr {
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("a free port");
        let address = listener.local_addr().expect("an address");
        let service = self.router.clone().into_make_service_with_connect_info::<SocketAddr>();
        tokio::spawn(async move { axum::serve(listener, service).await });
        address
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn what_the_router_has_is_in_the_document_and_the_other_way_round() {
    let platform = Platform::start().await;
    let (status, served) = platform.get("/api-docs/openapi.json").await;
    assert_eq!((status, served["openapi"].as_str()), (StatusCode::OK, Some("3.1.0")));
    let document = serde_json::to_value(openapi()).expect("JSON");
    assert_eq!(served, document);
    let written: BTreeSet<&str> = document["paths"].as_object().expect("paths").keys().map(String::as_str).collect();
    let declared: BTreeSet<&str> = RULES
        .iter()
        .map(|(path, _)| *path)
        .filter(|path| kind(path) == Kind::Rest && *path != "/api" && *path != "/api/{*path}")
        .collect();
    assert_eq!(written, declared);

    for path in written {
        // A method that no route takes is told which there are. Braces would not be how a path is written.
        let some = path.replace(['{', '}'], "");
        let response = platform.send(Request::builder().method("PROPFIND").uri(some)).await;
        assert_eq!(response.status(), StatusCode::METHOD_NOT_ALLOWED, "{path} is not in the router");
        let allowed = response.headers()[header::ALLOW].to_str().expect("text").to_lowercase();
        let allowed: BTreeSet<&str> = allowed.split(',').map(str::trim).filter(|method| *method != "head").collect();
        let operations = document["paths"][path].as_object().expect("operations");
        assert_eq!(operations.keys().map(String::as_str).collect::<BTreeSet<_>>(), allowed, "{path}");
        for (method, operation) in operations {
            let responses = operation["responses"].as_object().expect("responses");
            assert!(operation["summary"].is_string() && operation["operationId"].is_string(), "{method} {path}");
            assert!(responses.contains_key("503") && responses.len() > 1, "{method} {path}: {responses:?}");
        }
    }
    // Whatever is referred to is there.
    let text = served.to_string();
    for reference in text.split("\"#/components/schemas/").skip(1) {
        let name = reference.split('"').next().unwrap_or_default();
        assert!(document["components"]["schemas"][name].is_object(), "there is no schema {name}");
    }
    platform.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn the_numbers_are_exact_and_paged_and_compared() {
    let platform = Platform::start().await;
    let days = "from=2025-01-01&to=2025-01-02";
    let daily = platform.historical(&format!("metric=revenue,orders&{days}&granularity=day&compare=previous")).await;
    let rows = daily["rows"].as_array().expect("rows");
    assert_eq!((rows.len(), &daily["next"]), (2, &Json::Null));
    assert_eq!(rows[0]["time"], "2025-01-01T00:00:00Z");
    assert_eq!(rows[0]["values"]["revenue"], "100000000000010.0999");
    assert_eq!((&rows[1]["values"]["revenue"], &rows[1]["values"]["orders"]), (&"5".into(), &"1".into()));
    // Two days before the first: 30 and 31 December.
    assert_eq!(
        (&rows[0]["previous"]["values"]["orders"], &rows[1]["previous"]["values"]["revenue"]),
        (&"0".into(), &"0.0001".into())
    );
    assert_eq!(rows[1]["previous"]["time"], "2024-12-31T00:00:00Z");

    let whole = platform.historical(&format!("metric=orders&{days}&granularity=none&filter=store:1")).await;
    assert_eq!(whole["rows"][0]["values"]["orders"], "2");
    let stores = format!("metric=revenue&{days}&group_by=store&compare=previous&limit=1");
    let first = platform.historical(&stores).await;
    assert_eq!((&first["rows"][0]["key"], &first["rows"][0]["previous"]), (&"2".into(), &Json::Null));
    let cursor = first["next"].as_str().expect("a second page");
    let second = platform.historical(&format!("{stores}&cursor={cursor}")).await;
    assert_eq!((&second["rows"][0]["key"], &second["next"]), (&"1".into(), &Json::Null));
    assert_eq!(second["rows"][0]["previous"]["values"]["revenue"], "0.0001");
    let local =
        platform.historical("metric=orders&from=2025-01-01&to=2025-01-01&granularity=day&timezone=Asia/Tokyo").await;
    assert_eq!(
        (&local["rows"][0]["time"], &local["rows"][0]["values"]["orders"]),
        (&"2025-01-01T00:00:00+09:00".into(), &"3".into())
    );
    platform.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn an_answer_is_sent_again_only_when_a_number_differs() {
    let platform = Platform::start().await;
    let path = format!("{HISTORICAL}?metric=revenue&from=2025-01-01&to=2025-01-01");
    let tag = platform.send(Request::get(&path)).await.headers()[header::ETAG].clone();
    let again = async || platform.send(Request::get(&path).header(header::IF_NONE_MATCH, &tag)).await;
    assert_eq!(again().await.status(), StatusCode::NOT_MODIFIED);
    let other = [sale("2025-01-05T10:00:00Z", "1", 1, "1")];
    platform.lake.append(&schema::SALES, SALES, &other.each_ref().map(|row| row.as_slice())).await;
    platform.warehouse.refresh().await.expect("a refresh");
    assert_eq!(again().await.status(), StatusCode::NOT_MODIFIED, "another day");
    let same = [sale("2025-01-01T10:00:00Z", "1", 1, "1")];
    platform.lake.append(&schema::SALES, SALES, &same.each_ref().map(|row| row.as_slice())).await;
    platform.warehouse.refresh().await.expect("a refresh");
    let changed = again().await;
    assert_eq!(changed.status(), StatusCode::OK);
    assert_ne!(changed.headers()[header::ETAG], tag);
    platform.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_refused_is_explained_and_names_its_request() {
    let platform = Platform::start().await;
    for (query, why) in [
        ("metric=revenu", "there are revenue"),
        ("metric=events&group_by=store", "`events` is known by topic, event_type"),
        ("metric=revenue&filter=store:1&filter=brand:x", "together"),
        ("metric=revenue&granularity=hour&days=3660", "buckets"),
        ("metric=revenue&timezone=Africa/Monrovia&from=1971-01-01&to=1971-01-31", "whole quarter"),
        ("metric=revenue&wrong=1", "not a parameter"),
    ] {
        let request = Request::get(format!("{HISTORICAL}?{query}")).header("x-request-id", "order-17.try-2");
        let response = platform.send(request).await;
        assert_eq!(response.status(), StatusCode::BAD_REQUEST, "{query}");
        assert_eq!(response.headers()["x-request-id"], "order-17.try-2");
        assert_eq!(response.headers()[header::CONTENT_TYPE], "application/problem+json");
        let body = to_bytes(response.into_body(), 1 << 20).await.expect("a body");
        let problem: Json = serde_json::from_slice(&body).expect("JSON");
        assert!(problem["detail"].as_str().is_some_and(|detail| detail.contains(why)), "{query}: {problem}");
        assert_eq!(problem["request_id"], "order-17.try-2");
    }
    let made = platform.send(Request::get("/metrics").header("x-request-id", "has space")).await;
    assert_eq!((made.status(), made.headers()["x-request-id"].len()), (StatusCode::OK, 36));
    platform.stop().await;
}

/// Silver transactions: when, id, store, amount, and when each came in.
const SILVER: &[&str] = &["occurred_at", "event_id", "store_id", "amount", "ingested_at", "source_offset"];

fn transaction(id: &'static str, store: &'static str, amount: &'static str, came_in: &'static str) -> [Value; 6] {
    [Time("2025-01-01T10:30:00Z"), Text(id), Text(store), Amount(amount), Time(came_in), Count(7)]
}

#[tokio::test(flavor = "multi_thread")]
async fn a_number_can_be_had_as_it_stood_and_leads_to_its_rows() {
    let platform = Platform::start().await;
    let rows = [
        transaction("a", "1", "10.10", "2025-01-01T10:31:00Z"),
        transaction("b", "o'ne", "5", "2025-01-01T10:32:00Z"),
        transaction("late", "1", "100", "2025-01-09T10:00:00Z"),
    ];
    platform.lake.append(&schema::TRANSACTIONS, SILVER, &rows.each_ref().map(|row| row.as_slice())).await;
    let asked = "metric=revenue,orders&from=2025-01-01&to=2025-01-01";
    for (as_of, revenue, orders) in [
        ("2025-01-01T10:30:59Z", "0", "0"),
        ("2025-01-01T10:31:00Z", "10.1", "1"),
        ("2025-01-02", "15.1", "2"),
        ("2025-02-01T00:00:00Z", "115.1", "3"),
    ] {
        for granularity in ["none", "hour", "day", "month"] {
            let answer = platform.historical(&format!("{asked}&granularity={granularity}&as_of={as_of}")).await;
            let sum = |metric: &str| {
                let values = answer["rows"].as_array().expect("rows").iter().map(|row| &row["values"][metric]);
                values
                    .map(|value| value.as_str().expect("a number").parse::<Decimal>().expect("exact"))
                    .sum::<Decimal>()
            };
            let expected = (revenue.parse().expect("a number"), orders.parse().expect("a number"));
            assert_eq!((sum("revenue"), sum("orders")), expected, "{granularity} as of {as_of}");
        }
    }
    let stores = platform.historical("metric=revenue&from=2025-01-01&group_by=store&as_of=2025-01-02").await;
    assert_eq!((&stores["rows"][0]["key"], &stores["rows"][1]["key"]), (&"1".into(), &"o'ne".into()));

    let behind = "/api/v1/analytics/rows?metric=revenue&from=2025-01-01&to=2025-01-01";
    let (status, all) = platform.get(&format!("{behind}&limit=2")).await;
    assert_eq!((status, all["table"].as_str()), (StatusCode::OK, Some("silver.transactions")), "{all}");
    assert_eq!(all["rows"]["rows"].as_array().map(Vec::len), Some(2));
    let next = all["next"].as_str().expect("a second page");
    let (_, last) = platform.get(&format!("{behind}&limit=2&cursor={next}")).await;
    assert_eq!((last["rows"]["rows"].as_array().map(Vec::len), &last["next"]), (Some(1), &Json::Null));
    let (_, quoted) = platform.get(&format!("{behind}&filter=store:o%27ne")).await;
    let columns = quoted["rows"]["columns"].as_array().expect("columns");
    let cell = |name: &str| {
        let place = columns.iter().position(|column| column["name"] == name).expect("the column");
        quoted["rows"]["rows"][0][place].clone()
    };
    assert_eq!((cell("event_id"), cell("amount"), cell("source_offset")), ("b".into(), "5.0000".into(), "7".into()));
    assert_eq!(cell("topic"), "transaction-events");
    let (status, missing) = platform.get("/api/v1/events/transaction-events/0/7").await;
    assert_eq!((status, missing["status"].as_u64()), (StatusCode::NOT_FOUND, Some(404)));
    platform.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn sql_answers_in_every_format_and_is_noted() {
    let platform = Platform::start().await;
    let ask = async |body: Json| {
        let request = Request::post("/api/v1/query")
            .header(header::HOST, "localhost:3000")
            .header(header::AUTHORIZATION, format!("Bearer {}", platform.key))
            .header(header::CONTENT_TYPE, "application/json")
            .body(Body::from(body.to_string()))
            .expect("a request");
        let response = platform.router.clone().oneshot(request).await.expect("a router never fails");
        let (parts, body) = response.into_parts();
        (parts, to_bytes(body, 1 << 22).await.expect("a body"))
    };
    let sql = "SELECT store_id, revenue FROM gold.sales ORDER BY bucket";
    let (parts, content) = ask(json!({"sql": sql, "limit": 2})).await;
    let answer: Json = serde_json::from_slice(&content).expect("JSON");
    assert_eq!((parts.status, &answer["truncated"]), (StatusCode::OK, &true.into()));
    assert_eq!(answer["rows"], json!([["1", "0.0001"], ["1", "10.1000"]]));
    let (parts, content) = ask(json!({"sql": sql, "format": "csv", "limit": 2})).await;
    assert_eq!(parts.headers["x-truncated"], "true");
    assert_eq!(String::from_utf8_lossy(&content), "store_id,revenue\n1,0.0001\n1,10.1000\n");
    let (_, content) = ask(json!({"sql": sql, "format": "arrow"})).await;
    let reader = StreamReader::try_new(content.as_ref(), None).expect("Arrow");
    assert_eq!(reader.map(|batch| batch.expect("a batch").num_rows()).sum::<usize>(), 4);
    let (_, content) = ask(json!({"sql": sql, "format": "parquet"})).await;
    let reader = ParquetRecordBatchReaderBuilder::try_new(content).expect("Parquet").build().expect("a reader");
    assert_eq!(reader.map(|batch| batch.expect("a batch").num_rows()).sum::<usize>(), 4);

    let (parts, content) = ask(json!({"sql": "DROP TABLE gold.sales"})).await;
    let problem: Json = serde_json::from_slice(&content).expect("JSON");
    assert_eq!((parts.status, problem["status"].as_u64()), (StatusCode::BAD_REQUEST, Some(400)));
    for (body, status) in [
        (json!({"sql": sql, "limit": 0}), StatusCode::BAD_REQUEST),
        (json!({"sql": sql, "format": "xlsx"}), StatusCode::UNPROCESSABLE_ENTITY),
        (json!({"sql": sql, "database": "x"}), StatusCode::UNPROCESSABLE_ENTITY),
    ] {
        assert_eq!(ask(body.clone()).await.0.status, status, "{body}");
    }
    let noted =
        sqlx::query_scalar::<_, String>("SELECT detail FROM streamlinehub.audit_log WHERE action = 'sql.query'");
    let noted = noted.fetch_all(platform.store.pool()).await.expect("lines");
    assert!(noted.iter().any(|detail| detail == "DROP TABLE gold.sales"), "{noted:?}");
    assert_eq!(noted.len(), 5, "what is no statement is not noted");
    platform.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn every_example_of_the_page_runs() {
    let platform = Platform::start().await;
    let services = platform.open_for_events().await;
    let server = format!("http://{}", platform.listen().await);
    let examples: Vec<&str> =
        PAGE.split("```bash\n").skip(1).map(|rest| rest.split("```").next().unwrap_or_default()).collect();
    assert!(examples.len() > 8, "{examples:?}");
    for example in examples {
        let (server, key) = (server.clone(), platform.key.clone());
        let script = format!("set -euo pipefail\n{example}");
        let run = move || Command::new("bash").args(["-c", &script]).env("SERVER", server).env("KEY", key).output();
        let output = tokio::task::spawn_blocking(run).await.expect("a thread").expect("bash and curl");
        assert!(output.status.success(), "{example}\n{}", String::from_utf8_lossy(&output.stderr));
    }
    services.stop().await;
    platform.stop().await;
}

type Socket = WebSocketStream<TcpStream>;

async fn connect(
    address: SocketAddr,
    query: &str,
    key: &str,
    origin: Option<&str>,
) -> Result<Socket, tungstenite::Error> {
    let mut request = format!("ws://{address}/ws/dashboard{query}").into_client_request().expect("an address");
    request.headers_mut().insert(header::AUTHORIZATION, format!("Bearer {key}").parse().expect("a value"));
    if let Some(origin) = origin {
        request.headers_mut().insert(header::ORIGIN, origin.parse().expect("a value"));
    }
    let stream = TcpStream::connect(address).await.expect("a connection");
    client_async(request, stream).await.map(|(socket, _)| socket)
}

/// The next text frame; None when the socket ends.
async fn frame(socket: &mut Socket) -> Option<Json> {
    loop {
        let message = tokio::time::timeout(Duration::from_secs(20), socket.next()).await.expect("a frame in time");
        match message {
            Some(Ok(Message::Text(text))) => return Some(serde_json::from_str(&text).expect("JSON")),
            Some(Ok(Message::Close(_)) | Err(_)) | None => return None,
            Some(Ok(_)) => {}
        }
    }
}

async fn say(socket: &mut Socket, text: &str) {
    socket.send(Message::text(text)).await.expect("an open socket");
}

fn refused_with(outcome: Result<Socket, tungstenite::Error>) -> u16 {
    match outcome {
        Err(tungstenite::Error::Http(response)) => response.status().as_u16(),
        other => panic!("not refused: {other:?}"),
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_socket_begins_with_a_snapshot_and_ends_with_the_rights() {
    let platform = Platform::start().await;
    let address = platform.listen().await;
    let looking = platform.key_of("ann@example.com", "admin", &[Permission::MetricsRead]).await;
    assert_eq!(refused_with(connect(address, "", "wrong", None).await), 401);
    assert_eq!(refused_with(connect(address, "?channels=pipeline", &looking, None).await), 403);
    assert_eq!(refused_with(connect(address, "?channels=x", &looking, None).await), 400);
    assert_eq!(refused_with(connect(address, "", &looking, Some("https://evil.example")).await), 403);

    let mut socket = connect(address, "?channels=metrics", &platform.key, None).await.expect("a socket");
    let first = frame(&mut socket).await.expect("a frame");
    assert_eq!((&first["channel"], &first["kind"]), (&"metrics".into(), &"snapshot".into()));
    say(&mut socket, r#"{"subscribe":["pipeline"]}"#).await;
    let tables = frame(&mut socket).await.expect("a frame");
    assert_eq!((&tables["channel"], &tables["kind"]), (&"pipeline".into(), &"snapshot".into()));
    assert_eq!(tables["data"]["tables"][0]["name"], "sales");
    let more = [sale("2025-01-07T10:00:00Z", "1", 1, "1")];
    platform.lake.append(&schema::SALES, SALES, &more.each_ref().map(|row| row.as_slice())).await;
    let update = frame(&mut socket).await.expect("a frame");
    assert_eq!((&update["channel"], &update["kind"]), (&"pipeline".into(), &"update".into()));
    let numbers: BTreeMap<&str, u64> = [("then", &tables), ("now", &update)]
        .map(|(name, frame)| (name, frame["sequence"].as_u64().expect("a number")))
        .into();
    assert_eq!(numbers["now"], numbers["then"] + 1);

    say(&mut socket, &format!(r#"{{"resume":{{"pipeline":{}}}}}"#, numbers["then"])).await;
    let resumed = frame(&mut socket).await.expect("a frame");
    assert_eq!((&resumed["kind"], &resumed["missed"]), (&"snapshot".into(), &1.into()));
    say(&mut socket, r#"{"subscribe":["weather"]}"#).await;
    let error = frame(&mut socket).await.expect("a frame");
    assert_eq!(error["kind"], "error");
    assert!(error["detail"].as_str().is_some_and(|detail| detail.contains("metrics, pipeline, alerts")), "{error}");

    let mut other = connect(address, "", &looking, None).await.expect("a socket");
    let ann = platform.access.find_user("ann@example.com").await.expect("an answer").expect("the user");
    sqlx::query("UPDATE streamlinehub.users SET disabled_at = now() WHERE id = $1")
        .bind(ann)
        .execute(platform.store.pool())
        .await
        .expect("disabled");
    platform.access.forget(Some(ann));
    assert_eq!(frame(&mut other).await, None, "it ends at once");
    platform.stop().await;
}
