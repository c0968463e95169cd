//! What only a real Apache Kafka can show: TLS and logins, and offsets that hold no event. It is started here by
//! `scripts/apache-kafka.sh`, which needs Java and Maven (`scripts/setup.sh test`); `TEST_KAFKA_FOLDER` names one that runs
//! already.

use std::{
    path::{Path, PathBuf},
    process::Command,
    sync::Arc,
    time::Duration,
};

use anyhow::{Context, Result, ensure};
use etl::{
    embedded::Services,
    kafka::{Cluster, Watermarks},
    lake::Lake,
    ledger::reader::Reader,
    pipeline::Pipeline,
    produce::{
        generate::{self, Load},
        publisher::Publisher,
    },
    progress,
    settings::{self, Settings},
};
use model::topic::Topic;
use rdkafka::producer::{BaseProducer, BaseRecord, Producer};
use tempfile::TempDir;
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;

const USER: &str = "streamlinehub";
const PASSWORD: &str = "correct-horse";
const PATIENCE: Duration = Duration::from_secs(120);
/// What is refused is refused at once; a client that is refused goes on trying for as long as this.
const SOON: Duration = Duration::from_secs(3);

const LOAD: Load = Load { rate: 0.0, count: 300, seed: 21, bytes: None };

/// A Kafka with listeners for TLS.
struct Kafka {
    folder: PathBuf,
    /// Where it was started by us.
    own: Option<TempDir>,
}

impl Kafka {
    fn start() -> Result<Kafka> {
        if let Some(folder) = std::env::var_os("TEST_KAFKA_FOLDER") {
            return Ok(Kafka { folder: folder.into(), own: None });
        }
        let own = TempDir::new()?;
        let kafka = Kafka { folder: own.path().to_owned(), own: Some(own) };
        script("start", &kafka.folder)?;
        Ok(kafka)
    }

    /// Settings for a listener: `ssl` or `sasl_ssl`.
    fn settings(&self, listener: &str) -> Result<settings::Kafka> {
        let mut kafka = Settings::defaults().kafka;
        let address =
            std::fs::read_to_string(self.tls(listener)).context("an Apache Kafka that was started with TLS")?;
        kafka.bootstrap_servers = address.trim().to_owned();
        kafka.security_protocol = listener.to_owned();
        kafka.ssl_ca = self.tls("ca.pem");
        if listener == "sasl_ssl" {
            kafka.sasl_mechanism = "SCRAM-SHA-256".to_owned();
            kafka.sasl_user = USER.to_owned();
            kafka.sasl_password = PASSWORD.into();
        } else {
            kafka.ssl_certificate = self.tls("client.pem");
            kafka.ssl_key = self.tls("client.key");
        }
        Ok(kafka)
    }

    fn tls(&self, file: &str) -> PathBuf {
        self.folder.join("tls").join(file)
    }
}

impl Drop for Kafka {
    fn drop(&mut self) {
        if self.own.is_some() {
            _ = script("stop", &self.folder);
        }
    }
}

fn script(what: &str, folder: &Path) -> Result<()> {
    let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("../scripts/apache-kafka.sh");
    let output = Command::new("bash").arg(script).arg(what).arg(folder).env("KAFKA_SECURE", "1").output()?;
    ensure!(
        output.status.success(),
        "Apache Kafka cannot be had; scripts/setup.sh test installs what it needs: {}",
        String::from_utf8_lossy(&output.stderr)
    );
    Ok(())
}

/// What a client is told that a broker refuses.
async fn refusal(kafka: settings::Kafka) -> Result<String> {
    let cluster = Cluster::named(&kafka)?;
    let asked = tokio::task::spawn_blocking(move || Watermarks::new(&cluster)?.answers(SOON)).await?;
    let error = asked.err().context("nobody was refused")?;
    Ok(format!("{error:#}"))
}

#[tokio::test(flavor = "multi_thread")]
async fn a_secured_cluster_is_used_from_end_to_end_and_says_what_is_wrong() -> Result<()> {
    let kafka = tokio::task::spawn_blocking(Kafka::start).await??;
    let folder = TempDir::new()?;

    let login = kafka.settings("sasl_ssl")?;
    let mut wrong_password = login.clone();
    wrong_password.sasl_password = "wrong-horse".into();
    let mut wrong_authority = login.clone();
    wrong_authority.ssl_ca = kafka.tls("other-ca.pem");
    let mut wrong_name = login.clone();
    wrong_name.bootstrap_servers = login.bootstrap_servers.replace("127.0.0.1", "localhost");
    let mut no_tls = login.clone();
    no_tls.security_protocol = "sasl_plaintext".to_owned();
    (no_tls.ssl_ca, no_tls.sasl_mechanism) = (PathBuf::new(), "PLAIN".to_owned());
    let mut no_certificate = kafka.settings("ssl")?;
    (no_certificate.ssl_certificate, no_certificate.ssl_key) = (PathBuf::new(), PathBuf::new());
    for (wrong, advice) in [
        (wrong_password, "kafka.sasl_user"),
        (wrong_authority, "kafka.ssl_ca"),
        (wrong_name, "is for another name than the one in kafka.bootstrap_servers"),
        (no_tls, "kafka.security_protocol"),
        (no_certificate, "kafka.ssl_certificate"),
    ] {
        let told = refusal(wrong.clone()).await?;
        ensure!(told.contains(advice), "{wrong:?}: {told}");
        ensure!(!told.contains("horse"), "a password is shown: {told}");
    }

    for mechanism in ["SCRAM-SHA-256", "SCRAM-SHA-512", "PLAIN"] {
        let cluster = Cluster::named(&settings::Kafka { sasl_mechanism: mechanism.to_owned(), ..login.clone() })?;
        tokio::task::spawn_blocking(move || Watermarks::new(&cluster)?.answers(PATIENCE)).await?.context(mechanism)?;
    }
    let certificate = Cluster::named(&kafka.settings("ssl")?)?;
    tokio::task::spawn_blocking(move || Watermarks::new(&certificate)?.answers(PATIENCE)).await??;

    // The password from a file, as in production.
    let password = folder.path().join("password");
    std::fs::write(&password, format!("{PASSWORD}\n"))?;
    let mut settings = Settings::defaults();
    settings.kafka = settings::Kafka { sasl_password: "".into(), sasl_password_file: password, ..login };
    settings.kafka.group = format!("secured-{}", uuid::Uuid::new_v4().simple());
    settings.data_dir = folder.path().join("data");
    settings.database.url = "postgres://unused".to_owned();
    let services = Services::start(&settings).await?;
    let lake = Lake::open(&settings.lake_path())?;
    let pipeline = Pipeline::start(Arc::new(settings), &services.kafka, &services.redis_url).await?;

    let cluster = services.kafka.clone();
    let mut reader = Reader::open(&lake, &services.kafka).await?;
    settle(&services.kafka, &lake).await?;
    let before: i64 = kept(&mut reader).await?;
    tokio::task::spawn_blocking(move || generate::run(&cluster, LOAD, &CancellationToken::new())).await??;
    transaction(&services.kafka, 10).await?;
    let publisher = Publisher::new(&services.kafka, 1 << 20, PATIENCE)?;
    let mut consignment = publisher.begin(Topic::Analytics)?;
    // One for each partition, behind the marks of the transaction.
    (0..40).for_each(|key| consignment.add(Some(&key.to_string()), b"no event"));
    consignment.delivered().await;
    publisher.close();

    settle(&services.kafka, &lake).await?;
    let books = reader.read().await?;
    ensure!(books.discrepancies.is_empty(), "{:?}", books.discrepancies);
    ensure!(kept(&mut reader).await? == before + 300, "events are missing: {books:?}");
    let marks: i64 = books.partitions.iter().map(|partition| partition.no_event).sum();
    ensure!((1..=2).contains(&marks), "a transaction leaves a mark in each partition that it wrote to: {books:?}");
    pipeline.stop().await;
    services.stop().await;
    Ok(())
}

async fn kept(reader: &mut Reader) -> Result<i64> {
    Ok(reader.read().await?.partitions.iter().map(|partition| partition.silver).sum())
}

/// Messages that are committed together. At the end of a transaction Kafka writes a mark, which takes an offset.
async fn transaction(cluster: &Cluster, messages: usize) -> Result<()> {
    let mut config = cluster.config();
    tokio::task::spawn_blocking(move || {
        let producer: BaseProducer = config.set("transactional.id", uuid::Uuid::new_v4().to_string()).create()?;
        producer.init_transactions(PATIENCE)?;
        producer.begin_transaction()?;
        for key in 0..messages {
            let key = key.to_string();
            let record = BaseRecord::to(Topic::Analytics.name()).key(&key).payload("no event");
            producer.send(record).map_err(|(error, _)| error)?;
        }
        producer.commit_transaction(PATIENCE)?;
        anyhow::Ok(())
    })
    .await?
}

async fn settle(cluster: &Cluster, lake: &Lake) -> Result<()> {
    let began = Instant::now();
    while !progress::behind(cluster, lake).await?.is_nothing() {
        ensure!(began.elapsed() < PATIENCE, "still behind");
        tokio::time::sleep(Duration::from_millis(100)).await;
    }
    Ok(())
}
