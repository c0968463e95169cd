//! What the pipeline's tests share: private services in a temporary folder, and SQL over the lake.
//!
//! The broker is the embedded one, unless `TEST_KAFKA` names another that is there for tests alone: an Apache Kafka, say, as
//! `scripts/apache-kafka.sh` starts it. Its topics are made anew for each test, so one test runs at a time then.

use std::{path::Path, sync::Arc, time::Duration};

use anyhow::{Context, Result, bail, ensure};
use deltalake::{
    arrow::{array::RecordBatch, util::display::array_value_to_string},
    datafusion::{datasource::MemTable, prelude::SessionContext},
};
use etl::{
    embedded::Services,
    kafka::{Cluster, Watermarks},
    lake::{Lake, schema},
    ledger::reader::Reader,
    produce::Message,
    progress,
    settings::Settings,
};
use model::{ledger::Ledger, topic::Topic};
use rdkafka::{
    admin::{AdminClient, AdminOptions},
    client::DefaultClientContext,
    producer::{FutureProducer, FutureRecord},
};
use tempfile::TempDir;
use tokio::time::Instant;
use uuid::Uuid;

/// Longer than anything here takes, so that a test that hangs says so.
const PATIENCE: Duration = Duration::from_secs(120);

/// Names a broker to test against, instead of the embedded one.
const KAFKA: &str = "TEST_KAFKA";

/// The static group member that the tests' workers are.
pub(crate) const INSTANCE: &str = "worker";

/// A broker and a Redis of the test's own.
pub(crate) struct World {
    pub(crate) settings: Arc<Settings>,
    pub(crate) services: Services,
    pub(crate) lake: Lake,
    producer: FutureProducer,
    _folder: TempDir,
}

impl World {
    pub(crate) async fn start() -> Result<World> {
        World::start_over(Path::new("")).await
    }

    /// With a lake that is there already.
    pub(crate) async fn start_over(lake: &Path) -> Result<World> {
        let folder = TempDir::new()?;
        let mut settings = Settings::defaults();
        settings.delta_lake.path = lake.to_owned();
        settings.data_dir = folder.path().join("data");
        settings.kafka.embedded_port = 0;
        if let Ok(servers) = std::env::var(KAFKA) {
            settings.kafka.bootstrap_servers = servers;
            settings.kafka.group = format!("test-{}", Uuid::new_v4().simple());
            delete_topics(&Cluster::named(&settings.kafka)?).await?;
        }
        // Whoever comes next takes the place of a worker that was killed, and does not wait until the broker misses it.
        settings.kafka.instance = INSTANCE.to_owned();
        // The pipeline needs no database; naming one keeps it from being started.
        settings.database.url = "postgres://unused".to_owned();
        let services = Services::start(&settings).await?;
        create_topics(&services.kafka, settings.kafka.partitions).await?;
        let lake = Lake::open(&settings.lake_path())?;
        let producer = services.kafka.config().set("message.max.bytes", "10000000").create().context("producer")?;
        Ok(World { settings: Arc::new(settings), services, lake, producer, _folder: folder })
    }

    /// Sends to a topic and waits for the acknowledgements.
    pub(crate) async fn send(&self, topic: &str, messages: impl Iterator<Item = (String, Vec<u8>)>) -> Result<()> {
        let messages: Vec<_> = messages.collect();
        let sent = messages
            .iter()
            .map(|(key, payload)| self.producer.send(FutureRecord::to(topic).key(key).payload(payload), PATIENCE));
        for result in futures::future::join_all(sent).await {
            result.map_err(|(error, _)| error).context("an event was not acknowledged")?;
        }
        Ok(())
    }

    pub(crate) async fn send_messages(&self, messages: &[Message]) -> Result<()> {
        for topic in Topic::ALL {
            let of_topic = messages.iter().filter(|message| message.topic == topic);
            self.send(topic.name(), of_topic.map(|message| (message.key.clone(), message.payload.clone()))).await?;
        }
        Ok(())
    }

    /// Waits until everything that is in Kafka is in Gold.
    pub(crate) async fn settle(&self) -> Result<()> {
        let began = Instant::now();
        loop {
            let behind = progress::behind(&self.services.kafka, &self.lake).await?;
            if behind.is_nothing() {
                return Ok(());
            }
            if began.elapsed() > PATIENCE {
                bail!("still behind: {behind:?}");
            }
            tokio::time::sleep(Duration::from_millis(100)).await;
        }
    }

    /// The single row that the query gives, as text; tables are named like `silver_transactions`.
    pub(crate) async fn row(&self, sql: &str) -> Result<Vec<String>> {
        let session = SessionContext::new();
        for spec in schema::all() {
            let table = self.lake.table(spec).await?;
            let columns: Vec<&str> = spec.schema.fields().iter().map(|field| field.name().as_str()).collect();
            let mut batches: Vec<RecordBatch> = Vec::new();
            for file in table.files(None)? {
                batches.extend(table.read(&file, &columns).await?);
            }
            let Some(first) = batches.first() else { continue };
            let name = format!("{}_{}", spec.layer.name(), spec.name);
            session.register_table(name, Arc::new(MemTable::try_new(first.schema(), vec![batches])?))?;
        }
        let batches = session.sql(sql).await?.collect().await?;
        let rows: usize = batches.iter().map(RecordBatch::num_rows).sum();
        ensure!(rows == 1, "{rows} rows from {sql}");
        let batch = batches.iter().find(|batch| batch.num_rows() == 1).context("a row")?;
        batch.columns().iter().map(|column| Ok(array_value_to_string(column, 0)?)).collect()
    }

    /// Whether the layers agree, whatever happened to the processes between them.
    pub(crate) async fn check_layers(&self, transactions: u64) -> Result<()> {
        let books = self.books().await?;
        ensure!(books.discrepancies.is_empty(), "the books do not balance: {:?}", books.discrepancies);
        self.check_tables(transactions).await
    }

    pub(crate) async fn books(&self) -> Result<Ledger> {
        Reader::open(&self.lake, &self.services.kafka).await?.read().await
    }

    /// The same, without the books.
    pub(crate) async fn check_tables(&self, transactions: u64) -> Result<()> {
        let row = self.row("SELECT count(*), count(DISTINCT event_id) FROM silver_transactions").await?;
        ensure!(
            row == [transactions.to_string(), transactions.to_string()],
            "Silver has {row:?} of {transactions} transactions"
        );
        let places = self
            .row("SELECT count(*) - count(DISTINCT partition * 1000000000 + \"offset\") FROM bronze_transaction_events")
            .await?;
        ensure!(places == ["0"], "Bronze has {places:?} offsets twice");
        let silver = self
            .row("SELECT count(*), sum(amount), sum(discount), sum(units), sum(line_count) FROM silver_transactions")
            .await?;
        let sales =
            self.row("SELECT sum(orders), sum(revenue), sum(discount), sum(units), sum(lines) FROM gold_sales").await?;
        let customers = self
            .row("SELECT sum(orders), sum(revenue), sum(discount), sum(units), sum(lines) FROM gold_customer_sales")
            .await?;
        ensure!(silver == sales, "Gold's sales {sales:?} differ from Silver's {silver:?}");
        ensure!(silver == customers, "Gold's customers {customers:?} differ from Silver's {silver:?}");
        let lines = self.row("SELECT count(*), sum(amount) FROM silver_transaction_lines").await?;
        let products = self.row("SELECT sum(lines), sum(revenue) FROM gold_product_sales").await?;
        ensure!(lines == products, "Gold's products {products:?} differ from Silver's {lines:?}");
        ensure!(lines == [silver[4].clone(), silver[1].clone()], "lines {lines:?} differ from transactions {silver:?}");
        let events = self.row("SELECT count(*), count(DISTINCT event_id) FROM silver_events").await?;
        let counted =
            self.row("SELECT sum(events) AS counted, sum(events) AS distinct_events FROM gold_event_counts").await?;
        ensure!(events == counted, "Gold counts {counted:?} of {events:?} events");
        Ok(())
    }
}

/// Deletes the topics of an earlier test, and waits until they are gone.
async fn delete_topics(cluster: &Cluster) -> Result<()> {
    let admin: AdminClient<DefaultClientContext> = cluster.config().create().context("the admin client")?;
    let names = Topic::ALL.map(Topic::name);
    admin.delete_topics(&names, &AdminOptions::new()).await.context("deleting topics")?;
    let began = Instant::now();
    loop {
        let metadata = admin.inner().fetch_metadata(None, PATIENCE).context("topics")?;
        if !metadata.topics().iter().any(|topic| names.contains(&topic.name())) {
            return Ok(());
        }
        ensure!(began.elapsed() < PATIENCE, "the topics are not deleted");
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
}

/// Makes the topics, and waits until each partition can be asked: a cluster takes a moment.
async fn create_topics(cluster: &Cluster, partitions: u16) -> Result<()> {
    let began = Instant::now();
    cluster.create_topics(partitions).await?;
    loop {
        let cluster = cluster.clone();
        let ask = move || {
            let kafka = Watermarks::new(&cluster)?;
            Topic::ALL.into_iter().map(|topic| Ok(kafka.of(topic)?.len())).collect::<Result<Vec<usize>>>()
        };
        match tokio::task::spawn_blocking(ask).await? {
            Ok(found) if found.iter().all(|&found| found == usize::from(partitions)) => return Ok(()),
            other => ensure!(began.elapsed() < PATIENCE, "the topics do not come up: {other:?}"),
        }
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
}
