//! How the Parquet files of a table are written.

use std::sync::Arc;

use anyhow::Result;
use deltalake::{
    arrow::{
        array::{RecordBatch, new_null_array},
        datatypes::{DataType, Field, SchemaRef},
    },
    parquet::{
        basic::{Compression, Encoding, ZstdLevel},
        file::properties::{EnabledStatistics, WriterProperties, WriterPropertiesBuilder},
    },
};

use super::schema::TableSpec;

/// Rows of a row group, which a writer holds in memory and a reader takes or leaves by its statistics.
const ROW_GROUP: usize = 1 << 17;

/// How the files of a table are written.
#[must_use]
pub fn writer_properties(spec: &TableSpec) -> WriterProperties {
    properties_of(spec).build()
}

/// How merged files of a table are written: a row group says which events it may have, so that whoever looks for one reads that
/// row group alone. In small files, which are merged soon, that would not pay.
#[must_use]
pub fn merged_properties(spec: &TableSpec) -> WriterProperties {
    let properties = properties_of(spec);
    if spec.schema.field_with_name(EVENT_ID).is_err() {
        return properties.build();
    }
    properties
        .set_column_bloom_filter_enabled(EVENT_ID.into(), true)
        .set_column_bloom_filter_fpp(EVENT_ID.into(), 0.01)
        .build()
}

/// The column that is looked for.
const EVENT_ID: &str = "event_id";

fn properties_of(spec: &TableSpec) -> WriterPropertiesBuilder {
    let level = ZstdLevel::try_new(1).unwrap_or_default();
    let mut properties = WriterProperties::builder()
        .set_compression(Compression::ZSTD(level))
        .set_statistics_enabled(EnabledStatistics::None)
        .set_max_row_group_row_count(Some(ROW_GROUP))
        .set_created_by(format!("StreamlineHub {}", env!("CARGO_PKG_VERSION")));
    for &column in spec.statistics {
        properties = properties.set_column_statistics_enabled(column.into(), EnabledStatistics::Chunk);
    }
    for &column in spec.distinct {
        properties = properties.set_column_dictionary_enabled(column.into(), false);
        // Offsets and times grow by little from row to row.
        let kind = spec.schema.field_with_name(column).map(Field::data_type);
        if matches!(kind, Ok(DataType::Int64 | DataType::Timestamp(..))) {
            properties = properties.set_column_encoding(column.into(), Encoding::DELTA_BINARY_PACKED);
        }
    }
    properties
}

/// The batch with a column of nulls for each that the table has and the batch has not.
pub(super) fn widened(batch: &RecordBatch, schema: &SchemaRef) -> Result<RecordBatch> {
    let columns = schema.fields().iter().map(|field| {
        let column = batch.column_by_name(field.name()).cloned();
        column.unwrap_or_else(|| new_null_array(field.data_type(), batch.num_rows()))
    });
    Ok(RecordBatch::try_new(Arc::clone(schema), columns.collect())?)
}
