//! Rules as the settings declare them become expressions of `DataFusion`, which are asked of whole columns at once.

use std::{collections::BTreeMap, sync::Arc};

use anyhow::{Context, Result, bail, ensure};
use bytes::Bytes;
use deltalake::{
    arrow::{
        array::{Array, ArrayRef, AsArray, BooleanArray, RecordBatch},
        compute::concat,
        datatypes::{DataType, Schema, SchemaRef},
    },
    datafusion::{
        common::{DFSchema, tree_node::TreeNode},
        logical_expr::{Expr, Volatility},
        physical_plan::PhysicalExpr,
        prelude::SessionContext,
    },
};
use model::{
    quality::{Action, Rule},
    topic::Layer,
};
use serde::{Deserialize, Serialize};

use super::{fields::Fields, kept::number_of};
use crate::{
    lake::{TableSpec, schema},
    settings::{Field, Settings},
};

/// The most rules that a table may have.
const MOST: usize = 100;

/// A rule that can be asked.
#[derive(Debug)]
pub struct Compiled {
    pub rule: Rule,
    check: Arc<dyn PhysicalExpr>,
    /// The columns that it looks at, in the order of the table.
    pub columns: Vec<String>,
}

/// Rules and columns as the settings declare them.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(super) struct Declared {
    rules: Vec<Rule>,
    fields: Vec<Field>,
}

/// All rules, by table, and the columns that the settings declare.
#[derive(Debug)]
pub struct Rules {
    /// What is declared, as JSON, and its number.
    pub(super) declared: Bytes,
    pub(super) number: i64,
    tables: BTreeMap<&'static str, Vec<Compiled>>,
    fields: Fields,
}

/// What a table's failing rows are told apart by.
#[must_use]
pub fn dimension_of(table: &str) -> &'static str {
    match table {
        "transactions" | "transaction_lines" => "store_id",
        "customers" => "segment",
        "products" => "department",
        _ => "event_type",
    }
}

fn silver_tables() -> impl Iterator<Item = &'static TableSpec> {
    schema::all().into_iter().filter(|spec| spec.layer == Layer::Silver)
}

/// The Silver table that settings name as `silver.transactions`.
pub(super) fn table(name: &str) -> Result<&'static TableSpec> {
    let found = silver_tables().find(|spec| name.strip_prefix("silver.") == Some(spec.name));
    let names = || silver_tables().map(|spec| format!("silver.{}", spec.name)).collect::<Vec<_>>().join(", ");
    found.with_context(|| format!("`{name}` is no table of Silver; there are {}", names()))
}

/// The name of a rule or a column: it becomes part of addresses and statements.
pub(super) fn is_name(name: &str) -> bool {
    name.len() <= 60
        && name.starts_with(|c: char| c.is_ascii_lowercase())
        && name.chars().all(|c| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '_')
}

impl Rules {
    /// # Errors
    /// Names the rule or the field at fault, and says what is wrong with it.
    pub fn compile(settings: &Settings) -> Result<Rules> {
        let declared = Declared { rules: settings.quality.rules.clone(), fields: settings.silver.fields.clone() };
        Rules::from_declared(&declared)
    }

    pub(super) fn from_declared(declared: &Declared) -> Result<Rules> {
        let fields = Fields::read(&declared.fields)?;
        let text = serde_json::to_vec(declared)?;
        let mut rules = Rules { number: number_of(&text), declared: text.into(), tables: BTreeMap::new(), fields };
        let session = SessionContext::new();
        for rule in &declared.rules {
            let context = || format!("the quality rule `{}` cannot be used", rule.name);
            rules.add(&session, rule).with_context(context)?;
        }
        Ok(rules)
    }

    fn add(&mut self, session: &SessionContext, rule: &Rule) -> Result<()> {
        ensure!(is_name(&rule.name), "its name must be small letters, digits and underscores, at most 60");
        let taken = self.tables.values().flatten().any(|other| other.rule.name == rule.name);
        ensure!(!taken, "there are two of that name");
        let spec = table(&rule.table)?;
        let compiled = compile(session, rule, &self.fields.schema(spec))?;
        let of_table = self.tables.entry(spec.name).or_default();
        ensure!(of_table.len() < MOST, "{} has more than {MOST} rules", rule.table);
        of_table.push(compiled);
        Ok(())
    }

    /// The rules of a table, by its name without the layer.
    #[must_use]
    pub fn of(&self, table: &str) -> &[Compiled] {
        self.tables.get(table).map_or(&[], Vec::as_slice)
    }

    /// The columns that the settings declare.
    #[must_use]
    pub fn fields(&self) -> &Fields {
        &self.fields
    }
}

fn compile(session: &SessionContext, rule: &Rule, schema: &SchemaRef) -> Result<Compiled> {
    let columns = || schema.fields().iter().map(|field| field.name().as_str()).collect::<Vec<_>>().join(", ");
    let names = DFSchema::try_from(Schema::clone(schema))?;
    let expr = session
        .parse_sql_expr(&rule.expression, &names)
        .map_err(|error| anyhow::anyhow!("{}", first_line(&error.to_string())))
        .with_context(|| format!("`{}` is no expression over {}: {}", rule.expression, rule.table, columns()))?;
    let mut at_fault = None;
    expr.exists(|part| {
        at_fault = at_fault.or(not_allowed(part));
        Ok(at_fault.is_some())
    })?;
    if let Some(why) = at_fault {
        bail!("`{}` {why}", rule.expression);
    }
    let mut looked_at: Vec<(usize, String)> = Vec::new();
    for column in expr.column_refs() {
        looked_at.push((schema.index_of(&column.name)?, column.name.clone()));
    }
    looked_at.sort_unstable();
    let context = || format!("`{}` cannot be computed over {}", rule.expression, rule.table);
    let check = session.create_physical_expr(expr, &names).with_context(context)?;
    let kind = check.data_type(schema).with_context(context)?;
    ensure!(
        matches!(kind, DataType::Boolean | DataType::Null),
        "`{}` gives a {kind} and not true or false",
        rule.expression
    );
    // What only shows when it is computed.
    check.evaluate(&RecordBatch::new_empty(Arc::clone(schema))).with_context(context)?;
    let columns = looked_at.into_iter().map(|(_, name)| name).collect();
    Ok(Compiled { rule: rule.clone(), check, columns })
}

fn first_line(text: &str) -> &str {
    text.lines().next().unwrap_or_default()
}

/// Why a part of an expression may not be in a rule.
fn not_allowed(part: &Expr) -> Option<&'static str> {
    match part {
        Expr::ScalarFunction(call) if call.func.signature().volatility != Volatility::Immutable => {
            Some("says something else each time; use ingested_at or kafka_time in the place of the present time")
        }
        Expr::AggregateFunction(_) | Expr::WindowFunction(_) => Some("looks at more than one row"),
        Expr::Exists(_) | Expr::InSubquery(_) | Expr::ScalarSubquery(_) | Expr::SetComparison(_) => {
            Some("asks another table, which a rule cannot")
        }
        Expr::Placeholder(_) | Expr::ScalarVariable(..) => Some("has a variable, which nothing fills"),
        _ => None,
    }
}

impl Compiled {
    #[must_use]
    pub fn action(&self) -> Action {
        self.rule.action
    }

    /// The rows that break the rule; `None` where there are none. A row for which the expression cannot be computed, such as by
    /// a division by zero, breaks it.
    ///
    /// # Errors
    /// The rows are not those of the rule's table.
    pub fn failing(&self, batch: &RecordBatch) -> Result<Option<BooleanArray>> {
        let passed = match self.evaluate(batch) {
            Ok(passed) => passed,
            Err(_) => {
                // Row by row, to find those at fault.
                let rows = (0..batch.num_rows()).map(|row| {
                    self.evaluate(&batch.slice(row, 1))
                        .unwrap_or_else(|_| Arc::new(BooleanArray::from(vec![false])) as ArrayRef)
                });
                let rows: Vec<ArrayRef> = rows.collect();
                let rows: Vec<&dyn Array> = rows.iter().map(AsRef::as_ref).collect();
                if rows.is_empty() {
                    return Ok(None);
                }
                concat(&rows)?
            }
        };
        // A type of nulls alone: nothing is known of any row, and so they pass.
        let Some(passed) = passed.as_boolean_opt() else { return Ok(None) };
        if passed.true_count() + passed.null_count() == passed.len() {
            return Ok(None);
        }
        Ok(Some(passed.iter().map(|passed| Some(passed == Some(false))).collect()))
    }

    fn evaluate(&self, batch: &RecordBatch) -> Result<ArrayRef> {
        Ok(self.check.evaluate(batch)?.into_array(batch.num_rows())?)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn rule(table: &str, expression: &str) -> Rule {
        Rule {
            name: "a_rule".to_owned(),
            table: table.to_owned(),
            expression: expression.to_owned(),
            action: Action::Warn,
            description: String::new(),
        }
    }

    fn refused(rule: Rule) -> String {
        let mut settings = Settings::defaults();
        settings.quality.rules = vec![rule];
        format!("{:#}", Rules::compile(&settings).expect_err("must be refused"))
    }

    #[test]
    fn the_rules_of_the_defaults_are_good() {
        Rules::compile(&Settings::defaults()).expect("good rules");
    }

    #[test]
    fn a_wrong_rule_is_refused_with_its_name_and_the_reason() {
        for (table, expression, why) in [
            ("gold.sales", "revenue > 0", "`gold.sales` is no table of Silver; there are silver.transactions"),
            ("silver.transactions", "amout > 0", "amout"),
            ("silver.transactions", "amount", "not true or false"),
            ("silver.transactions", "amount >", "is no expression over silver.transactions"),
            ("silver.transactions", "occurred_at < now()", "says something else each time"),
            ("silver.transactions", "random() < 0.5", "says something else each time"),
            ("silver.transactions", "sum(amount) > 0", "more than one row"),
            ("silver.transactions", "store_id IN (SELECT store_id FROM stores)", "expression"),
            ("silver.transactions", "amount > true", "`amount > true`"),
        ] {
            let error = refused(rule(table, expression));
            assert!(error.starts_with("the quality rule `a_rule` cannot be used: "), "{error}");
            assert!(error.contains(why), "{expression}: {error}");
        }
        let twice = refused(Rule { name: "Not A Name".to_owned(), ..rule("silver.events", "true") });
        assert!(twice.contains("small letters"), "{twice}");
    }
}
