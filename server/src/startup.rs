//! The wiring. HTTP comes up first, so that the health of the rest can be asked from the first moment; then the services,
//! the store, the pipeline and the demo data. Everything goes down in the opposite order.

use std::{
    future::Future,
    net::{SocketAddr, TcpListener},
    path::PathBuf,
    sync::Arc,
    time::Duration,
};

use anyhow::{Context, Result, anyhow};
use app::ports::Dashboard;
use async_trait::async_trait;
use axum::Router;
use axum_server::{Handle, tls_rustls::RustlsConfig};
use etl::{
    embedded::Services,
    lake::{Lake, schema},
    live::read_workers,
    pipeline::Pipeline,
    settings::{Settings, Web},
};
use futures::{FutureExt as _, future::BoxFuture};
use model::{
    health::{Replay, ReplayState},
    live::WorkerLive,
};
use redis::aio::ConnectionManager;
use tokio::{
    sync::watch,
    task::{JoinHandle, JoinSet},
    time::timeout,
};
use tokio_util::sync::CancellationToken;
use url::Url;

use crate::{
    access::{Access, gate::Gate, limits::RateLimits, password, roles},
    dashboard::Parts,
    events::door::{self, Door},
    health::Part,
    lake::{Catalogue, Limits as SqlLimits},
    ledger,
    live::Workers,
    pipeline_view::PipelineTables,
    probes,
    quality::Quality,
    replay::Demo,
    routes::{WebState, leptos_options, router},
    store::Store,
    warehouse::{Limits, Warehouse},
};

/// Commits of other processes are not announced to us; this often we look for them.
const LOOK_FOR_COMMITS_EVERY: Duration = Duration::from_secs(1);
/// Open requests get this long to end once we stop.
const LAST_REQUESTS: Duration = Duration::from_secs(5);
/// A connection that has not sent a whole request by then is closed.
const SLOWEST_REQUEST: Duration = Duration::from_secs(30);
const DEMO_ADMINISTRATOR: &str = "admin@example.com";

/// The program, ready to run.
pub struct Application {
    settings: Arc<Settings>,
    site_root: PathBuf,
    program: PathBuf,
    listener: TcpListener,
    address: SocketAddr,
}

impl Application {
    /// Takes the address. `site_root` is the folder of the browser's half, `program` the path of `streamlinehub`, which SQL
    /// runs in.
    ///
    /// # Errors
    /// The address is taken or not ours.
    pub async fn build(settings: Settings, site_root: PathBuf, program: PathBuf) -> Result<Application> {
        let wanted = (settings.address.as_str(), settings.port);
        let listener = tokio::net::TcpListener::bind(wanted).await.with_context(|| {
            format!("cannot listen on {}:{}; PORT and ADDRESS choose another place", settings.address, settings.port)
        })?;
        let listener = listener.into_std()?;
        let address = listener.local_addr()?;
        Ok(Application { settings: Arc::new(settings), site_root, program, listener, address })
    }

    /// Where it listens.
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// How a browser reaches it.
    pub fn url(&self) -> String {
        self.settings.public_url(self.address.port())
    }

    /// Runs until `shutdown`, then stops everything in order: no new requests, no new events, what is under way goes to
    /// Gold, and the services last.
    ///
    /// # Errors
    /// Something that it cannot do without does not come up; everything is stopped again.
    pub fn run_until(self, shutdown: impl Future<Output = ()> + Send + 'static) -> BoxFuture<'static, Result<()>> {
        // Boxed, so that all that hangs on it is compiled once and not in each program and test.
        self.run(shutdown.boxed()).boxed()
    }

    async fn run(self, shutdown: BoxFuture<'static, ()>) -> Result<()> {
        let stop = CancellationToken::new();
        let signal = tokio::spawn({
            let stop = stop.clone();
            async move {
                shutdown.await;
                stop.cancel();
            }
        });
        let parts = Arc::new(Parts::default());
        let gate = Arc::new(Gate::new(&self.settings.web, self.url()));
        let dashboard: Arc<dyn Dashboard> = Arc::clone(&parts) as Arc<_>;
        let leptos = leptos_options(&self.site_root.to_string_lossy());
        let routes = router(WebState { dashboard, parts: Arc::clone(&parts), gate: Arc::clone(&gate), leptos });
        let serving = Handle::new();
        let server = serve(self.listener, &self.settings.web, routes, serving.clone()).await?;
        tokio::spawn({
            let stop = stop.clone();
            async move {
                stop.cancelled().await;
                serving.graceful_shutdown(Some(LAST_REQUESTS));
            }
        });

        let mut backend = Backend::new(self.settings, self.program, parts, gate);
        let outcome = backend.bring_up(&stop).await;
        match &outcome {
            Ok(()) => stop.cancelled().await,
            Err(_) => stop.cancel(),
        }
        // A little longer than they get: then whoever is left is cut off.
        if timeout(LAST_REQUESTS + Duration::from_secs(1), server).await.is_err() {
            tracing::warn!("some requests did not end in time");
        }
        backend.stop().await;
        signal.abort();
        outcome
    }
}

/// Takes connections, over TLS if there is a certificate. Who sends its first request, or any header, too slowly is cut off.
async fn serve(
    listener: TcpListener,
    web: &Web,
    routes: Router,
    serving: Handle<SocketAddr>,
) -> Result<JoinHandle<std::io::Result<()>>> {
    let service = routes.into_make_service_with_connect_info::<SocketAddr>();
    if !web.has_tls() {
        let mut server = axum_server::from_tcp(listener)?.handle(serving).first_request_timeout(SLOWEST_REQUEST);
        server.http_builder().http1().header_read_timeout(SLOWEST_REQUEST);
        return Ok(tokio::spawn(server.serve(service)));
    }
    // Two crypto providers are linked into the process; TLS needs to be told which.
    let _ = rustls::crypto::aws_lc_rs::default_provider().install_default();
    let tls = RustlsConfig::from_pem_chain_file(&web.tls_certificate, &web.tls_key).await.with_context(|| {
        format!(
            "the certificate {} and its key {} cannot be used",
            web.tls_certificate.display(),
            web.tls_key.display()
        )
    })?;
    let mut server =
        axum_server::from_tcp_rustls(listener, tls)?.handle(serving).first_request_timeout(SLOWEST_REQUEST);
    server.http_builder().http1().header_read_timeout(SLOWEST_REQUEST);
    Ok(tokio::spawn(server.serve(service)))
}

/// Everything behind HTTP, as far as it is up.
struct Backend {
    settings: Arc<Settings>,
    program: PathBuf,
    parts: Arc<Parts>,
    gate: Arc<Gate>,
    services: Option<Services>,
    store: Option<Store>,
    pipeline: Option<Pipeline>,
    /// Ends with the producers of demo events.
    producers: CancellationToken,
    demo: Option<JoinHandle<()>>,
    /// Ends with what only looks: health, live metrics, the warehouse.
    observers: CancellationToken,
    observing: JoinSet<()>,
}

impl Backend {
    fn new(settings: Arc<Settings>, program: PathBuf, parts: Arc<Parts>, gate: Arc<Gate>) -> Backend {
        Backend {
            settings,
            program,
            parts,
            gate,
            services: None,
            store: None,
            pipeline: None,
            producers: CancellationToken::new(),
            demo: None,
            observers: CancellationToken::new(),
            observing: JoinSet::new(),
        }
    }

    /// Brings up one after the other, and no more once it is told to stop.
    async fn bring_up(&mut self, stop: &CancellationToken) -> Result<()> {
        let (health, until) = (Arc::clone(&self.parts.health), self.observers.clone());
        self.observing.spawn(async move { health.run(until).await });

        let lake = Lake::open(&self.settings.lake_path())?;
        let root =
            Url::from_directory_path(lake.root()).map_err(|()| anyhow!("the lake's folder has no absolute path"))?;
        let warehouse = Arc::new(Warehouse::new(&root, Limits::default())?);
        let catalogue = Catalogue::new(&root, self.program.clone(), SqlLimits::default());
        // Put in only once, here.
        _ = self.parts.catalogue.set(Arc::new(catalogue));
        _ = self.parts.quality.set(Arc::new(Quality::new(self.settings.quality.rules.clone(), &root)));
        let (gold_commits, announced) = watch::channel(0);
        self.open_lake(&root, Arc::clone(&warehouse), announced);
        self.parts.health.watch(Part::Lake, probes::lake(lake.root().to_owned(), Arc::clone(&warehouse)));

        let low = self.settings.health.low_disk_bytes;
        self.parts.health.watch(Part::Disk, probes::disk(lake.root().to_owned(), low));

        let services = self.services.insert(Services::start(&self.settings).await?);
        let (kafka, redis_url, database_url) =
            (services.kafka.clone(), services.redis_url.clone(), services.database_url.clone());
        let redis = probes::connect_redis(&redis_url).await?;
        let limits = RateLimits::new(redis.clone());
        self.parts.health.watch(Part::Broker, probes::broker(&kafka)?);
        self.parts.health.watch(Part::Redis, probes::redis(redis.clone()));
        let (live, until, published) =
            (Arc::clone(&self.parts.live), self.observers.clone(), PublishedWorkers(redis.clone()));
        self.observing.spawn(async move { live.run(published, until).await });
        if stop.is_cancelled() {
            return Ok(());
        }

        let store = self.store.insert(Store::connect(&database_url).await?).clone();
        self.parts.health.watch(Part::Postgres, probes::postgres(store.clone()));
        self.open_gate(&store, limits).await?;
        if stop.is_cancelled() {
            return Ok(());
        }

        let pipeline = Pipeline::start(Arc::clone(&self.settings), &kafka, &redis_url).await?;
        self.announce(pipeline.gold_committed(), gold_commits);
        let worker = Arc::clone(pipeline.stats());
        self.pipeline = Some(pipeline);
        // Now that there are topics.
        let door = Door::new(&kafka, redis, door::Limits::new(self.settings.ingest.max_event_bytes))?;
        _ = self.parts.events.set(Arc::new(door));
        self.parts.health.watch(Part::Pipeline, probes::pipeline(Arc::clone(&self.parts.live)));
        self.parts.health.watch(Part::Books, ledger::probe(Arc::clone(&self.parts.ledger)));
        let (books, until) = (Arc::clone(&self.parts.ledger), self.observers.clone());
        let (of_lake, of_kafka) = (lake.clone(), kafka.clone());
        self.observing.spawn(async move { books.run(of_lake, of_kafka, until).await });

        self.start_demo(Demo {
            store,
            lake,
            warehouse,
            cluster: kafka,
            worker,
            live_rate: self.settings.live.rate,
            progress: self.parts.replay.clone(),
        });
        Ok(())
    }

    /// Lets people in, the first of whom needs a way.
    async fn open_gate(&mut self, store: &Store, limits: RateLimits) -> Result<()> {
        roles::write_built_in(store.pool()).await?;
        let access = Arc::new(Access::new(store.pool().clone(), limits, &self.settings)?);
        tokio::task::spawn_blocking(password::prepare).await?;
        for task in [follow as fn(Arc<Access>, CancellationToken) -> BoxFuture<'static, ()>, keep_house, keep_audit] {
            self.observing.spawn(task(Arc::clone(&access), self.observers.clone()));
        }
        if access.has_no_users().await? {
            if self.settings.demo.administrator {
                if let Some(password) = access.demo_administrator(DEMO_ADMINISTRATOR).await? {
                    announce_once(&format!(
                        "Log in as {DEMO_ADMINISTRATOR} with the password {password}\n(made for trying out; it is not shown again)"
                    ));
                }
            } else {
                let token = access.set_up_token().await?;
                announce_once(&format!(
                    "There are no users yet. Set up the first administrator (this link works once, for 48 hours):\n{}/setup?token={token}",
                    self.gate.public_url
                ));
            }
        }
        self.gate.open(access);
        Ok(())
    }

    /// Reads the lake for the first time, then follows it.
    fn open_lake(&mut self, root: &Url, warehouse: Arc<Warehouse>, announced: watch::Receiver<u64>) {
        let tables = schema::all().into_iter().map(|table| (table.layer, table.name));
        // Put in only once, here.
        _ = self.parts.tables.set(PipelineTables::new(root, tables, schema::DEAD_LETTERS.name));
        let (parts, until) = (Arc::clone(&self.parts), self.observers.clone());
        self.observing.spawn(async move {
            if let Err(error) = warehouse.refresh().await {
                tracing::warn!("the lake cannot be read yet: {error:#}");
            }
            _ = parts.warehouse.set(Arc::clone(&warehouse));
            warehouse.follow(announced, LOOK_FOR_COMMITS_EVERY, until).await;
        });
    }

    /// Hands the pipeline's announcements on to the warehouse, which was there before it.
    fn announce(&mut self, mut committed: watch::Receiver<u64>, announce: watch::Sender<u64>) {
        self.observing.spawn(async move {
            while committed.changed().await.is_ok() {
                announce.send_modify(|count| *count += 1);
            }
        });
    }

    fn start_demo(&mut self, demo: Demo) {
        if !self.settings.replay.enabled {
            self.parts.replay.send_replace(Replay { state: ReplayState::Off, ..Replay::default() });
            return;
        }
        let (folder, stop) = (self.settings.replay.path.clone(), self.producers.clone());
        self.demo = Some(tokio::spawn(async move { demo.run(&folder, stop).await }));
    }

    async fn stop(mut self) {
        self.producers.cancel();
        if let Some(demo) = self.demo.take()
            && let Err(error) = demo.await
        {
            tracing::warn!("the demo data's producer ended badly: {error}");
        }
        if let Some(door) = self.parts.events.get().map(Arc::clone)
            && let Err(error) = tokio::task::spawn_blocking(move || door.close()).await
        {
            tracing::warn!("the door for events was not closed: {error}");
        }
        if let Some(pipeline) = self.pipeline.take() {
            pipeline.stop().await;
        }
        if let Some(catalogue) = self.parts.catalogue.get() {
            catalogue.stop().await;
        }
        self.observers.cancel();
        while self.observing.join_next().await.is_some() {}
        if let Some(store) = self.store.take() {
            store.close().await;
        }
        if let Some(services) = self.services.take() {
            services.stop().await;
        }
    }
}

fn follow(access: Arc<Access>, stop: CancellationToken) -> BoxFuture<'static, ()> {
    async move { access.follow(stop).await }.boxed()
}

fn keep_house(access: Arc<Access>, stop: CancellationToken) -> BoxFuture<'static, ()> {
    async move { access.keep_house(stop).await }.boxed()
}

fn keep_audit(access: Arc<Access>, stop: CancellationToken) -> BoxFuture<'static, ()> {
    async move { access.keep_audit(stop).await }.boxed()
}

/// For whoever sits at the terminal, and not for the log, where secrets do not belong.
#[expect(clippy::print_stdout, reason = "a secret that is shown once belongs on the terminal")]
fn announce_once(text: &str) {
    println!("\n{text}\n");
}

/// Workers that publish in Redis.
struct PublishedWorkers(ConnectionManager);

#[async_trait]
impl Workers for PublishedWorkers {
    async fn read(&mut self) -> Result<Vec<WorkerLive>> {
        read_workers(&mut self.0).await
    }
}
