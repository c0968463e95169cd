//! What is kept in PostgreSQL. The schema is brought up to date when the program starts.

use std::time::Duration;

use anyhow::{Context, Result, bail};
use chrono::{DateTime, Utc};
use sqlx::{FromRow, PgPool, migrate::Migrator, postgres::PgPoolOptions};

/// The migrations of this program. Which were applied is kept in our own schema: where an unqualified name would go depends
/// on the user's name and changes with the first migration.
fn migrations() -> Migrator {
    let mut migrations = sqlx::migrate!();
    migrations.create_schema("streamlinehub");
    migrations.dangerous_set_table_name("streamlinehub.migrations");
    migrations
}

/// How far the loading of a data set is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ReplayStep {
    /// Events are being produced.
    Running,
    /// Every event is in Kafka.
    Sent,
    /// Every event is in Gold.
    Done,
}

impl ReplayStep {
    fn name(self) -> &'static str {
        match self {
            ReplayStep::Running => "running",
            ReplayStep::Sent => "sent",
            ReplayStep::Done => "done",
        }
    }

    fn from_name(name: &str) -> Option<ReplayStep> {
        [ReplayStep::Running, ReplayStep::Sent, ReplayStep::Done].into_iter().find(|step| step.name() == name)
    }
}

/// A data set that was loaded, or is being loaded.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct StoredReplay {
    /// The moment at which the data set's last day was placed.
    pub anchor: DateTime<Utc>,
    pub step: ReplayStep,
    /// Events that Kafka has taken.
    pub sent: u64,
    /// Events that the data set makes; 0 until it is known.
    pub total: u64,
}

#[derive(FromRow)]
struct ReplayRow {
    anchor: DateTime<Utc>,
    state: String,
    sent: i64,
    total: i64,
}

/// The pool of connections.
#[derive(Clone, Debug)]
pub struct Store {
    pool: PgPool,
}

impl Store {
    /// Connects and applies the migrations that are missing.
    ///
    /// # Errors
    /// The database does not answer within ten seconds, or its schema is not ours.
    pub async fn connect(url: &str) -> Result<Store> {
        let pool = PgPoolOptions::new()
            .max_connections(8)
            .acquire_timeout(Duration::from_secs(10))
            .connect(url)
            .await
            .context("PostgreSQL does not answer; is it running, and is database.url right?")?;
        migrations().run(&pool).await.context("the database schema cannot be brought up to date")?;
        Ok(Store { pool })
    }

    /// The connections, for what looks after its own tables.
    pub fn pool(&self) -> &PgPool {
        &self.pool
    }

    /// Whether the database answers.
    ///
    /// # Errors
    /// It does not.
    pub async fn ping(&self) -> Result<()> {
        sqlx::query("SELECT 1").execute(&self.pool).await.context("PostgreSQL does not answer")?;
        Ok(())
    }

    /// What is known of the loading of this data set; `None` if it was never begun.
    ///
    /// # Errors
    /// The database does not answer.
    pub async fn replay(&self, dataset: &str) -> Result<Option<StoredReplay>> {
        let row: Option<ReplayRow> =
            sqlx::query_as("SELECT anchor, state, sent, total FROM streamlinehub.replay WHERE dataset = $1")
                .bind(dataset)
                .fetch_optional(&self.pool)
                .await
                .context("cannot read how far the replay is")?;
        row.map(StoredReplay::try_from).transpose()
    }

    /// Notes that the loading begins. If it had begun before, the earlier anchor stays, so that the events of both
    /// attempts are the same; the stored state is answered.
    ///
    /// # Errors
    /// The database does not answer.
    pub async fn begin_replay(&self, dataset: &str, anchor: DateTime<Utc>) -> Result<StoredReplay> {
        sqlx::query(
            "INSERT INTO streamlinehub.replay (dataset, anchor, state) VALUES ($1, $2, 'running') ON CONFLICT (dataset) DO NOTHING",
        )
        .bind(dataset)
        .bind(anchor)
        .execute(&self.pool)
        .await
        .context("cannot note that the replay begins")?;
        self.replay(dataset).await?.context("the replay that was just noted is gone")
    }

    /// Notes how far the loading is.
    ///
    /// # Errors
    /// The database does not answer, or the data set was never begun.
    pub async fn advance_replay(&self, dataset: &str, step: ReplayStep, sent: u64, total: u64) -> Result<()> {
        let updated = sqlx::query(
            "UPDATE streamlinehub.replay SET state = $2, sent = $3, total = $4, \
             finished_at = CASE WHEN $2 = 'done' THEN coalesce(finished_at, now()) END WHERE dataset = $1",
        )
        .bind(dataset)
        .bind(step.name())
        .bind(i64::try_from(sent)?)
        .bind(i64::try_from(total)?)
        .execute(&self.pool)
        .await
        .context("cannot note how far the replay is")?;
        if updated.rows_affected() == 0 {
            bail!("the replay of `{dataset}` was never begun");
        }
        Ok(())
    }

    /// Ends all connections.
    pub async fn close(&self) {
        self.pool.close().await;
    }
}

impl TryFrom<ReplayRow> for StoredReplay {
    type Error = anyhow::Error;

    fn try_from(row: ReplayRow) -> Result<StoredReplay> {
        let step =
            ReplayStep::from_name(&row.state).with_context(|| format!("`{}` is not a state of a replay", row.state))?;
        Ok(StoredReplay { anchor: row.anchor, step, sent: u64::try_from(row.sent)?, total: u64::try_from(row.total)? })
    }
}
