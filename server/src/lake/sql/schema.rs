//! The lake's tables as DataFusion sees them: a schema for each layer, whose tables are opened when a statement names them.

use std::{collections::BTreeMap, sync::Arc};

use async_trait::async_trait;
use deltalake::datafusion::{
    catalog::{CatalogProvider, MemoryCatalogProvider, SchemaProvider, TableProvider},
    error::{DataFusionError, Result},
};
use model::topic::Layer;

use crate::lake::tables::Tables;

/// The one catalogue.
pub(super) fn catalogue(tables: &Arc<Tables>, versions: BTreeMap<String, u64>) -> Result<Arc<dyn CatalogProvider>> {
    let versions = Arc::new(versions);
    let catalogue = MemoryCatalogProvider::new();
    for layer in Layer::ALL {
        let schema = LayerSchema { layer, tables: Arc::clone(tables), versions: Arc::clone(&versions) };
        catalogue.register_schema(layer.name(), Arc::new(schema))?;
    }
    Ok(Arc::new(catalogue))
}

#[derive(Debug)]
struct LayerSchema {
    layer: Layer,
    tables: Arc<Tables>,
    versions: Arc<BTreeMap<String, u64>>,
}

#[async_trait]
impl SchemaProvider for LayerSchema {
    fn table_names(&self) -> Vec<String> {
        self.tables.specs().filter(|spec| spec.layer == self.layer).map(|spec| spec.name.to_owned()).collect()
    }

    async fn table(&self, name: &str) -> Result<Option<Arc<dyn TableProvider>>> {
        if !self.table_exist(name) {
            return Ok(None);
        }
        let version = self.versions.get(&format!("{}.{name}", self.layer.name())).copied();
        let external = |error| DataFusionError::External(Box::new(error));
        let table = self.tables.at(self.layer, name, version).await.map_err(external)?;
        let provider: Arc<dyn TableProvider> = table.table_provider().await?;
        Ok(Some(provider))
    }

    fn table_exist(&self, name: &str) -> bool {
        self.tables.specs().any(|spec| spec.layer == self.layer && spec.name == name)
    }
}
