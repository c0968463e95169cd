//! What the rules say of the rows of a batch, and which events they take out of it. Pure functions.

use std::collections::{BTreeMap, HashMap};

use anyhow::{Result, bail};
use deltalake::arrow::{
    array::{Array, AsArray, BooleanArray, RecordBatch},
    datatypes::{Int32Type, Int64Type},
    util::display::array_value_to_string,
};
use model::quality::{Action, Sample, Verdict};

use super::rules::{Compiled, Rules, dimension_of};

/// Failing rows of a batch of which the place is told.
const SAMPLES: usize = 3;
/// Values of the dimension that are told.
const OFFENDERS: usize = 5;
/// The longest value of a column in a sample, in characters.
const LONGEST_VALUE: usize = 60;
/// The longest reason, in characters; what an event with a thousand bad lines has to say is cut.
const LONGEST_REASON: usize = 600;

/// Rows that are to be written to a table.
#[derive(Clone, Copy, Debug)]
pub struct Proposed<'a> {
    /// The table's name, without its layer.
    pub table: &'static str,
    pub batch: &'a RecordBatch,
    /// For each row the index of its event, which is the same in all tables.
    pub event_of_row: &'a [usize],
}

/// What becomes of an event that is taken out.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Fate {
    Drop,
    /// Kept among the dead letters, for this reason.
    Quarantine(String),
}

/// What the rules say of a batch.
#[derive(Debug, Default)]
pub struct Judgement {
    /// For each table that was proposed.
    pub verdicts: Vec<Vec<Verdict>>,
    /// By index of the event.
    pub fates: BTreeMap<usize, Fate>,
}

/// Asks every rule of every table's rows.
///
/// # Errors
/// A row breaks a rule whose action is `fail`, which the error names; or the rows are not those of the table.
pub fn judge(rules: &Rules, tables: &[Proposed<'_>]) -> Result<Judgement> {
    let mut judgement = Judgement::default();
    for proposed in tables {
        let mut verdicts = Vec::new();
        for rule in rules.of(proposed.table) {
            let checked = proposed.batch.num_rows() as u64;
            if checked == 0 {
                continue;
            }
            let failing = rule.failing(proposed.batch)?;
            let verdict = match &failing {
                None => Verdict {
                    rule: rule.rule.name.clone(),
                    action: rule.action(),
                    checked,
                    failed: 0,
                    samples: Vec::new(),
                    offenders: BTreeMap::new(),
                },
                Some(failing) => found(rule, proposed, failing)?,
            };
            if let Some(failing) = &failing {
                judgement.sentence(rule, proposed, failing, &verdict)?;
            }
            verdicts.push(verdict);
        }
        judgement.verdicts.push(verdicts);
    }
    Ok(judgement)
}

impl Judgement {
    /// What becomes of the events whose rows break a rule.
    fn sentence(
        &mut self,
        rule: &Compiled,
        proposed: &Proposed<'_>,
        failing: &BooleanArray,
        verdict: &Verdict,
    ) -> Result<()> {
        match rule.action() {
            Action::Warn => {}
            Action::Fail => {
                let Sample { partition, offset, values } = verdict.samples.first().cloned().unwrap_or(Sample {
                    partition: 0,
                    offset: 0,
                    values: String::new(),
                });
                bail!(
                    "the quality rule `{}` of {} does not hold for {} rows, such as partition {partition}, offset {offset} ({values}); \
                     nothing goes on from here until the rule is changed or taken out",
                    rule.rule.name,
                    rule.rule.table,
                    verdict.failed
                );
            }
            Action::Drop => {
                for row in rows(failing) {
                    self.fates.entry(proposed.event_of_row[row]).or_insert(Fate::Drop);
                }
            }
            Action::Quarantine => {
                for row in rows(failing) {
                    let reason = format!("{}: {}", rule.rule.name, values(rule, proposed.batch, row)?);
                    match self.fates.entry(proposed.event_of_row[row]).or_insert(Fate::Drop) {
                        // Who wants it kept wins.
                        fate @ Fate::Drop => *fate = Fate::Quarantine(reason),
                        Fate::Quarantine(known) if known.len() < LONGEST_REASON => {
                            known.push_str("; ");
                            known.push_str(&reason);
                        }
                        Fate::Quarantine(_) => {}
                    }
                }
            }
        }
        Ok(())
    }
}

fn rows(failing: &BooleanArray) -> impl Iterator<Item = usize> {
    failing.values().set_indices()
}

/// The rule's verdict on rows some of which fail.
fn found(rule: &Compiled, proposed: &Proposed<'_>, failing: &BooleanArray) -> Result<Verdict> {
    let batch = proposed.batch;
    let partitions = batch["source_partition"].as_primitive::<Int32Type>();
    let offsets = batch["source_offset"].as_primitive::<Int64Type>();
    let mut samples = Vec::new();
    for row in rows(failing).take(SAMPLES) {
        let (partition, offset) = (partitions.value(row), offsets.value(row));
        samples.push(Sample { partition, offset, values: values(rule, batch, row)? });
    }
    Ok(Verdict {
        rule: rule.rule.name.clone(),
        action: rule.action(),
        checked: batch.num_rows() as u64,
        failed: failing.true_count() as u64,
        samples,
        offenders: offenders(batch, dimension_of(proposed.table), failing),
    })
}

/// The columns that a rule looks at, as text.
fn values(rule: &Compiled, batch: &RecordBatch, row: usize) -> Result<String> {
    let mut parts = Vec::new();
    for name in &rule.columns {
        let column = &batch[name.as_str()];
        let value = if column.is_null(row) {
            "NULL".to_owned()
        } else {
            cut(array_value_to_string(column, row)?, LONGEST_VALUE)
        };
        parts.push(format!("{name} = {value}"));
    }
    Ok(cut(parts.join(", "), LONGEST_REASON))
}

fn cut(text: String, longest: usize) -> String {
    match text.char_indices().nth(longest) {
        None => text,
        Some((end, _)) => format!("{}…", &text[..end]),
    }
}

/// How many rows fail by the value of a column, the greatest few.
fn offenders(batch: &RecordBatch, dimension: &str, failing: &BooleanArray) -> BTreeMap<String, u64> {
    let Some(column) = batch.column_by_name(dimension).and_then(|column| column.as_string_opt::<i32>()) else {
        return BTreeMap::new();
    };
    let mut counts: HashMap<&str, u64> = HashMap::new();
    for row in rows(failing) {
        let value = if column.is_null(row) { "" } else { column.value(row) };
        *counts.entry(value).or_default() += 1;
    }
    let mut counts: Vec<(&str, u64)> = counts.into_iter().collect();
    counts.sort_unstable_by(|one, other| other.1.cmp(&one.1).then(one.0.cmp(other.0)));
    counts.into_iter().take(OFFENDERS).map(|(value, count)| (value.to_owned(), count)).collect()
}
