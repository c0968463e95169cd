//! Dead letters that are sent again, as they are or changed, and the trail that it leaves: a row for each replay, begun before Kafka
//! gets the message and closed when it is known what became of it, and a line in the audit log.

use std::{collections::HashMap, sync::Arc};

use aws_lc_rs::digest;
use chrono::{DateTime, Utc};
use etl::produce::publisher::Delivery;
use model::{
    access::Outcome,
    check,
    letter::{Letter, LetterDetail, ReplayOutcome, Replayed},
};
use sqlx::PgConnection;
use tracing::Instrument as _;
use uuid::Uuid;

use super::letters::{self, Content, LetterError, Place};
use crate::{
    access::{
        Access, Denied,
        audit::{self, Actor, Deed},
        invalid,
    },
    events::door::Door,
    lake::{Catalogue, SqlError},
};

/// The longest content that is shown, and can be changed, in bytes.
pub const LONGEST_SHOWN: usize = 256 << 10;
/// Seconds after which the lake may have time again.
const RETRY_AFTER: i64 = 2;
/// Replays of one letter that are shown, the newest.
const TRAIL: i64 = 50;

/// Why a letter was not sent.
#[derive(Debug, thiserror::Error)]
pub enum ReplayError {
    #[error(transparent)]
    Denied(#[from] Denied),
    /// It was sent before, and nobody said that it shall be once more.
    #[error("It was replayed before. Confirm that it shall be sent once more.")]
    Again,
    /// Kafka did not say that it has it.
    #[error(
        "Kafka did not say that it has the event: {0}. It may be in the topic or not. The same event_id is counted once, so it can be replayed again."
    )]
    Unknown(String),
}

impl From<sqlx::Error> for ReplayError {
    fn from(error: sqlx::Error) -> ReplayError {
        ReplayError::Denied(error.into())
    }
}

impl From<LetterError> for Denied {
    fn from(error: LetterError) -> Denied {
        match error {
            LetterError::Invalid(why) => Denied::Invalid(why),
            LetterError::Sql(SqlError::Internal(error)) => Denied::Internal(error),
            LetterError::Sql(SqlError::Busy | SqlError::Changed) => Denied::TooMany(RETRY_AFTER),
            LetterError::Sql(for_people) => Denied::Invalid(for_people.sentence()),
        }
    }
}

/// What is needed to send letters again.
#[derive(Clone)]
pub struct Replays {
    pub access: Arc<Access>,
    pub catalogue: Arc<Catalogue>,
    pub door: Arc<Door>,
}

/// A replay that is wanted.
#[derive(Clone, Debug)]
pub struct Wanted {
    pub place: Place,
    /// The content to be sent in the place of the letter's own.
    pub payload: Option<String>,
    /// Although it was replayed before.
    pub again: bool,
}

/// Some kind of thing that is begun: its row, and what is sent.
pub(super) struct Begun {
    pub(super) id: i64,
    pub(super) before: [u8; 32],
    pub(super) after: [u8; 32],
    pub(super) edited: bool,
}

pub(super) fn hash(content: &[u8]) -> [u8; 32] {
    let mut bytes = [0; 32];
    bytes.copy_from_slice(digest::digest(&digest::SHA256, content).as_ref());
    bytes
}

pub(super) fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

/// The headers as they are sent again.
pub(super) fn headers(stored: Option<&str>) -> Vec<(String, Option<String>)> {
    stored.and_then(|text| serde_json::from_str(text).ok()).unwrap_or_default()
}

impl Replays {
    /// Sends a letter again. Once it is begun it is carried out, whether anybody waits for the answer or not.
    ///
    /// # Errors
    /// There is no such letter, its new content is no event, it was sent before, or something does not answer.
    pub async fn replay(&self, wanted: Wanted, actor: Actor) -> Result<Replayed, ReplayError> {
        let replays = self.clone();
        let work = async move { replays.carry_out(wanted, &actor).await };
        tokio::spawn(work.in_current_span()).await.unwrap_or_else(|ended| {
            Err(ReplayError::Denied(Denied::Internal(anyhow::Error::from(ended).context("a replay ended badly"))))
        })
    }

    async fn carry_out(&self, wanted: Wanted, actor: &Actor) -> Result<Replayed, ReplayError> {
        let place = wanted.place;
        let content = self.content(place).await?;
        let payload = self.payload(&content, wanted.payload)?;
        let mut transaction = self.access.pool.begin().await?;
        // Two at once do not both find that it was never sent.
        let name = place.to_string();
        sqlx::query!("SELECT pg_advisory_xact_lock(hashtextextended($1, 5))", name).execute(&mut *transaction).await?;
        let before = sqlx::query_scalar!(
            r#"SELECT count(*) AS "count!" FROM streamlinehub.replays WHERE topic = $1 AND partition = $2 AND place = $3"#,
            place.topic.name(),
            place.partition,
            place.offset
        )
        .fetch_one(&mut *transaction)
        .await?;
        if before > 0 && !wanted.again {
            return Err(ReplayError::Again);
        }
        let begun = begin(&mut transaction, place, &content.payload, &payload, actor, None).await?;
        transaction.commit().await?;

        let mut consignment = self.door.consign(place.topic).map_err(Denied::Internal)?;
        consignment.add_message(content.key.as_deref(), &headers(content.headers.as_deref()), &payload);
        let delivery = consignment.delivered().await.into_iter().next();
        let delivery = delivery.unwrap_or_else(|| Delivery::Unknown("it was not sent".to_owned()));

        let mut transaction = self.access.pool.begin().await?;
        finish(&mut transaction, begun.id, &delivery).await?;
        let detail = detail(&begun, &delivery);
        let deed = match delivery {
            Delivery::Acknowledged { .. } => Deed::success("letter.replay", &name),
            _ => Deed { outcome: Outcome::Failure, ..Deed::success("letter.replay", &name) },
        };
        audit::append(&mut transaction, &self.access.keys, actor, &deed.with_detail(&detail))
            .await
            .map_err(Denied::from)?;
        let replayed = trail(&mut transaction, place).await?.pop();
        transaction.commit().await?;
        match (delivery, replayed) {
            (Delivery::Acknowledged { .. }, Some(replayed)) => Ok(replayed),
            (Delivery::TooLarge, _) => Err(ReplayError::Denied(Denied::Invalid(
                "Kafka takes no event of that size, however often it is sent.".to_owned(),
            ))),
            (Delivery::Unknown(why), _) => Err(ReplayError::Unknown(why)),
            (Delivery::Acknowledged { .. }, None) => {
                Err(ReplayError::Denied(Denied::Internal(anyhow::anyhow!("the replay that was just noted is gone"))))
            }
        }
    }

    /// A letter, whole.
    async fn content(&self, place: Place) -> Result<Content, Denied> {
        let found = letters::contents(&self.catalogue, &[place]).await?.into_iter().next();
        found.ok_or_else(|| Denied::Missing("There is no dead letter from there.".to_owned()))
    }

    /// What is to be sent. What was changed has to pass the checks that the pipeline makes; what was not is sent as it is, since
    /// the rules or the program may be others by now.
    fn payload(&self, content: &Content, edited: Option<String>) -> Result<Vec<u8>, Denied> {
        let Some(edited) = edited else { return Ok(content.payload.clone()) };
        if edited.as_bytes() == content.payload {
            return Ok(content.payload.clone());
        }
        let Some(topic) = model::topic::Topic::from_name(&content.letter.topic) else {
            return invalid("Its topic is none of ours any more.");
        };
        if let Err((_, why)) = check::event(topic, edited.as_bytes(), self.door.event_bytes()) {
            return invalid(format!("It would be refused again: {why}."));
        }
        Ok(edited.into_bytes())
    }
}

/// Notes that a letter is about to be sent.
pub(super) async fn begin(
    connection: &mut PgConnection,
    place: Place,
    before: &[u8],
    after: &[u8],
    actor: &Actor,
    batch: Option<Uuid>,
) -> Result<Begun, Denied> {
    let edited = before != after;
    let (before, after) = (hash(before), hash(after));
    let id = sqlx::query_scalar!(
        "INSERT INTO streamlinehub.replays
             (topic, partition, place, user_id, by_name, edited, hash_before, hash_after, batch_id)
         VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9) RETURNING id",
        place.topic.name(),
        place.partition,
        place.offset,
        actor.id,
        actor.name,
        edited,
        &before[..],
        &after[..],
        batch
    )
    .fetch_one(connection)
    .await?;
    Ok(Begun { id, before, after, edited })
}

/// Notes what became of it.
pub(super) async fn finish(connection: &mut PgConnection, id: i64, delivery: &Delivery) -> Result<(), Denied> {
    let (outcome, partition, place) = match delivery {
        Delivery::Acknowledged { partition, offset } => (ReplayOutcome::Sent, Some(*partition), *offset),
        Delivery::TooLarge | Delivery::Unknown(_) => (ReplayOutcome::Unknown, None, None),
    };
    sqlx::query!(
        "UPDATE streamlinehub.replays SET outcome = $2, new_partition = $3, new_place = $4 WHERE id = $1",
        id,
        outcome.name(),
        partition,
        place
    )
    .execute(connection)
    .await?;
    Ok(())
}

/// For the audit log.
fn detail(begun: &Begun, delivery: &Delivery) -> String {
    let content = if begun.edited {
        format!("changed, SHA-256 {} before and {} after", hex(&begun.before), hex(&begun.after))
    } else {
        format!("unchanged, SHA-256 {}", hex(&begun.before))
    };
    let went = match delivery {
        Delivery::Acknowledged { partition, offset: Some(offset) } => {
            format!("to partition {partition}, offset {offset}")
        }
        Delivery::Acknowledged { partition, offset: None } => format!("to partition {partition}"),
        Delivery::TooLarge => "Kafka takes no event of that size".to_owned(),
        Delivery::Unknown(why) => format!("not acknowledged: {why}"),
    };
    format!("{content}, {went}")
}

struct Row {
    id: i64,
    topic: String,
    partition: i32,
    place: i64,
    at: DateTime<Utc>,
    by_name: String,
    edited: bool,
    hash_before: Vec<u8>,
    hash_after: Vec<u8>,
    outcome: String,
    new_partition: Option<i32>,
    new_place: Option<i64>,
    batch_id: Option<Uuid>,
}

impl From<Row> for Replayed {
    fn from(row: Row) -> Replayed {
        Replayed {
            id: row.id,
            topic: row.topic,
            partition: row.partition,
            offset: row.place,
            at: row.at,
            by: row.by_name,
            edited: row.edited,
            hash_before: hex(&row.hash_before),
            hash_after: hex(&row.hash_after),
            // The database allows no other.
            outcome: ReplayOutcome::from_name(&row.outcome).unwrap_or(ReplayOutcome::Unknown),
            new_partition: row.new_partition,
            new_offset: row.new_place,
            batch: row.batch_id,
        }
    }
}

/// The replays of a letter, the oldest first; at most the newest 50.
async fn trail(connection: &mut PgConnection, place: Place) -> Result<Vec<Replayed>, Denied> {
    let mut rows = sqlx::query_as!(
        Row,
        "SELECT id, topic, partition, place, at, by_name, edited, hash_before, hash_after, outcome, new_partition, new_place,
                batch_id
         FROM streamlinehub.replays WHERE topic = $1 AND partition = $2 AND place = $3 ORDER BY id DESC LIMIT $4",
        place.topic.name(),
        place.partition,
        place.offset,
        TRAIL
    )
    .fetch_all(connection)
    .await?;
    rows.reverse();
    Ok(rows.into_iter().map(Replayed::from).collect())
}

/// How often each of these letters was replayed.
///
/// # Errors
/// The database does not answer.
pub async fn count_replays(access: &Access, letters: &mut [Letter]) -> Result<(), Denied> {
    let topics: Vec<String> = letters.iter().map(|letter| letter.topic.clone()).collect();
    let partitions: Vec<i32> = letters.iter().map(|letter| letter.partition).collect();
    let places: Vec<i64> = letters.iter().map(|letter| letter.offset).collect();
    let rows = sqlx::query!(
        r#"SELECT r.topic, r.partition, r.place, count(*) AS "count!"
           FROM streamlinehub.replays r
           JOIN unnest($1::text[], $2::int[], $3::bigint[]) AS l (topic, partition, place)
                ON r.topic = l.topic AND r.partition = l.partition AND r.place = l.place
           GROUP BY 1, 2, 3"#,
        &topics[..],
        &partitions[..],
        &places[..]
    )
    .fetch_all(&access.pool)
    .await?;
    let counts: HashMap<(String, i32, i64), i64> =
        rows.into_iter().map(|row| ((row.topic, row.partition, row.place), row.count)).collect();
    for letter in letters {
        let count = counts.get(&(letter.topic.clone(), letter.partition, letter.offset));
        letter.replays = count.and_then(|count| u64::try_from(*count).ok()).unwrap_or(0);
    }
    Ok(())
}

/// All of a letter, and what was done with it.
///
/// # Errors
/// There is no such letter, or something does not answer.
pub async fn detail_of(access: &Access, catalogue: &Catalogue, place: Place) -> Result<LetterDetail, Denied> {
    let Some(content) = letters::contents(catalogue, &[place]).await?.into_iter().next() else {
        return Err(Denied::Missing("There is no dead letter from there.".to_owned()));
    };
    let trail = trail(&mut *access.pool.acquire().await?, place).await?;
    let whole = content.payload.len() <= LONGEST_SHOWN && std::str::from_utf8(&content.payload).is_ok();
    let shown = &content.payload[..content.payload.len().min(LONGEST_SHOWN)];
    Ok(LetterDetail {
        letter: Letter { replays: trail.len() as u64, ..content.letter },
        key: content.key.map(|key| String::from_utf8_lossy(&key).into_owned()),
        headers: content.headers,
        payload: String::from_utf8_lossy(shown).into_owned(),
        whole,
        trail,
    })
}
