//! Everything a question sees: all tables as they were at one moment.

use std::sync::Arc;

use anyhow::Result;
use deltalake::datafusion::{
    catalog::MemoryCatalogProviderList,
    execution::{SessionStateBuilder, session_state::SessionState},
    prelude::SessionContext,
};
use model::{
    metric::{Dimension, GoldTable},
    query::MetricQuery,
};

use super::{memory::MemoryTable, products::Products, sql::Part};

/// A table with the number of changes that were seen in it; the number names its content for as long as the process lives.
#[derive(Debug)]
pub(super) struct Versioned<T> {
    pub(super) content: Arc<T>,
    pub(super) changes: u64,
}

impl<T> Versioned<T> {
    pub(super) fn new(content: T) -> Versioned<T> {
        Versioned { content: Arc::new(content), changes: 0 }
    }

    pub(super) fn replace(&mut self, content: T) {
        self.content = Arc::new(content);
        self.changes += 1;
    }
}

impl<T> Clone for Versioned<T> {
    fn clone(&self) -> Versioned<T> {
        Versioned { content: Arc::clone(&self.content), changes: self.changes }
    }
}

/// The tables at one moment, ready to be asked.
pub(super) struct Snapshot {
    context: SessionContext,
    tables: [Versioned<MemoryTable>; GoldTable::ALL.len()],
    products: Versioned<Products>,
}

impl Snapshot {
    /// # Errors
    /// DataFusion refuses a table.
    pub(super) fn new(
        base: &SessionState,
        tables: [Versioned<MemoryTable>; GoldTable::ALL.len()],
        products: Versioned<Products>,
    ) -> Result<Snapshot> {
        // A catalogue of its own, so that the next snapshot does not change what a running question sees.
        let state = SessionStateBuilder::new_from_existing(base.clone())
            .with_catalog_list(Arc::new(MemoryCatalogProviderList::new()))
            .with_config(base.config().clone().with_create_default_catalog_and_schema(true))
            .build();
        let context = SessionContext::new_with_state(state);
        for (table, content) in GoldTable::ALL.into_iter().zip(&tables) {
            context.register_table(table.name(), Arc::clone(&content.content) as Arc<_>)?;
        }
        Ok(Snapshot { context, tables, products })
    }

    pub(super) fn context(&self) -> &SessionContext {
        &self.context
    }

    pub(super) fn products(&self) -> &Arc<Products> {
        &self.products.content
    }

    pub(super) fn versioned_products(&self) -> Versioned<Products> {
        self.products.clone()
    }

    /// Rows of a table.
    pub(super) fn rows(&self, table: GoldTable) -> usize {
        self.tables[table as usize].content.rows()
    }

    /// Names the content that an answer depends on: equal numbers, equal answer.
    pub(super) fn changes(&self, parts: &[Part], query: &MetricQuery) -> Vec<u64> {
        let tables = parts.iter().map(|part| self.tables[part.table as usize].changes);
        let mut dimensions = query.split.into_iter().chain(query.filters.iter().map(|filter| filter.dimension));
        let products = dimensions.any(Dimension::of_product).then_some(self.products.changes);
        tables.chain(products).collect()
    }
}
