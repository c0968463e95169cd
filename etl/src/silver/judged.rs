//! Between making the rows and writing them: columns that the settings declare are added, the quality rules are asked, and the
//! events that they refuse go out of all tables at once.

use std::collections::{BTreeMap, BTreeSet, HashMap};

use anyhow::{Context, Result};
use deltalake::arrow::{
    array::{AsArray, BooleanArray, RecordBatch},
    compute::filter_record_batch,
    datatypes::{Int32Type, Int64Type},
};
use model::{event::Rejection, topic::Topic};

use super::{
    parse::{Rejected, Source, SourceBatch},
    tables::{self, Made, Rows},
};
use crate::quality::{
    Note, Rules, TakenOut,
    fields::extract,
    judge::{Fate, Proposed, judge},
};

/// Rows that may be written, and what the commits to each table have to say.
pub(super) struct Judged {
    pub(super) made: Made,
    pub(super) notes: Vec<Note>,
}

/// The rows of a topic after the rules have spoken.
///
/// # Errors
/// A rule whose action is `fail` does not hold.
pub(super) fn judged(rules: &Rules, topic: Topic, mut made: Made, batches: &[SourceBatch]) -> Result<Judged> {
    let specs = tables::of(topic);
    // The table of all events is the last, with a row for each.
    let places = |made: &Made| made.tables.last().map(|rows| places(&rows.batch)).unwrap_or_default();
    let mut wrong = BTreeMap::new();
    if specs.iter().any(|spec| !rules.fields().of(spec.name).is_empty()) {
        let places = places(&made);
        let came = came(batches, places.iter().copied());
        let payloads: Vec<&str> =
            places.iter().map(|place| came.get(place).map_or("", |message| message.payload())).collect();
        for (spec, rows) in specs.iter().zip(&mut made.tables) {
            let fields = rules.fields().of(spec.name);
            if fields.is_empty() {
                continue;
            }
            let extracted = extract(fields, &payloads);
            rows.batch = extracted.beside(&rows.batch, &rows.event_of_row)?;
            for (event, reason) in extracted.wrong {
                wrong.entry(event).or_insert(reason);
            }
        }
    }
    let proposed: Vec<Proposed<'_>> = specs
        .iter()
        .zip(&made.tables)
        .map(|(spec, rows)| Proposed { table: spec.name, batch: &rows.batch, event_of_row: &rows.event_of_row })
        .collect();
    let judgement = judge(rules, &proposed)?;
    let mut notes: Vec<Note> =
        judgement.verdicts.into_iter().map(|verdicts| Note { verdicts, taken_out: BTreeMap::new() }).collect();
    if judgement.fates.is_empty() && wrong.is_empty() {
        return Ok(Judged { made, notes });
    }

    let places = places(&made);
    let mut taken_out: BTreeMap<i32, TakenOut> = BTreeMap::new();
    let mut letters: Vec<(usize, Rejection, String)> = Vec::new();
    for (&event, fate) in &judgement.fates {
        // It is a dead letter already, of another kind.
        if wrong.contains_key(&event) {
            continue;
        }
        let counts = taken_out.entry(places[event].0).or_default();
        match fate {
            Fate::Drop => counts.dropped += 1,
            Fate::Quarantine(reason) => {
                counts.quarantined += 1;
                letters.push((event, Rejection::Quality, reason.clone()));
            }
        }
    }
    let out: BTreeSet<usize> = judgement.fates.keys().chain(wrong.keys()).copied().collect();
    letters.extend(wrong.into_iter().map(|(event, reason)| (event, Rejection::Fields, reason)));
    let came = came(batches, letters.iter().map(|(event, ..)| places[*event]));
    for (event, rejection, reason) in letters {
        let message = came.get(&places[event]).context("an event that was read is not in its batch")?;
        made.rejected.push(message.rejected(rejection, reason));
    }
    for rows in &mut made.tables {
        without(rows, &out)?;
    }
    if let Some(note) = notes.last_mut() {
        note.taken_out = taken_out;
    }
    Ok(Judged { made, notes })
}

/// Partition and offset of each row.
fn places(batch: &RecordBatch) -> Vec<(i32, i64)> {
    let partitions = batch["source_partition"].as_primitive::<Int32Type>().values();
    let offsets = batch["source_offset"].as_primitive::<Int64Type>().values();
    partitions.iter().copied().zip(offsets.iter().copied()).collect()
}

/// A row of Bronze.
struct Message<'a> {
    source: &'a SourceBatch,
    row: usize,
}

impl Message<'_> {
    fn payload(&self) -> &str {
        self.source.batch["payload"].as_string::<i32>().value(self.row)
    }

    fn rejected(&self, rejection: Rejection, reason: String) -> Rejected {
        use deltalake::arrow::{array::Array, datatypes::TimestampMicrosecondType};
        let (batch, row) = (&self.source.batch, self.row);
        let time = |name: &str| batch[name].as_primitive::<TimestampMicrosecondType>().value(row);
        let key = batch["key"].as_binary::<i32>();
        let headers = batch["headers"].as_string::<i32>();
        Rejected {
            version: self.source.version,
            source: Source {
                partition: batch["partition"].as_primitive::<Int32Type>().value(row),
                offset: batch["offset"].as_primitive::<Int64Type>().value(row),
                kafka_time: time("kafka_time"),
                ingested_at: time("ingested_at"),
            },
            key: key.is_valid(row).then(|| key.value(row).to_vec()),
            headers: headers.is_valid(row).then(|| headers.value(row).to_owned()),
            payload: self.payload().to_owned(),
            rejection,
            reason,
        }
    }
}

/// The rows of Bronze at these places.
fn came(batches: &[SourceBatch], wanted: impl Iterator<Item = (i32, i64)>) -> HashMap<(i32, i64), Message<'_>> {
    let wanted: BTreeSet<(i32, i64)> = wanted.collect();
    let mut found = HashMap::with_capacity(wanted.len());
    if wanted.is_empty() {
        return found;
    }
    for source in batches {
        let partitions = source.batch["partition"].as_primitive::<Int32Type>();
        let offsets = source.batch["offset"].as_primitive::<Int64Type>();
        for row in 0..source.batch.num_rows() {
            let place = (partitions.value(row), offsets.value(row));
            if wanted.contains(&place) {
                found.insert(place, Message { source, row });
            }
        }
    }
    found
}

/// Takes events and their rows out.
fn without(rows: &mut Rows, out: &BTreeSet<usize>) -> Result<()> {
    let keep: BooleanArray = rows.event_of_row.iter().map(|event| Some(!out.contains(event))).collect();
    rows.batch = filter_record_batch(&rows.batch, &keep)?;
    // Where an event is among those that stay.
    let mut stays = Vec::with_capacity(rows.events.len());
    let mut kept = 0;
    for event in 0..rows.events.len() {
        stays.push((!out.contains(&event)).then_some(kept));
        kept += usize::from(!out.contains(&event));
    }
    rows.event_of_row = rows.event_of_row.iter().filter_map(|&event| stays[event]).collect();
    let mut event = 0;
    rows.events.retain(|_| {
        event += 1;
        stays[event - 1].is_some()
    });
    Ok(())
}
