//! The embedded Redis: a buffer, so it keeps nothing on disk.

use std::{path::Path, time::Duration};

use anyhow::{Context, Result};
use futures::FutureExt;
use nix::sys::signal::Signal;
use uuid::Uuid;

use super::{
    child::{Child, Program, find},
    free_port,
};

/// Bounded by the buffers' capacity of all topics, with room to spare.
const MAX_MEMORY: &str = "512mb";

/// Starts it; returns its URL.
pub(super) async fn start(folder: &Path) -> Result<(String, Child)> {
    let path = find("redis-server", &["/usr/sbin".into(), "/usr/local/bin".into(), "/opt/homebrew/bin".into()])
        .context("redis-server is not installed; install the package `redis-server`, or set REDIS_URL to a Redis of your own")?;
    let port = free_port()?;
    // Other users of this machine can reach the port, but do not know the password.
    let password = Uuid::new_v4().simple().to_string();
    let configuration = folder.join("redis.conf");
    let text = format!(
        "bind 127.0.0.1\nport {port}\nrequirepass {password}\nsave \"\"\nappendonly no\nmaxmemory {MAX_MEMORY}\nmaxmemory-policy noeviction\nloglevel warning\n"
    );
    let url = format!("redis://:{password}@127.0.0.1:{port}/0");
    let client = redis::Client::open(url.as_str())?;
    let child = Child::start(Program {
        name: "redis-server",
        path,
        arguments: vec![configuration.display().to_string()],
        configuration: Some((configuration, text)),
        run_as: None,
        log: folder.join("redis.log"),
        stop_signal: Signal::SIGTERM,
        is_up: Box::new(move || {
            let client = client.clone();
            async move {
                let Ok(Ok(mut connection)) =
                    tokio::time::timeout(Duration::from_secs(1), client.get_multiplexed_async_connection()).await
                else {
                    return false;
                };
                redis::cmd("PING").query_async::<String>(&mut connection).await.is_ok()
            }
            .boxed()
        }),
        patience: Duration::from_secs(15),
    })
    .await?;
    Ok((url, child))
}
