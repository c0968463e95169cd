//! Quarantine and replay as programs use them: over a real broker, a real Redis, a real database and the pipeline itself.

use std::{sync::Arc, time::Duration};

use axum::{
    Router,
    body::{Body, to_bytes},
    http::{Request, StatusCode, header},
};
use etl::{
    embedded::Services,
    lake::{Lake, schema},
    pipeline::Pipeline,
    progress,
    settings::Settings,
};
use futures::future::BoxFuture;
use model::access::Permission;
use serde_json::{Value as Json, json};
use server::{
    access::{Access, Credential, audit::Actor, gate::Gate, limits::RateLimits, roles, sessions::Client},
    dashboard::Parts,
    events::door::{self, Door},
    lake::{Catalogue, Limits as SqlLimits},
    pipeline_view::PipelineTables,
    probes,
    quality::Quality,
    routes::{WebState, leptos_options, router},
    store::Store,
    warehouse::{Limits, Warehouse},
};
use tempfile::TempDir;
use tokio::time::Instant;
use tower::ServiceExt as _;
use url::Url;

/// Longer than anything here takes, so that a test that hangs says so.
const PATIENCE: Duration = Duration::from_secs(120);
const LETTERS: &str = "/api/v1/quality/letters";

/// The whole program but its port.
struct Platform {
    router: Router,
    access: Arc<Access>,
    lake: Lake,
    warehouse: Arc<Warehouse>,
    pipeline: Option<Pipeline>,
    services: Services,
    store: Store,
    parts: Arc<Parts>,
    /// May do everything.
    root: String,
    _folder: TempDir,
}

impl Platform {
    fn start() -> BoxFuture<'static, Platform> {
        Box::pin(Platform::begin())
    }

    async fn begin() -> Platform {
        let folder = tempfile::tempdir().expect("a temporary folder");
        let mut settings = Settings::defaults();
        settings.data_dir = folder.path().join("data");
        settings.kafka.embedded_port = 0;
        settings.quality.results_every_ms = 100;
        settings.buffer.max_wait_ms = 50;
        settings.gold.min_interval_ms = 100;
        let services = Services::start(&settings).await.expect("services");
        let store = Store::connect(&services.database_url).await.expect("an answer");
        roles::write_built_in(store.pool()).await.expect("roles");
        let access =
            Arc::new(Access::new(store.pool().clone(), RateLimits::none(), &settings).expect("a file of keys"));
        let gate = Arc::new(Gate::new(&settings.web, "http://localhost:3000".to_owned()));
        gate.open(Arc::clone(&access));
        let settings = Arc::new(settings);
        let pipeline = Pipeline::start(Arc::clone(&settings), &services.kafka, &services.redis_url).await;
        let lake = Lake::open(&settings.lake_path()).expect("a folder for the lake");
        let url = Url::from_directory_path(lake.root()).expect("an absolute path");
        let parts = Arc::new(Parts::default());
        let warehouse = Arc::new(Warehouse::new(&url, Limits::default()).expect("a warehouse"));
        _ = parts.warehouse.set(Arc::clone(&warehouse));
        let tables = schema::all().into_iter().map(|table| (table.layer, table.name));
        _ = parts.tables.set(PipelineTables::new(&url, tables, schema::DEAD_LETTERS.name));
        let program = env!("CARGO_BIN_EXE_streamlinehub").into();
        _ = parts.catalogue.set(Arc::new(Catalogue::new(&url, program, SqlLimits::default())));
        _ = parts.quality.set(Arc::new(Quality::new(settings.quality.rules.clone(), &url)));
        let redis = probes::connect_redis(&services.redis_url).await.expect("Redis");
        let limits = door::Limits::new(settings.ingest.max_event_bytes);
        _ = parts.events.set(Arc::new(Door::new(&services.kafka, redis, limits).expect("a door")));
        let dashboard = Arc::clone(&parts) as Arc<_>;
        let leptos = leptos_options(&folder.path().to_string_lossy());
        let router = router(WebState { dashboard, parts: Arc::clone(&parts), gate, leptos });
        let pipeline = Some(pipeline.expect("a pipeline"));
        let root = String::new();
        let mut platform =
            Platform { router, access, lake, warehouse, pipeline, services, store, parts, root, _folder: folder };
        platform.root = platform.key_of("root@example.com", "admin", &Permission::ALL).await;
        platform
    }

    async fn stop(mut self) {
        if let Some(pipeline) = self.pipeline.take() {
            pipeline.stop().await;
        }
        if let Some(catalogue) = self.parts.catalogue.get() {
            catalogue.stop().await;
        }
        self.store.close().await;
        self.services.stop().await;
    }

    async fn key_of(&self, email: &str, role: &str, permissions: &[Permission]) -> String {
        let client = Client { address: "192.0.2.1".parse().expect("an address"), user_agent: String::new() };
        let link = self.access.create_user("Ann", email, role, None, &Actor::default()).await.expect("a user");
        let tokens = self.access.accept(&link, "purple elephants paint fences", &client).await.expect("a password");
        let session = Credential::Session(tokens.expect("no second factor").session);
        let standing = self.access.standing(&session).await.expect("an answer").expect("signed in");
        let key = self.access.create_api_key(&standing, "test", permissions, 1, &standing.actor("")).await;
        key.expect("a key")
    }

    async fn send(&self, key: &str, request: http::request::Builder, body: Option<Json>) -> (StatusCode, Json) {
        let request = request
            .header(header::HOST, "localhost:3000")
            .header(header::AUTHORIZATION, format!("Bearer {key}"))
            .header(header::CONTENT_TYPE, "application/json");
        let body = body.map_or_else(Body::empty, |body| Body::from(body.to_string()));
        let request = request.body(body).expect("a request");
        let response = self.router.clone().oneshot(request).await.expect("a router never fails");
        let status = response.status();
        let body = to_bytes(response.into_body(), 1 << 22).await.expect("a body");
        (status, serde_json::from_slice(&body).unwrap_or(Json::Null))
    }

    async fn get(&self, path: &str) -> Json {
        let (status, answer) = self.send(&self.root, Request::get(path), None).await;
        assert_eq!(status, StatusCode::OK, "{path}: {answer}");
        answer
    }

    async fn post(&self, path: &str, body: Json) -> (StatusCode, Json) {
        self.send(&self.root, Request::post(path), Some(body)).await
    }

    async fn sell(&self, sales: &[Json]) {
        let (status, receipt) = self.post("/api/v1/events/transaction-events", Json::from(sales)).await;
        assert_eq!(status, StatusCode::OK, "{receipt}");
        self.settle().await;
    }

    /// Waits until everything that is in Kafka is in Gold.
    async fn settle(&self) {
        let began = Instant::now();
        loop {
            let behind = progress::behind(&self.services.kafka, &self.lake).await.expect("an answer");
            if behind.is_nothing() {
                break;
            }
            assert!(began.elapsed() < PATIENCE, "still behind: {behind:?}");
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
        self.warehouse.refresh().await.expect("a lake that can be read");
    }

    /// The single value that a statement answers.
    async fn value(&self, sql: &str) -> String {
        let (status, answer) = self.post("/api/v1/query", json!({ "sql": sql })).await;
        assert_eq!(status, StatusCode::OK, "{sql}: {answer}");
        answer["rows"][0][0].as_str().unwrap_or_default().to_owned()
    }

    /// Asks until the answer is good.
    async fn wait_for(&self, path: &str, is_good: impl Fn(&Json) -> bool) -> Json {
        let began = Instant::now();
        loop {
            let answer = self.get(path).await;
            if is_good(&answer) {
                return answer;
            }
            assert!(began.elapsed() < PATIENCE, "{path}: {answer}");
            tokio::time::sleep(Duration::from_millis(100)).await;
        }
    }
}

fn sale(number: u32, currency: &str, amount: &str) -> Json {
    json!({
        "event_id": uuid::Uuid::from_u128(u128::from(number)), "event_type": "transaction.completed",
        "occurred_at": "2026-03-01T10:00:00Z", "customer_id": "c-1", "transaction_id": format!("t-{number}"),
        "store_id": "s-1", "amount": amount, "currency": currency,
        "lines": [{"product_id": "p-1", "quantity": 1, "amount": amount}],
    })
}

fn place(letter: &Json) -> String {
    format!("{}/{}/{}", letter["topic"].as_str().expect("a topic"), letter["partition"], letter["offset"])
}

#[tokio::test(flavor = "multi_thread")]
async fn what_was_put_aside_is_changed_and_replayed_and_leaves_a_trail() {
    let platform = Platform::start().await;
    platform.sell(&[sale(1, "USD", "10"), sale(2, "XYZ", "5")]).await;
    assert_eq!(platform.value("SELECT count(*) FROM silver.transactions").await, "1");

    let page = platform.get(&format!("{LETTERS}?stage=quality&rule=currency_known&topic=transaction-events")).await;
    let letter = &page["letters"][0];
    assert_eq!((page["letters"].as_array().map(Vec::len), &page["next"]), (Some(1), &Json::Null));
    assert_eq!(
        (&letter["rejection"], &letter["reason"]),
        (&"quality".into(), &"currency_known: currency = XYZ".into())
    );
    let path = format!("{LETTERS}/{}", place(letter));
    let detail = platform.get(&path).await;
    assert_eq!((&detail["key"], &detail["whole"], &detail["trail"]), (&"c-1".into(), &true.into(), &json!([])));
    let payload = detail["payload"].as_str().expect("text").to_owned();
    let mended = payload.replace("XYZ", "EUR");

    // Who may only look does not replay, and who may replay does not change.
    let looker = platform.key_of("looker@example.com", "analyst", &[Permission::QualityRead]).await;
    let replayer = platform
        .key_of("replayer@example.com", "operator", &[Permission::QualityRead, Permission::QualityReplay])
        .await;
    let replay = format!("{path}/replay");
    let (status, _) = platform.send(&looker, Request::post(&replay), Some(json!({}))).await;
    assert_eq!(status, StatusCode::FORBIDDEN);
    let (status, _) = platform.send(&replayer, Request::post(&replay), Some(json!({"payload": mended}))).await;
    assert_eq!(status, StatusCode::FORBIDDEN);
    // What would be refused again is refused now.
    for (broken, why) in [("{", "EOF"), ("{}", "event_id"), (&payload.replace("\"5\"", "\"much\""), "amount")] {
        let (status, problem) = platform.post(&replay, json!({ "payload": broken })).await;
        let detail = problem["detail"].as_str().unwrap_or_default();
        assert_eq!(status, StatusCode::BAD_REQUEST, "{problem}");
        assert!(detail.contains("It would be refused again") && detail.contains(why), "{detail}");
    }
    assert_eq!(platform.get(&path).await["trail"], json!([]), "nothing was sent so far");

    // As it is: it comes back, as another letter.
    let (status, sent) = platform.send(&replayer, Request::post(&replay), Some(json!({}))).await;
    assert_eq!(status, StatusCode::OK, "{sent}");
    assert_eq!((&sent["edited"], &sent["outcome"]), (&false.into(), &"sent".into()));
    assert_eq!(sent["hash_before"], sent["hash_after"]);
    platform.settle().await;
    let page = platform.get(&format!("{LETTERS}?rule=currency_known&limit=1")).await;
    assert_eq!(page["letters"][0]["offset"], sent["new_offset"]);
    let next = page["next"].as_str().expect("a second page");
    let second = platform.get(&format!("{LETTERS}?rule=currency_known&limit=1&cursor={next}")).await;
    assert_eq!((place(&second["letters"][0]), &second["letters"][0]["replays"]), (place(letter), &1.into()));
    assert_eq!(second["next"], Json::Null);

    // A second time only for who says so; changed it goes all the way to Gold, with its key.
    let (status, problem) = platform.post(&replay, json!({ "payload": mended })).await;
    assert_eq!(status, StatusCode::CONFLICT, "{problem}");
    let (status, sent) = platform.post(&replay, json!({"payload": mended, "again": true})).await;
    assert_eq!((status, &sent["edited"]), (StatusCode::OK, &true.into()), "{sent}");
    assert_ne!(sent["hash_before"], sent["hash_after"]);
    platform.settle().await;
    assert_eq!(platform.value("SELECT sum(amount) FROM silver.transactions WHERE currency = 'EUR'").await, "5.0000");
    assert_eq!(platform.value("SELECT sum(revenue) FROM gold.sales").await, "15.0000");
    let row = format!(
        "SELECT arrow_cast(key, 'Utf8') FROM bronze.transaction_events WHERE \"offset\" = {} AND partition = {}",
        sent["new_offset"], sent["new_partition"]
    );
    assert_eq!(platform.value(&row).await, "c-1");

    let trail = platform.get(&path).await["trail"].clone();
    let by: Vec<&str> = trail.as_array().expect("a trail").iter().filter_map(|entry| entry["by"].as_str()).collect();
    assert_eq!(by, ["replayer@example.com (API key test)", "root@example.com (API key test)"]);
    let lines = sqlx::query_as::<_, (String, String, String)>(
        "SELECT actor, target, detail FROM streamlinehub.audit_log WHERE action = 'letter.replay' ORDER BY number",
    )
    .fetch_all(platform.store.pool())
    .await
    .expect("the audit log");
    assert_eq!(lines.len(), 2, "{lines:?}");
    assert!(lines[0].2.starts_with("unchanged, SHA-256 ") && lines[1].2.starts_with("changed, SHA-256 "), "{lines:?}");
    assert!(lines.iter().all(|line| line.1 == place(letter)), "{lines:?}");
    platform.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn all_letters_of_a_filter_are_replayed_once_with_progress() {
    let platform = Platform::start().await;
    let sales: Vec<Json> = (0..120).map(|number| sale(number + 1, "XYZ", "1")).collect();
    platform.sell(&sales).await;
    let all = format!("{LETTERS}?limit=500");
    assert_eq!(platform.get(&all).await["letters"].as_array().map(Vec::len), Some(120));
    let one = place(&platform.get(&all).await["letters"][7]);
    let (status, _) = platform.post(&format!("{LETTERS}/{one}/replay"), json!({})).await;
    assert_eq!(status, StatusCode::OK);
    platform.settle().await;

    let filter = json!({"filter": {"stage": "quality", "rule": "currency_known"}});
    let (status, begun) = platform.post("/api/v1/quality/replay", filter.clone()).await;
    assert_eq!((status, &begun["total"]), (StatusCode::ACCEPTED, &121.into()), "{begun}");
    let progress = format!("/api/v1/quality/replays/{}", begun["id"].as_str().expect("an id"));
    let done = platform.wait_for(&progress, |batch| batch["state"] != "running").await;
    assert_eq!(
        (&done["state"], &done["sent"], &done["skipped"], &done["failed"]),
        (&"done".into(), &120.into(), &1.into(), &0.into()),
        "{done}"
    );
    platform.settle().await;
    // They came back; those that were sent are left alone, the new ones are not.
    let (_, begun) = platform.post("/api/v1/quality/replay", filter).await;
    let progress = format!("/api/v1/quality/replays/{}", begun["id"].as_str().expect("an id"));
    let done = platform.wait_for(&progress, |batch| batch["state"] != "running").await;
    assert_eq!((&done["total"], &done["sent"], &done["skipped"]), (&241.into(), &120.into(), &121.into()), "{done}");
    let (status, problem) = platform.post("/api/v1/quality/replay", json!({"filter": {"topic": "nothing"}})).await;
    assert_eq!(status, StatusCode::BAD_REQUEST, "{problem}");
    assert_eq!(platform.get("/api/v1/quality/replays").await["replays"].as_array().map(Vec::len), Some(2));
    platform.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn what_the_rules_found_can_be_asked_for() {
    let platform = Platform::start().await;
    let sales: Vec<Json> = (0..40)
        .map(|number| sale(number + 1, if number == 0 { "XYZ" } else { "USD" }, if number < 4 { "-1" } else { "2" }))
        .collect();
    platform.sell(&sales).await;
    let found = platform
        .wait_for("/api/v1/quality/rules?rule=amount_not_negative", |answer| answer["rules"][0]["checked"] == 40)
        .await;
    let rule = &found["rules"][0];
    assert_eq!((&rule["failed"], &rule["rule"]["action"]), (&4.into(), &"warn".into()), "{found}");
    assert_eq!(rule["offenders"], json!([{"value": "s-1", "failed": 4}]));
    let series = platform.get("/api/v1/quality/series?rule=amount_not_negative").await;
    let checked: i64 =
        series["points"].as_array().expect("points").iter().filter_map(|point| point["checked"].as_i64()).sum();
    assert_eq!(checked, 40, "{series}");
    let samples = platform.get("/api/v1/quality/samples?rule=amount_not_negative").await;
    let sample = &samples["samples"][0];
    assert_eq!(sample["values"], "amount = -1.0000");
    let event = format!("/api/v1/events/transaction-events/{}/{}", sample["partition"], sample["offset"]);
    assert!(platform.get(&event).await["payload"].as_str().is_some_and(|payload| payload.contains("\"-1\"")));
    let freshness = platform.get("/api/v1/quality/freshness").await;
    let tables = freshness["tables"].as_array().expect("tables");
    let age = |name: &str| {
        let table = tables.iter().find(|table| table["table"] == name).expect("the table");
        table["age_seconds"].as_i64()
    };
    assert!(age("silver.transactions").is_some_and(|age| age < 120), "{freshness}");
    assert!(age("bronze.transaction_events").is_some_and(|age| age < 120), "{freshness}");
    assert_eq!(age("bronze.product_events"), None);
    let (status, problem) =
        platform.send(&platform.root, Request::get("/api/v1/quality/rules?rule=nothing"), None).await;
    assert_eq!(status, StatusCode::BAD_REQUEST);
    assert!(
        problem["choices"].as_array().is_some_and(|choices| choices.contains(&"currency_known".into())),
        "{problem}"
    );
    platform.stop().await;
}
