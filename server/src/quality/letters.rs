//! Dead letters, read by SQL in a worker like everything that people ask of the lake: bounded in time, memory and rows.

use base64::{Engine as _, engine::general_purpose::URL_SAFE_NO_PAD};
use chrono::{DateTime, Days, NaiveDate, Utc};
use deltalake::arrow::{
    array::{Array, ArrayRef, AsArray, RecordBatch},
    compute::cast,
    datatypes::{DataType, Int32Type, Int64Type, TimeUnit, TimestampMicrosecondType},
};
use etl::lake::schema;
use model::{
    event::Rejection,
    letter::{LARGEST_BATCH, Letter, LetterFilter, LetterPage, STAGES},
    topic::Topic,
};

use crate::lake::{Catalogue, Question, SqlError};

/// Why there are no letters.
#[derive(Debug, thiserror::Error)]
pub enum LetterError {
    /// For the person who asked: the whole sentence.
    #[error("{0}")]
    Invalid(String),
    #[error(transparent)]
    Sql(#[from] SqlError),
}

/// The place of a letter in Kafka.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Place {
    pub topic: Topic,
    pub partition: i32,
    pub offset: i64,
}

impl std::fmt::Display for Place {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(formatter, "{}/{}/{}", self.topic.name(), self.partition, self.offset)
    }
}

impl Place {
    /// As it stands in addresses.
    pub fn parse(topic: &str, partition: &str, offset: &str) -> Option<Place> {
        let (partition, offset) = (partition.parse::<u16>().ok()?, offset.parse::<u64>().ok()?);
        Some(Place {
            topic: Topic::from_name(topic)?,
            partition: partition.into(),
            offset: i64::try_from(offset).ok()?,
        })
    }
}

/// A letter with all that is sent again.
#[derive(Clone, Debug)]
pub struct Content {
    pub letter: Letter,
    pub key: Option<Vec<u8>>,
    /// JSON: an array of name and value.
    pub headers: Option<String>,
    pub payload: Vec<u8>,
}

/// A letter in a list, with the place that names it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Listed {
    pub place: Place,
    pub bytes: u64,
}

const SUMMARY: &str = "topic, partition, \"offset\", kafka_time, ingested_at, stage, rejection, reason, payload_bytes";
const ORDER: &str = "ingested_at DESC, topic, partition, \"offset\"";

/// A page of the letters that the filter lets through, the newest first.
///
/// # Errors
/// The filter or the cursor is none, or there is no answer.
pub async fn page(
    catalogue: &Catalogue,
    filter: &LetterFilter,
    limit: usize,
    cursor: Option<&str>,
) -> Result<LetterPage, LetterError> {
    let mut condition = condition(filter)?;
    if let Some(cursor) = cursor {
        let after = Cursor::read(cursor)
            .ok_or_else(|| LetterError::Invalid("The cursor is none of an answer of ours.".to_owned()))?;
        condition.push(after.condition());
    }
    if !catalogue.has(&schema::DEAD_LETTERS).await.map_err(SqlError::Internal)? {
        return Ok(LetterPage::default());
    }
    let sql = format!(
        "SELECT {SUMMARY} FROM bronze.dead_letters{} ORDER BY {ORDER} LIMIT {}",
        where_all(&condition),
        limit + 1
    );
    let mut letters: Vec<Letter> = Vec::new();
    for batch in ask(catalogue, sql, limit + 1).await? {
        letters.extend(summaries(&batch).map_err(SqlError::Internal)?);
    }
    let next = (letters.len() > limit).then(|| {
        letters.truncate(limit);
        letters.last().map(|letter| Cursor::after(letter).write())
    });
    Ok(LetterPage { letters, next: next.flatten() })
}

/// The places of the letters that the filter lets through and that may be sent again, the oldest first: at most
/// [`LARGEST_BATCH`] of those that came in by a time.
///
/// # Errors
/// The filter is none, or there is no answer.
pub async fn places(
    catalogue: &Catalogue,
    filter: &LetterFilter,
    by: DateTime<Utc>,
    largest_event: usize,
) -> Result<Vec<Listed>, LetterError> {
    let mut condition = condition(filter)?;
    condition.push(format!("ingested_at <= {}", instant(by.timestamp_micros())));
    condition.push(format!("payload_bytes <= {largest_event}"));
    if !catalogue.has(&schema::DEAD_LETTERS).await.map_err(SqlError::Internal)? {
        return Ok(Vec::new());
    }
    let sql = format!(
        "SELECT topic, partition, \"offset\", payload_bytes FROM bronze.dead_letters{} \
         ORDER BY ingested_at, topic, partition, \"offset\" LIMIT {LARGEST_BATCH}",
        where_all(&condition)
    );
    let mut listed = Vec::new();
    for batch in ask(catalogue, sql, LARGEST_BATCH).await? {
        let columns = Columns::of(&batch).map_err(SqlError::Internal)?;
        for row in 0..batch.num_rows() {
            let Some(topic) = Topic::from_name(columns.topic.as_string::<i32>().value(row)) else { continue };
            let (partition, offset) = columns.place(row);
            listed.push(Listed { place: Place { topic, partition, offset }, bytes: columns.bytes(row) });
        }
    }
    Ok(listed)
}

/// The letters from these places, in no particular order; one that is not there is left out.
///
/// # Errors
/// There is no answer.
pub async fn contents(catalogue: &Catalogue, places: &[Place]) -> Result<Vec<Content>, LetterError> {
    if places.is_empty() || !catalogue.has(&schema::DEAD_LETTERS).await.map_err(SqlError::Internal)? {
        return Ok(Vec::new());
    }
    let mut groups: std::collections::BTreeMap<(Topic, i32), Vec<String>> = std::collections::BTreeMap::new();
    for place in places {
        groups.entry((place.topic, place.partition)).or_default().push(place.offset.to_string());
    }
    let any: Vec<String> = groups
        .iter()
        .map(|((topic, partition), offsets)| {
            format!(
                "(topic = {} AND partition = {partition} AND \"offset\" IN ({}))",
                text(topic.name()),
                offsets.join(", ")
            )
        })
        .collect();
    let sql = format!("SELECT {SUMMARY}, key, headers, payload FROM bronze.dead_letters WHERE {}", any.join(" OR "));
    let mut contents = Vec::new();
    for batch in ask(catalogue, sql, places.len()).await? {
        contents.extend(read_contents(&batch).map_err(SqlError::Internal)?);
    }
    Ok(contents)
}

/// The rows of a statement. Whoever was interrupted by maintenance, or has to wait for a turn, asks again.
async fn ask(catalogue: &Catalogue, sql: String, rows: usize) -> Result<Vec<RecordBatch>, SqlError> {
    let question = Question { sql, rows, ..Question::default() };
    let mut answer = catalogue.run(&question).await;
    for _ in 0..2 {
        if !matches!(answer, Err(SqlError::Changed)) {
            break;
        }
        answer = catalogue.run(&question).await;
    }
    Ok(answer?.batches)
}

fn where_all(condition: &[String]) -> String {
    if condition.is_empty() { String::new() } else { format!(" WHERE {}", condition.join(" AND ")) }
}

/// A text as SQL writes it.
fn text(value: &str) -> String {
    format!("'{}'", value.replace('\'', "''"))
}

fn instant(micros: i64) -> String {
    format!("arrow_cast({micros}, 'Timestamp(Microsecond, Some(\"UTC\"))')")
}

/// What a filter lets through, in SQL. Nothing of the filter gets in that is not checked first.
fn condition(filter: &LetterFilter) -> Result<Vec<String>, LetterError> {
    let unknown = |what: &str, name: &str, there: &[&str]| {
        let shown: String = name.chars().take(60).collect();
        LetterError::Invalid(format!("`{shown}` is not a {what}; there are {}.", there.join(", ")))
    };
    let mut condition = Vec::new();
    if !filter.topic.is_empty() {
        let topic = Topic::from_name(&filter.topic)
            .ok_or_else(|| unknown("topic", &filter.topic, &Topic::ALL.map(Topic::name)))?;
        condition.push(format!("topic = {}", text(topic.name())));
    }
    if !filter.stage.is_empty() {
        if !STAGES.contains(&filter.stage.as_str()) {
            return Err(unknown("stage", &filter.stage, &STAGES));
        }
        condition.push(format!("stage = {}", text(&filter.stage)));
    }
    if !filter.rejection.is_empty() {
        let rejection = Rejection::from_name(&filter.rejection)
            .ok_or_else(|| unknown("rejection", &filter.rejection, &Rejection::ALL.map(Rejection::name)))?;
        condition.push(format!("rejection = {}", text(rejection.name())));
    }
    if !filter.rule.is_empty() {
        let is_name = filter.rule.len() <= 60
            && filter.rule.chars().all(|c| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '_');
        if !is_name {
            return Err(LetterError::Invalid(
                "The name of a rule is small letters, digits and underscores.".to_owned(),
            ));
        }
        // The reason names each rule, and what it found.
        condition.push(format!("stage = 'quality' AND strpos('; ' || reason, '; {}: ') > 0", filter.rule));
    }
    let day = |text: &str| {
        let wrong = || LetterError::Invalid("A day looks like 2026-11-22.".to_owned());
        let day = text.parse::<NaiveDate>().map_err(|_| wrong())?;
        if (1970..=2199).contains(&chrono::Datelike::year(&day)) { Ok(day) } else { Err(wrong()) }
    };
    let midnight = |day: NaiveDate| instant(day.and_time(chrono::NaiveTime::MIN).and_utc().timestamp_micros());
    if !filter.from.is_empty() {
        condition.push(format!("ingested_at >= {}", midnight(day(&filter.from)?)));
    }
    if !filter.to.is_empty() {
        let last = day(&filter.to)?;
        condition.push(format!("ingested_at < {}", midnight(last.checked_add_days(Days::new(1)).unwrap_or(last))));
    }
    Ok(condition)
}

/// Where a page ends.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Cursor {
    ingested_at: i64,
    topic: Topic,
    partition: i32,
    offset: i64,
}

impl Cursor {
    fn after(letter: &Letter) -> Cursor {
        Cursor {
            ingested_at: letter.ingested_at.timestamp_micros(),
            topic: Topic::from_name(&letter.topic).unwrap_or(Topic::Transaction),
            partition: letter.partition,
            offset: letter.offset,
        }
    }

    fn write(&self) -> String {
        let text = format!("{}/{}/{}/{}", self.ingested_at, self.topic.name(), self.partition, self.offset);
        URL_SAFE_NO_PAD.encode(text)
    }

    fn read(text: &str) -> Option<Cursor> {
        let text = String::from_utf8(URL_SAFE_NO_PAD.decode(text).ok()?).ok()?;
        let mut parts = text.splitn(4, '/');
        let mut next = || parts.next();
        Some(Cursor {
            ingested_at: next()?.parse().ok()?,
            topic: Topic::from_name(next()?)?,
            partition: next()?.parse().ok()?,
            offset: next()?.parse().ok()?,
        })
    }

    fn condition(&self) -> String {
        let (at, topic) = (instant(self.ingested_at), text(self.topic.name()));
        let (partition, offset) = (self.partition, self.offset);
        format!(
            "(ingested_at < {at} OR ingested_at = {at} AND (topic > {topic} OR topic = {topic} AND \
             (partition > {partition} OR partition = {partition} AND \"offset\" > {offset})))"
        )
    }
}

/// The columns of an answer in the types that are worked with.
struct Columns {
    topic: ArrayRef,
    partition: ArrayRef,
    offset: ArrayRef,
    bytes: ArrayRef,
}

fn column(batch: &RecordBatch, name: &str, kind: &DataType) -> anyhow::Result<ArrayRef> {
    crate::delta::column(batch, name, kind)
}

impl Columns {
    fn of(batch: &RecordBatch) -> anyhow::Result<Columns> {
        Ok(Columns {
            topic: column(batch, "topic", &DataType::Utf8)?,
            partition: column(batch, "partition", &DataType::Int32)?,
            offset: column(batch, "offset", &DataType::Int64)?,
            bytes: column(batch, "payload_bytes", &DataType::Int64)?,
        })
    }

    fn place(&self, row: usize) -> (i32, i64) {
        let partition = self.partition.as_primitive::<Int32Type>().value(row);
        (partition, self.offset.as_primitive::<Int64Type>().value(row))
    }

    fn bytes(&self, row: usize) -> u64 {
        u64::try_from(self.bytes.as_primitive::<Int64Type>().value(row)).unwrap_or(0)
    }
}

fn summaries(batch: &RecordBatch) -> anyhow::Result<Vec<Letter>> {
    let columns = Columns::of(batch)?;
    let time = |name| column(batch, name, &DataType::Timestamp(TimeUnit::Microsecond, None));
    let (kafka_time, ingested_at) = (time("kafka_time")?, time("ingested_at")?);
    let text = |name| column(batch, name, &DataType::Utf8);
    let (stage, rejection, reason) = (text("stage")?, text("rejection")?, text("reason")?);
    let moment = |times: &ArrayRef, row| {
        DateTime::from_timestamp_micros(times.as_primitive::<TimestampMicrosecondType>().value(row)).unwrap_or_default()
    };
    let word = |texts: &ArrayRef, row| texts.as_string::<i32>().value(row).to_owned();
    let letter = |row: usize| {
        let (partition, offset) = columns.place(row);
        Letter {
            topic: word(&columns.topic, row),
            partition,
            offset,
            kafka_time: moment(&kafka_time, row),
            ingested_at: moment(&ingested_at, row),
            stage: word(&stage, row),
            rejection: word(&rejection, row),
            reason: word(&reason, row),
            bytes: columns.bytes(row),
            replays: 0,
        }
    };
    Ok((0..batch.num_rows()).map(letter).collect())
}

fn read_contents(batch: &RecordBatch) -> anyhow::Result<Vec<Content>> {
    let bytes = |name: &str| -> anyhow::Result<ArrayRef> { Ok(cast(&batch[name], &DataType::Binary)?) };
    let (key, payload) = (bytes("key")?, bytes("payload")?);
    let headers = column(batch, "headers", &DataType::Utf8)?;
    let (key, payload, headers) = (key.as_binary::<i32>(), payload.as_binary::<i32>(), headers.as_string::<i32>());
    let content = |(row, letter): (usize, Letter)| Content {
        letter,
        key: key.is_valid(row).then(|| key.value(row).to_vec()),
        headers: headers.is_valid(row).then(|| headers.value(row).to_owned()),
        payload: payload.value(row).to_vec(),
    };
    Ok(summaries(batch)?.into_iter().enumerate().map(content).collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_filter_is_checked_and_nothing_gets_out_of_its_text() {
        let filter = |topic: &str, rule: &str, from: &str| LetterFilter {
            topic: topic.to_owned(),
            rule: rule.to_owned(),
            from: from.to_owned(),
            ..LetterFilter::default()
        };
        assert_eq!(condition(&LetterFilter::default()).expect("good"), Vec::<String>::new());
        let kept = condition(&filter("product-events", "amount_known", "2026-01-31")).expect("good");
        assert_eq!(kept[0], "topic = 'product-events'");
        assert_eq!(kept[1], "stage = 'quality' AND strpos('; ' || reason, '; amount_known: ') > 0");
        assert_eq!(kept.len(), 3);
        for bad in [filter("x' OR '1'='1", "", ""), filter("", "a' OR 'a'='a", ""), filter("", "", "yesterday")] {
            assert!(condition(&bad).is_err(), "{bad:?}");
        }
    }

    #[test]
    fn a_cursor_survives_its_text_and_nonsense_is_none() {
        let cursor = Cursor { ingested_at: 1_763_287_200_000_017, topic: Topic::Analytics, partition: 3, offset: 4711 };
        assert_eq!(Cursor::read(&cursor.write()), Some(cursor));
        for nonsense in ["", "x", "MS8yLzM", &URL_SAFE_NO_PAD.encode("1/nothing/2/3")] {
            assert_eq!(Cursor::read(nonsense), None, "{nonsense}");
        }
    }
}
