//! The processes that answer statements, from outside.

use std::{
    path::PathBuf,
    process::Stdio,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use anyhow::{Context, Result, anyhow};
use bytes::Bytes;
use futures::{SinkExt as _, StreamExt as _};
use tokio::{
    process::{Child, ChildStdin, ChildStdout, Command},
    sync::Semaphore,
    time::timeout,
};
use tokio_util::codec::{FramedRead, FramedWrite, LengthDelimitedCodec};
use url::Url;

use super::{LONGEST, Limits, Question, Refusal, Rows, SqlError, frames, from_ipc, worker};

/// After so many statements a worker makes room for a fresh one.
const STATEMENTS: u32 = 500;
/// How long a stop waits for statements under way. Whoever asked them has been cut off by then.
const LAST_STATEMENTS: Duration = Duration::from_secs(2);

/// Asks workers, which are started when they are needed.
pub struct Workers {
    /// This program, which has a command that makes a worker of it.
    program: PathBuf,
    lake: Url,
    limits: Limits,
    turns: Semaphore,
    idle: Arc<Mutex<Vec<Worker>>>,
}

fn locked(idle: &Mutex<Vec<Worker>>) -> MutexGuard<'_, Vec<Worker>> {
    idle.lock().unwrap_or_else(PoisonError::into_inner)
}

struct Worker {
    process: Child,
    questions: FramedWrite<ChildStdin, LengthDelimitedCodec>,
    answers: FramedRead<ChildStdout, LengthDelimitedCodec>,
    asked: u32,
}

impl Workers {
    /// `program` is the path of `streamlinehub`, whatever process this is.
    pub fn new(program: PathBuf, lake: Url, limits: Limits) -> Workers {
        Workers { program, lake, limits, turns: Semaphore::new(limits.concurrency), idle: Arc::default() }
    }

    /// Runs a statement. Whoever stops waiting ends it.
    ///
    /// # Errors
    /// See [`SqlError`].
    pub async fn run(&self, question: &Question) -> Result<Rows, SqlError> {
        if question.sql.len() > LONGEST {
            return Err(SqlError::Invalid(format!("the statement is longer than {LONGEST} bytes")));
        }
        let turn = timeout(self.limits.wait, self.turns.acquire()).await.map_err(|_| SqlError::Busy)?;
        let _turn = turn.map_err(|closed| SqlError::Internal(closed.into()))?;
        let mut worker = self.worker().map_err(SqlError::Internal)?;
        // A worker that is not put back is killed when it is dropped.
        match timeout(self.limits.time, worker.ask(question)).await {
            Err(_) => Err(SqlError::TooLong(self.limits.time)),
            Ok(Err(broken)) => Err(worker.ended(broken).await),
            Ok(Ok(answer)) => {
                if worker.asked < STATEMENTS {
                    self.keep(worker);
                }
                answer
            }
        }
    }

    /// For the next statement. A worker ends by itself after a while without one, and is then forgotten.
    fn keep(&self, worker: Worker) {
        locked(&self.idle).push(worker);
        let idle = Arc::clone(&self.idle);
        tokio::spawn(async move {
            tokio::time::sleep(worker::IDLE + Duration::from_secs(1)).await;
            locked(&idle).retain_mut(|worker| matches!(worker.process.try_wait(), Ok(None)));
        });
    }

    /// Takes no more statements, and ends every process. None is left when this returns.
    pub async fn stop(&self) {
        let all = u32::try_from(self.limits.concurrency).unwrap_or(u32::MAX);
        let turns = timeout(LAST_STATEMENTS, self.turns.acquire_many(all)).await;
        self.turns.close();
        drop(turns);
        let idle = std::mem::take(&mut *locked(&self.idle));
        for mut worker in idle {
            if let Err(error) = worker.process.kill().await {
                tracing::debug!(%error, "a worker for SQL had ended already");
            }
        }
    }

    fn worker(&self) -> Result<Worker> {
        let mut idle = locked(&self.idle);
        while let Some(mut worker) = idle.pop() {
            // It ends by itself after a while without a question.
            if worker.process.try_wait()?.is_none() {
                return Ok(worker);
            }
        }
        drop(idle);
        self.start()
    }

    fn start(&self) -> Result<Worker> {
        let mut process = Command::new(&self.program)
            .arg0("streamlinehub")
            .arg(worker::COMMAND)
            .args(["--lake", self.lake.as_str()])
            .args(["--memory-bytes", &self.limits.memory_bytes.to_string()])
            .args(["--answer-bytes", &self.limits.answer_bytes.to_string()])
            .env_clear()
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::inherit())
            // Ctrl-C reaches the whole process group; workers end with us.
            .process_group(0)
            .kill_on_drop(true)
            .spawn()
            .with_context(|| format!("{} cannot be started to answer SQL", self.program.display()))?;
        let (stdin, stdout) = process.stdin.take().zip(process.stdout.take()).context("a worker without pipes")?;
        let codec = || frames(self.limits.answer_bytes);
        let (questions, answers) = (FramedWrite::new(stdin, codec()), FramedRead::new(stdout, codec()));
        Ok(Worker { process, questions, answers, asked: 0 })
    }
}

impl Worker {
    /// The answer to a question; an error where the worker is of no more use.
    async fn ask(&mut self, question: &Question) -> Result<Result<Rows, SqlError>> {
        self.asked += 1;
        self.questions.send(Bytes::from(serde_json::to_vec(question)?)).await?;
        let outcome: Result<(), Refusal> = serde_json::from_slice(&self.frame().await?)?;
        match outcome {
            Ok(()) => Ok(Ok(from_ipc(&self.frame().await?)?)),
            Err(refusal) => Ok(Err(refusal.into())),
        }
    }

    async fn frame(&mut self) -> Result<bytes::BytesMut> {
        Ok(self.answers.next().await.ok_or_else(|| anyhow!("no more answers come"))??)
    }

    /// Why it ended: aborted is what a process is that asks for more memory or stack than there is.
    async fn ended(mut self, broken: anyhow::Error) -> SqlError {
        use std::os::unix::process::ExitStatusExt as _;
        let patience = Duration::from_secs(2);
        match timeout(patience, self.process.wait()).await {
            Ok(Ok(status)) if status.signal().is_some() => SqlError::TooLarge,
            Ok(Ok(status)) => SqlError::Internal(broken.context(format!("a worker for SQL ended: {status}"))),
            _ => SqlError::Internal(broken.context("a worker for SQL does not answer")),
        }
    }
}
