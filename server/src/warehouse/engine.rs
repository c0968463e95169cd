//! Runs statements: on threads of their own, so that a heavy question does not hold up the web server, and within bounds.

use std::time::Duration;

use anyhow::{Context, Result, anyhow};
use deltalake::{
    arrow::array::RecordBatch,
    datafusion::{
        error::DataFusionError,
        execution::{
            SessionStateBuilder, context::SQLOptions, runtime_env::RuntimeEnvBuilder, session_state::SessionState,
        },
        prelude::{SessionConfig, SessionContext},
    },
};
use tokio::{runtime::Runtime, sync::Semaphore, time::timeout};
use tokio_util::task::AbortOnDropHandle;

use super::QueryError;

/// The bounds of every question.
#[derive(Clone, Copy, Debug)]
pub struct Limits {
    /// From the question to the answer, waiting for its turn included.
    pub time: Duration,
    /// Working memory of all running questions together, in bytes. The tables themselves are not counted.
    pub memory_bytes: usize,
    /// Statements that run at the same time; more have to wait.
    pub concurrency: usize,
    /// Threads that compute, one for each statement at a time.
    pub threads: usize,
}

impl Default for Limits {
    fn default() -> Limits {
        let cores = std::thread::available_parallelism().map_or(2, usize::from);
        Limits { time: Duration::from_secs(10), memory_bytes: 256 << 20, concurrency: 2 * cores, threads: cores }
    }
}

pub(super) struct Engine {
    runtime: Option<Runtime>,
    turns: Semaphore,
    limits: Limits,
    state: SessionState,
}

impl Engine {
    /// # Errors
    /// The threads cannot be started.
    pub(super) fn new(limits: Limits) -> Result<Engine> {
        let runtime = tokio::runtime::Builder::new_multi_thread()
            .worker_threads(limits.threads)
            .thread_name("warehouse")
            .enable_time()
            .build()
            .context("cannot start the warehouse's threads")?;
        // One thread for each statement: a page asks several at once, and to split one up, group on both sides and put
        // the halves together costs more than the second thread brings.
        let config = SessionConfig::new().with_target_partitions(1);
        let memory = RuntimeEnvBuilder::new().with_memory_limit(limits.memory_bytes, 1.0).build_arc()?;
        let state =
            SessionStateBuilder::new().with_default_features().with_config(config).with_runtime_env(memory).build();
        Ok(Engine { runtime: Some(runtime), turns: Semaphore::new(limits.concurrency), limits, state })
    }

    /// What every session starts from.
    pub(super) fn base(&self) -> &SessionState {
        &self.state
    }

    /// Runs a statement that reads. Whoever stops waiting cancels it.
    ///
    /// # Errors
    /// See [`QueryError`].
    pub(super) async fn run(&self, context: SessionContext, sql: String) -> Result<Vec<RecordBatch>, QueryError> {
        let work = async move {
            let _turn = self.turns.acquire().await.context("the warehouse is shut down")?;
            let runtime = self.runtime.as_ref().ok_or_else(|| anyhow!("the warehouse is shut down"))?;
            let reading = SQLOptions::new().with_allow_ddl(false).with_allow_dml(false).with_allow_statements(false);
            let task = runtime.spawn(async move { context.sql_with_options(&sql, reading).await?.collect().await });
            AbortOnDropHandle::new(task).await.context("the statement was stopped")?.map_err(from_datafusion)
        };
        timeout(self.limits.time, work).await.unwrap_or(Err(QueryError::Timeout(self.limits.time)))
    }
}

impl Drop for Engine {
    fn drop(&mut self) {
        // Waiting for threads is not allowed where this may be dropped: inside of another runtime.
        if let Some(runtime) = self.runtime.take() {
            runtime.shutdown_background();
        }
    }
}

fn from_datafusion(error: DataFusionError) -> QueryError {
    match error.find_root() {
        DataFusionError::ResourcesExhausted(_) => QueryError::TooLarge,
        _ => QueryError::Internal(error.into()),
    }
}
