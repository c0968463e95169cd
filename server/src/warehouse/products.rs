//! Silver's products as a lookup from a product's code to what is known of it.

use std::sync::Arc;

use anyhow::Result;
use bytes::Bytes;
use deltalake::arrow::array::{RecordBatch, UInt32Array, UInt32Builder};
use model::metric::Dimension;

use super::{gold::Dictionaries, keys::Keys};
use crate::delta;

const PRODUCT_ID: &str = "product_id";
const NAME: &str = "name";
const PRODUCT_TYPE: &str = "product_type";

/// The dimensions of a product by which Gold is split.
pub(super) const DIMENSIONS: [Dimension; 3] = [Dimension::Department, Dimension::Category, Dimension::Brand];

/// What is known of a product. Everything may be missing: a sale can name a product that nobody has described.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Description {
    pub name: Option<Arc<str>>,
    pub product_type: Option<Arc<str>>,
    pub category: Option<Arc<str>>,
    pub brand: Option<Arc<str>>,
}

/// Reads the columns of a file of Silver's products that are needed here.
///
/// # Errors
/// The file is damaged.
pub(super) fn read(content: Bytes) -> Result<RecordBatch> {
    let [department, category, brand] = DIMENSIONS.map(Dimension::column);
    delta::read_parquet(content, &[PRODUCT_ID, NAME, PRODUCT_TYPE, department, category, brand])
}

/// What Silver knows of every product, by the product's code.
#[derive(Debug, Default)]
pub(super) struct Products {
    /// In the order of [`DIMENSIONS`].
    dimensions: [Vec<Option<u32>>; 3],
    names: Vec<Option<u32>>,
    types: Vec<Option<u32>>,
    texts: Keys,
}

impl Products {
    /// Puts together the files of Silver's products.
    ///
    /// # Errors
    /// A file lacks a column that it must have.
    pub(super) fn new<'a>(
        files: impl Iterator<Item = &'a RecordBatch>,
        dictionaries: &Dictionaries,
    ) -> Result<Products> {
        let mut products = Products::default();
        for file in files {
            let codes = dictionaries.of(Dimension::Product).encode(&delta::strings(file, PRODUCT_ID)?);
            let size = dictionaries.of(Dimension::Product).len();
            for (column, dimension) in products.dimensions.iter_mut().zip(DIMENSIONS) {
                spread(
                    column,
                    size,
                    &codes,
                    &dictionaries.of(dimension).encode(&delta::strings(file, dimension.column())?),
                );
            }
            spread(&mut products.names, size, &codes, &products.texts.encode(&delta::strings(file, NAME)?));
            spread(&mut products.types, size, &codes, &products.texts.encode(&delta::strings(file, PRODUCT_TYPE)?));
        }
        Ok(products)
    }

    /// The codes of one of [`DIMENSIONS`] for a column of product codes; null where nothing is known.
    pub(super) fn look_up(&self, dimension: usize, products: &UInt32Array) -> UInt32Array {
        let known = &self.dimensions[dimension];
        let mut codes = UInt32Builder::with_capacity(products.len());
        for product in products {
            codes.append_option(at(known, product));
        }
        codes.finish()
    }

    /// What is known of the product with this identifier.
    pub(super) fn describe(&self, product_id: &str, dictionaries: &Dictionaries) -> Description {
        let code = dictionaries.of(Dimension::Product).code(product_id);
        let dimension = |index: usize| {
            at(&self.dimensions[index], code).and_then(|code| dictionaries.of(DIMENSIONS[index]).name(code))
        };
        let text = |column: &[Option<u32>]| at(column, code).and_then(|code| self.texts.name(code));
        Description {
            name: text(&self.names),
            product_type: text(&self.types),
            category: dimension(1),
            brand: dimension(2),
        }
    }
}

fn at(column: &[Option<u32>], code: Option<u32>) -> Option<u32> {
    column.get(usize::try_from(code?).ok()?).copied().flatten()
}

/// Writes each value to the place that its product's code names.
fn spread(column: &mut Vec<Option<u32>>, size: usize, products: &UInt32Array, values: &UInt32Array) {
    column.resize(size, None);
    for (product, value) in products.iter().zip(values) {
        if let Some(place) = product.and_then(|code| usize::try_from(code).ok()).and_then(|index| column.get_mut(index))
        {
            *place = value;
        }
    }
}
