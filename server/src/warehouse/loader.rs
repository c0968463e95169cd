//! Keeps the tables in memory in step with the lake.

use std::{collections::BTreeMap, sync::Arc};

use anyhow::Result;
use deltalake::arrow::array::RecordBatch;
use model::{metric::GoldTable, topic::Layer};
use url::Url;

use super::{
    gold::{self, Dictionaries},
    memory::MemoryTable,
    products::{self, Products},
    snapshot::Versioned,
};
use crate::delta::{Follower, table_url};

/// The tables as they were last read.
pub(super) struct Loader {
    dictionaries: Arc<Dictionaries>,
    gold: [Follower<RecordBatch>; GoldTable::ALL.len()],
    silver_products: Follower<RecordBatch>,
    /// The files of the product table with the products' dimensions beside them.
    joined: BTreeMap<String, RecordBatch>,
    pub(super) tables: [Versioned<MemoryTable>; GoldTable::ALL.len()],
    pub(super) products: Versioned<Products>,
}

impl Loader {
    pub(super) fn new(lake: &Url, dictionaries: Arc<Dictionaries>) -> Loader {
        let follow = |table: GoldTable| Follower::new(table_url(lake, Layer::Gold.name(), table.name()));
        Loader {
            dictionaries,
            gold: GoldTable::ALL.map(follow),
            silver_products: Follower::new(table_url(lake, Layer::Silver.name(), "products")),
            joined: BTreeMap::new(),
            tables: GoldTable::ALL.map(|table| Versioned::new(MemoryTable::new(gold::schema(table), Vec::new()))),
            products: Versioned::new(Products::default()),
        }
    }

    /// Takes in what was committed since the last time; answers whether there was anything.
    /// A table that cannot be read keeps its rows and does not hold up the others.
    ///
    /// # Errors
    /// One for each table that could not be read.
    pub(super) async fn refresh(&mut self) -> (bool, Vec<anyhow::Error>) {
        let mut errors = Vec::new();
        let mut changed = false;
        let mut note = |outcome: Result<bool>| match outcome {
            Ok(news) => {
                changed |= news;
                news
            }
            Err(error) => {
                errors.push(error);
                false
            }
        };
        let new_products = note(self.refresh_products().await);
        for table in GoldTable::ALL {
            let dictionaries = Arc::clone(&self.dictionaries);
            let read = move |content| gold::read(table, &dictionaries, content);
            let new_files = note(self.gold[table as usize].refresh(read).await);
            if new_files || (new_products && table == GoldTable::ProductSales) {
                note(self.rebuild(table, new_products).map(|()| true));
            }
        }
        (changed, errors)
    }

    async fn refresh_products(&mut self) -> Result<bool> {
        let changed = self.silver_products.refresh(products::read).await?;
        if changed {
            let files = self.silver_products.files().values().map(AsRef::as_ref);
            self.products.replace(Products::new(files, &self.dictionaries)?);
        }
        Ok(changed)
    }

    fn rebuild(&mut self, table: GoldTable, new_products: bool) -> Result<()> {
        let files = self.gold[table as usize].files();
        let batches = if table == GoldTable::ProductSales {
            let mut joined = BTreeMap::new();
            for (path, batch) in files {
                let known = self.joined.remove(path).filter(|_| !new_products);
                let batch = known.map_or_else(|| gold::with_products(batch, &self.products.content), Ok)?;
                joined.insert(path.clone(), batch);
            }
            self.joined = joined;
            self.joined.values().cloned().collect()
        } else {
            files.values().map(|batch| batch.as_ref().clone()).collect()
        };
        self.tables[table as usize].replace(MemoryTable::new(gold::schema(table), batches));
        Ok(())
    }
}
