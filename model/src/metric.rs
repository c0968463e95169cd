//! The metric catalogue: every number the product shows, defined once. The pages, the API, the alerts and the docs read it.

use serde::{Deserialize, Serialize};

use crate::query::Filter;

/// The column of every Gold table with the start of its bucket in UTC; buckets are as long as [`crate::range::GRAIN`].
pub const BUCKET: &str = "bucket";

/// A Gold table. All have a column [`BUCKET`] and are partitioned by `date` (the day of the bucket in UTC).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum GoldTable {
    /// One row per quarter of an hour, store and payment method.
    Sales,
    /// One row per quarter of an hour and product.
    ProductSales,
    /// One row per quarter of an hour and customer.
    CustomerSales,
    /// One row per quarter of an hour, topic and event type.
    EventCounts,
}

impl GoldTable {
    pub const ALL: [GoldTable; 4] =
        [GoldTable::Sales, GoldTable::ProductSales, GoldTable::CustomerSales, GoldTable::EventCounts];

    pub fn name(self) -> &'static str {
        match self {
            GoldTable::Sales => "sales",
            GoldTable::ProductSales => "product_sales",
            GoldTable::CustomerSales => "customer_sales",
            GoldTable::EventCounts => "event_counts",
        }
    }

    /// The dimensions by which its rows can be split.
    pub fn dimensions(self) -> &'static [Dimension] {
        match self {
            GoldTable::Sales => &[Dimension::Store, Dimension::Payment],
            GoldTable::ProductSales => {
                &[Dimension::Product, Dimension::Department, Dimension::Category, Dimension::Brand]
            }
            GoldTable::CustomerSales => &[Dimension::Customer],
            GoldTable::EventCounts => &[Dimension::Topic, Dimension::EventType],
        }
    }
}

/// Something a metric can be split by.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub enum Dimension {
    Store,
    Payment,
    Product,
    Department,
    Category,
    Brand,
    Customer,
    Topic,
    EventType,
}

impl Dimension {
    pub const ALL: [Dimension; 9] = [
        Dimension::Store,
        Dimension::Payment,
        Dimension::Product,
        Dimension::Department,
        Dimension::Category,
        Dimension::Brand,
        Dimension::Customer,
        Dimension::Topic,
        Dimension::EventType,
    ];

    pub fn name(self) -> &'static str {
        match self {
            Dimension::Store => "store",
            Dimension::Payment => "payment",
            Dimension::Product => "product",
            Dimension::Department => "department",
            Dimension::Category => "category",
            Dimension::Brand => "brand",
            Dimension::Customer => "customer",
            Dimension::Topic => "topic",
            Dimension::EventType => "event_type",
        }
    }

    pub fn label(self) -> &'static str {
        match self {
            Dimension::Store => "Store",
            Dimension::Payment => "Payment method",
            Dimension::Product => "Product",
            Dimension::Department => "Department",
            Dimension::Category => "Category",
            Dimension::Brand => "Brand",
            Dimension::Customer => "Customer",
            Dimension::Topic => "Topic",
            Dimension::EventType => "Event type",
        }
    }

    /// The column that holds it: of the Gold table itself, or of Silver's products, which Gold's `product_id` names.
    /// Products are joined when a question is asked and not when Gold is written: a product that is described late,
    /// or described anew, is then right for its whole past.
    pub fn column(self) -> &'static str {
        match self {
            Dimension::Store => "store_id",
            Dimension::Payment => "payment_method",
            Dimension::Product => "product_id",
            Dimension::Department => "department",
            Dimension::Category => "category",
            Dimension::Brand => "brand",
            Dimension::Customer => "customer_id",
            Dimension::Topic => "topic",
            Dimension::EventType => "event_type",
        }
    }

    /// Whether it is a column of Silver's products.
    pub fn of_product(self) -> bool {
        matches!(self, Dimension::Department | Dimension::Category | Dimension::Brand)
    }

    pub fn from_name(name: &str) -> Option<Dimension> {
        Dimension::ALL.into_iter().find(|dimension| dimension.name() == name)
    }
}

/// How a value is written.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub enum Unit {
    /// An amount in the currency of the data.
    Money,
    /// A number of things.
    Count,
}

/// One way of computing a metric: an aggregate over a Gold table.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
pub struct Source {
    pub table: GoldTable,
    /// An SQL aggregate over the table's columns.
    pub expression: &'static str,
}

/// A number the product shows.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
pub struct Metric {
    /// Its name in the API and in URLs.
    pub name: &'static str,
    /// Its name on a page.
    pub label: &'static str,
    pub unit: Unit,
    pub description: &'static str,
    /// Where it comes from, the preferred table first. All sources agree wherever both can answer.
    pub sources: &'static [Source],
}

impl Metric {
    /// The first source that knows the dimension to split by and those to filter by, or the preferred one where nothing is
    /// asked for.
    pub fn source(&self, split: Option<Dimension>, filters: &[Filter]) -> Option<Source> {
        let known = |source: &Source| {
            let mut asked = split.into_iter().chain(filters.iter().map(|filter| filter.dimension));
            asked.all(|dimension| source.table.dimensions().contains(&dimension))
        };
        self.sources.iter().copied().find(known)
    }

    /// Whether its parts add up to the whole: sums do, ratios and counts of different things do not.
    pub fn adds_up(&self) -> bool {
        self.sources.iter().all(|source| source.expression.starts_with("sum(") && !source.expression.contains('/'))
    }

    /// Every dimension it can be split or filtered by.
    pub fn dimensions(&self) -> impl Iterator<Item = Dimension> {
        self.sources.iter().flat_map(|source| source.table.dimensions()).copied()
    }
}

const fn sales(expression: &'static str) -> Source {
    Source { table: GoldTable::Sales, expression }
}
const fn products(expression: &'static str) -> Source {
    Source { table: GoldTable::ProductSales, expression }
}
const fn customers(expression: &'static str) -> Source {
    Source { table: GoldTable::CustomerSales, expression }
}

/// The catalogue, in the order in which pages list it.
pub const METRICS: [Metric; 8] = [
    Metric {
        name: "revenue",
        label: "Revenue",
        unit: Unit::Money,
        description: "What customers paid, discounts already taken off.",
        sources: &[sales("sum(revenue)"), products("sum(revenue)"), customers("sum(revenue)")],
    },
    Metric {
        name: "orders",
        label: "Orders",
        unit: Unit::Count,
        description: "Completed transactions.",
        sources: &[sales("sum(orders)"), customers("sum(orders)")],
    },
    Metric {
        name: "average_order_value",
        label: "Average order value",
        unit: Unit::Money,
        description: "Revenue divided by orders.",
        sources: &[sales("sum(revenue) / nullif(sum(orders), 0)"), customers("sum(revenue) / nullif(sum(orders), 0)")],
    },
    Metric {
        name: "units",
        label: "Units",
        unit: Unit::Count,
        description: "Quantity sold, over all order lines. Fuel is counted as the till counts it.",
        sources: &[sales("sum(units)"), products("sum(units)"), customers("sum(units)")],
    },
    Metric {
        name: "discounts",
        label: "Discounts",
        unit: Unit::Money,
        description: "Taken off list prices by offers and coupons.",
        sources: &[sales("sum(discount)"), products("sum(discount)"), customers("sum(discount)")],
    },
    Metric {
        name: "active_customers",
        label: "Active customers",
        unit: Unit::Count,
        description: "Different customers with at least one order.",
        sources: &[customers("count(DISTINCT customer_id)")],
    },
    Metric {
        name: "lines",
        label: "Order lines",
        unit: Unit::Count,
        description: "Lines of completed transactions.",
        sources: &[sales("sum(lines)"), products("sum(lines)"), customers("sum(lines)")],
    },
    Metric {
        name: "events",
        label: "Events",
        unit: Unit::Count,
        description: "Events of every topic, each counted once, by the time at which they occurred.",
        sources: &[Source { table: GoldTable::EventCounts, expression: "sum(events)" }],
    },
];

/// The metric of this name.
pub fn find(name: &str) -> Option<&'static Metric> {
    METRICS.iter().find(|metric| metric.name == name)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_metric_can_be_found_and_has_a_source() {
        for metric in &METRICS {
            assert_eq!(find(metric.name), Some(metric));
            assert!(metric.source(None, &[]).is_some());
            for dimension in metric.dimensions() {
                assert!(metric.source(Some(dimension), &[]).is_some(), "{} by {}", metric.name, dimension.name());
            }
        }
        assert_eq!(find("revenue").and_then(|metric| metric.source(Some(Dimension::Topic), &[])), None);
    }

    #[test]
    fn sums_add_up() {
        let others: Vec<_> = METRICS.iter().filter(|metric| !metric.adds_up()).map(|metric| metric.name).collect();
        assert_eq!(others, ["average_order_value", "active_customers"]);
    }

    #[test]
    fn a_source_knows_what_is_split_and_what_is_filtered_by() {
        let revenue = find("revenue").expect("a metric");
        let by = |dimension| Filter { dimension, values: vec!["x".to_owned()] };
        let table = |split, filters: &[Filter]| revenue.source(split, filters).map(|source| source.table);
        assert_eq!(table(None, &[by(Dimension::Brand)]), Some(GoldTable::ProductSales));
        let both = [by(Dimension::Store), by(Dimension::Payment)];
        assert_eq!(table(Some(Dimension::Store), &both), Some(GoldTable::Sales));
        assert_eq!(table(Some(Dimension::Store), &[by(Dimension::Brand)]), None, "no table knows both");
    }
}
