//! The Complete Journey data set (84.51°, published for research and education) as events: a year of a real grocery retailer,
//! 155,848 baskets of 2,469 households.
//!
//! The events come in a fixed order and with identifiers made from the data set's own, so that sending it again, or from the
//! middle on, makes the very same events. Its times have no zone and are taken as UTC.

use std::{
    borrow::Cow,
    fs::File,
    path::{Path, PathBuf},
};

use anyhow::{Context, Result, ensure};
use chrono::{DateTime, TimeDelta, Utc};
use deltalake::{
    arrow::{
        array::{AsArray, RecordBatch},
        compute::cast,
        datatypes::{DataType, Float64Type, Int64Type, TimeUnit, TimestampMicrosecondType},
    },
    parquet::arrow::arrow_reader::{ParquetRecordBatchReader, ParquetRecordBatchReaderBuilder},
};
use model::{
    event::{
        COUPON_REDEEMED, CUSTOMER_REGISTERED, Customer, Envelope, PRODUCT_CREATED, Product, TRANSACTION_COMPLETED,
        Transaction, TransactionLine,
    },
    topic::Topic,
};
use rust_decimal::Decimal;
use uuid::Uuid;

use super::{Message, NoFields, message};

/// Names the data set, in the book of what has been loaded and in the identifiers of its events.
pub const NAME: &str = "completejourney";
/// The currency of the data.
const CURRENCY: &str = "USD";
/// When the last basket was paid.
const END: &str = "2018-01-01T04:01:20Z";
/// When its customers and products are taken to be known: before the first basket.
const BEGIN: &str = "2017-01-01T00:00:00Z";

/// The folder of the data set.
#[derive(Clone, Debug)]
pub struct Journey {
    folder: PathBuf,
}

/// One basket of the data set.
#[derive(Clone, Debug)]
pub struct Basket {
    pub basket: i64,
    pub household: i64,
    pub store: i64,
    /// In the data set's own time, microseconds since 1970.
    pub paid_at: i64,
    pub lines: Vec<Line>,
}

/// One line of a basket; amounts in cents.
#[derive(Clone, Copy, Debug)]
pub struct Line {
    pub product: i64,
    pub quantity: i64,
    pub sales: i64,
    pub retail_discount: i64,
    pub coupon_discount: i64,
}

/// Moves the data set's times so that it ends at a given moment.
#[derive(Clone, Copy, Debug)]
pub struct Shift(TimeDelta);

impl Shift {
    /// # Panics
    /// Never: the data set's end is a constant.
    #[must_use]
    pub fn ending_at(anchor: DateTime<Utc>) -> Shift {
        let end: DateTime<Utc> = END.parse().expect("a constant");
        Shift(anchor - end)
    }

    fn apply(self, micros: i64) -> DateTime<Utc> {
        DateTime::from_timestamp_micros(micros).unwrap_or_default() + self.0
    }

    fn begin(self) -> DateTime<Utc> {
        BEGIN.parse::<DateTime<Utc>>().unwrap_or_default() + self.0
    }
}

impl Journey {
    /// # Errors
    /// When the folder does not hold the data set; says how to get it.
    pub fn open(folder: &Path) -> Result<Journey> {
        for file in ["transactions", "products", "demographics", "coupon_redemptions"] {
            let path = folder.join(file).with_extension("parquet");
            ensure!(
                path.is_file(),
                "the demo data set lacks {}; `make setup` fetches it, REPLAY_PATH names its folder",
                path.display()
            );
        }
        Ok(Journey { folder: folder.to_owned() })
    }

    fn read(&self, file: &str) -> Result<ParquetRecordBatchReader> {
        let path = self.folder.join(file).with_extension("parquet");
        let opened = File::open(&path).with_context(|| path.display().to_string())?;
        Ok(ParquetRecordBatchReaderBuilder::try_new(opened)?.with_batch_size(8192).build()?)
    }

    fn rows(&self, file: &str) -> Result<u64> {
        let path = self.folder.join(file).with_extension("parquet");
        let builder = ParquetRecordBatchReaderBuilder::try_new(File::open(&path)?)?;
        Ok(u64::try_from(builder.metadata().file_metadata().num_rows())?)
    }

    /// How many events the data set makes. Reads one column of it.
    ///
    /// # Errors
    /// When a file cannot be read.
    pub fn count(&self) -> Result<u64> {
        let mut baskets = 0;
        let mut last = None;
        for batch in self.read("transactions")? {
            for &basket in int(&batch?, "basket_id")?.iter() {
                if last != Some(basket) {
                    baskets += 1;
                    last = Some(basket);
                }
            }
        }
        Ok(baskets + self.rows("products")? + self.rows("demographics")? + self.rows("coupon_redemptions")?)
    }

    /// Every event of the data set, in order: products, customers, coupon redemptions, baskets by time.
    ///
    /// # Errors
    /// When a file cannot be read.
    pub fn messages(&self, shift: Shift) -> Result<impl Iterator<Item = Result<Message>>> {
        let products = flatten(self.read("products")?, move |batch| products(batch, shift));
        let customers = flatten(self.read("demographics")?, move |batch| customers(batch, shift));
        let mut redemption = 0;
        let redemptions =
            flatten(self.read("coupon_redemptions")?, move |batch| redemptions(batch, shift, &mut redemption));
        let baskets = self.baskets()?.map(move |basket| {
            let basket = basket?;
            let id = identifier(&format!("basket/{}", basket.basket));
            basket.message(id, &basket.basket.to_string(), shift.apply(basket.paid_at))
        });
        Ok(products.chain(customers).chain(redemptions).chain(baskets))
    }

    /// Every basket, by time. Holds one basket and a few thousand lines in memory.
    ///
    /// # Errors
    /// When the file cannot be read.
    pub fn baskets(&self) -> Result<impl Iterator<Item = Result<Basket>> + use<>> {
        let mut lines = flatten(self.read("transactions")?, lines);
        let mut next: Option<Basket> = None;
        Ok(std::iter::from_fn(move || {
            loop {
                match lines.next() {
                    Some(Ok(line)) => match &mut next {
                        Some(basket) if basket.basket == line.basket => basket.lines.extend(line.lines),
                        _ => {
                            if let Some(done) = next.replace(line) {
                                return Some(Ok(done));
                            }
                        }
                    },
                    Some(Err(error)) => return Some(Err(error)),
                    None => return next.take().map(Ok),
                }
            }
        }))
    }
}

/// An identifier that is the same each time.
fn identifier(name: &str) -> Uuid {
    Uuid::new_v5(&Uuid::NAMESPACE_URL, format!("streamlinehub:{NAME}/{name}").as_bytes())
}

fn flatten<T>(
    reader: ParquetRecordBatchReader,
    mut make: impl FnMut(&RecordBatch) -> Result<Vec<T>>,
) -> impl Iterator<Item = Result<T>> {
    reader.flat_map(move |batch| {
        let made = batch.map_err(anyhow::Error::from).and_then(|batch| make(&batch));
        let (rows, error) = match made {
            Ok(rows) => (rows, None),
            Err(error) => (Vec::new(), Some(Err(error))),
        };
        rows.into_iter().map(Ok).chain(error)
    })
}

fn int(batch: &RecordBatch, column: &str) -> Result<Vec<i64>> {
    let array = batch.column_by_name(column).with_context(|| format!("the data set has no column {column}"))?;
    Ok(cast(array, &DataType::Int64)?.as_primitive::<Int64Type>().values().to_vec())
}

fn times(batch: &RecordBatch, column: &str) -> Result<Vec<i64>> {
    let array = batch.column_by_name(column).with_context(|| format!("the data set has no column {column}"))?;
    let micros = cast(array, &DataType::Timestamp(TimeUnit::Microsecond, None))?;
    Ok(micros.as_primitive::<TimestampMicrosecondType>().values().to_vec())
}

/// Dollars as the data set has them (floats with two places) in cents.
#[expect(clippy::cast_possible_truncation, reason = "a float of dollars is far inside the range")]
fn cents(batch: &RecordBatch, column: &str) -> Result<Vec<i64>> {
    let array = batch.column_by_name(column).with_context(|| format!("the data set has no column {column}"))?;
    Ok(array.as_primitive::<Float64Type>().values().iter().map(|dollars| (dollars * 100.0).round() as i64).collect())
}

fn texts(batch: &RecordBatch, column: &str) -> Result<Vec<Option<String>>> {
    let array = batch.column_by_name(column).with_context(|| format!("the data set has no column {column}"))?;
    let array = cast(array, &DataType::Utf8)?;
    Ok(array.as_string::<i32>().iter().map(|text| text.map(ToOwned::to_owned)).collect())
}

/// Each line as a basket of its own, to be joined with its neighbours.
fn lines(batch: &RecordBatch) -> Result<Vec<Basket>> {
    let (households, stores, baskets, products) =
        (int(batch, "household_id")?, int(batch, "store_id")?, int(batch, "basket_id")?, int(batch, "product_id")?);
    let (quantities, sales, retail) =
        (int(batch, "quantity")?, cents(batch, "sales_value")?, cents(batch, "retail_disc")?);
    let (coupon, matched, paid_at) =
        (cents(batch, "coupon_disc")?, cents(batch, "coupon_match_disc")?, times(batch, "transaction_timestamp")?);
    Ok((0..batch.num_rows())
        .map(|row| Basket {
            basket: baskets[row],
            household: households[row],
            store: stores[row],
            paid_at: paid_at[row],
            lines: vec![Line {
                product: products[row],
                quantity: quantities[row],
                sales: sales[row],
                retail_discount: retail[row],
                coupon_discount: coupon[row] + matched[row],
            }],
        })
        .collect())
}

fn dollars(cents: i64) -> Decimal {
    Decimal::new(cents, 2)
}

impl Basket {
    /// The basket as an event.
    ///
    /// # Errors
    /// Never in practice: it is plain data.
    pub fn message(&self, event_id: Uuid, transaction_id: &str, occurred_at: DateTime<Utc>) -> Result<Message> {
        let customer = self.household.to_string();
        let products: Vec<String> = self.lines.iter().map(|line| line.product.to_string()).collect();
        let lines = self.lines.iter().zip(&products).map(|(line, product)| TransactionLine {
            product_id: Cow::Borrowed(product),
            quantity: Decimal::from(line.quantity),
            unit_price: line.unit_price(),
            amount: dollars(line.sales),
            discount: dollars(line.retail_discount),
            coupon_discount: dollars(line.coupon_discount),
        });
        let transaction = Transaction {
            transaction_id: Cow::Borrowed(transaction_id),
            store_id: Some(Cow::Owned(self.store.to_string())),
            amount: dollars(self.lines.iter().map(|line| line.sales).sum()),
            discount: dollars(self.lines.iter().map(|line| line.retail_discount + line.coupon_discount).sum()),
            currency: Cow::Borrowed(CURRENCY),
            payment_method: None,
            coupon_codes: Vec::new(),
            lines: lines.collect(),
        };
        message(
            Topic::Transaction,
            &customer,
            &envelope(event_id, TRANSACTION_COMPLETED, occurred_at, Some(&customer)),
            &transaction,
        )
    }
}

impl Line {
    /// Price of one before discounts; nothing where nothing was bought.
    fn unit_price(self) -> Option<Decimal> {
        let list = dollars(self.sales + self.retail_discount + self.coupon_discount);
        (self.quantity > 0).then(|| (list / Decimal::from(self.quantity)).round_dp(4))
    }
}

fn envelope<'a>(
    event_id: Uuid,
    event_type: &'a str,
    occurred_at: DateTime<Utc>,
    customer: Option<&'a str>,
) -> Envelope<'a> {
    Envelope {
        event_id,
        event_type: Cow::Borrowed(event_type),
        occurred_at,
        customer_id: customer.map(Cow::Borrowed),
        session_id: None,
        device: None,
        properties: None,
    }
}

fn products(batch: &RecordBatch, shift: Shift) -> Result<Vec<Message>> {
    let (ids, manufacturers) = (int(batch, "product_id")?, int(batch, "manufacturer_id")?);
    let (departments, brands, categories) =
        (texts(batch, "department")?, texts(batch, "brand")?, texts(batch, "product_category")?);
    let (types, sizes) = (texts(batch, "product_type")?, texts(batch, "package_size")?);
    (0..batch.num_rows())
        .map(|row| {
            let id = ids[row].to_string();
            let product = Product {
                product_id: Cow::Borrowed(&id),
                name: None,
                department: departments[row].as_deref().map(Cow::Borrowed),
                category: categories[row].as_deref().map(Cow::Borrowed),
                product_type: types[row].as_deref().map(Cow::Borrowed),
                brand: brands[row].as_deref().map(Cow::Borrowed),
                manufacturer_id: Some(Cow::Owned(manufacturers[row].to_string())),
                package_size: sizes[row].as_deref().map(Cow::Borrowed),
                price: None,
                inventory: None,
                rating: None,
                recommendation_score: None,
            };
            let envelope = envelope(identifier(&format!("product/{id}")), PRODUCT_CREATED, shift.begin(), None);
            message(Topic::Product, &id, &envelope, &product)
        })
        .collect()
}

fn customers(batch: &RecordBatch, shift: Shift) -> Result<Vec<Message>> {
    let ids = int(batch, "household_id")?;
    let (ages, incomes, homes) = (texts(batch, "age")?, texts(batch, "income")?, texts(batch, "home_ownership")?);
    let (marital, sizes, compositions) =
        (texts(batch, "marital_status")?, texts(batch, "household_size")?, texts(batch, "household_comp")?);
    let kids = texts(batch, "kids_count")?;
    (0..batch.num_rows())
        .map(|row| {
            let id = ids[row].to_string();
            let customer = Customer {
                customer_id: Cow::Borrowed(&id),
                age: ages[row].as_deref().map(Cow::Borrowed),
                income: incomes[row].as_deref().map(Cow::Borrowed),
                home_ownership: homes[row].as_deref().map(Cow::Borrowed),
                marital_status: marital[row].as_deref().map(Cow::Borrowed),
                household_size: sizes[row].as_deref().map(Cow::Borrowed),
                household_composition: compositions[row].as_deref().map(Cow::Borrowed),
                kids_count: kids[row].as_deref().map(Cow::Borrowed),
                segment: None,
                lifetime_value: None,
                churn_probability: None,
            };
            let envelope = envelope(identifier(&format!("customer/{id}")), CUSTOMER_REGISTERED, shift.begin(), None);
            message(Topic::Customer, &id, &envelope, &customer)
        })
        .collect()
}

/// `number` counts the redemptions: some are alike in every column.
fn redemptions(batch: &RecordBatch, shift: Shift, number: &mut u64) -> Result<Vec<Message>> {
    let (households, coupons, campaigns) =
        (int(batch, "household_id")?, int(batch, "coupon_upc")?, int(batch, "campaign_id")?);
    let days = times(batch, "redemption_date")?;
    (0..batch.num_rows())
        .map(|row| {
            *number += 1;
            let customer = households[row].to_string();
            let properties = format!(r#"{{"coupon_upc":"{}","campaign_id":"{}"}}"#, coupons[row], campaigns[row]);
            let properties = serde_json::value::RawValue::from_string(properties)?;
            let mut envelope = envelope(
                identifier(&format!("redemption/{number}")),
                COUPON_REDEEMED,
                shift.apply(days[row]),
                Some(&customer),
            );
            envelope.properties = Some(&properties);
            message(Topic::Analytics, &customer, &envelope, &NoFields {})
        })
        .collect()
}
