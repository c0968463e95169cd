//! Who gets in, and what they may do: against a real PostgreSQL, through the router as browsers and programs come to it.

use std::{
    collections::{BTreeMap, BTreeSet},
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering::Relaxed},
    },
    time::Duration,
};

use axum::{
    Router,
    body::{Body, to_bytes},
    http::{Method, Request, Response, StatusCode, header},
    middleware,
    routing::any,
};
use chrono::Utc;
use etl::{embedded::Services, settings::Settings};
use model::access::{BUILT_IN_ROLES, Me, Permission};
use server::{
    access::{
        Access, Credential,
        anchor::{self, Kept},
        audit::{self, Actor, Deed},
        gate::Gate,
        guard::guard,
        keys::{KeyRing, Purpose},
        limits::{Rate, RateLimits},
        login::Login,
        roles,
        rules::{Kind, RULES, Rule, kind, rule},
        sessions::{Client, Tokens},
        token::{self, Audience},
    },
    dashboard::Parts,
    openapi::openapi,
    probes,
    routes::{PAGES, WebState, downloads, forms, leptos_options, router},
    store::Store,
};
use sqlx::PgPool;
use tempfile::TempDir;
use tower::ServiceExt as _;
use uuid::Uuid;

const PASSWORD: &str = "purple elephants paint fences";
const HOST: &str = "localhost:3000";
const ORIGIN: &str = "http://localhost:3000";

/// The web half of the program over a database of its own.
struct Platform {
    router: Router,
    gate: Arc<Gate>,
    access: Arc<Access>,
    pool: PgPool,
    settings: Settings,
    services: Services,
    store: Store,
    _folder: TempDir,
}

impl Platform {
    async fn start() -> Platform {
        let folder = tempfile::tempdir().expect("a temporary folder");
        let mut settings = Settings::defaults();
        settings.data_dir = folder.path().join("data");
        std::fs::create_dir(&settings.data_dir).expect("a folder");
        let services = Box::pin(Services::database(&settings)).await.expect("a database");
        let store = Box::pin(Store::connect(&services.database_url)).await.expect("an answer");
        roles::write_built_in(store.pool()).await.expect("roles");
        let access =
            Arc::new(Access::new(store.pool().clone(), RateLimits::none(), &settings).expect("a file of keys"));
        let gate = Arc::new(Gate::new(&settings.web, ORIGIN.to_owned()));
        gate.open(Arc::clone(&access));
        let parts = Arc::new(Parts::default());
        let dashboard = Arc::clone(&parts) as Arc<_>;
        let leptos = leptos_options(&folder.path().to_string_lossy());
        let router = router(WebState { dashboard, parts, gate: Arc::clone(&gate), leptos });
        let pool = store.pool().clone();
        Platform { router, gate, access, pool, settings, services, store, _folder: folder }
    }

    async fn stop(self) {
        self.store.close().await;
        self.services.stop().await;
    }

    /// A user with this role and [`PASSWORD`].
    async fn user(&self, email: &str, role: &str) -> Uuid {
        let token =
            self.access.create_user("Somebody", email, role, None, &Actor::default()).await.expect("a new user");
        self.access.accept(&token, PASSWORD, &client()).await.expect("a good link");
        self.access.find_user(email).await.expect("an answer").expect("the user")
    }

    /// A session of somebody who has just confirmed who they are.
    async fn log_in(&self, email: &str) -> Tokens {
        match self.access.log_in(email, PASSWORD.to_owned(), &client(), None).await.expect("an answer") {
            Login::In(tokens) => {
                self.confirmed(tokens.session, 0).await;
                tokens
            }
            other => panic!("not logged in: {other:?}"),
        }
    }

    async fn confirmed(&self, session: Uuid, minutes_ago: i32) {
        sqlx::query("UPDATE streamlinehub.sessions SET confirmed_at = now() - make_interval(mins => $2) WHERE id = $1")
            .bind(session)
            .bind(minutes_ago)
            .execute(&self.pool)
            .await
            .expect("confirmed");
    }

    async fn send(&self, request: http::request::Builder, body: &str) -> Response<Body> {
        let request = request.header(header::HOST, HOST).body(Body::from(body.to_owned())).expect("a request");
        self.router.clone().oneshot(request).await.expect("a router never fails")
    }

    async fn get(&self, path: &str, cookies: &str) -> Response<Body> {
        self.send(Request::get(path).header(header::COOKIE, cookies), "").await
    }

    /// As a browser sends a form of ours.
    async fn post(&self, path: &str, cookies: &str, form: &str) -> Response<Body> {
        let request = Request::post(path)
            .header(header::COOKIE, cookies)
            .header(header::ORIGIN, ORIGIN)
            .header(header::CONTENT_TYPE, "application/x-www-form-urlencoded");
        self.send(request, form).await
    }

    async fn with_bearer(&self, method: &Method, path: &str, token: Option<&str>) -> StatusCode {
        self.router.clone().oneshot(bearer(method, path, token)).await.expect("a router never fails").status()
    }
}

fn bearer(method: &Method, path: &str, token: Option<&str>) -> Request<Body> {
    let mut request = Request::builder()
        .method(method)
        .uri(path)
        .header(header::HOST, HOST)
        .header(header::CONTENT_TYPE, "application/x-www-form-urlencoded");
    if path == "/api/ui/live" {
        request = request
            .header(header::CONNECTION, "Upgrade")
            .header(header::UPGRADE, "websocket")
            .header(header::SEC_WEBSOCKET_VERSION, "13")
            .header(header::SEC_WEBSOCKET_KEY, "dGhlIHNhbXBsZSBub25jZQ==");
    }
    if let Some(token) = token {
        request = request.header(header::AUTHORIZATION, format!("Bearer {token}"));
    }
    request.body(Body::empty()).expect("a request")
}

fn client() -> Client {
    Client { address: "192.0.2.1".parse().expect("an address"), user_agent: "test".to_owned() }
}

fn cookies_of(tokens: &Tokens) -> String {
    format!("access={}; refresh={}", tokens.access, tokens.refresh)
}

/// The cookies that an answer sets, as a browser sends them back.
fn cookies_set(response: &Response<Body>) -> String {
    let pairs = response.headers().get_all(header::SET_COOKIE).iter().map(|cookie| {
        let cookie = cookie.to_str().expect("text");
        assert!(cookie.contains("HttpOnly") && cookie.contains("SameSite=Lax"), "{cookie}");
        cookie.split(';').next().unwrap_or_default().to_owned()
    });
    pairs.collect::<Vec<_>>().join("; ")
}

fn location(response: &Response<Body>) -> &str {
    response.headers().get(header::LOCATION).and_then(|location| location.to_str().ok()).unwrap_or_default()
}

async fn text(response: Response<Body>) -> String {
    String::from_utf8(to_bytes(response.into_body(), 1 << 22).await.expect("a body").to_vec()).expect("text")
}

/// Every route that exists, with a method that it takes.
fn all_routes() -> BTreeSet<(String, String)> {
    let mut routes = BTreeSet::new();
    for page in PAGES.iter() {
        routes.insert((page.path().to_owned(), "GET".to_owned()));
    }
    for (path, method) in leptos::server_fn::axum::server_fn_paths() {
        routes.insert((path.to_owned(), method.to_string()));
    }
    for (path, _) in downloads() {
        routes.insert((path.to_owned(), "GET".to_owned()));
    }
    for (path, _) in forms() {
        routes.insert((path.to_owned(), "POST".to_owned()));
    }
    for (path, item) in openapi().paths.paths {
        for (method, operation) in [("GET", item.get), ("POST", item.post), ("PUT", item.put), ("DELETE", item.delete)]
        {
            if operation.is_some() {
                routes.insert((path.clone(), method.to_owned()));
            }
        }
    }
    routes
}

#[test]
fn every_route_declares_who_may_call_it() {
    let folder = tempfile::tempdir().expect("a folder");
    // Registers the functions of the pages.
    let _ = leptos_options(&folder.path().to_string_lossy());
    let routes = all_routes();
    assert!(routes.len() > 50, "{routes:?}");
    for (path, method) in &routes {
        let method: Method = method.parse().expect("a method");
        let rule = rule(path, &method);
        assert!(rule.is_some(), "{path} declares no permission: add it to access/rules.rs");
        // Functions of the pages only ask.
        if !method.is_safe() && kind(path) != Kind::Function {
            let reads = matches!(rule, Some(Rule::Needs(permission)) if permission.name().ends_with(":read"));
            assert!(!reads, "{method} {path} changes something, and its permission is one to read");
        }
    }
    for (path, _) in RULES {
        let exists =
            routes.iter().any(|(route, _)| route == path) || path.starts_with("/api") && !path.contains("/ui/");
        assert!(exists, "{path} is declared and does not exist");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn every_route_answers_each_caller_as_declared() {
    let platform = Platform::start().await;
    let mut callers: Vec<(String, Option<String>, Option<Vec<Permission>>)> = vec![("nobody".to_owned(), None, None)];
    for role in BUILT_IN_ROLES {
        let email = format!("{}@example.com", role.name);
        platform.user(&email, role.name).await;
        let tokens = platform.log_in(&email).await;
        callers.push((role.name.to_owned(), Some(tokens.access), Some(role.permissions.to_vec())));
    }
    let admin = platform.access.find_user("admin@example.com").await.expect("an answer").expect("the admin");
    // Sessions and tokens that are not good.
    let ended = platform.log_in("admin@example.com").await;
    platform
        .access
        .end_session(ended.session, None, &Actor::default(), "session.end")
        .await
        .expect("an answer")
        .expect("an open session");
    let keys = KeyRing::open(&platform.settings.secrets_path()).expect("keys");
    let good = platform.log_in("admin@example.com").await;
    let parts: Vec<&str> = good.access.split('.').collect();
    let foreign = tempfile::tempdir().expect("a folder");
    let foreign = KeyRing::open(&foreign.path().join("keys")).expect("keys");
    let issue = |keys: &KeyRing, audience, seconds| {
        token::issue(keys, audience, admin, good.session, seconds).expect("a token")
    };
    for (name, token) in [
        ("an ended session", ended.access.clone()),
        ("an expired token", issue(&keys, Audience::Access, -60)),
        ("a token for something else", issue(&keys, Audience::SecondFactor, 60)),
        ("a foreign key", issue(&foreign, Audience::Access, 60)),
        ("a token without signature", format!("{}.{}.", parts[0], parts[1])),
        ("a tampered token", format!("{}.{}x.{}", parts[0], parts[1], parts[2])),
        // {"alg":"none","typ":"JWT"}
        ("another algorithm", format!("eyJhbGciOiJub25lIiwidHlwIjoiSldUIn0.{}.{}", parts[1], parts[2])),
        ("a made-up API key", "slh_AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA".to_owned()),
        ("no token at all", String::new()),
    ] {
        callers.push((name.to_owned(), Some(token), None));
    }

    // The same guard before handlers that count how often they are asked.
    let asked = Arc::new(AtomicUsize::new(0));
    let counting = RULES
        .iter()
        .fold(Router::new(), |router, (path, _)| {
            let asked = Arc::clone(&asked);
            router.route(path, any(async move || asked.fetch_add(1, Relaxed).to_string()))
        })
        .layer(middleware::from_fn_with_state(Arc::clone(&platform.gate), guard));
    let mut refusals: BTreeMap<(String, String), String> = BTreeMap::new();

    for (route, method) in all_routes() {
        let method: Method = method.parse().expect("a method");
        let (rule, path) = (rule(&route, &method).expect("declared"), route.replace(['{', '}', '*'], ""));
        for (caller, token, permissions) in &callers {
            // This one ends the caller's own session.
            if path.ends_with("/logout") || path.ends_with("/end-others") {
                continue;
            }
            let request = || bearer(&method, &path, token.as_deref());
            let answer = platform.router.clone().oneshot(request()).await.expect("a router never fails");
            let status = answer.status();
            let context = format!("{method} {path} by {caller}: {status}");
            let refused = [StatusCode::UNAUTHORIZED, StatusCode::FORBIDDEN].contains(&status);
            match (rule, permissions) {
                // These answer 401 by themselves: there is nothing in the cookies.
                (Rule::Open, _) if path == "/api/ui/renew" => assert!(refused, "{context}"),
                (Rule::Open, _) | (Rule::SignedIn, Some(_)) => assert!(!refused, "{context}"),
                (_, None) if kind(&path) == Kind::Page => assert_eq!(status, StatusCode::SEE_OTHER, "{context}"),
                (_, None) => assert_eq!(status, StatusCode::UNAUTHORIZED, "{context}"),
                (Rule::Needs(permission), Some(permissions)) if permissions.contains(&permission) => {
                    assert!(!refused, "{context}");
                }
                (Rule::Needs(permission), Some(_)) => {
                    assert_eq!(status, StatusCode::FORBIDDEN, "{context}");
                    // A refusal is the same whatever was refused: not a byte of it comes from there.
                    let body = without_request_id(&text(answer).await);
                    assert!(body.contains(permission.name()), "{context}: {body}");
                    let known = refusals.entry((format!("{:?} {permission:?}", kind(&path)), caller.clone()));
                    assert_eq!(known.or_insert_with(|| body.clone()), &body, "{context}");
                }
            }
            let may = match (rule, permissions) {
                (Rule::Open, _) | (Rule::SignedIn, Some(_)) => true,
                (Rule::Needs(permission), Some(permissions)) => permissions.contains(&permission),
                (_, None) => false,
            };
            let before = asked.load(Relaxed);
            let answer = counting.clone().oneshot(request()).await.expect("a router never fails");
            assert_eq!(asked.load(Relaxed), before + usize::from(may), "{context}, then {}", answer.status());
        }
    }
    assert!(refusals.len() > 20, "{refusals:?}");
    platform.stop().await;
}

/// A problem without the number that tells one request from another.
fn without_request_id(body: &str) -> String {
    match serde_json::from_str::<serde_json::Value>(body) {
        Ok(serde_json::Value::Object(mut problem)) => {
            problem.remove("request_id");
            serde_json::Value::Object(problem).to_string()
        }
        _ => body.to_owned(),
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn no_other_way_of_writing_a_path_leads_around_the_rules() {
    let platform = Platform::start().await;
    platform.user("ann@example.com", "viewer").await;
    platform.user("root@example.com", "admin").await;
    let viewer = cookies_of(&platform.log_in("ann@example.com").await);
    let admin = cookies_of(&platform.log_in("root@example.com").await);
    for (page, _) in all_routes().iter().filter(|(path, method)| method == "GET" && !path.contains('{') && path != "/")
    {
        for cookies in ["", viewer.as_str(), admin.as_str()] {
            let letter = format!("/%{:02x}{}", page.as_bytes()[1], &page[2..]);
            for written in [format!("{page}/"), format!("/{page}"), letter] {
                let led = platform.get(&format!("{written}?x=1"), cookies).await;
                assert_eq!(led.status(), StatusCode::PERMANENT_REDIRECT, "{written}");
                assert_eq!(location(&led), format!("{page}?x=1"), "{written}");
                assert_eq!(text(led).await, "", "{written}");
            }
            let (start, end) = page.rsplit_once('/').expect("a slash");
            for written in [
                format!("{start}/./{end}"),
                format!("{start}/x/../{end}"),
                format!("{start}/%2e/{end}"),
                format!("{page}%2F"),
                format!("{page};a=b"),
                format!("{page}%ff"),
            ] {
                let refused = platform.get(&written, cookies).await;
                assert_eq!(refused.status(), StatusCode::NOT_FOUND, "{written}");
                assert!(!text(refused).await.contains("<script"), "{written}: nothing is rendered");
            }
            let upper = platform.get(&page.to_uppercase(), cookies).await;
            assert_eq!(upper.status(), StatusCode::NOT_FOUND, "{page}");
        }
    }
    let sent = platform.post("/admin/users/disable/", &admin, "user=00000000-0000-0000-0000-000000000000").await;
    assert_eq!(sent.status(), StatusCode::NOT_FOUND, "a form is not sent on");
    platform.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_session_begins_with_the_login_form_and_ends_at_once() {
    let platform = Platform::start().await;
    platform.user("ann@example.com", "admin").await;
    let form =
        |password: &str| format!("email=Ann%40Example.com&password={}&next=%2Fprofile", password.replace(' ', "+"));
    let wrong = platform.post("/login", "", &form("something else")).await;
    assert_eq!((wrong.status(), location(&wrong)), (StatusCode::SEE_OTHER, "/login?next=%2Fprofile"));
    let page = text(platform.get("/login", &cookies_set(&wrong)).await).await;
    assert!(page.contains("The e-mail address or the password is wrong."), "{page}");

    let right = platform.post("/login", "", &form(PASSWORD)).await;
    assert_eq!((right.status(), location(&right)), (StatusCode::SEE_OTHER, "/profile"));
    let cookies = cookies_set(&right);
    let page = platform.get("/profile", &cookies).await;
    assert_eq!(page.status(), StatusCode::OK);
    assert_eq!(page.headers()[header::CACHE_CONTROL], "no-store");
    assert!(text(page).await.contains("ann@example.com"));

    // A second login in the same browser ends the first session.
    let again = platform.post("/login", &cookies, &form(PASSWORD)).await;
    assert_eq!(location(&platform.get("/profile", &cookies).await), "/login?next=%2Fprofile");
    let cookies = cookies_set(&again);

    let away = platform.get("/admin/users?x=1", "").await;
    assert_eq!((away.status(), location(&away)), (StatusCode::SEE_OTHER, "/login?next=%2Fadmin%2Fusers%3Fx%3D1"));

    // The same cookies from another site's page, and from none.
    for origin in [Some("https://evil.example"), Some("null"), None] {
        let mut request = Request::post("/logout")
            .header(header::COOKIE, cookies.as_str())
            .header(header::CONTENT_TYPE, "application/x-www-form-urlencoded");
        if let Some(origin) = origin {
            request = request.header(header::ORIGIN, origin);
        }
        assert_eq!(platform.send(request, "").await.status(), StatusCode::FORBIDDEN, "{origin:?}");
    }
    let request = Request::post("/logout")
        .header(header::COOKIE, cookies.as_str())
        .header("sec-fetch-site", "same-site")
        .header(header::ORIGIN, ORIGIN);
    assert_eq!(platform.send(request, "").await.status(), StatusCode::FORBIDDEN);
    assert_eq!(platform.get("/profile", &cookies).await.status(), StatusCode::OK, "still signed in");

    // Long forms, and characters that are no text.
    let long = platform.post("/login", "", &"x".repeat(100_000)).await;
    assert_eq!(long.status(), StatusCode::PAYLOAD_TOO_LARGE);
    let zero = platform.post("/login", "", "email=a%00b&password=x").await;
    assert_eq!(zero.status(), StatusCode::BAD_REQUEST);

    // The access token may have ended by now.
    let refresh_only = cookies.split("; ").filter(|cookie| cookie.starts_with("refresh=")).collect::<String>();
    let out = platform.post("/logout", &refresh_only, "").await;
    assert_eq!((out.status(), location(&out)), (StatusCode::SEE_OTHER, "/login"));
    let after = platform.get("/profile", &cookies).await;
    assert_eq!((after.status(), location(&after)), (StatusCode::SEE_OTHER, "/login?next=%2Fprofile"));
    platform.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_refresh_token_is_good_once_and_ends_everything_when_it_comes_twice() {
    let platform = Platform::start().await;
    platform.user("ann@example.com", "viewer").await;
    let first = platform.log_in("ann@example.com").await;
    // The access token has ended; a page renews it.
    let page = platform.get("/profile", &format!("refresh={}", first.refresh)).await;
    assert_eq!(page.status(), StatusCode::OK);
    let renewed = cookies_set(&page);
    assert!(renewed.contains("access=") && renewed.contains("refresh=") && !renewed.contains(&first.refresh));
    assert_eq!(platform.get("/profile", &renewed).await.status(), StatusCode::OK);

    // Another page of the same browser, opened at the same moment: it gets nothing, and asks again with what the first got.
    let raced = platform.get("/profile", &format!("refresh={}", first.refresh)).await;
    assert_eq!((location(&raced), cookies_set(&raced).as_str()), ("/profile", ""));
    assert_eq!(platform.get("/profile", &renewed).await.status(), StatusCode::OK);
    tokio::time::sleep(Duration::from_millis(2000)).await;
    let again = platform.get("/profile", &format!("refresh={}", first.refresh)).await;
    assert_eq!(location(&again), "/login?next=%2Fprofile", "it was used");
    assert_eq!(
        platform.get("/profile", &renewed).await.status(),
        StatusCode::SEE_OTHER,
        "the thief's is worth nothing"
    );
    assert_eq!(platform.get("/profile", &cookies_of(&first)).await.status(), StatusCode::SEE_OTHER);
    platform.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn what_changes_a_persons_rights_counts_at_once() {
    let platform = Platform::start().await;
    let admin = platform.user("root@example.com", "admin").await;
    let ann = platform.user("ann@example.com", "viewer").await;
    let root = platform.log_in("root@example.com").await;
    let (tokens, cookies) = {
        let tokens = platform.log_in("ann@example.com").await;
        (tokens.clone(), cookies_of(&tokens))
    };
    let session = Credential::Session(tokens.session);
    assert_eq!(platform.get("/pipeline", &cookies).await.status(), StatusCode::FORBIDDEN);
    let promoted = platform.post("/admin/users/role", &cookies_of(&root), &format!("user={ann}&role=analyst")).await;
    assert_eq!(promoted.status(), StatusCode::SEE_OTHER);
    assert_eq!(platform.get("/pipeline", &cookies).await.status(), StatusCode::OK);

    // An open stream ends as soon as its right does, even if another process changed it in the database.
    let stop = tokio_util::sync::CancellationToken::new();
    let following = tokio::spawn({
        let (access, stop) = (Arc::clone(&platform.access), stop.clone());
        async move { access.follow(stop).await }
    });
    tokio::time::sleep(Duration::from_millis(300)).await;
    let stream = tokio::spawn({
        let access = Arc::clone(&platform.access);
        async move { access.right_ends(session, Permission::MetricsRead).await }
    });
    tokio::time::sleep(Duration::from_millis(100)).await;
    assert!(!stream.is_finished());
    sqlx::query("UPDATE streamlinehub.users SET disabled_at = now() WHERE id = $1")
        .bind(ann)
        .execute(&platform.pool)
        .await
        .expect("disabled");
    tokio::time::timeout(Duration::from_secs(5), stream).await.expect("it ends").expect("no panic");
    assert_eq!(platform.get("/pipeline", &cookies).await.status(), StatusCode::SEE_OTHER);
    stop.cancel();
    following.await.expect("no panic");

    // An administrator does not lock themselves out.
    let own = platform.post("/admin/users/disable", &cookies_of(&root), &format!("user={admin}")).await;
    assert_eq!(own.status(), StatusCode::FORBIDDEN);
    platform.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn nobody_gives_more_than_they_have() {
    let platform = Platform::start().await;
    platform.user("root@example.com", "admin").await;
    let root = cookies_of(&platform.log_in("root@example.com").await);
    let role = "name=helpdesk&description=Looks+after+users&permissions=metrics%3Aread&permissions=saved%3Aedit&permissions=users%3Amanage&permissions=keys%3Amanage&permissions=roles%3Amanage";
    assert_eq!(platform.post("/admin/roles/save", &root, role).await.status(), StatusCode::SEE_OTHER);
    platform.user("help@example.com", "helpdesk").await;
    let other_admin = platform.user("other@example.com", "admin").await;
    let help = cookies_of(&platform.log_in("help@example.com").await);
    for (path, form) in [
        ("/admin/users/invite", "name=Eve&email=eve%40example.com&role=admin".to_owned()),
        ("/admin/users/reset", format!("user={other_admin}")),
        ("/admin/users/role", format!("user={other_admin}&role=viewer")),
        ("/admin/users/second-factor-off", format!("user={other_admin}")),
        ("/admin/users/end-sessions", format!("user={other_admin}")),
        ("/keys/create", "name=k&days=1&permissions=audit%3Aread".to_owned()),
        ("/admin/roles/save", "name=helpdesk&permissions=audit%3Aread".to_owned()),
        ("/admin/roles/save", "name=admin&requires_second_factor=true".to_owned()),
    ] {
        assert_eq!(platform.post(path, &help, &form).await.status(), StatusCode::FORBIDDEN, "{path} {form}");
    }
    assert!(platform.access.find_user("eve@example.com").await.expect("an answer").is_none());
    let invited = platform.post("/admin/users/invite", &help, "name=Vic&email=vic%40example.com&role=viewer").await;
    assert_eq!(invited.status(), StatusCode::SEE_OTHER);
    let page = text(platform.get("/admin/users", &format!("{help}; {}", cookies_set(&invited))).await).await;
    assert!(page.contains("/invitation?token="), "the link is shown");
    platform.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn an_api_key_does_what_it_was_made_for_and_no_more_than_its_owner() {
    let platform = Platform::start().await;
    let ann = platform.user("ann@example.com", "admin").await;
    let tokens = platform.log_in("ann@example.com").await;
    let standing =
        platform.access.standing(&Credential::Session(tokens.session)).await.expect("an answer").expect("signed in");
    let actor = standing.actor("");
    let key = async |permission| {
        platform.access.create_api_key(&standing, "report", &[permission], 30, &actor).await.expect("a key")
    };
    let (auditing, looking) = (key(Permission::AuditRead).await, key(Permission::MetricsRead).await);
    let status = async |key: &str, path: &str| platform.with_bearer(&Method::GET, path, Some(key)).await;
    assert_eq!(status(&looking, "/api/v1/auth/me").await, StatusCode::OK);
    assert_eq!(status(&auditing, "/api/v1/audit.csv").await, StatusCode::OK);
    assert_eq!(status(&looking, "/api/v1/audit.csv").await, StatusCode::FORBIDDEN, "the owner may, the key may not");
    for path in ["/profile", "/api/ui/second-factor", "/api/ui/me"] {
        assert_eq!(status(&auditing, path).await, StatusCode::FORBIDDEN, "{path}: pages are for people");
    }
    let form = platform.with_bearer(&Method::POST, "/profile/second-factor/begin", Some(&auditing)).await;
    assert_eq!(form, StatusCode::FORBIDDEN);
    let saving = key(Permission::SavedEdit).await;
    for (path, method) in [
        ("/api/v1/dashboards", Method::POST),
        ("/api/v1/dashboards/x", Method::DELETE),
        ("/api/v1/saved", Method::POST),
        ("/api/v1/saved/x", Method::PUT),
    ] {
        let refused = platform.with_bearer(&method, path, Some(&looking)).await;
        assert_eq!(refused, StatusCode::FORBIDDEN, "{method} {path}: to look is not to change");
        let let_in = platform.with_bearer(&method, path, Some(&saving)).await;
        assert!(let_in.is_client_error() && let_in != StatusCode::FORBIDDEN, "{method} {path}: {let_in}");
    }
    let stored: Vec<u8> = sqlx::query_scalar("SELECT key_hash FROM streamlinehub.api_keys LIMIT 1")
        .fetch_one(&platform.pool)
        .await
        .expect("a key");
    assert!(!String::from_utf8_lossy(&stored).contains(&auditing[4..]));

    sqlx::query("UPDATE streamlinehub.users SET role = 'viewer' WHERE id = $1")
        .bind(ann)
        .execute(&platform.pool)
        .await
        .expect("changed");
    platform.access.forget(Some(ann));
    assert_eq!(status(&auditing, "/api/v1/audit.csv").await, StatusCode::FORBIDDEN, "the owner may no longer");
    for key in platform.access.api_keys(&standing).await.expect("an answer") {
        platform.access.revoke_api_key(key.id, &standing, &actor).await.expect("revoked");
    }
    assert_eq!(status(&looking, "/api/v1/auth/me").await, StatusCode::UNAUTHORIZED);
    platform.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn what_was_given_out_before_a_reset_is_worth_nothing_after_it() {
    let platform = Platform::start().await;
    let admin = standing_of_admin(&platform).await;
    let ann = platform.user("ann@example.com", "analyst").await;
    let tokens = platform.log_in("ann@example.com").await;
    let standing =
        platform.access.standing(&Credential::Session(tokens.session)).await.expect("an answer").expect("signed in");
    let actor = standing.actor("");
    let key =
        platform.access.create_api_key(&standing, "k", &[Permission::MetricsRead], 1, &actor).await.expect("a key");
    let first = platform.access.reset(ann, Some(&admin), &admin.actor("")).await.expect("a link");
    let second = platform.access.reset(ann, Some(&admin), &admin.actor("")).await.expect("a link");
    assert_eq!(platform.with_bearer(&Method::GET, "/api/v1/auth/me", Some(&key)).await, StatusCode::UNAUTHORIZED);
    assert_eq!(platform.get("/profile", &cookies_of(&tokens)).await.status(), StatusCode::SEE_OTHER);
    assert!(platform.access.accept(&first, PASSWORD, &client()).await.is_err(), "there is a newer link");
    for disabled in [true, false] {
        platform.access.set_disabled(ann, disabled, &admin, &admin.actor("")).await.expect("changed");
    }
    assert!(platform.access.accept(&second, PASSWORD, &client()).await.is_err(), "disabling took it back");
    platform.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn what_changes_rights_asks_again_who_it_is() {
    let platform = Platform::start().await;
    platform.user("root@example.com", "admin").await;
    let form = format!("email=root%40example.com&password={}", PASSWORD.replace(' ', "+"));
    let cookies = cookies_set(&platform.post("/login", "", &form).await);
    let invite = "name=%22%3E%3Cscript%3E&email=ann%40example.com&role=viewer";
    let ann = async || platform.access.find_user("ann@example.com").await.expect("an answer");
    let wrong = format!("{invite}&confirm_password=wrong");
    for (form, words) in [(invite, "Is it you?"), (wrong.as_str(), "The password is wrong.")] {
        let question = platform.post("/admin/users/invite", &cookies, form).await;
        assert_eq!(question.status(), StatusCode::FORBIDDEN);
        let policy = question.headers()[header::CONTENT_SECURITY_POLICY].to_str().expect("text").to_owned();
        assert!(policy.contains("form-action 'self'"), "{policy}");
        let page = text(question).await;
        assert!(page.contains(words) && page.contains("action=\"/admin/users/invite\""), "{page}");
        for field in ["name=\"name\" value=\"&quot;&gt;&lt;script&gt;\"", "name=\"email\" value=\"ann@example.com\""] {
            assert!(page.contains(field), "what was typed is kept: {page}");
        }
        assert!(!page.contains("<script>") && !page.contains("value=\"wrong\""), "{page}");
    }
    assert_eq!(ann().await, None);

    let right = format!("{invite}&confirm_password={}", PASSWORD.replace(' ', "+"));
    assert_eq!(platform.post("/admin/users/invite", &cookies, &right).await.status(), StatusCode::SEE_OTHER);
    let id = ann().await.expect("invited");
    // Not asked again for some minutes, in this session.
    let again = format!("user={id}&role=analyst");
    assert_eq!(platform.post("/admin/users/role", &cookies, &again).await.status(), StatusCode::SEE_OTHER);
    let elsewhere = cookies_set(&platform.post("/login", "", &form).await);
    assert_eq!(platform.post("/admin/users/role", &elsewhere, &again).await.status(), StatusCode::FORBIDDEN);
    let sessions: Vec<Uuid> =
        sqlx::query_scalar("SELECT id FROM streamlinehub.sessions").fetch_all(&platform.pool).await.expect("sessions");
    for session in sessions {
        platform.confirmed(session, 11).await;
    }
    for (path, _) in forms().into_iter().filter(|(path, _)| path.starts_with("/admin/") || path.starts_with("/keys/")) {
        let question = platform.post(path, &cookies, &again).await;
        assert_eq!(question.status(), StatusCode::FORBIDDEN, "{path}");
        assert!(text(question).await.contains("Is it you?"), "{path}");
    }

    // Where there is a second factor a code does it too.
    let root = platform.access.find_user("root@example.com").await.expect("an answer").expect("the user");
    let keys = KeyRing::open(&platform.settings.secrets_path()).expect("keys");
    sqlx::query("UPDATE streamlinehub.users SET totp_secret = $2, totp_on = true WHERE id = $1")
        .bind(root)
        .bind(keys.seal(Purpose::SecondFactor, &[7; 20]).expect("sealed"))
        .execute(&platform.pool)
        .await
        .expect("changed");
    platform.access.forget(Some(root));
    let codes = platform.access.new_recovery_codes(root, &Actor::default()).await.expect("codes");
    for (code, expected) in [("123", StatusCode::FORBIDDEN), (codes[0].as_str(), StatusCode::SEE_OTHER)] {
        let answer = format!("{again}&confirm_password=&confirm_code={code}");
        assert_eq!(platform.post("/admin/users/role", &cookies, &answer).await.status(), expected);
    }
    platform.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_password_change_takes_back_the_keys_unless_they_are_kept() {
    let platform = Platform::start().await;
    platform.user("ann@example.com", "analyst").await;
    let stolen = platform.log_in("ann@example.com").await;
    let standing =
        platform.access.standing(&Credential::Session(stolen.session)).await.expect("an answer").expect("signed in");
    let key = async || {
        let actor = standing.actor("");
        platform.access.create_api_key(&standing, "k", &[Permission::MetricsRead], 1, &actor).await.expect("a key")
    };
    let status = async |key: &str| platform.with_bearer(&Method::GET, "/api/v1/auth/me", Some(key)).await;
    let made = key().await;
    // The thief has left; what they made is still there.
    platform.access.end_session(stolen.session, None, &Actor::default(), "logout").await.expect("ended");
    let cookies = cookies_of(&platform.log_in("ann@example.com").await);
    let change = async |current: &str, new: &str, rest: &str| {
        let form = format!("current={current}&password={new}{rest}").replace(' ', "+");
        let changed = platform.post("/profile/password", &cookies, &form).await;
        text(platform.get("/profile", &format!("{cookies}; {}", cookies_set(&changed))).await).await
    };
    let other = "nine quiet lamps under water";
    let told = change(PASSWORD, other, "&keep_keys=true").await;
    assert!(told.contains("Your API keys still work."), "{told}");
    assert_eq!(status(&made).await, StatusCode::OK);
    let told = change(other, "four green clocks of paper", "").await;
    assert!(told.contains("Your API key is revoked."), "{told}");
    assert_eq!(status(&made).await, StatusCode::UNAUTHORIZED);
    // Nor does ending the other sessions leave keys behind, if asked so.
    let made = key().await;
    platform.post("/profile/sessions/end-others", &cookies, "").await;
    assert_eq!(status(&made).await, StatusCode::OK);
    platform.post("/profile/sessions/end-others", &cookies, "revoke_keys=true").await;
    assert_eq!(status(&made).await, StatusCode::UNAUTHORIZED);
    platform.stop().await;
}

async fn standing_of_admin(platform: &Platform) -> server::access::Standing {
    platform.user("root@example.com", "admin").await;
    let tokens = platform.log_in("root@example.com").await;
    let standing = platform.access.standing(&Credential::Session(tokens.session)).await.expect("an answer");
    standing.expect("signed in").as_ref().clone()
}

#[tokio::test(flavor = "multi_thread")]
async fn guessing_is_slowed_down_for_accounts_that_exist_and_for_others_alike() {
    let platform = Platform::start().await;
    platform.user("ann@example.com", "viewer").await;
    for email in ["ann@example.com", "nobody@example.com"] {
        for attempt in 0..6 {
            let login = platform.access.log_in(email, "wrong".to_owned(), &client(), None).await;
            match attempt {
                0..5 => assert!(matches!(login, Ok(Login::Wrong)), "{email} {attempt}: {login:?}"),
                _ => assert!(login.is_err_and(|denied| denied.to_string().starts_with("Too many attempts")), "{email}"),
            }
        }
    }
    let right = platform.access.log_in("ann@example.com", PASSWORD.to_owned(), &client(), None).await;
    assert!(right.is_err(), "the right password does not help before the wait is over");
    let admin = standing_of_admin(&platform).await;
    let ann = platform.access.find_user("ann@example.com").await.expect("an answer").expect("the user");
    platform.access.unlock(ann, &admin, &admin.actor("")).await.expect("unlocked");
    platform.log_in("ann@example.com").await;
    platform.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn failures_fade_and_lock_nobody_out_who_is_known() {
    let platform = Platform::start().await;
    platform.user("ann@example.com", "viewer").await;
    platform.user("bob@example.com", "viewer").await;
    let form = |password: &str| format!("email=ann%40example.com&password={}", password.replace(' ', "+"));
    let cookies = cookies_set(&platform.post("/login", "", &form(PASSWORD)).await);
    let device = cookies.split("; ").find(|cookie| cookie.starts_with("device=")).expect("a known browser").to_owned();
    let count = async |subject: &str| -> Option<f64> {
        sqlx::query_scalar("SELECT failures FROM streamlinehub.login_attempts WHERE subject = $1")
            .bind(subject)
            .fetch_optional(&platform.pool)
            .await
            .expect("an answer")
    };
    let try_in =
        async |email: &str, password: &str| platform.access.log_in(email, password.to_owned(), &client(), None).await;
    // An office: who mistypes and then gets in takes nothing from the others, and gives back no more than that.
    assert!(matches!(try_in("bob@example.com", "wrong").await, Ok(Login::Wrong)));
    assert!(matches!(try_in("ann@example.com", "wrong").await, Ok(Login::Wrong)));
    assert!(matches!(try_in("bob@example.com", PASSWORD).await, Ok(Login::In(_))));
    assert!(matches!(try_in("bob@example.com", PASSWORD).await, Ok(Login::In(_))));
    let left = count("network:192.0.2.1").await.expect("counted");
    assert!((0.9..=1.0).contains(&left), "{left}");

    // Failures of long ago count for little.
    for subject in ["network:192.0.2.1", "account:ann@example.com"] {
        sqlx::query("UPDATE streamlinehub.login_attempts SET failures = 60, failed_at = now() - interval '3 hours' WHERE subject = $1")
            .bind(subject)
            .execute(&platform.pool)
            .await
            .expect("changed");
    }
    for _ in 0..4 {
        assert!(matches!(try_in("ann@example.com", "wrong").await, Ok(Login::Wrong)));
    }
    assert!(matches!(try_in("ann@example.com", "wrong").await, Ok(Login::Wrong)), "the fifth");
    // Longer than the two seconds that it waits for, so that this test may be slow.
    let wait_longer = async |subject: &str| {
        let waiting = sqlx::query(
            "UPDATE streamlinehub.login_attempts SET blocked_until = now() + interval '1 hour'
             WHERE subject LIKE $1 AND blocked_until IS NOT NULL",
        );
        waiting.bind(subject).execute(&platform.pool).await.expect("changed").rows_affected()
    };
    assert_eq!(wait_longer("account:ann@example.com").await, 1);
    assert!(try_in("ann@example.com", PASSWORD).await.is_err(), "a stranger has made the account wait");
    // Not where the person has been before, though there as well nobody guesses for ever.
    let known = platform.post("/login", &device, &form(PASSWORD)).await;
    assert_eq!(location(&known), "/");
    for _ in 0..5 {
        platform.post("/login", &device, &form("wrong")).await;
    }
    assert_eq!(wait_longer("device:%").await, 1);
    assert_eq!(location(&platform.post("/login", &device, &form(PASSWORD)).await), "/login");
    // Somebody else's browser is a stranger's.
    let other = "email=bob%40example.com&password=wrong";
    platform.post("/login", &device, other).await;
    assert_eq!(count("account:bob@example.com").await.map(f64::round), Some(1.0));
    platform.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_login_that_is_broken_off_is_counted_and_noted() {
    let platform = Platform::start().await;
    platform.user("ann@example.com", "viewer").await;
    let client = client();
    let mut attempt = Box::pin(platform.access.log_in("ann@example.com", "wrong".to_owned(), &client, None));
    // It has begun; then its caller is gone.
    assert!(futures::poll!(attempt.as_mut()).is_pending());
    drop(attempt);
    let noted = async || -> i64 {
        sqlx::query_scalar(
            "SELECT count(*) FROM streamlinehub.audit_log WHERE action = 'login' AND outcome = 'failure'",
        )
        .fetch_one(&platform.pool)
        .await
        .expect("an answer")
    };
    tokio::time::timeout(Duration::from_secs(20), async {
        while noted().await == 0 {
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
    })
    .await
    .expect("a line in the audit log");
    let (failures, pending): (f64, i32) = sqlx::query_as(
        "SELECT failures, pending FROM streamlinehub.login_attempts WHERE subject = 'account:ann@example.com'",
    )
    .fetch_one(&platform.pool)
    .await
    .expect("counted");
    assert_eq!((failures.round(), pending), (1.0, 0));
    platform.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_second_factor_that_a_role_requires_comes_before_everything_else() {
    let platform = Platform::start().await;
    let admin = standing_of_admin(&platform).await;
    let ann = platform.user("ann@example.com", "viewer").await;
    let draft = roles::RoleDraft {
        name: "viewer".to_owned(),
        description: String::new(),
        permissions: Vec::new(),
        requires_second_factor: true,
    };
    platform.access.save_role(&draft, &admin, &admin.actor("")).await.expect("saved");
    let tokens = platform.log_in("ann@example.com").await;
    let cookies = cookies_of(&tokens);
    let page = platform.get("/", &cookies).await;
    assert_eq!((page.status(), location(&page)), (StatusCode::SEE_OTHER, "/profile"));
    let me = platform.with_bearer(&Method::GET, "/api/ui/live-now", Some(&tokens.access)).await;
    assert_eq!(me, StatusCode::FORBIDDEN);

    let form = format!("password={}", PASSWORD.replace(' ', "+"));
    platform.post("/profile/second-factor/begin", &cookies, &form).await;
    let sealed: Vec<u8> = sqlx::query_scalar("SELECT totp_secret FROM streamlinehub.users WHERE id = $1")
        .bind(ann)
        .fetch_one(&platform.pool)
        .await
        .expect("a secret");
    let keys = KeyRing::open(&platform.settings.secrets_path()).expect("keys");
    let secret = keys.unseal(Purpose::SecondFactor, &sealed).expect("sealed by us");
    let totp = totp_rs::Builder::new()
        .with_secret(secret)
        .with_account_name("ann")
        .with_issuer(Some("test"))
        .build()
        .expect("a secret");
    let now = Utc::now().timestamp().unsigned_abs();
    let wrong = platform.post("/profile/second-factor/confirm", &cookies, "code=000").await;
    assert_eq!(platform.get("/", &cookies).await.status(), StatusCode::SEE_OTHER, "{}", location(&wrong));
    let code = totp.generate(now - 30).to_string();
    let confirmed = platform.post("/profile/second-factor/confirm", &cookies, &format!("code={code}")).await;
    let page = text(platform.get("/profile", &format!("{cookies}; {}", cookies_set(&confirmed))).await).await;
    assert!(page.contains("recovery codes"), "{page}");
    assert_eq!(platform.get("/", &cookies).await.status(), StatusCode::OK);

    let step = |login| match login {
        Ok(Login::NeedsCode(token)) => token,
        other => panic!("no second step: {other:?}"),
    };
    let second = step(platform.access.log_in("ann@example.com", PASSWORD.to_owned(), &client(), None).await);
    let replayed = platform.access.log_in_with_code(&second, &code, &client(), None).await;
    assert!(matches!(replayed, Ok(Login::Wrong)), "a code counts once: {replayed:?}");
    let fresh = totp.generate(now + 30).to_string();
    let done = platform.access.log_in_with_code(&second, &fresh, &client(), None).await;
    assert!(matches!(done, Ok(Login::In(_))), "{done:?}");
    let codes = platform.access.new_recovery_codes(ann, &admin.actor("")).await.expect("codes");
    for expected in [true, false] {
        let second = step(platform.access.log_in("ann@example.com", PASSWORD.to_owned(), &client(), None).await);
        let login = platform.access.log_in_with_code(&second, &codes[0].to_uppercase(), &client(), None).await;
        assert_eq!(matches!(login, Ok(Login::In(_))), expected, "a recovery code counts once: {login:?}");
    }
    platform.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn the_first_administrator_is_set_up_once() {
    let platform = Platform::start().await;
    let token = platform.access.set_up_token().await.expect("a token");
    let form = |token: &str, password: &str| {
        format!("token={token}&name=Root&email=root%40example.com&password={}", password.replace(' ', "+"))
    };
    let page = platform.get(&format!("/setup?token={token}"), "").await;
    assert_eq!(page.status(), StatusCode::OK);
    let weak = platform.post("/setup", "", &form(&token, "password1234")).await;
    assert!(location(&weak).starts_with("/setup?token="), "{}", location(&weak));
    let made_up = platform.post("/setup", "", &form("made-up", PASSWORD)).await;
    assert!(location(&made_up).starts_with("/setup"), "{}", location(&made_up));
    let done = platform.post("/setup", "", &form(&token, PASSWORD)).await;
    assert_eq!((done.status(), location(&done)), (StatusCode::SEE_OTHER, "/"));
    assert_eq!(platform.get("/admin/users", &cookies_set(&done)).await.status(), StatusCode::OK);
    let again = platform.post("/setup", "", &form(&token, PASSWORD)).await;
    assert!(location(&again).starts_with("/setup"), "{}", location(&again));
    assert_eq!(platform.access.demo_administrator("demo@example.com").await.expect("an answer"), None);
    platform.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn the_audit_log_cannot_be_changed_unseen() {
    let platform = Platform::start().await;
    platform.user("ann@example.com", "viewer").await;
    let evil = "x\r\n99 forged success";
    let _ = platform.access.log_in(evil, "wrong".to_owned(), &client(), None).await;
    let keys = KeyRing::open(&platform.settings.secrets_path()).expect("keys");
    // Nothing hides behind what stands before it.
    let statement = format!("SELECT 1 /* {} */ -- x\nFROM gold.hourly", "-".repeat(600));
    let admin = standing_of_admin(&platform).await;
    let asked = Deed::success("sql.query", "lake").with_detail(&statement);
    platform.access.note(&admin.actor(""), &asked).await.expect("noted");
    let kept: String = sqlx::query_scalar("SELECT detail FROM streamlinehub.audit_log WHERE action = 'sql.query'")
        .fetch_one(&platform.pool)
        .await
        .expect("a line");
    assert_eq!(kept, statement.replace('\n', "⏎"));
    let whole = audit::verify(&platform.pool, &keys).await.expect("an answer");
    assert!(whole.lines >= 4 && whole.broken_at.is_none(), "{whole:?}");
    let stored: Vec<String> = sqlx::query_scalar("SELECT actor FROM streamlinehub.audit_log WHERE action = 'login'")
        .fetch_all(&platform.pool)
        .await
        .expect("lines");
    assert!(stored.iter().any(|actor| actor.contains("forged")) && stored.iter().all(|actor| !actor.contains('\n')));

    for statement in [
        "UPDATE streamlinehub.audit_log SET actor = 'nobody'",
        "DELETE FROM streamlinehub.audit_log",
        "TRUNCATE streamlinehub.audit_log",
    ] {
        let error = sqlx::query(statement).execute(&platform.pool).await.expect_err("append-only");
        assert!(error.to_string().contains("append-only"), "{error}");
    }
    // Somebody with all rights over the database.
    for statement in [
        "ALTER TABLE streamlinehub.audit_log DISABLE TRIGGER append_only",
        "UPDATE streamlinehub.audit_log SET outcome = 'success' WHERE number = 2",
    ] {
        sqlx::query(statement).execute(&platform.pool).await.expect("a superuser may");
    }
    sqlx::query("UPDATE streamlinehub.audit_log SET detail = 'altered' WHERE number = 2")
        .execute(&platform.pool)
        .await
        .expect("a superuser may");
    assert_eq!(audit::verify(&platform.pool, &keys).await.expect("an answer").broken_at, Some(2));
    sqlx::query("DELETE FROM streamlinehub.audit_log WHERE number = 2").execute(&platform.pool).await.expect("deleted");
    assert_eq!(audit::verify(&platform.pool, &keys).await.expect("an answer").broken_at, Some(3));
    platform.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn an_audit_log_that_was_cut_off_or_emptied_is_found() {
    let platform = Platform::start().await;
    let admin = standing_of_admin(&platform).await;
    let keys = KeyRing::open(&platform.settings.secrets_path()).expect("keys");
    let verify = async || audit::verify(&platform.pool, &keys).await.expect("an answer");
    let before = verify().await;
    let Kept::Follows(Some(end)) = anchor::advance(&platform.pool, &keys).await.expect("kept") else {
        panic!("there are lines")
    };
    assert_eq!((end.number, &end.mac), (before.lines, &before.last_mac));
    platform.access.note(&admin.actor(""), &Deed::success("sql.query", "lake")).await.expect("noted");
    assert_eq!(verify().await.broken_at, None, "the log goes on after the line that was kept");
    let Kept::Follows(Some(end)) = anchor::advance(&platform.pool, &keys).await.expect("kept") else {
        panic!("there are lines")
    };

    sqlx::query("ALTER TABLE streamlinehub.audit_log DISABLE TRIGGER append_only")
        .execute(&platform.pool)
        .await
        .expect("a superuser may");
    let delete = async |from: i64| {
        sqlx::query("DELETE FROM streamlinehub.audit_log WHERE number >= $1")
            .bind(from)
            .execute(&platform.pool)
            .await
            .expect("deleted")
    };
    delete(end.number).await;
    let found = verify().await;
    assert_eq!((found.broken_at, found.cut_off, found.lines), (Some(end.number), true, end.number - 1));
    // What is written in its place is another line, and the file stays as it is.
    assert_eq!(anchor::advance(&platform.pool, &keys).await.expect("an answer"), Kept::Lost(end.clone()));
    platform.access.note(&admin.actor(""), &Deed::success("sql.query", "lake")).await.expect("noted");
    let found = verify().await;
    assert_eq!((found.broken_at, found.cut_off), (Some(end.number), false));
    assert_eq!(anchor::advance(&platform.pool, &keys).await.expect("an answer"), Kept::Lost(end));
    delete(1).await;
    let found = verify().await;
    assert_eq!((found.broken_at, found.cut_off, found.lines), (Some(1), true, 0));
    platform.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn many_refusals_are_one_line_and_a_count() {
    let platform = Platform::start().await;
    platform.user("ann@example.com", "viewer").await;
    let cookies = cookies_of(&platform.log_in("ann@example.com").await);
    for _ in 0..50 {
        assert_eq!(platform.get("/pipeline", &cookies).await.status(), StatusCode::FORBIDDEN);
    }
    assert_eq!(platform.get("/sql", &cookies).await.status(), StatusCode::FORBIDDEN);
    let lines = async || -> Vec<(String, String)> {
        sqlx::query_as("SELECT target, detail FROM streamlinehub.audit_log WHERE action = 'access' ORDER BY number")
            .fetch_all(&platform.pool)
            .await
            .expect("lines")
    };
    let line = |target: &str| (target.to_owned(), String::new());
    assert_eq!(lines().await, [line("/pipeline"), line("/sql")]);
    platform.access.note_repeats(true).await.expect("noted");
    let told = lines().await;
    assert_eq!(told.len(), 3);
    assert!(told[2].0 == "/pipeline" && told[2].1.starts_with("49 more from "), "{told:?}");
    platform.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_bad_token_is_noted_once_a_minute() {
    let platform = Platform::start().await;
    for _ in 0..3 {
        let status = platform.with_bearer(&Method::GET, "/api/v1/auth/me", Some("slh_made-up")).await;
        assert_eq!(status, StatusCode::UNAUTHORIZED);
    }
    let noted: Vec<(String, String)> =
        sqlx::query_as("SELECT target, outcome FROM streamlinehub.audit_log WHERE action = 'token'")
            .fetch_all(&platform.pool)
            .await
            .expect("lines");
    assert_eq!(noted, [("/api/v1/auth/me".to_owned(), "failure".to_owned())]);
    platform.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn programs_log_in_with_json() {
    let platform = Platform::start().await;
    platform.user("ann@example.com", "viewer").await;
    let post = async |path: &str, body: String| {
        let request = Request::post(path).header(header::CONTENT_TYPE, "application/json");
        platform.send(request, &body).await
    };
    let wrong = post("/api/v1/auth/login", r#"{"email":"ann@example.com","password":"no"}"#.to_owned()).await;
    assert_eq!(wrong.status(), StatusCode::UNAUTHORIZED);
    assert_eq!(wrong.headers()[header::CONTENT_TYPE], "application/problem+json");
    assert_eq!(post("/api/v1/auth/login", "{".to_owned()).await.status(), StatusCode::BAD_REQUEST);
    let login = post("/api/v1/auth/login", format!(r#"{{"email":"ann@example.com","password":"{PASSWORD}"}}"#)).await;
    assert_eq!(login.status(), StatusCode::OK);
    let tokens: serde_json::Value = serde_json::from_str(&text(login).await).expect("JSON");
    let bearer = format!("Bearer {}", tokens["access_token"].as_str().expect("a token"));
    let me = Request::get("/api/v1/auth/me").header(header::AUTHORIZATION, &bearer);
    let me: Me = serde_json::from_str(&text(platform.send(me, "").await).await).expect("JSON");
    assert_eq!((me.email.as_str(), me.role.as_str()), ("ann@example.com", "viewer"));
    assert!(me.access_seconds_left > 0 && me.access_seconds_left <= 900);

    let refresh = format!(r#"{{"refresh_token":"{}"}}"#, tokens["refresh_token"].as_str().expect("a token"));
    assert_eq!(post("/api/v1/auth/refresh", refresh.clone()).await.status(), StatusCode::OK);
    assert_eq!(post("/api/v1/auth/refresh", refresh).await.status(), StatusCode::UNAUTHORIZED);
    let me = Request::get("/api/v1/auth/me").header(header::AUTHORIZATION, &bearer);
    assert_eq!(platform.send(me, "").await.status(), StatusCode::UNAUTHORIZED, "reuse ended the session");
    platform.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn several_processes_count_requests_together() {
    let folder = tempfile::tempdir().expect("a temporary folder");
    let mut settings = Settings::defaults();
    settings.data_dir = folder.path().join("data");
    settings.kafka.embedded_port = 0;
    let services = Services::start(&settings).await.expect("services");
    let one = RateLimits::new(probes::connect_redis(&services.redis_url).await.expect("Redis"));
    let other = RateLimits::new(probes::connect_redis(&services.redis_url).await.expect("Redis"));
    let mut passed = 0;
    for _ in 0..20 {
        for limits in [&one, &other] {
            passed += u32::from(limits.exceeded("user:ann", Rate(10)).await.is_none());
        }
    }
    // Ten at once, and perhaps one more if the loop took six seconds.
    assert!((10..=11).contains(&passed), "{passed}");
    let wait = one.exceeded("user:ann", Rate(10)).await.expect("too many");
    assert!(wait <= Duration::from_secs(6), "{wait:?}");
    assert_eq!(one.exceeded("user:bob", Rate(10)).await, None, "others are not held up");
    assert_eq!(one.exceeded("user:ann", Rate(0)).await, None, "no limit");
    services.stop().await;
}
