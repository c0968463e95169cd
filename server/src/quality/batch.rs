//! All letters that a filter lets through are sent again, as they are, in the background. Which they are is settled at the beginning, so
//! that one that comes back is not sent again and again.

use std::{collections::HashSet, sync::LazyLock, time::Duration};

use anyhow::Context as _;
use chrono::{DateTime, Utc};
use etl::produce::publisher::Delivery;
use model::{
    letter::{BatchState, LetterFilter, ReplayBatch},
    topic::Topic,
};
use tokio::sync::Semaphore;
use tracing::Instrument as _;
use uuid::Uuid;

use super::{
    letters::{self, Content, LetterError, Listed, Place},
    replay::{Replays, begin, finish, headers},
};
use crate::{
    access::{
        Access, Denied,
        audit::{self, Actor, Deed},
        invalid,
    },
    lake::SqlError,
};

/// Letters that are read and sent together, and their bytes.
const CHUNK: usize = 50;
const CHUNK_BYTES: u64 = 8 << 20;
/// How often a lake that is busy is asked again, and after how long.
const PATIENCE: usize = 10;
const PAUSE: Duration = Duration::from_secs(2);
/// Batches that are listed.
const LISTED: i64 = 10;

/// One at a time in this process: letters are read from the lake with everybody else's questions.
static TURN: LazyLock<Semaphore> = LazyLock::new(|| Semaphore::new(1));

/// How many letters went which way.
#[derive(Clone, Copy, Debug, Default)]
struct Counts {
    sent: i64,
    skipped: i64,
    failed: i64,
}

impl Replays {
    /// Begins to send again what the filter lets through; `again` also what was sent before.
    ///
    /// # Errors
    /// The filter is none, another batch runs, or something does not answer.
    pub async fn begin_batch(&self, filter: LetterFilter, again: bool, actor: Actor) -> Result<ReplayBatch, Denied> {
        let Ok(turn) = TURN.try_acquire() else {
            return invalid("Another replay of a filter is under way. Wait until it is done.");
        };
        let places = letters::places(&self.catalogue, &filter, Utc::now(), self.door.event_bytes()).await?;
        let mut transaction = self.access.pool.begin().await?;
        let id = sqlx::query_scalar!(
            "INSERT INTO streamlinehub.replay_batches (user_id, by_name, filter, total) VALUES ($1, $2, $3, $4) RETURNING id",
            actor.id,
            actor.name,
            serde_json::to_value(&filter).context("a filter")?,
            i64::try_from(places.len()).unwrap_or(i64::MAX)
        )
        .fetch_one(&mut *transaction)
        .await?;
        let named: Vec<String> = filter
            .fields()
            .iter()
            .filter(|(_, value)| !value.is_empty())
            .map(|(name, value)| format!("{name} {value}"))
            .collect();
        let detail =
            format!("{} letters, {}", places.len(), if named.is_empty() { "all".to_owned() } else { named.join(", ") });
        let target = id.to_string();
        let deed = Deed::success("letter.replay_all", &target).with_detail(&detail);
        audit::append(&mut transaction, &self.access.keys, &actor, &deed).await?;
        transaction.commit().await?;
        let batch = batch(&self.access, id).await?;
        let replays = self.clone();
        let work = async move {
            let outcome = replays.run(id, places, again, &actor).await;
            if let Err(error) = &outcome {
                tracing::error!(%id, error = format!("{error:#}"), "the replay of a filter failed");
            }
            let error = outcome.err().map(|error| error.to_string()).unwrap_or_default();
            let state = if error.is_empty() { BatchState::Done } else { BatchState::Failed };
            let ended = sqlx::query!(
                "UPDATE streamlinehub.replay_batches SET state = $2, error = $3, alive_at = now() WHERE id = $1",
                id,
                state.name(),
                error
            )
            .execute(&replays.access.pool)
            .await;
            if let Err(error) = ended {
                tracing::error!(%id, %error, "the end of a replay cannot be noted");
            }
            drop(turn);
        };
        tokio::spawn(work.in_current_span());
        Ok(batch)
    }

    async fn run(&self, id: Uuid, places: Vec<Listed>, again: bool, actor: &Actor) -> Result<(), Denied> {
        let mut counts = Counts::default();
        let mut rest = places.as_slice();
        while !rest.is_empty() {
            let (chunk, later) = rest.split_at(chunk_of(rest));
            rest = later;
            self.send(id, chunk, again, actor, &mut counts).await?;
            sqlx::query!(
                "UPDATE streamlinehub.replay_batches SET sent = $2, skipped = $3, failed = $4, alive_at = now() WHERE id = $1",
                id,
                counts.sent,
                counts.skipped,
                counts.failed
            )
            .execute(&self.access.pool)
            .await?;
        }
        Ok(())
    }

    async fn send(
        &self,
        id: Uuid,
        chunk: &[Listed],
        again: bool,
        actor: &Actor,
        counts: &mut Counts,
    ) -> Result<(), Denied> {
        let places: Vec<Place> = chunk.iter().map(|listed| listed.place).collect();
        let known = if again { HashSet::new() } else { self.sent_before(&places).await? };
        let wanted: Vec<Place> = places.iter().filter(|place| !known.contains(place)).copied().collect();
        let mut contents = self.contents_of(&wanted).await?;
        counts.skipped += i64::try_from(places.len() - contents.len()).unwrap_or(0);
        // In the order in which they came: events of one key stay in order.
        contents.sort_by_key(|content| (content.letter.partition, content.letter.offset));
        for topic in Topic::ALL {
            let of_topic: Vec<_> = contents.iter().filter(|content| content.letter.topic == topic.name()).collect();
            if of_topic.is_empty() {
                continue;
            }
            let mut transaction = self.access.pool.begin().await?;
            let mut begun = Vec::with_capacity(of_topic.len());
            for content in &of_topic {
                let place = Place { topic, partition: content.letter.partition, offset: content.letter.offset };
                let row = begin(&mut transaction, place, &content.payload, &content.payload, actor, Some(id)).await?;
                begun.push(row.id);
            }
            transaction.commit().await?;
            let mut consignment = self.door.consign(topic)?;
            for content in &of_topic {
                consignment.add_message(content.key.as_deref(), &headers(content.headers.as_deref()), &content.payload);
            }
            let deliveries = consignment.delivered().await;
            let mut transaction = self.access.pool.begin().await?;
            for (id, delivery) in begun.iter().zip(&deliveries) {
                finish(&mut transaction, *id, delivery).await?;
                match delivery {
                    Delivery::Acknowledged { .. } => counts.sent += 1,
                    Delivery::TooLarge | Delivery::Unknown(_) => counts.failed += 1,
                }
            }
            transaction.commit().await?;
        }
        Ok(())
    }

    /// The letters, also where others keep the lake busy for a while.
    async fn contents_of(&self, places: &[Place]) -> Result<Vec<Content>, LetterError> {
        for _ in 0..PATIENCE {
            match letters::contents(&self.catalogue, places).await {
                Err(LetterError::Sql(SqlError::Busy | SqlError::Changed)) => tokio::time::sleep(PAUSE).await,
                answered => return answered,
            }
        }
        letters::contents(&self.catalogue, places).await
    }

    async fn sent_before(&self, places: &[Place]) -> Result<HashSet<Place>, Denied> {
        let topics: Vec<String> = places.iter().map(|place| place.topic.name().to_owned()).collect();
        let partitions: Vec<i32> = places.iter().map(|place| place.partition).collect();
        let offsets: Vec<i64> = places.iter().map(|place| place.offset).collect();
        let rows = sqlx::query!(
            "SELECT DISTINCT r.topic, r.partition, r.place FROM streamlinehub.replays r
             JOIN unnest($1::text[], $2::int[], $3::bigint[]) AS l (topic, partition, place)
                  ON r.topic = l.topic AND r.partition = l.partition AND r.place = l.place",
            &topics[..],
            &partitions[..],
            &offsets[..]
        )
        .fetch_all(&self.access.pool)
        .await?;
        let place = |topic: &str, partition, offset| Some(Place { topic: Topic::from_name(topic)?, partition, offset });
        Ok(rows.into_iter().filter_map(|row| place(&row.topic, row.partition, row.place)).collect())
    }
}

/// How many of the next letters go together.
fn chunk_of(places: &[Listed]) -> usize {
    let mut bytes = 0;
    let fits = places.iter().take(CHUNK).take_while(|listed| {
        bytes += listed.bytes;
        bytes <= CHUNK_BYTES
    });
    fits.count().max(1)
}

struct Row {
    id: Uuid,
    at: DateTime<Utc>,
    by_name: String,
    filter: serde_json::Value,
    state: String,
    total: i64,
    sent: i64,
    skipped: i64,
    failed: i64,
    error: String,
}

impl From<Row> for ReplayBatch {
    fn from(row: Row) -> ReplayBatch {
        let count = |count: i64| u64::try_from(count).unwrap_or(0);
        ReplayBatch {
            id: row.id,
            at: row.at,
            by: row.by_name,
            filter: serde_json::from_value(row.filter).unwrap_or_default(),
            state: BatchState::from_name(&row.state).unwrap_or(BatchState::Interrupted),
            total: count(row.total),
            sent: count(row.sent),
            skipped: count(row.skipped),
            failed: count(row.failed),
            error: row.error,
        }
    }
}

/// How far a batch is.
///
/// # Errors
/// There is none, or the database does not answer.
pub async fn batch(access: &Access, id: Uuid) -> Result<ReplayBatch, Denied> {
    let row = sqlx::query_as!(
        Row,
        r#"SELECT id, at, by_name, filter, total, sent, skipped, failed, error,
                  CASE WHEN state = 'running' AND alive_at < now() - interval '2 minutes' THEN 'interrupted' ELSE state END
                  AS "state!"
           FROM streamlinehub.replay_batches WHERE id = $1"#,
        id
    )
    .fetch_optional(&access.pool)
    .await?;
    row.map(ReplayBatch::from).ok_or_else(|| Denied::Missing("There is no such replay.".to_owned()))
}

/// The newest batches.
///
/// # Errors
/// The database does not answer.
pub async fn newest(access: &Access) -> Result<Vec<ReplayBatch>, Denied> {
    let rows = sqlx::query_as!(
        Row,
        r#"SELECT id, at, by_name, filter, total, sent, skipped, failed, error,
                  CASE WHEN state = 'running' AND alive_at < now() - interval '2 minutes' THEN 'interrupted' ELSE state END
                  AS "state!"
           FROM streamlinehub.replay_batches ORDER BY at DESC LIMIT $1"#,
        LISTED
    )
    .fetch_all(&access.pool)
    .await?;
    Ok(rows.into_iter().map(ReplayBatch::from).collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn letters_that_go_together_are_few_and_not_large() {
        let listed = |bytes| Listed { place: Place { topic: Topic::Product, partition: 0, offset: 0 }, bytes };
        assert_eq!(chunk_of(&vec![listed(200); 200]), CHUNK);
        assert_eq!(chunk_of(&[listed(CHUNK_BYTES - 1), listed(1), listed(1)]), 2);
        assert_eq!(chunk_of(&[listed(CHUNK_BYTES + 1), listed(1)]), 1);
    }
}
