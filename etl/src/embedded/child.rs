//! A child process that lives as long as we do: started again when it dies, stopped when we stop, and, on Linux, killed by
//! the kernel when we are killed.

use std::{
    path::{Path, PathBuf},
    process::Stdio,
    sync::Arc,
    time::Duration,
};

use anyhow::{Context, Result};
use futures::future::BoxFuture;
use nix::{
    sys::signal::{Signal, kill},
    unistd::Pid,
};
use tokio::{process::Command, task::JoinHandle, time::Instant};
use tokio_util::sync::CancellationToken;
use tracing::{error, info, warn};

const STOP_PATIENCE: Duration = Duration::from_secs(10);
const RESTART_PAUSE: Duration = Duration::from_millis(300);

/// How to start it, and how to tell that it is up.
pub(super) struct Program {
    pub(super) name: &'static str,
    pub(super) path: PathBuf,
    pub(super) arguments: Vec<String>,
    /// A file that it reads, and what is in it. It is written at every start, since somebody may have removed it.
    pub(super) configuration: Option<(PathBuf, String)>,
    /// User and group to run as, where we are root and the program refuses to be.
    pub(super) run_as: Option<(u32, u32)>,
    /// Where its messages go.
    pub(super) log: PathBuf,
    /// The signal that makes it end in good order.
    pub(super) stop_signal: Signal,
    pub(super) is_up: Box<dyn Fn() -> BoxFuture<'static, bool> + Send + Sync>,
    pub(super) patience: Duration,
}

pub(super) struct Child {
    name: &'static str,
    stop: CancellationToken,
    keeper: JoinHandle<()>,
}

impl Child {
    /// Starts the program and waits until it is up; from then on a keeper starts it again whenever it ends.
    pub(super) async fn start(program: Program) -> Result<Child> {
        let program = Arc::new(program);
        let first = spawn(program.clone()).await?;
        let mut first = Some(first);
        if let Err(error) = wait_until_up(&program, first.as_mut()).await {
            if let Some(mut child) = first {
                let _ = child.kill().await;
            }
            return Err(error);
        }
        let stop = CancellationToken::new();
        let keeper = tokio::spawn(keep(program.clone(), first, stop.clone()));
        Ok(Child { name: program.name, stop, keeper })
    }

    pub(super) async fn stop(self) {
        self.stop.cancel();
        if let Err(error) = self.keeper.await {
            warn!(name = self.name, %error, "keeper ended badly");
        }
    }
}

async fn keep(program: Arc<Program>, mut child: Option<tokio::process::Child>, stop: CancellationToken) {
    loop {
        let Some(running) = child.as_mut() else { return };
        tokio::select! {
            () = stop.cancelled() => {
                end(&program, running).await;
                return;
            }
            ended = running.wait() => warn!(name = program.name, ?ended, "ended; starting it again"),
        }
        child = loop {
            tokio::select! {
                () = stop.cancelled() => return,
                () = tokio::time::sleep(RESTART_PAUSE) => {}
            }
            match spawn(program.clone()).await {
                Ok(mut started) => match wait_until_up(&program, Some(&mut started)).await {
                    Ok(()) => {
                        info!(name = program.name, "up again");
                        break Some(started);
                    }
                    Err(error) => {
                        let _ = started.kill().await;
                        error!(name = program.name, error = format!("{error:#}"), "not up; trying again");
                    }
                },
                Err(error) => {
                    error!(name = program.name, error = format!("{error:#}"), "cannot be started; trying again");
                }
            }
        };
    }
}

async fn end(program: &Program, child: &mut tokio::process::Child) {
    if let Some(id) = child.id().and_then(|id| i32::try_from(id).ok()) {
        let _ = kill(Pid::from_raw(id), program.stop_signal);
    }
    if tokio::time::timeout(STOP_PATIENCE, child.wait()).await.is_err() {
        warn!(name = program.name, "does not stop; killing it");
        let _ = child.kill().await;
    }
}

async fn wait_until_up(program: &Program, mut child: Option<&mut tokio::process::Child>) -> Result<()> {
    let began = Instant::now();
    loop {
        if (program.is_up)().await {
            return Ok(());
        }
        let ended = child.as_mut().and_then(|child| child.try_wait().ok().flatten());
        if ended.is_some() || began.elapsed() > program.patience {
            let log = std::fs::read_to_string(&program.log).unwrap_or_default();
            let last: Vec<&str> = log.lines().rev().take(3).collect();
            let last: Vec<&str> = last.into_iter().rev().collect();
            anyhow::bail!(
                "{} does not come up; its log {} ends with: {}",
                program.name,
                program.log.display(),
                last.join(" | ")
            );
        }
        tokio::time::sleep(Duration::from_millis(30)).await;
    }
}

/// Children are forked from one thread that never ends: the kernel ties "die with your parent" to the thread that forked.
async fn spawn(program: Arc<Program>) -> Result<tokio::process::Child> {
    type Job = Box<dyn FnOnce() + Send>;
    static FORKER: std::sync::OnceLock<std::sync::mpsc::Sender<Job>> = std::sync::OnceLock::new();
    let forker = FORKER.get_or_init(|| {
        let (sender, jobs) = std::sync::mpsc::channel::<Job>();
        std::thread::spawn(move || jobs.into_iter().for_each(|job| job()));
        sender
    });
    let (reply, answer) = tokio::sync::oneshot::channel();
    let runtime = tokio::runtime::Handle::current();
    let job = move || {
        let _entered = runtime.enter();
        let _ = reply.send(spawn_here(&program));
    };
    forker.send(Box::new(job)).ok().context("the thread that starts programs is gone")?;
    answer.await.context("the thread that starts programs is gone")?
}

fn spawn_here(program: &Program) -> Result<tokio::process::Child> {
    if let Some((path, text)) = &program.configuration {
        let folder = path.parent().context("a configuration is in a folder")?;
        std::fs::create_dir_all(folder).with_context(|| format!("the folder {} cannot be made", folder.display()))?;
        write_private(path, text)?;
    }
    let log = std::fs::OpenOptions::new()
        .create(true)
        .append(true)
        .open(&program.log)
        .with_context(|| format!("the log {} cannot be written", program.log.display()))?;
    let mut command = Command::new(&program.path);
    command
        .args(&program.arguments)
        .stdin(Stdio::null())
        .stdout(log.try_clone()?)
        .stderr(log)
        .current_dir(program.log.parent().context("a log is in a folder")?)
        // Ctrl-C reaches the whole process group; children are stopped by us, in order.
        .process_group(0)
        .kill_on_drop(true);
    if let Some((user, group)) = program.run_as {
        command.uid(user).gid(group);
    }
    die_with_parent(&mut command, program.stop_signal);
    command.spawn().with_context(|| format!("{} cannot be started", program.path.display()))
}

#[cfg(target_os = "linux")]
#[expect(unsafe_code, reason = "what runs between fork and exec must be marked so; it is one system call")]
fn die_with_parent(command: &mut Command, signal: Signal) {
    let parent = nix::unistd::getpid();
    // SAFETY: prctl and getppid are async-signal-safe, and nothing is allocated.
    unsafe {
        command.pre_exec(move || {
            nix::sys::prctl::set_pdeathsig(signal)?;
            // The parent may have died before the call.
            if nix::unistd::getppid() != parent {
                return Err(std::io::Error::other("the parent is gone"));
            }
            Ok(())
        });
    }
}

#[cfg(not(target_os = "linux"))]
fn die_with_parent(_command: &mut Command, _signal: Signal) {}

/// Writes a file that only we can read.
pub(super) fn write_private(path: &Path, text: &str) -> Result<()> {
    use std::{io::Write, os::unix::fs::OpenOptionsExt};
    let _ = std::fs::remove_file(path);
    let mut file = std::fs::OpenOptions::new()
        .create_new(true)
        .write(true)
        .mode(0o600)
        .open(path)
        .with_context(|| format!("{} cannot be written", path.display()))?;
    file.write_all(text.as_bytes()).with_context(|| format!("{} cannot be written", path.display()))
}

/// The program's path, looked for on PATH and then in the given folders.
pub(super) fn find(program: &str, folders: &[PathBuf]) -> Option<PathBuf> {
    let path = std::env::var_os("PATH").unwrap_or_default();
    std::env::split_paths(&path)
        .chain(folders.iter().cloned())
        .map(|folder| folder.join(program))
        .find(|candidate| candidate.is_file())
}
