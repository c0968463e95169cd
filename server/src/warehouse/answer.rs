//! From DataFusion's batches to the rows of an answer.

use std::collections::HashMap;

use anyhow::{Context, Result, anyhow, bail};
use chrono::{DateTime, Utc};
use deltalake::arrow::{
    array::{Array, AsArray, RecordBatch},
    datatypes::{DataType, Decimal128Type, Int64Type, TimestampMicrosecondType, UInt32Type},
};
use model::{
    query::{MetricQuery, Row},
    range::Granularity,
};
use rust_decimal::Decimal;

use super::{gold::Dictionaries, offsets::Offsets, sql::Part};

/// Joins what the tables answered, row by row of the same time and key. The first table's order counts.
///
/// # Errors
/// A batch is not what the statement asks for.
pub(super) fn join(
    query: &MetricQuery,
    answers: &[(Part, Vec<RecordBatch>)],
    dictionaries: &Dictionaries,
    offsets: &Offsets,
) -> Result<Vec<Row>> {
    // Hours are not of local time.
    let moment = |bucket| match query.granularity {
        Some(Granularity::Hour) => instant(bucket),
        _ => instant(offsets.instant(bucket)),
    };
    let mut rows: Vec<Row> = Vec::new();
    let mut places: HashMap<(Option<i64>, Option<u32>), usize> = HashMap::new();
    for (part, batches) in answers {
        for batch in batches {
            for index in 0..batch.num_rows() {
                let time = code_at(batch, "begins", index, query.granularity.is_some(), |column| {
                    Ok(column.as_primitive_opt::<TimestampMicrosecondType>().context("not a time")?.value(index))
                })?;
                let key = code_at(batch, "key", index, query.split.is_some(), |column| {
                    Ok(column.as_primitive_opt::<UInt32Type>().context("not a code")?.value(index))
                })?;
                let place = *places.entry((time, key)).or_insert(rows.len());
                if place == rows.len() {
                    let name = |code| query.split.and_then(|dimension| dictionaries.of(dimension).name(code));
                    rows.push(Row {
                        time: time.map(moment).transpose()?,
                        key: key.and_then(name).map(|name| name.to_string()),
                        values: vec![None; query.metrics.len()],
                    });
                }
                if found(batch, index)? {
                    for (column, (metric, _)) in part.metrics.iter().enumerate() {
                        rows[place].values[*metric] = number(named(batch, &format!("m{column}"))?, index)?;
                    }
                }
            }
        }
    }
    if answers.len() > 1 {
        rows.sort_by_key(|row| row.time);
    }
    Ok(rows)
}

/// Whether there is anything behind the row; only where there are no groups it is a question.
fn found(batch: &RecordBatch, index: usize) -> Result<bool> {
    let Some(count) = batch.column_by_name("found") else { return Ok(true) };
    Ok(count.as_primitive_opt::<Int64Type>().context("not a count")?.value(index) > 0)
}

fn named<'a>(batch: &'a RecordBatch, name: &str) -> Result<&'a dyn Array> {
    let column = batch.column_by_name(name).ok_or_else(|| anyhow!("the answer has no column `{name}`"))?;
    Ok(column.as_ref())
}

fn code_at<T>(
    batch: &RecordBatch,
    name: &str,
    index: usize,
    asked: bool,
    read: impl Fn(&dyn Array) -> Result<T>,
) -> Result<Option<T>> {
    if !asked {
        return Ok(None);
    }
    let column = named(batch, name)?;
    if column.is_null(index) { Ok(None) } else { read(column).map(Some).with_context(|| format!("column `{name}`")) }
}

fn instant(micros: i64) -> Result<DateTime<Utc>> {
    DateTime::from_timestamp_micros(micros).ok_or_else(|| anyhow!("{micros} is not a time"))
}

/// A number exactly as it was computed, without trailing zeros.
fn number(column: &dyn Array, index: usize) -> Result<Option<Decimal>> {
    if column.is_null(index) {
        return Ok(None);
    }
    match column.data_type() {
        DataType::Int64 => Ok(Some(Decimal::from(column.as_primitive::<Int64Type>().value(index)))),
        DataType::Decimal128(_, scale) => {
            decimal(column.as_primitive::<Decimal128Type>().value(index), u32::try_from(*scale)?).map(Some)
        }
        other => bail!("a metric cannot be {other}"),
    }
}

/// Digits of a quotient that a [`Decimal`] cannot hold are cut off at the end; a value that is too large is an error.
fn decimal(mut units: i128, mut scale: u32) -> Result<Decimal> {
    loop {
        match Decimal::try_from_i128_with_scale(units, scale) {
            Ok(decimal) => return Ok(decimal.normalize()),
            Err(_) if scale > 0 => (units, scale) = (units / 10, scale - 1),
            Err(error) => bail!("{units} is too large: {error}"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn decimals_are_exact() {
        assert_eq!(decimal(45_960_395_800, 4).expect("fits").to_string(), "4596039.58");
        assert_eq!(decimal(-1, 4).expect("fits").to_string(), "-0.0001");
        let third = decimal(10_i128.pow(36) / 3, 30).expect("its last digits are cut off");
        assert!(third.to_string().starts_with("333333.333333333333"), "{third}");
        assert!(decimal(10_i128.pow(37), 2).is_err());
    }
}
