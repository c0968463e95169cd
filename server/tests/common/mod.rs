//! A lake in a temporary folder, written as the pipeline writes it.

use std::sync::Arc;

use chrono::{DateTime, Utc};
use deltalake::arrow::{
    array::{
        ArrayRef, Date32Array, Decimal128Array, Int64Array, RecordBatch, StringArray, TimestampMicrosecondArray,
        new_null_array,
    },
    datatypes::DataType,
};
use etl::lake::{Lake, TableSpec};
use model::money;
use tempfile::TempDir;
use url::Url;

/// The folder goes when this is dropped.
pub(crate) struct TestLake {
    pub(crate) lake: Lake,
    _folder: TempDir,
}

/// A value of a column, told apart by the column's type.
#[derive(Clone, Copy)]
pub(crate) enum Value {
    Time(&'static str),
    Text(&'static str),
    Count(i64),
    /// Decimal text.
    Amount(&'static str),
    Null,
}

pub(crate) use Value::{Amount, Count, Null, Text, Time};

pub(crate) fn at(text: &str) -> DateTime<Utc> {
    text.parse().expect("a time")
}

impl TestLake {
    pub(crate) fn new() -> TestLake {
        let folder = tempfile::tempdir().expect("a temporary folder");
        TestLake { lake: Lake::open(folder.path()).expect("a folder for the lake"), _folder: folder }
    }

    pub(crate) fn url(&self) -> Url {
        Url::from_directory_path(self.lake.root()).expect("an absolute path")
    }

    /// Adds rows. A row gives the named columns; all others are null, and `date` follows from `bucket`.
    pub(crate) async fn append(&self, spec: &'static TableSpec, columns: &[&str], rows: &[&[Value]]) {
        let mut table = self.lake.table(spec).await.expect("the table");
        table.append(vec![batch(spec, columns, rows)], &[]).await.expect("a commit");
    }
}

/// The rows as the table stores them; see [`TestLake::append`].
pub(crate) fn batch(spec: &TableSpec, columns: &[&str], rows: &[&[Value]]) -> RecordBatch {
    let arrays = spec.schema.fields().iter().map(|field| {
        let cells: Vec<Value> = match columns.iter().position(|column| column == field.name()) {
            Some(place) => rows.iter().map(|row| row[place]).collect(),
            None if field.name() == "date" => rows.iter().map(|row| row[0]).collect(),
            None => return filler(field.data_type(), field.is_nullable(), rows.len()),
        };
        column(field.data_type(), &cells)
    });
    RecordBatch::try_new(Arc::clone(&spec.schema), arrays.collect()).expect("columns of one length")
}

fn column(data_type: &DataType, cells: &[Value]) -> ArrayRef {
    match data_type {
        DataType::Utf8 => {
            let text = |cell: &Value| match cell {
                Text(text) => Some(*text),
                _ => None,
            };
            Arc::new(cells.iter().map(text).collect::<StringArray>())
        }
        DataType::Int64 => {
            let count = |cell: &Value| match cell {
                Count(count) => Some(*count),
                _ => None,
            };
            Arc::new(cells.iter().map(count).collect::<Int64Array>())
        }
        DataType::Timestamp(_, _) => Arc::new(
            cells
                .iter()
                .map(|cell| Some(time(cell).timestamp_micros()))
                .collect::<TimestampMicrosecondArray>()
                .with_timezone("UTC"),
        ),
        DataType::Date32 => {
            let day = |cell: &Value| Some(i32::try_from(time(cell).timestamp() / 86_400).expect("a near day"));
            Arc::new(cells.iter().map(day).collect::<Date32Array>())
        }
        DataType::Decimal128(precision, scale) => {
            let units = |cell: &Value| match cell {
                Amount(text) => Some(money::to_units(text.parse().expect("an amount"))),
                _ => None,
            };
            let array = cells.iter().map(units).collect::<Decimal128Array>();
            Arc::new(array.with_precision_and_scale(*precision, *scale).expect("a decimal type"))
        }
        other => panic!("no test needs a column of type {other}"),
    }
}

fn time(cell: &Value) -> DateTime<Utc> {
    match cell {
        Time(text) => at(text),
        _ => DateTime::UNIX_EPOCH,
    }
}

/// For columns that a test does not care about.
fn filler(data_type: &DataType, nullable: bool, rows: usize) -> ArrayRef {
    if nullable {
        return new_null_array(data_type, rows);
    }
    match data_type {
        DataType::Utf8 => column(data_type, &vec![Text("-"); rows]),
        DataType::Int32 => Arc::new(deltalake::arrow::array::Int32Array::from(vec![0; rows])),
        DataType::Int64 => column(data_type, &vec![Count(0); rows]),
        DataType::Binary => Arc::new(deltalake::arrow::array::BinaryArray::from(vec![b"-".as_slice(); rows])),
        DataType::Decimal128(_, _) => column(data_type, &vec![Amount("0"); rows]),
        other => column(other, &vec![Null; rows]),
    }
}
