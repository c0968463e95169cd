//! What HTTP answers before anything behind it is up, and how it protects browsers.

use std::sync::Arc;

use axum::{
    Router,
    body::{Body, to_bytes},
    http::{Request, Response, StatusCode, header},
};
use etl::settings::Settings;
use model::health::{Health, Status};
use server::{
    access::gate::Gate,
    dashboard::Parts,
    health::Part,
    routes::{WebState, leptos_options, router},
};
use tempfile::TempDir;
use tower::ServiceExt;

struct Web {
    router: Router,
    parts: Arc<Parts>,
    _site: TempDir,
}

fn web() -> Web {
    let site = tempfile::tempdir().expect("a temporary folder");
    std::fs::create_dir(site.path().join("pkg")).expect("a folder");
    std::fs::write(site.path().join("pkg/streamlinehub.css"), "body {}").expect("a file");
    let parts = Arc::new(Parts::default());
    let leptos = leptos_options(&site.path().to_string_lossy());
    let gate = Arc::new(Gate::new(&Settings::defaults().web, "http://localhost:3000".to_owned()));
    let dashboard = Arc::clone(&parts) as Arc<_>;
    Web { router: router(WebState { dashboard, parts: Arc::clone(&parts), gate, leptos }), parts, _site: site }
}

impl Web {
    async fn send(&self, request: http::request::Builder) -> Response<Body> {
        let request = request.header(header::HOST, "localhost:3000").body(Body::empty()).expect("a request");
        self.router.clone().oneshot(request).await.expect("a router never fails")
    }

    async fn get(&self, path: &str) -> Response<Body> {
        self.send(Request::get(path)).await
    }
}

async fn text(response: Response<Body>) -> String {
    let bytes = to_bytes(response.into_body(), 1 << 20).await.expect("a body");
    String::from_utf8(bytes.to_vec()).expect("text")
}

fn header_of<'a>(response: &'a Response<Body>, name: &str) -> &'a str {
    response.headers().get(name).and_then(|value| value.to_str().ok()).unwrap_or_default()
}

#[tokio::test]
async fn health_answers_from_the_first_moment() {
    let web = web();
    let response = web.get("/api/v1/health").await;
    assert_eq!((response.status(), header_of(&response, "cache-control")), (StatusCode::OK, "no-store"));
    let health: Health = serde_json::from_str(&text(response).await).expect("JSON");
    assert_eq!((health.status, health.components.len()), (Status::Starting, Part::ALL.len()));

    web.parts.health.note(Part::Postgres, Status::Down, "gone");
    assert_eq!(web.get("/api/v1/health").await.status(), StatusCode::SERVICE_UNAVAILABLE);
}

#[tokio::test]
async fn a_page_is_rendered_with_a_policy_that_names_its_own_nonce() {
    let web = web();
    let page = web.get("/nothing").await;
    assert_eq!(page.status(), StatusCode::NOT_FOUND);
    let policy = header_of(&page, "content-security-policy").to_owned();
    assert!(policy.contains("'wasm-unsafe-eval'") && policy.contains("frame-ancestors 'none'"), "{policy}");
    assert!(!policy.contains("'unsafe-eval'") && !policy.contains("http"), "{policy}");
    let nonce = policy.split("'nonce-").nth(1).and_then(|rest| rest.split('\'').next()).expect("a nonce").to_owned();
    let html = text(page).await;
    let inline = html
        .split("<script")
        .skip(1)
        .filter(|script| !script.split('>').next().is_some_and(|tag| tag.contains("src=")));
    for script in inline {
        assert!(script.contains(&format!("nonce=\"{nonce}\"")), "a script without the nonce: {script}");
    }
    let again = web.get("/nothing").await;
    assert!(!header_of(&again, "content-security-policy").contains(&nonce), "a nonce is used once");
}

#[tokio::test]
async fn until_accounts_are_there_nobody_is_let_in() {
    let web = web();
    for path in ["/", "/pipeline", "/login", "/api/ui/overview?range=1", "/api/ui/live-now", "/api/v1/auth/me"] {
        let response = web.get(path).await;
        assert_eq!(response.status(), StatusCode::SERVICE_UNAVAILABLE, "{path}");
        assert_eq!(header_of(&response, "retry-after"), "2", "{path}");
    }
    assert_eq!(header_of(&web.get("/").await, "refresh"), "2", "a browser asks again by itself");
}

#[tokio::test]
async fn every_response_has_the_security_headers() {
    let web = web();
    for path in ["/", "/api/v1/health", "/api/nothing", "/pkg/streamlinehub.css", "/nothing"] {
        let response = web.get(path).await;
        assert_eq!(header_of(&response, "x-content-type-options"), "nosniff", "{path}");
        assert_eq!(header_of(&response, "referrer-policy"), "same-origin", "{path}");
        assert!(header_of(&response, "content-security-policy").contains("frame-ancestors 'none'"), "{path}");
    }
}

#[tokio::test]
async fn what_does_not_exist_is_explained_in_the_form_that_was_asked_for() {
    let web = web();
    let api = web.get("/api/v1/nothing").await;
    assert_eq!((api.status(), header_of(&api, "content-type")), (StatusCode::NOT_FOUND, "application/problem+json"));
    let problem: serde_json::Value = serde_json::from_str(&text(api).await).expect("JSON");
    assert_eq!((problem["status"].as_u64(), problem["title"].as_str()), (Some(404), Some("Not Found")));
    assert_eq!(problem["detail"], "There is nothing at /api/v1/nothing.");

    let page = web.get("/nothing").await;
    assert_eq!(page.status(), StatusCode::NOT_FOUND);
    assert!(header_of(&page, "content-type").starts_with("text/html"));
    assert_eq!(web.get("/pkg/nothing.js").await.status(), StatusCode::NOT_FOUND);
    assert_eq!(web.get("/../Cargo.toml").await.status(), StatusCode::NOT_FOUND);
}

#[tokio::test]
async fn a_wrong_method_is_told_which_is_right() {
    let response = web().send(Request::delete("/api/v1/health")).await;
    assert_eq!(response.status(), StatusCode::METHOD_NOT_ALLOWED);
    assert!(header_of(&response, "allow").contains("GET"));
    assert_eq!(header_of(&response, "content-type"), "application/problem+json");
}

#[tokio::test]
async fn files_are_asked_for_again_before_they_are_used() {
    let web = web();
    let file = web.get("/pkg/streamlinehub.css").await;
    assert_eq!((file.status(), header_of(&file, "cache-control")), (StatusCode::OK, "no-cache"));
    let modified = header_of(&file, "last-modified").to_owned();
    let unchanged = web.send(Request::get("/pkg/streamlinehub.css").header(header::IF_MODIFIED_SINCE, modified)).await;
    assert_eq!(unchanged.status(), StatusCode::NOT_MODIFIED);
}

#[tokio::test]
async fn a_socket_from_a_foreign_page_is_refused() {
    let web = web();
    let socket = |origin: &str| {
        Request::get("/api/ui/live")
            .header(header::CONNECTION, "Upgrade")
            .header(header::UPGRADE, "websocket")
            .header(header::SEC_WEBSOCKET_VERSION, "13")
            .header(header::SEC_WEBSOCKET_KEY, "dGhlIHNhbXBsZSBub25jZQ==")
            .header(header::ORIGIN, origin.to_owned())
    };
    assert_eq!(web.send(socket("https://evil.example")).await.status(), StatusCode::FORBIDDEN);
    assert_ne!(web.send(socket("http://localhost:3000")).await.status(), StatusCode::FORBIDDEN);
}

#[tokio::test]
async fn another_name_than_ours_is_told_what_to_set() {
    let web = web();
    for path in ["/", "/login", "/pkg/streamlinehub.css", "/api/ui/live-now", "/api/v1/auth/me", "/metrics", "/nothing"]
    {
        let response = web.send(Request::get(path).header(header::HOST, "evil.example")).await;
        assert_eq!(response.status(), StatusCode::MISDIRECTED_REQUEST, "{path}");
        let words = text(response).await;
        assert!(words.contains("evil.example") && words.contains("web.other_hosts"), "{path}: {words}");
    }
    let probe = web.send(Request::get("/api/v1/health/live").header(header::HOST, "10.1.2.3")).await;
    assert_eq!(probe.status(), StatusCode::OK);
}
