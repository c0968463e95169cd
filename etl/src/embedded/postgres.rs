//! The embedded PostgreSQL. It refuses to run as root; then it runs as the user `postgres` that its package creates, with its
//! data under `data_dir` where that user can reach it, and else in a folder of its own under /var/lib/streamlinehub.

use std::{
    os::unix::fs::{PermissionsExt, chown},
    path::{Path, PathBuf},
    process::Stdio,
    time::Duration,
};

use anyhow::{Context, Result, bail};
use futures::FutureExt;
use nix::{
    sys::signal::Signal,
    unistd::{User, geteuid},
};
use tokio::process::Command;
use tracing::info;
use uuid::Uuid;

use super::{
    child::{Child, Program, find, write_private},
    free_port,
};

const DATABASE: &str = "streamlinehub";
/// Where the database lives when its user cannot reach the data folder.
const ELSEWHERE: &str = "/var/lib/streamlinehub";

/// Starts it, after making its database where there is none; returns its URL.
pub(super) async fn start(folder: &Path) -> Result<(String, Child)> {
    let folders = installed();
    let path = find("postgres", &folders).context(
        "PostgreSQL is not installed; install the package `postgresql`, or set DATABASE_URL to a database of your own",
    )?;
    let initdb = find("initdb", &folders).context("PostgreSQL is installed without initdb")?;
    let run_as = if geteuid().is_root() {
        let user = User::from_name("postgres").ok().flatten();
        let user = user.context("PostgreSQL refuses to run as root, and there is no user `postgres`; run as another user, or set DATABASE_URL")?;
        Some((user.uid.as_raw(), user.gid.as_raw()))
    } else {
        None
    };
    let folder = reachable(folder, run_as)?;
    let cluster = folder.join("cluster");
    let password_file = folder.join("password");
    if !cluster.join("PG_VERSION").exists() {
        create(&initdb, &folder, &cluster, &password_file, run_as).await?;
    }
    let password = std::fs::read_to_string(&password_file)
        .with_context(|| format!("{} holds the database's password and cannot be read", password_file.display()))?;
    let port = free_port()?;
    let url = url(password.trim(), port);
    let child = Child::start(Program {
        name: "postgres",
        path,
        arguments: arguments(&cluster, port),
        configuration: None,
        run_as,
        log: folder.join("postgres.log"),
        // "Fast": open transactions are rolled back, and the data are left in order.
        stop_signal: Signal::SIGINT,
        is_up: Box::new(move || answers(port).boxed()),
        patience: Duration::from_secs(60),
    })
    .await?;
    Ok((url, child))
}

/// The URL of the database that runs already on this folder.
pub(super) async fn running(folder: &Path) -> Option<String> {
    let folder = std::fs::read_to_string(folder.join("location")).map_or_else(|_| folder.to_owned(), PathBuf::from);
    // The fourth line of the file is the port (PostgreSQL's miscadmin.h); the file is there while the server runs.
    let notes = std::fs::read_to_string(folder.join("cluster/postmaster.pid")).ok()?;
    let port: u16 = notes.lines().nth(3)?.trim().parse().ok()?;
    let password = std::fs::read_to_string(folder.join("password")).ok()?;
    answers(port).await.then(|| url(password.trim(), port))
}

fn url(password: &str, port: u16) -> String {
    format!("postgres://{DATABASE}:{password}@127.0.0.1:{port}/postgres")
}

fn arguments(cluster: &Path, port: u16) -> Vec<String> {
    let mut arguments = vec!["-D".to_owned(), cluster.display().to_string()];
    for setting in [
        "listen_addresses=127.0.0.1".to_owned(),
        format!("port={port}"),
        "unix_socket_directories=".to_owned(),
        "max_connections=50".to_owned(),
        "shared_buffers=32MB".to_owned(),
        "log_min_messages=warning".to_owned(),
    ] {
        arguments.extend(["-c".to_owned(), setting]);
    }
    arguments
}

/// Where packages put PostgreSQL's programs, the newest version first.
fn installed() -> Vec<PathBuf> {
    let mut folders: Vec<PathBuf> = std::fs::read_dir("/usr/lib/postgresql")
        .map(|entries| entries.flatten().map(|entry| entry.path().join("bin")).collect())
        .unwrap_or_default();
    folders.sort();
    folders.reverse();
    folders.extend(["/usr/pgsql/bin".into(), "/usr/local/pgsql/bin".into(), "/opt/homebrew/bin".into()]);
    folders
}

/// The folder where the database lives, made for the user that it runs as.
fn reachable(folder: &Path, run_as: Option<(u32, u32)>) -> Result<PathBuf> {
    let make = |folder: &Path| -> Result<()> {
        std::fs::create_dir_all(folder).with_context(|| format!("the folder {} cannot be made", folder.display()))?;
        if let Some((user, group)) = run_as {
            chown(folder, Some(user), Some(group))
                .with_context(|| format!("the owner of {} cannot be set", folder.display()))?;
        }
        std::fs::set_permissions(folder, std::fs::Permissions::from_mode(0o700))
            .with_context(|| folder.display().to_string())
    };
    if run_as.is_none() || parents_are_open(folder) {
        make(folder)?;
        return Ok(folder.to_owned());
    }
    // Where it lives is noted in the data folder, so that a new data folder begins with a new database.
    std::fs::create_dir_all(folder).with_context(|| format!("the folder {} cannot be made", folder.display()))?;
    let note = folder.join("location");
    let elsewhere = match std::fs::read_to_string(&note) {
        Ok(path) => PathBuf::from(path),
        Err(_) => Path::new(ELSEWHERE).join(Uuid::new_v4().simple().to_string()),
    };
    std::fs::create_dir_all(ELSEWHERE).with_context(|| format!("the folder {ELSEWHERE} cannot be made"))?;
    std::fs::write(&note, elsewhere.as_os_str().as_encoded_bytes())
        .with_context(|| format!("{} cannot be written", note.display()))?;
    info!(folder = %elsewhere.display(), "the user `postgres` cannot reach the data folder; the database lives elsewhere");
    make(&elsewhere)?;
    Ok(elsewhere)
}

/// Whether every folder above lets other users through.
fn parents_are_open(folder: &Path) -> bool {
    folder
        .ancestors()
        .skip(1)
        .filter(|parent| parent.exists())
        .all(|parent| std::fs::metadata(parent).is_ok_and(|metadata| metadata.permissions().mode() & 0o001 != 0))
}

async fn create(
    initdb: &Path,
    folder: &Path,
    cluster: &Path,
    password_file: &Path,
    run_as: Option<(u32, u32)>,
) -> Result<()> {
    info!(folder = %cluster.display(), "making the database");
    // A run that was cut short leaves half a cluster.
    if cluster.exists() {
        std::fs::remove_dir_all(cluster).with_context(|| format!("{} cannot be removed", cluster.display()))?;
    }
    write_private(password_file, &Uuid::new_v4().simple().to_string())?;
    if let Some((user, group)) = run_as {
        chown(password_file, Some(user), Some(group)).context("the password file's owner cannot be set")?;
    }
    let mut command = Command::new(initdb);
    command
        .arg("-D")
        .arg(cluster)
        .args([
            "--username",
            DATABASE,
            "--auth",
            "scram-sha-256",
            "--encoding",
            "UTF8",
            "--locale",
            "C.UTF-8",
            "--pwfile",
        ])
        .arg(password_file)
        .current_dir(folder)
        .stdin(Stdio::null());
    if let Some((user, group)) = run_as {
        command.uid(user).gid(group);
    }
    let output = command.output().await.with_context(|| format!("{} cannot be started", initdb.display()))?;
    if !output.status.success() {
        bail!("initdb failed: {}", String::from_utf8_lossy(&output.stderr).trim());
    }
    Ok(())
}

/// Whether it takes connections: it answers a request for TLS with one letter as soon as it does.
async fn answers(port: u16) -> bool {
    use tokio::io::{AsyncReadExt, AsyncWriteExt};
    let ask = async {
        let mut stream = tokio::net::TcpStream::connect(("127.0.0.1", port)).await.ok()?;
        // SSLRequest: length 8, code 80877103 (PostgreSQL frontend/backend protocol).
        stream.write_all(&[0, 0, 0, 8, 4, 210, 22, 47]).await.ok()?;
        let mut answer = [0];
        stream.read_exact(&mut answer).await.ok()?;
        matches!(answer, [b'N' | b'S']).then_some(())
    };
    tokio::time::timeout(Duration::from_secs(1), ask).await.ok().flatten().is_some()
}
