//! What maintenance deletes, and what it leaves for those who have not read it yet.

use anyhow::{Context, Result, ensure};
use etl::{
    lake::{Lake, schema, table::Position},
    maintenance::delete_old,
    settings::Settings,
};
use model::topic::Topic;

/// A checkpoint is made every so many commits; the log is only cut there.
const CHECKPOINT: i64 = 100;

#[tokio::test]
async fn the_log_is_kept_for_whoever_has_still_to_read_it() -> Result<()> {
    let folder = tempfile::tempdir()?;
    let lake = Lake::open(folder.path())?;
    let mut settings = Settings::defaults();
    settings.maintenance.retention_hours = 0;
    settings.maintenance.log_retention_hours = 0;
    let mut source = lake.table(schema::bronze_of(Topic::Analytics)).await?;
    let mut source_of_another_process = lake.table(schema::bronze_of(Topic::Analytics)).await?;
    for offset in 0..3 * CHECKPOINT {
        source.append(Vec::new(), &[Position::kafka(Topic::Analytics.name(), 0, offset)]).await?;
    }
    let last = source.version();

    delete_old(&lake, &source, &settings).await?;
    ensure!(!source.changes_since(None, u64::MAX, u64::MAX).await?.is_empty(), "nobody has read anything yet");

    let read = CHECKPOINT + 50;
    let mut consumer = lake.table(&schema::EVENTS).await?;
    let position = Position { source: source.source_name(), at: read };
    consumer.append(Vec::new(), &[position]).await?;
    delete_old(&lake, &source, &settings).await?;
    let unread = source.changes_since(Some(read), u64::MAX, u64::MAX).await?;
    ensure!(unread.last().map(|change| change.version) == Some(last), "what was not read is there");
    ensure!(source.changes_since(None, u64::MAX, u64::MAX).await.is_err(), "what everybody has read is gone");

    let mut opened = lake.table(schema::bronze_of(Topic::Analytics)).await?;
    let place = Position::kafka(Topic::Analytics.name(), 0, 0).source;
    ensure!(opened.version() == last, "the table is what it was");
    ensure!(opened.position(&place).await? == Some(3 * CHECKPOINT - 1), "and knows how far it has read Kafka");
    source_of_another_process.refresh().await.context("a process that was away")?;
    Ok(())
}
