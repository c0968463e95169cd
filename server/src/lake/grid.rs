//! Rows as exact text.

use deltalake::arrow::{
    array::{Array, RecordBatch},
    datatypes::DataType,
    error::ArrowError,
    util::display::{ArrayFormatter, FormatOptions},
};
use model::lake::{Grid, GridColumn};

use super::sql::Rows;

/// The first `most` rows, and whether there were more.
pub fn cut(batches: &[RecordBatch], most: usize) -> (Vec<RecordBatch>, bool) {
    let mut left = most;
    let mut kept = Vec::with_capacity(batches.len());
    for batch in batches {
        let rows = batch.num_rows().min(left);
        left -= rows;
        if rows > 0 {
            kept.push(batch.slice(0, rows));
        }
    }
    (kept, batches.iter().map(RecordBatch::num_rows).sum::<usize>() > most)
}

/// The first `most` rows as text.
///
/// # Errors
/// A value cannot be written as text.
pub fn grid(rows: &Rows, most: usize) -> Result<Grid, ArrowError> {
    let columns = rows
        .schema
        .fields()
        .iter()
        .map(|field| GridColumn { name: field.name().clone(), data_type: type_name(field.data_type()) });
    let (kept, truncated) = cut(&rows.batches, most);
    let options = FormatOptions::default().with_display_error(false);
    let mut rows = Vec::with_capacity(kept.iter().map(RecordBatch::num_rows).sum());
    for batch in &kept {
        // A column of nothing but nulls has no mask of them.
        let nulls: Vec<_> = batch.columns().iter().map(|column| column.logical_nulls()).collect();
        let formatters = batch
            .columns()
            .iter()
            .map(|column| ArrayFormatter::try_new(column, &options))
            .collect::<Result<Vec<_>, _>>()?;
        for row in 0..batch.num_rows() {
            let cells = nulls.iter().zip(&formatters).map(|(nulls, formatter)| {
                let is_null = nulls.as_ref().is_some_and(|nulls| nulls.is_null(row));
                if is_null { Ok(None) } else { formatter.value(row).try_to_string().map(Some) }
            });
            rows.push(cells.collect::<Result<Vec<_>, _>>()?);
        }
    }
    Ok(Grid { columns: columns.collect(), rows, truncated })
}

/// A type as SQL names it.
pub(super) fn type_name(data_type: &DataType) -> String {
    match data_type {
        DataType::Utf8 | DataType::LargeUtf8 | DataType::Utf8View => "text".to_owned(),
        DataType::Binary | DataType::LargeBinary | DataType::BinaryView => "binary".to_owned(),
        DataType::Boolean => "boolean".to_owned(),
        DataType::Int8 | DataType::Int16 | DataType::Int32 | DataType::UInt8 | DataType::UInt16 => "integer".to_owned(),
        DataType::Int64 | DataType::UInt32 | DataType::UInt64 => "bigint".to_owned(),
        DataType::Float32 | DataType::Float64 => "double".to_owned(),
        DataType::Decimal128(precision, scale) | DataType::Decimal256(precision, scale) => {
            format!("decimal({precision},{scale})")
        }
        DataType::Date32 | DataType::Date64 => "date".to_owned(),
        DataType::Timestamp(_, _) => "timestamp".to_owned(),
        DataType::Dictionary(_, values) => type_name(values),
        other => other.to_string().to_lowercase(),
    }
}
