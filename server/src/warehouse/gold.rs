//! How the Gold tables are held in memory: compact, and each file sorted by time.

use std::sync::Arc;

use anyhow::{Result, anyhow};
use bytes::Bytes;
use deltalake::arrow::{
    array::{ArrayRef, AsArray, RecordBatch, UInt32Array},
    compute::{sort_to_indices, take_record_batch},
    datatypes::{DataType, Field, Schema, SchemaRef, TimeUnit, TimestampMicrosecondType},
};
use model::metric::{BUCKET, Dimension, GoldTable};

use super::{
    keys::Keys,
    products::{self, Products},
};
use crate::delta;

/// Sums of this type stay exact up to 10^34.
const AMOUNT: DataType = DataType::Decimal128(28, 4);
/// Held without a time zone, because everything is UTC and arithmetic on it is then much faster.
pub(super) const INSTANT: DataType = DataType::Timestamp(TimeUnit::Microsecond, None);

/// One dictionary for each dimension, shared by all snapshots.
#[derive(Debug, Default)]
pub(super) struct Dictionaries([Keys; Dimension::ALL.len()]);

impl Dictionaries {
    pub(super) fn of(&self, dimension: Dimension) -> &Keys {
        &self.0[dimension as usize]
    }
}

/// The columns of a table that are read, with their types in the lake (times without zone).
fn stored_columns(table: GoldTable) -> Vec<(&'static str, DataType)> {
    let counts: &[&str] = match table {
        GoldTable::Sales | GoldTable::CustomerSales => &["orders", "lines"],
        GoldTable::ProductSales => &["lines"],
        GoldTable::EventCounts => &["events"],
    };
    let amounts: &[&str] = match table {
        GoldTable::EventCounts => &[],
        _ => &["units", "revenue", "discount"],
    };
    let keys = table.dimensions().iter().filter(|dimension| !dimension.of_product());
    [(BUCKET, INSTANT)]
        .into_iter()
        .chain(keys.map(|dimension| (dimension.column(), DataType::Utf8)))
        .chain(counts.iter().map(|name| (*name, DataType::Int64)))
        .chain(amounts.iter().map(|name| (*name, AMOUNT)))
        .collect()
}

/// The columns of a table in memory: text is replaced by codes, and a product's dimensions stand beside its code.
pub(super) fn schema(table: GoldTable) -> SchemaRef {
    let stored = stored_columns(table).into_iter().map(|(name, data_type)| match data_type {
        DataType::Utf8 => Field::new(name, DataType::UInt32, true),
        other => Field::new(name, other, true),
    });
    let looked_up = table.dimensions().iter().filter(|dimension| dimension.of_product());
    let looked_up = looked_up.map(|dimension| Field::new(dimension.column(), DataType::UInt32, true));
    Arc::new(Schema::new(stored.chain(looked_up).collect::<Vec<_>>()))
}

/// Reads a Gold file: text becomes codes, and the rows are sorted by time.
///
/// # Errors
/// The file is damaged, or lacks a column.
pub(super) fn read(table: GoldTable, dictionaries: &Dictionaries, content: Bytes) -> Result<RecordBatch> {
    let stored = stored_columns(table);
    let names: Vec<_> = stored.iter().map(|(name, _)| *name).collect();
    compact(table, dictionaries, &delta::read_parquet(content, &names)?)
}

/// Rows of a Gold table as they are held: text becomes codes, and the rows are sorted by time.
///
/// # Errors
/// A column is missing, or of another type.
pub(super) fn compact(table: GoldTable, dictionaries: &Dictionaries, file: &RecordBatch) -> Result<RecordBatch> {
    let stored = stored_columns(table);
    let columns = stored
        .iter()
        .map(|(name, data_type)| match keys_of(table, name) {
            Some(dimension) => {
                Ok(Arc::new(dictionaries.of(dimension).encode(&delta::strings(file, name)?)) as ArrayRef)
            }
            None => delta::column(file, name, data_type),
        })
        .collect::<Result<Vec<_>>>()?;
    let fields: Vec<_> = schema(table).fields().iter().take(columns.len()).cloned().collect();
    let batch = RecordBatch::try_new(Arc::new(Schema::new(fields)), columns)?;
    if buckets(&batch).is_sorted() {
        return Ok(batch);
    }
    let order = sort_to_indices(batch.column(0), None, None)?;
    Ok(take_record_batch(&batch, &order)?)
}

fn keys_of(table: GoldTable, column: &str) -> Option<Dimension> {
    table.dimensions().iter().copied().find(|dimension| dimension.column() == column)
}

/// When the buckets of a batch that [`read`] made begin, in microseconds since 1970.
pub(super) fn buckets(batch: &RecordBatch) -> &[i64] {
    batch.column(0).as_primitive::<TimestampMicrosecondType>().values()
}

/// Puts a product's department, category and brand beside its code.
///
/// # Errors
/// The batch is not one of the product table.
pub(super) fn with_products(batch: &RecordBatch, products: &Products) -> Result<RecordBatch> {
    let codes: &UInt32Array = batch
        .column_by_name(Dimension::Product.column())
        .and_then(|column| column.as_primitive_opt())
        .ok_or_else(|| anyhow!("the table names no products"))?;
    let looked_up = (0..products::DIMENSIONS.len()).map(|index| Arc::new(products.look_up(index, codes)) as ArrayRef);
    let columns = batch.columns().iter().cloned().chain(looked_up).collect();
    Ok(RecordBatch::try_new(schema(GoldTable::ProductSales), columns)?)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_product_table_ends_with_the_dimensions_that_are_looked_up() {
        let schema = schema(GoldTable::ProductSales);
        let names: Vec<_> = schema.fields().iter().map(|field| field.name().as_str()).collect();
        assert_eq!(
            names,
            ["bucket", "product_id", "lines", "units", "revenue", "discount", "department", "category", "brand"]
        );
        assert!(products::DIMENSIONS.iter().all(|dimension| dimension.of_product()));
    }
}
