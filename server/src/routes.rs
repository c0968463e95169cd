//! Everything that HTTP offers, on one page.

use std::{
    sync::{Arc, LazyLock},
    time::Duration,
};

use app::{
    App,
    ports::{Dashboard, Explorer, People, Saved, Watch},
    shell,
};
use axum::{
    Router,
    extract::{DefaultBodyLimit, FromRef, Request, State},
    handler::Handler,
    http::{HeaderValue, Method, StatusCode, Uri, header},
    middleware::{self, Next},
    response::Response,
    routing::{MethodRouter, any},
};
use leptos::{
    config::{Env, LeptosOptions},
    prelude::provide_context,
};
use leptos_axum::{AxumRouteListing, LeptosRoutes, generate_route_list, render_app_async_with_context};
use tower_http::{
    compression::{CompressionLayer, CompressionLevel},
    services::ServeDir,
    trace::TraceLayer,
};

use crate::{
    access::{
        forms as access_forms,
        gate::Gate,
        guard::{guard, refusal},
        people::Visit,
        rest, rules,
    },
    analytics,
    dashboard::Parts,
    dashboard_socket, events, explore_csv, health_api, lake, ledger, openapi,
    problem::Problem,
    prometheus,
    quality::{self, pages::Inspection},
    request_id::{self, RequestId},
    saved, security,
};

/// A response that takes longer to begin is given up.
const TIME_LIMIT: Duration = Duration::from_secs(30);
/// The largest body of a request, in bytes; events have a limit of their own.
const BODY_LIMIT: usize = 1 << 20;

/// The pages. Found once, before any is rendered: finding them runs the app, and pages that are rendered meanwhile may wait
/// for ever.
pub static PAGES: LazyLock<Vec<AxumRouteListing>> = LazyLock::new(|| generate_route_list(App));

/// What the routes need.
#[derive(Clone)]
pub struct WebState {
    pub dashboard: Arc<dyn Dashboard>,
    /// What the dashboard is answered from, for programs.
    pub parts: Arc<Parts>,
    pub gate: Arc<Gate>,
    pub leptos: LeptosOptions,
}

impl FromRef<WebState> for LeptosOptions {
    fn from_ref(state: &WebState) -> LeptosOptions {
        state.leptos.clone()
    }
}

/// Where the browser's half is found. The names are those that the build gives its files.
pub fn leptos_options(site_root: &str) -> LeptosOptions {
    LeptosOptions::builder()
        .output_name("streamlinehub")
        .site_root(site_root)
        .site_pkg_dir("pkg")
        .env(Env::PROD)
        .build()
}

/// The forms, by the paths that they are sent to.
pub fn forms() -> Vec<(&'static str, MethodRouter<WebState>)> {
    [access_forms::forms(), lake::rest::forms(), saved::forms::forms(), quality::forms::forms()].concat()
}

/// Files that pages offer, by their paths.
pub fn downloads() -> Vec<(&'static str, MethodRouter<WebState>)> {
    explore_csv::routes()
}

/// The routes for programs.
pub fn api() -> Vec<(&'static str, MethodRouter<WebState>)> {
    [
        rest::routes(),
        events::routes(),
        analytics::routes(),
        lake::rest::routes(),
        saved::rest::routes(),
        saved::dashboards_rest::routes(),
        quality::rest::routes(),
        quality::letters_rest::routes(),
        health_api::routes(),
        ledger::routes(),
        openapi::routes(),
        prometheus::routes(),
        dashboard_socket::routes(),
    ]
    .concat()
}

/// All routes. Call it within a Tokio runtime.
pub fn router(state: WebState) -> Router {
    let options = state.leptos.clone();
    let site = ServeDir::new(&*options.site_root)
        .append_index_html_on_directories(false)
        .precompressed_br()
        .precompressed_gzip()
        .fallback(page_not_found.with_state(state.clone()));
    let secure = state.gate.cookies.secure;
    let requests = Arc::clone(&state.parts.requests);
    let gate = Arc::clone(&state.gate);
    let routes = forms().into_iter().chain(downloads()).chain(api());
    let router = routes.fold(Router::new(), |router, (path, handler)| router.route(path, handler));
    let router = router
        .leptos_routes_with_context(&state, PAGES.clone(), page_context(&state), move || shell(options.clone()))
        .route("/api", any(api_not_found))
        .route("/api/{*path}", any(api_not_found))
        .method_not_allowed_fallback(method_not_allowed)
        .fallback_service(site)
        .with_state(state)
        .layer(middleware::from_fn_with_state(gate, guard))
        .layer(DefaultBodyLimit::max(BODY_LIMIT))
        .layer(middleware::from_fn(limit_time))
        .layer(CompressionLayer::new().quality(CompressionLevel::Fastest))
        .layer(middleware::from_fn(security::add_headers))
        .layer(middleware::from_fn_with_state(requests, prometheus::count))
        // Without the query, in which a one-time token may be.
        .layer(TraceLayer::new_for_http().make_span_with(|request: &Request| {
            let id = request.extensions().get::<RequestId>().map(|id| id.0.as_str());
            tracing::debug_span!("request", method = %request.method(), path = request.uri().path(), id)
        }))
        .layer(middleware::from_fn(request_id::give));
    if secure { router.layer(middleware::from_fn(security::add_transport_security)) } else { router }
}

/// What pages and server functions find in their context.
fn page_context(state: &WebState) -> impl Fn() + Clone + Send + Sync + 'static {
    let (dashboard, gate) = (Arc::clone(&state.dashboard), Arc::clone(&state.gate));
    let parts = Arc::clone(&state.parts);
    let explorer: Arc<dyn Explorer> = Arc::clone(&state.parts) as _;
    move || {
        provide_context(Arc::clone(&dashboard));
        provide_context(Arc::clone(&explorer));
        let visit = Arc::new(Visit::of_request(&gate));
        provide_context(Arc::clone(&visit) as Arc<dyn People>);
        provide_context(Arc::new(Inspection { parts: Arc::clone(&parts), visit: Arc::clone(&visit) }) as Arc<dyn Watch>);
        provide_context(visit as Arc<dyn Saved>);
        security::protect_page();
    }
}

/// Gives up a response that takes too long to begin.
async fn limit_time(request: Request, next: Next) -> Response {
    let kind = rules::kind(request.uri().path());
    tokio::time::timeout(TIME_LIMIT, next.run(request)).await.unwrap_or_else(|_| {
        refusal(kind, StatusCode::SERVICE_UNAVAILABLE, "The server took too long. Try again in a moment.")
    })
}

async fn api_not_found(uri: Uri) -> Problem {
    Problem::new(StatusCode::NOT_FOUND, format!("There is nothing at {}.", uri.path()))
}

async fn method_not_allowed(method: Method, uri: Uri) -> Problem {
    Problem::new(
        StatusCode::METHOD_NOT_ALLOWED,
        format!("{} does not take {method}; the header Allow says what it takes.", uri.path()),
    )
}

/// No route of the app has this path.
const NOWHERE: &str = "/not-found";

/// The app's own page for what does not exist. It is rendered at a path of ours: whatever was asked for, the app's own
/// router shows no page of it here, where nobody's rights were looked at.
async fn page_not_found(State(state): State<WebState>, mut request: Request) -> Response {
    *request.uri_mut() = Uri::from_static(NOWHERE);
    let options = state.leptos.clone();
    let render = render_app_async_with_context(page_context(&state), move || shell(options.clone()));
    let mut page = render(request).await;
    if page.status() == StatusCode::OK {
        *page.status_mut() = StatusCode::NOT_FOUND;
    }
    // It shows who is signed in.
    page.headers_mut().insert(header::CACHE_CONTROL, HeaderValue::from_static("no-store"));
    page
}
