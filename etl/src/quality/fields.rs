//! Columns of Silver that the settings declare, each from a place in the event: how a field that producers begin to send becomes a
//! column without a change of the program. The table gets it by schema evolution, empty for the rows that it has.

use std::{collections::BTreeMap, sync::Arc};

use anyhow::{Context, Result, bail, ensure};
use chrono::DateTime;
use deltalake::{
    arrow::{
        array::{
            ArrayRef, BooleanArray, Decimal128Array, Int64Array, RecordBatch, StringArray, TimestampMicrosecondArray,
            UInt64Array,
        },
        compute::take,
        datatypes::{DataType, Field as ArrowField, Schema, SchemaRef},
    },
    kernel::{StructField, StructType, engine::arrow_conversion::TryIntoKernel},
};
use model::money;

use super::rules::{is_name, table};
use crate::{
    lake::{LakeTable, TableSpec, schema},
    settings::{Field, FieldKind},
};

/// The longest text that is kept in such a column, in bytes.
const LONGEST_TEXT: usize = 4096;

/// The declared columns, by table.
#[derive(Debug, Default)]
pub struct Fields(BTreeMap<&'static str, Vec<Field>>);

fn data_type(kind: FieldKind) -> DataType {
    match kind {
        FieldKind::Text => DataType::Utf8,
        FieldKind::Integer => DataType::Int64,
        FieldKind::Decimal => schema::amount(),
        FieldKind::Boolean => DataType::Boolean,
        FieldKind::Time => schema::timestamp(),
    }
}

impl Fields {
    pub(super) fn read(declared: &[Field]) -> Result<Fields> {
        let mut fields = Fields::default();
        for field in declared {
            let context = || format!("the field `{}` of {} cannot be used", field.column, field.table);
            fields.add(field).with_context(context)?;
        }
        Ok(fields)
    }

    fn add(&mut self, field: &Field) -> Result<()> {
        let spec = table(&field.table)?;
        ensure!(is_name(&field.column), "a column's name is small letters, digits and underscores, at most 60");
        ensure!(!field.path.split('.').any(str::is_empty), "`{}` is no path such as properties.campaign", field.path);
        let known = spec.schema.field_with_name(&field.column).is_ok();
        let of_table = self.0.entry(spec.name).or_default();
        ensure!(
            !known && of_table.iter().all(|other| other.column != field.column),
            "the table has that column already"
        );
        of_table.push(field.clone());
        Ok(())
    }

    /// The columns of a table, the declared ones last.
    #[must_use]
    pub fn schema(&self, spec: &TableSpec) -> SchemaRef {
        let declared = self.of(spec.name).iter().map(arrow_field);
        if self.of(spec.name).is_empty() {
            return Arc::clone(&spec.schema);
        }
        let fields = spec.schema.fields().iter().map(|field| field.as_ref().clone());
        Arc::new(Schema::new(fields.chain(declared).collect::<Vec<_>>()))
    }

    /// Those of a table, by its name without the layer.
    #[must_use]
    pub fn of(&self, table: &str) -> &[Field] {
        self.0.get(table).map_or(&[], Vec::as_slice)
    }

    /// Adds the columns that the table lacks.
    ///
    /// # Errors
    /// The table has a column of that name and another type, or cannot be written.
    pub async fn evolve(&self, lake_table: &mut LakeTable) -> Result<()> {
        let mut attempts = 0;
        loop {
            let missing = self.missing(lake_table)?;
            if missing.is_empty() {
                return Ok(());
            }
            let evolved = lake_table.delta().clone().add_columns().with_fields(missing);
            match evolved.with_commit_properties(LakeTable::commit_properties(&[])).await {
                Ok(evolved) => {
                    lake_table.set_delta(evolved);
                    return Ok(());
                }
                // Another worker may have been first.
                Err(_) if attempts < 3 => {
                    attempts += 1;
                    lake_table.refresh().await?;
                }
                Err(error) => {
                    return Err(error).with_context(|| format!("adding columns to {}", lake_table.source_name()));
                }
            }
        }
    }

    /// The declared columns that the table does not have.
    fn missing(&self, lake_table: &LakeTable) -> Result<Vec<StructField>> {
        let declared: Vec<ArrowField> = self.of(lake_table.spec().name).iter().map(arrow_field).collect();
        if declared.is_empty() {
            return Ok(Vec::new());
        }
        let wanted: StructType = (&Schema::new(declared)).try_into_kernel()?;
        let there = lake_table.delta().snapshot()?.schema();
        let mut missing = Vec::new();
        for field in wanted.fields() {
            match there.field(field.name()) {
                None => missing.push(field.clone()),
                Some(known) if known.data_type() == field.data_type() => {}
                Some(known) => bail!(
                    "the field `{}` is declared for {} as a {}, but the table has it as a {}; give it another name",
                    field.name(),
                    lake_table.source_name(),
                    field.data_type(),
                    known.data_type()
                ),
            }
        }
        Ok(missing)
    }
}

fn arrow_field(field: &Field) -> ArrowField {
    ArrowField::new(&field.column, data_type(field.kind), true)
}

/// The declared columns of some events.
pub struct Extracted {
    columns: Vec<(ArrowField, ArrayRef)>,
    /// Events in which a field is of another type, with the reason.
    pub wrong: BTreeMap<usize, String>,
}

/// Reads the declared fields from the events' texts. What an event does not have is empty.
#[must_use]
pub fn extract(fields: &[Field], payloads: &[&str]) -> Extracted {
    let mut wrong = BTreeMap::new();
    let columns = fields.iter().map(|field| {
        let path: Vec<&str> = field.path.split('.').collect();
        let literals: Vec<Option<String>> = payloads.iter().map(|payload| find(payload, &path)).collect();
        let mut note = |event: usize, literal: &str| {
            let shown: String = literal.chars().take(40).collect();
            let reason = || format!("{}: expected {}, found `{shown}`", field.path, expected(field.kind));
            wrong.entry(event).or_insert_with(reason);
        };
        (arrow_field(field), column(field.kind, &literals, &mut note))
    });
    let columns = columns.collect();
    Extracted { columns, wrong }
}

impl Extracted {
    /// The batch with these columns after its own.
    ///
    /// # Errors
    /// The rows are not of these events.
    pub fn beside(&self, batch: &RecordBatch, event_of_row: &[usize]) -> Result<RecordBatch> {
        let rows = UInt64Array::from_iter_values(event_of_row.iter().map(|&event| event as u64));
        let mut fields: Vec<ArrowField> = batch.schema().fields().iter().map(|field| field.as_ref().clone()).collect();
        let mut columns = batch.columns().to_vec();
        for (field, column) in &self.columns {
            fields.push(field.clone());
            columns.push(take(column, &rows, None)?);
        }
        Ok(RecordBatch::try_new(Arc::new(Schema::new(fields)), columns)?)
    }
}

/// The JSON literal at a path. The rest of the event is skipped over and not built.
fn find(payload: &str, path: &[&str]) -> Option<String> {
    let found = sonic_rs::get_from_str(payload, path).ok()?;
    Some(found.as_raw_str().to_owned()).filter(|literal| literal != "null")
}

fn expected(kind: FieldKind) -> &'static str {
    match kind {
        FieldKind::Text => "a text of at most 4096 bytes",
        FieldKind::Integer => "a whole number",
        FieldKind::Decimal => "a decimal number with at most four places",
        FieldKind::Boolean => "true or false",
        FieldKind::Time => "an RFC 3339 time",
    }
}

/// Reads each literal; `wrong` is told of those that are of another type.
fn read_all<T>(
    literals: &[Option<String>],
    wrong: &mut dyn FnMut(usize, &str),
    read: impl Fn(&str) -> Option<T>,
) -> Vec<Option<T>> {
    let one = |(event, literal): (usize, &Option<String>)| {
        let literal = literal.as_deref()?;
        let found = read(literal);
        if found.is_none() {
            wrong(event, literal);
        }
        found
    };
    literals.iter().enumerate().map(one).collect()
}

/// The literals as a column; those of another type are told of, and empty.
fn column(kind: FieldKind, literals: &[Option<String>], wrong: &mut dyn FnMut(usize, &str)) -> ArrayRef {
    let text = |literal: &str| serde_json::from_str::<String>(literal).ok();
    match kind {
        FieldKind::Text => {
            let read = |literal: &str| text(literal).filter(|text| text.len() <= LONGEST_TEXT);
            Arc::new(StringArray::from(read_all(literals, wrong, read)))
        }
        FieldKind::Integer => {
            Arc::new(Int64Array::from(read_all(literals, wrong, |literal| serde_json::from_str(literal).ok())))
        }
        FieldKind::Decimal => {
            // From the characters of the literal: an amount is never a float.
            let read = |literal: &str| money::parse(literal.trim_matches('"')).ok().map(money::to_units);
            let array: Decimal128Array = read_all(literals, wrong, read).into_iter().collect();
            Arc::new(array.with_data_type(schema::amount()))
        }
        FieldKind::Boolean => {
            Arc::new(BooleanArray::from(read_all(literals, wrong, |literal| serde_json::from_str(literal).ok())))
        }
        FieldKind::Time => {
            let read = |literal: &str| Some(DateTime::parse_from_rfc3339(&text(literal)?).ok()?.timestamp_micros());
            let array = TimestampMicrosecondArray::from(read_all(literals, wrong, read));
            Arc::new(array.with_timezone("UTC"))
        }
    }
}

#[cfg(test)]
mod tests {
    use deltalake::arrow::array::{Array, AsArray};

    use super::*;

    fn field(column: &str, path: &str, kind: FieldKind) -> Field {
        Field { table: "silver.events".to_owned(), column: column.to_owned(), path: path.to_owned(), kind }
    }

    #[test]
    fn a_field_is_found_where_it_is_declared_and_a_wrong_type_is_told() {
        let fields = [
            field("campaign", "properties.campaign", FieldKind::Text),
            field("visits", "visits", FieldKind::Integer),
            field("paid", "paid", FieldKind::Decimal),
        ];
        let payloads = [
            r#"{"properties":{"campaign":"spring"},"visits":3,"paid":"1.25"}"#,
            r#"{"properties":{"campaign":7},"visits":"3"}"#,
            r#"{"properties":{},"visits":null,"paid":0.00001}"#,
            r"{}",
        ];
        let extracted = extract(&fields, &payloads);
        let text = extracted.columns[0].1.as_string::<i32>();
        assert_eq!((text.value(0), text.null_count()), ("spring", 3));
        assert_eq!(extracted.wrong.keys().copied().collect::<Vec<_>>(), [1, 2]);
        assert_eq!(extracted.wrong[&1], "properties.campaign: expected a text of at most 4096 bytes, found `7`");
        assert!(extracted.wrong[&2].starts_with("paid: expected a decimal number"));
    }

    #[test]
    fn a_wrong_declaration_is_refused() {
        let refused = |field: Field| format!("{:#}", Fields::read(&[field]).expect_err("must be refused"));
        assert!(refused(field("device", "device", FieldKind::Text)).contains("has that column already"));
        assert!(refused(field("x", "a..b", FieldKind::Text)).contains("is no path"));
        let elsewhere = Field { table: "gold.sales".to_owned(), ..field("x", "x", FieldKind::Text) };
        assert!(refused(elsewhere).contains("is no table of Silver"));
    }
}
