//! Rows as CSV, as an Arrow IPC stream, and as Parquet.

use anyhow::Result;
use deltalake::{arrow::ipc::writer::StreamWriter, parquet::arrow::ArrowWriter};
use model::lake::Grid;

use super::sql::Rows;

/// With a line of names; what is null is empty.
///
/// # Errors
/// There is no memory for it.
pub fn csv(grid: &Grid) -> Result<Vec<u8>> {
    let mut writer = csv::Writer::from_writer(Vec::new());
    writer.write_record(grid.columns.iter().map(|column| &column.name))?;
    for row in &grid.rows {
        writer.write_record(row.iter().map(|cell| cell.as_deref().unwrap_or_default()))?;
    }
    Ok(writer.into_inner()?)
}

/// # Errors
/// A type cannot be written.
pub fn arrow(rows: &Rows) -> Result<Vec<u8>> {
    let mut writer = StreamWriter::try_new(Vec::new(), &rows.schema)?;
    for batch in &rows.batches {
        writer.write(batch)?;
    }
    Ok(writer.into_inner()?)
}

/// # Errors
/// A type cannot be written.
pub fn parquet(rows: &Rows) -> Result<Vec<u8>> {
    let mut content = Vec::new();
    let mut writer = ArrowWriter::try_new(&mut content, std::sync::Arc::clone(&rows.schema), None)?;
    for batch in &rows.batches {
        writer.write(batch)?;
    }
    writer.close()?;
    Ok(content)
}
