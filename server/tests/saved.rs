//! What people keep: against a real PostgreSQL, through the router as browsers and programs come to it.

use std::sync::Arc;

use axum::{
    Router,
    body::{Body, to_bytes},
    http::{Method, Request, Response, StatusCode, header},
};
use etl::{embedded::Services, settings::Settings};
use futures::future::BoxFuture;
use model::{
    access::Permission,
    saved::{LONGEST_TEXT, MOST_DASHBOARDS, MOST_SAVED, MOST_TILES},
};
use serde_json::{Value, json};
use server::{
    access::{Access, audit, gate::Gate, limits::RateLimits, login::Login, roles, sessions::Client},
    dashboard::Parts,
    routes::{WebState, leptos_options, router},
    store::Store,
};
use sqlx::PgPool;
use tempfile::TempDir;
use tower::ServiceExt as _;
use uuid::Uuid;

const PASSWORD: &str = "purple elephants paint fences";
const ORIGIN: &str = "http://localhost:3000";
const SAVED: &str = "/api/v1/saved";
const DASHBOARDS: &str = "/api/v1/dashboards";

/// The web half of the program over a database of its own.
struct Platform {
    router: Router,
    access: Arc<Access>,
    pool: PgPool,
    services: Services,
    store: Store,
    _folder: TempDir,
}

/// Somebody who is signed in.
struct Person {
    id: Uuid,
    token: String,
}

impl Person {
    fn cookies(&self) -> String {
        format!("access={}", self.token)
    }
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
        let gate = Arc::new(Gate::new(&settings.web, ORIGIN.to_owned()));
        gate.open(Arc::clone(&access));
        let parts = Arc::new(Parts::default());
        let dashboard = Arc::clone(&parts) as Arc<_>;
        let leptos = leptos_options(&folder.path().to_string_lossy());
        let router = router(WebState { dashboard, parts, gate, leptos });
        let pool = store.pool().clone();
        Platform { router, access, pool, services, store, _folder: folder }
    }

    async fn stop(self) {
        self.store.close().await;
        self.services.stop().await;
    }

    async fn person(&self, name: &str, role: &str) -> Person {
        let email = format!("{name}@example.com");
        let client = Client { address: "192.0.2.1".parse().expect("an address"), user_agent: String::new() };
        let nobody = audit::Actor::default();
        let link = self.access.create_user(name, &email, role, None, &nobody).await.expect("a new user");
        self.access.accept(&link, PASSWORD, &client).await.expect("a good link");
        let token = match self.access.log_in(&email, PASSWORD.to_owned(), &client, None).await.expect("an answer") {
            Login::In(tokens) => tokens.access,
            other => panic!("not logged in: {other:?}"),
        };
        Person { id: self.access.find_user(&email).await.expect("an answer").expect("the user"), token }
    }

    async fn send(&self, request: http::request::Builder, body: String) -> Response<Body> {
        let request = request.header(header::HOST, "localhost:3000").body(Body::from(body)).expect("a request");
        self.router.clone().oneshot(request).await.expect("a router never fails")
    }

    /// As a program asks; the status and the JSON of the answer.
    async fn rest(&self, person: &Person, method: Method, path: &str, body: Value) -> (StatusCode, Value) {
        let request = Request::builder()
            .method(method)
            .uri(path)
            .header(header::AUTHORIZATION, format!("Bearer {}", person.token))
            .header(header::CONTENT_TYPE, "application/json");
        let body = if body.is_null() { String::new() } else { body.to_string() };
        let response = self.send(request, body).await;
        let status = response.status();
        let bytes = to_bytes(response.into_body(), 1 << 24).await.expect("a body");
        (status, serde_json::from_slice(&bytes).unwrap_or_default())
    }

    async fn get(&self, person: &Person, path: &str) -> (StatusCode, Value) {
        self.rest(person, Method::GET, path, Value::Null).await
    }

    /// Makes something; answers its id.
    async fn make(&self, person: &Person, path: &str, body: Value) -> String {
        let (status, made) = self.rest(person, Method::POST, path, body.clone()).await;
        assert_eq!(status, StatusCode::CREATED, "{body}: {made}");
        made["id"].as_str().expect("an id").to_owned()
    }

    async fn view(&self, person: &Person, name: &str, shared: bool) -> String {
        self.make(person, SAVED, json!({"kind": "view", "name": name, "text": "metric=orders", "shared": shared})).await
    }

    /// As a browser sends a form of ours.
    async fn post(&self, person: &Person, path: &str, form: &[(&str, &str)]) -> Response<Body> {
        let request = Request::post(path)
            .header(header::COOKIE, person.cookies())
            .header(header::ORIGIN, ORIGIN)
            .header(header::CONTENT_TYPE, "application/x-www-form-urlencoded");
        let mut fields = url::form_urlencoded::Serializer::new(String::new());
        fields.extend_pairs(form);
        self.send(request, fields.finish()).await
    }

    /// Where a form leads, and what the page there says.
    async fn submit(&self, person: &Person, path: &str, form: &[(&str, &str)]) -> (String, String) {
        let response = self.post(person, path, form).await;
        assert_eq!(response.status(), StatusCode::SEE_OTHER, "{path} {form:?}");
        let location = response.headers()[header::LOCATION].to_str().expect("text").to_owned();
        let flash = response.headers().get(header::SET_COOKIE).and_then(|cookie| cookie.to_str().ok());
        let flash = flash.and_then(|cookie| cookie.split(';').next()).unwrap_or_default();
        let page = location.split('#').next().unwrap_or_default();
        let request = Request::get(page).header(header::COOKIE, format!("{}; {flash}", person.cookies()));
        (location, text(self.send(request, String::new()).await).await)
    }

    async fn page(&self, person: &Person, path: &str) -> (StatusCode, String) {
        let response = self.send(Request::get(path).header(header::COOKIE, person.cookies()), String::new()).await;
        (response.status(), text(response).await)
    }

    async fn count(&self, statement: &'static str) -> i64 {
        sqlx::query_scalar(statement).fetch_one(&self.pool).await.expect("a number")
    }
}

async fn text(response: Response<Body>) -> String {
    String::from_utf8(to_bytes(response.into_body(), 1 << 24).await.expect("a body").to_vec()).expect("text")
}

fn names<'a>(list: &'a Value, field: &str) -> Vec<&'a str> {
    list[field].as_array().expect("a list").iter().filter_map(|one| one["name"].as_str()).collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_private_stays_private_and_what_is_shared_is_for_reading() {
    let platform = Platform::start().await;
    let (ann, bob) = (platform.person("ann", "analyst").await, platform.person("bob", "analyst").await);
    let private = platform.view(&ann, "Private view", false).await;
    let shared = platform.view(&ann, "Shared view", true).await;
    let (_, list) = platform.get(&bob, SAVED).await;
    assert_eq!(names(&list, "saved"), ["Shared view"]);
    assert_eq!((&list["saved"][0]["mine"], &list["saved"][0]["owner"]), (&json!(false), &json!("ann")));
    let (_, list) = platform.get(&ann, &format!("{SAVED}?find=PRIV")).await;
    assert_eq!(names(&list, "saved"), ["Private view"]);

    let private_dashboard =
        platform.make(&ann, DASHBOARDS, json!({"name": "Mine", "tiles": [{"view": private}]})).await;
    let dashboard = json!({"name": "Ours", "shared": true, "tiles": [{"view": private, "width": "full"}]});
    let shared_dashboard = platform.make(&ann, DASHBOARDS, dashboard.clone()).await;
    let (_, list) = platform.get(&bob, DASHBOARDS).await;
    assert_eq!(names(&list, "dashboards"), ["Ours"]);
    // Who sees the dashboard sees what its owner has put on it, and not the view by itself.
    let (status, seen) = platform.get(&bob, &format!("{DASHBOARDS}/{shared_dashboard}")).await;
    assert_eq!((status, &seen["tiles"][0]["shows"]["name"]), (StatusCode::OK, &json!("Private view")));

    let change = json!({"name": "Taken", "text": "", "shared": true});
    for (path, status) in [
        (format!("{SAVED}/{private}"), StatusCode::NOT_FOUND),
        (format!("{SAVED}/{}", Uuid::new_v4()), StatusCode::NOT_FOUND),
        (format!("{SAVED}/{shared}"), StatusCode::FORBIDDEN),
        (format!("{DASHBOARDS}/{private_dashboard}"), StatusCode::NOT_FOUND),
        (format!("{DASHBOARDS}/{shared_dashboard}"), StatusCode::FORBIDDEN),
    ] {
        let body = if path.starts_with(SAVED) { change.clone() } else { dashboard.clone() };
        assert_eq!(platform.rest(&bob, Method::PUT, &path, body).await.0, status, "PUT {path}");
        assert_eq!(platform.rest(&bob, Method::DELETE, &path, Value::Null).await.0, status, "DELETE {path}");
        let reads = if status == StatusCode::FORBIDDEN { StatusCode::OK } else { status };
        assert_eq!(platform.get(&bob, &path).await.0, reads, "GET {path}");
    }
    // The same through forms and pages.
    let (_, page) = platform.submit(&bob, "/saved/delete", &[("id", &private)]).await;
    assert!(page.contains("There is no such view or query"), "{page}");
    for (path, form) in [
        ("/saved/rename", vec![("id", shared.as_str()), ("name", "Taken")]),
        ("/saved/share", vec![("id", shared.as_str()), ("shared", "false")]),
        ("/dashboards/rename", vec![("dashboard", shared_dashboard.as_str()), ("name", "Taken")]),
        ("/dashboards/add", vec![("dashboard", shared_dashboard.as_str()), ("view", shared.as_str())]),
        ("/dashboards/delete", vec![("dashboard", shared_dashboard.as_str())]),
    ] {
        assert_eq!(platform.post(&bob, path, &form).await.status(), StatusCode::FORBIDDEN, "{path}");
    }
    let (_, page) = platform.page(&bob, "/saved").await;
    assert!(page.contains("Shared view") && !page.contains("Private view"), "{page}");
    assert_eq!(platform.page(&bob, &format!("/dashboards/{private_dashboard}")).await.0, StatusCode::NOT_FOUND);
    let (status, page) = platform.page(&bob, &format!("/dashboards/{shared_dashboard}?edit=yes")).await;
    assert!(status == StatusCode::OK && page.contains("Private view"), "{page}");
    assert!(!page.contains("action=\"/dashboards/remove\""), "it is for reading: {page}");

    // A view of somebody else disappears when it is shared no longer, and leaves with its owner's will only.
    let bobs = platform.make(&bob, DASHBOARDS, json!({"name": "Bob's", "tiles": [{"view": shared}]})).await;
    let path = format!("{SAVED}/{shared}");
    let unshared = json!({"name": "Shared view", "text": "metric=orders", "shared": false});
    assert_eq!(platform.rest(&ann, Method::PUT, &path, unshared).await.0, StatusCode::OK);
    let (_, seen) = platform.get(&bob, &format!("{DASHBOARDS}/{bobs}")).await;
    assert_eq!((&seen["tiles"][0]["shows"], &seen["tiles"][0]["view"]), (&Value::Null, &json!(shared)));
    let (_, refused) =
        platform.rest(&bob, Method::POST, DASHBOARDS, json!({"name": "x", "tiles": [{"view": shared}]})).await;
    assert!(refused["detail"].as_str().is_some_and(|why| why.contains(&shared)), "{refused}");
    let kept = json!({"name": "Bob's", "tiles": [{"view": shared, "width": "full"}]});
    assert_eq!(platform.rest(&bob, Method::PUT, &format!("{DASHBOARDS}/{bobs}"), kept).await.0, StatusCode::OK);
    assert_eq!(platform.rest(&ann, Method::DELETE, &path, Value::Null).await.0, StatusCode::NO_CONTENT);
    let (_, seen) = platform.get(&bob, &format!("{DASHBOARDS}/{bobs}")).await;
    assert_eq!(seen["tiles"], json!([]));
    platform.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn queries_are_for_those_who_may_run_sql() {
    let platform = Platform::start().await;
    let (ann, vic) = (platform.person("ann", "analyst").await, platform.person("vic", "viewer").await);
    let query =
        json!({"kind": "query", "name": "Orders", "text": "SELECT count(*)\r\nFROM gold.sales", "shared": true});
    let (status, made) = platform.rest(&ann, Method::POST, SAVED, query.clone()).await;
    assert_eq!((status, &made["text"]), (StatusCode::CREATED, &json!("SELECT count(*)\nFROM gold.sales")));
    let path = format!("{SAVED}/{}", made["id"].as_str().expect("an id"));
    assert_eq!(platform.rest(&vic, Method::POST, SAVED, query).await.0, StatusCode::FORBIDDEN);
    assert_eq!(platform.get(&vic, &path).await.0, StatusCode::NOT_FOUND);
    assert_eq!(platform.get(&vic, &format!("{SAVED}?kind=query")).await.1["saved"], json!([]));
    let form = [("kind", "query"), ("name", "Orders"), ("text", "SELECT 1")];
    assert_eq!(platform.post(&vic, "/saved/create", &form).await.status(), StatusCode::FORBIDDEN);
    assert!(!platform.page(&vic, "/saved").await.1.contains("Queries"));
    assert!(platform.page(&ann, "/saved").await.1.contains("SELECT count(*)"));
    // A query is no view.
    let tile = json!({"name": "x", "tiles": [{"view": made["id"]}]});
    assert_eq!(platform.rest(&ann, Method::POST, DASHBOARDS, tile).await.0, StatusCode::BAD_REQUEST);

    // Nor is any of it for a role without metrics:read.
    sqlx::query("INSERT INTO streamlinehub.roles (name, permissions) VALUES ('plumber', ARRAY[$1])")
        .bind(Permission::PipelineRead.name())
        .execute(&platform.pool)
        .await
        .expect("a role");
    let pat = platform.person("pat", "plumber").await;
    for path in [SAVED, DASHBOARDS] {
        assert_eq!(platform.get(&pat, path).await.0, StatusCode::FORBIDDEN);
    }
    for path in ["/saved", "/dashboards"] {
        assert_eq!(platform.page(&pat, path).await.0, StatusCode::FORBIDDEN);
    }
    assert_eq!(platform.post(&pat, "/saved/create", &form).await.status(), StatusCode::FORBIDDEN);
    platform.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn forms_save_change_and_lead_back_to_pages_of_ours_only() {
    let platform = Platform::start().await;
    let ann = platform.person("ann", "viewer").await;
    let view = |name, back| {
        [("kind", "view"), ("name", name), ("text", "metric=revenue&split=store"), ("shared", "true"), ("back", back)]
    };
    let (location, page) = platform.submit(&ann, "/saved/create", &view("Stores <b>", "/?range=7d")).await;
    assert_eq!(location, "/?range=7d");
    assert!(page.contains("“Stores &lt;b&gt;” is saved"), "{page}");
    for evil in ["https://evil.example/", "//evil.example", "/\\evil.example", "javascript:alert(1)", ""] {
        let (location, _) = platform.submit(&ann, "/saved/create", &view("Another", evil)).await;
        assert_eq!(location, "/saved", "{evil}");
    }
    for (name, text) in [("", "metric=revenue"), ("x", "metric=a b"), ("x", "<script>")] {
        let (_, page) =
            platform.submit(&ann, "/saved/create", &[("kind", "view"), ("name", name), ("text", text)]).await;
        assert!(page.contains("role=\"alert\" class=\"flash\""), "{name} {text}: {page}");
    }
    let forged = Request::post("/saved/create")
        .header(header::COOKIE, ann.cookies())
        .header(header::ORIGIN, "https://evil.example")
        .header(header::CONTENT_TYPE, "application/x-www-form-urlencoded");
    assert_eq!(platform.send(forged, "kind=view&name=x&text=".to_owned()).await.status(), StatusCode::FORBIDDEN);

    let (_, list) = platform.get(&ann, &format!("{SAVED}?find=stores")).await;
    let id = list["saved"][0]["id"].as_str().expect("an id");
    assert_eq!(
        (&list["saved"][0]["shared"], &list["saved"][0]["text"]),
        (&json!(true), &json!("metric=revenue&split=store"))
    );
    platform.submit(&ann, "/saved/rename", &[("id", id), ("name", "Shops")]).await;
    platform.submit(&ann, "/saved/share", &[("id", id), ("shared", "false")]).await;
    let (_, item) = platform.get(&ann, &format!("{SAVED}/{id}")).await;
    assert_eq!((&item["name"], &item["shared"]), (&json!("Shops"), &json!(false)));

    let (editing, page) = platform.submit(&ann, "/dashboards/create", &[("name", "Monday"), ("view", id)]).await;
    let dashboard = editing.trim_start_matches("/dashboards/").trim_end_matches("?edit=yes").to_owned();
    assert!(page.contains("Shops") && page.contains("action=\"/dashboards/remove\""), "{page}");
    platform.submit(&ann, "/dashboards/add", &[("dashboard", &dashboard), ("view", id), ("width", "full")]).await;
    let tiles = async || {
        let (_, seen) = platform.get(&ann, &format!("{DASHBOARDS}/{dashboard}")).await;
        let tiles = seen["tiles"].as_array().expect("tiles").clone();
        tiles
            .iter()
            .map(|tile| [&tile["id"], &tile["width"]].map(|text| text.as_str().unwrap_or_default().to_owned()))
            .collect::<Vec<_>>()
    };
    let [first, second] = <[_; 2]>::try_from(tiles().await).expect("two tiles");
    assert_eq!((first[1].as_str(), second[1].as_str()), ("half", "full"));
    let up = [("dashboard", dashboard.as_str()), ("tile", &second[0]), ("direction", "up")];
    assert_eq!(platform.submit(&ann, "/dashboards/move", &up).await.0, format!("{editing}#tile-{}", second[0]));
    platform
        .submit(&ann, "/dashboards/width", &[("dashboard", &dashboard), ("tile", &first[0]), ("width", "full")])
        .await;
    assert_eq!(tiles().await, [second.clone(), [first[0].clone(), "full".to_owned()]]);
    platform.submit(&ann, "/dashboards/remove", &[("dashboard", &dashboard), ("tile", &second[0])]).await;
    assert_eq!(tiles().await.len(), 1);
    let (_, page) =
        platform.submit(&ann, "/dashboards/remove", &[("dashboard", &dashboard), ("tile", &second[0])]).await;
    assert!(page.contains("no longer"), "{page}");
    platform.submit(&ann, "/dashboards/rename", &[("dashboard", &dashboard), ("name", "Tuesday")]).await;
    platform.submit(&ann, "/dashboards/share", &[("dashboard", &dashboard), ("shared", "true")]).await;
    let (_, home) = platform.page(&ann, "/").await;
    assert!(home.contains(&format!("href=\"/dashboards/{dashboard}\"")) && home.contains("Tuesday"), "{home}");
    platform.submit(&ann, "/saved/delete", &[("id", id)]).await;
    assert!(tiles().await.is_empty(), "a tile goes with its view");
    assert_eq!(platform.submit(&ann, "/dashboards/delete", &[("dashboard", &dashboard)]).await.0, "/dashboards");
    assert_eq!(platform.page(&ann, &format!("/dashboards/{dashboard}")).await.0, StatusCode::NOT_FOUND);
    assert_eq!(platform.page(&ann, "/dashboards/nonsense").await.0, StatusCode::NOT_FOUND);
    let (_, home) = platform.page(&ann, "/").await;
    assert!(!home.contains("class=\"shortcuts\""), "nothing is shown where there is nothing: {home}");

    let noted: Vec<(String, String)> = sqlx::query_as(
        "SELECT action, target FROM streamlinehub.audit_log WHERE action LIKE 'saved.%' OR action LIKE 'dashboard.%'
         ORDER BY number",
    )
    .fetch_all(&platform.pool)
    .await
    .expect("lines");
    for line in [("saved.create", "Stores <b>"), ("saved.change", "Shops"), ("saved.delete", "Shops")] {
        assert!(noted.contains(&(line.0.to_owned(), line.1.to_owned())), "{line:?}: {noted:?}");
    }
    for line in [("dashboard.create", "Monday"), ("dashboard.change", "Tuesday"), ("dashboard.delete", "Tuesday")] {
        assert!(noted.contains(&(line.0.to_owned(), line.1.to_owned())), "{line:?}: {noted:?}");
    }
    platform.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn nobody_keeps_more_than_there_is_room_for() {
    let platform = Platform::start().await;
    let ann = platform.person("ann", "analyst").await;
    let view = |text: String| json!({"kind": "view", "name": "Long", "text": text});
    let long = platform.make(&ann, SAVED, view("x".repeat(LONGEST_TEXT))).await;
    for text in ["x".repeat(LONGEST_TEXT + 1), "a b".to_owned(), "x\u{0}".to_owned()] {
        assert_eq!(platform.rest(&ann, Method::POST, SAVED, view(text)).await.0, StatusCode::BAD_REQUEST);
    }
    let named = json!({"kind": "view", "name": "x".repeat(81), "text": ""});
    assert_eq!(platform.rest(&ann, Method::POST, SAVED, named).await.0, StatusCode::BAD_REQUEST);
    let unknown = json!({"kind": "view", "name": "x", "text": "", "colour": "red"});
    assert_eq!(platform.rest(&ann, Method::POST, SAVED, unknown).await.0, StatusCode::UNPROCESSABLE_ENTITY);

    // As many as fit, and one more.
    let fill = "INSERT INTO streamlinehub.saved (owner_id, kind, name, text) SELECT $1, 'view', 'Filler', $3 FROM generate_series(1, $2)";
    let fill = async |count: usize, text: &str| {
        let query = sqlx::query(fill).bind(ann.id).bind(i32::try_from(count).expect("few")).bind(text);
        query.execute(&platform.pool).await.expect("filled");
    };
    fill(MOST_SAVED - 2, "").await;
    platform.view(&ann, "The last", false).await;
    let (status, refused) = platform.rest(&ann, Method::POST, SAVED, view(String::new())).await;
    assert_eq!(status, StatusCode::BAD_REQUEST);
    assert!(refused["detail"].as_str().is_some_and(|why| why.contains("Delete one first")), "{refused}");
    sqlx::query("DELETE FROM streamlinehub.saved WHERE name = 'Filler'")
        .execute(&platform.pool)
        .await
        .expect("emptied");
    fill((1 << 20) / LONGEST_TEXT - 1, &"x".repeat(LONGEST_TEXT)).await;
    let short = json!({"name": "Short", "text": "x", "shared": false});
    let (status, refused) = platform.rest(&ann, Method::POST, SAVED, view("x".to_owned())).await;
    assert_eq!(status, StatusCode::BAD_REQUEST, "{refused}");
    assert_eq!(platform.rest(&ann, Method::PUT, &format!("{SAVED}/{long}"), short).await.0, StatusCode::OK);

    let tiles = |count: usize| vec![json!({"view": long}); count];
    let full = platform.make(&ann, DASHBOARDS, json!({"name": "Full", "tiles": tiles(MOST_TILES)})).await;
    let over = json!({"name": "Over", "tiles": tiles(MOST_TILES + 1)});
    assert_eq!(platform.rest(&ann, Method::POST, DASHBOARDS, over).await.0, StatusCode::BAD_REQUEST);
    let (_, page) = platform.submit(&ann, "/dashboards/add", &[("dashboard", &full), ("view", &long)]).await;
    assert!(page.contains("at most 24 views"), "{page}");
    for place in 1..MOST_DASHBOARDS {
        platform.make(&ann, DASHBOARDS, json!({"name": format!("Number {place}")})).await;
    }
    assert_eq!(
        platform.rest(&ann, Method::POST, DASHBOARDS, json!({"name": "One more"})).await.0,
        StatusCode::BAD_REQUEST
    );
    platform.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn what_a_user_keeps_goes_with_the_user() {
    let platform = Platform::start().await;
    let (ann, bob) = (platform.person("ann", "viewer").await, platform.person("bob", "viewer").await);
    let (anns, bobs) = (platform.view(&ann, "Ann's", true).await, platform.view(&bob, "Bob's", false).await);
    platform.make(&ann, DASHBOARDS, json!({"name": "Ann's", "tiles": [{"view": anns}]})).await;
    let both = json!({"name": "Both", "tiles": [{"view": anns}, {"view": bobs}, {"view": anns}]});
    let dashboard = platform.make(&bob, DASHBOARDS, both).await;
    sqlx::query("DELETE FROM streamlinehub.users WHERE id = $1")
        .bind(ann.id)
        .execute(&platform.pool)
        .await
        .expect("deleted");
    assert_eq!(platform.count("SELECT count(*) FROM streamlinehub.saved").await, 1);
    assert_eq!(platform.count("SELECT count(*) FROM streamlinehub.dashboards").await, 1);
    assert_eq!(platform.count("SELECT count(*) FROM streamlinehub.dashboard_tiles").await, 1);
    // The gaps that they leave are closed with the next change.
    platform.submit(&bob, "/dashboards/add", &[("dashboard", &dashboard), ("view", &bobs)]).await;
    let (_, seen) = platform.get(&bob, &format!("{DASHBOARDS}/{dashboard}")).await;
    assert_eq!(seen["tiles"].as_array().map(Vec::len), Some(2));
    platform.stop().await;
}
