//! A Gold table in memory as DataFusion sees it. A bound on the time is answered by cutting the sorted batches, without
//! looking at a row that is not wanted.

use std::sync::Arc;

use async_trait::async_trait;
use deltalake::{
    arrow::{array::RecordBatch, datatypes::SchemaRef},
    datafusion::{
        catalog::{Session, TableProvider},
        common::{Result, ScalarValue},
        datasource::{TableType, memory::MemorySourceConfig},
        logical_expr::{BinaryExpr, Expr, Operator, TableProviderFilterPushDown},
        physical_plan::ExecutionPlan,
    },
};
use model::metric::BUCKET;

use super::gold;

/// The batches of a table, each sorted by time.
#[derive(Debug)]
pub(super) struct MemoryTable {
    schema: SchemaRef,
    batches: Vec<RecordBatch>,
}

impl MemoryTable {
    pub(super) fn new(schema: SchemaRef, batches: Vec<RecordBatch>) -> MemoryTable {
        MemoryTable { schema, batches }
    }

    pub(super) fn rows(&self) -> usize {
        self.batches.iter().map(RecordBatch::num_rows).sum()
    }

    /// The rows with `from <= bucket < to` (microseconds), sharing the memory of the table.
    fn between(&self, from: i64, to: i64) -> impl Iterator<Item = RecordBatch> {
        self.batches.iter().filter_map(move |batch| {
            let buckets = gold::buckets(batch);
            let first = buckets.partition_point(|bucket| *bucket < from);
            let end = buckets.partition_point(|bucket| *bucket < to);
            (first < end).then(|| batch.slice(first, end - first))
        })
    }
}

/// A bound on the time, in microseconds.
enum Bound {
    From(i64),
    To(i64),
}

fn bound(filter: &Expr) -> Option<Bound> {
    let Expr::BinaryExpr(BinaryExpr { left, op, right }) = filter else { return None };
    let (Expr::Column(column), Expr::Literal(ScalarValue::TimestampMicrosecond(Some(limit), None), _)) =
        (left.as_ref(), right.as_ref())
    else {
        return None;
    };
    match op {
        Operator::GtEq if column.name == BUCKET => Some(Bound::From(*limit)),
        Operator::Lt if column.name == BUCKET => Some(Bound::To(*limit)),
        _ => None,
    }
}

#[async_trait]
impl TableProvider for MemoryTable {
    fn schema(&self) -> SchemaRef {
        Arc::clone(&self.schema)
    }

    fn table_type(&self) -> TableType {
        TableType::Base
    }

    fn supports_filters_pushdown(&self, filters: &[&Expr]) -> Result<Vec<TableProviderFilterPushDown>> {
        let support = |filter: &&Expr| match bound(filter) {
            Some(_) => TableProviderFilterPushDown::Exact,
            None => TableProviderFilterPushDown::Unsupported,
        };
        Ok(filters.iter().map(support).collect())
    }

    async fn scan(
        &self,
        _session: &dyn Session,
        projection: Option<&Vec<usize>>,
        filters: &[Expr],
        _limit: Option<usize>,
    ) -> Result<Arc<dyn ExecutionPlan>> {
        let (mut from, mut to) = (i64::MIN, i64::MAX);
        for bound in filters.iter().filter_map(bound) {
            match bound {
                Bound::From(limit) => from = from.max(limit),
                Bound::To(limit) => to = to.min(limit),
            }
        }
        let wanted = self.between(from, to).collect();
        Ok(MemorySourceConfig::try_new_exec(&[wanted], self.schema(), projection.cloned())?)
    }
}
