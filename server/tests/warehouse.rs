//! The warehouse over real Delta tables.

mod common;

use std::{collections::BTreeSet, time::Duration};

use common::{Amount, Count, Null, Text, Time, Value, at};
use etl::lake::schema;
use model::{
    metric::{self, Dimension, GoldTable},
    query::{Filter, MAX_FILTERS, MAX_ROWS, MetricQuery, Row},
    range::{Granularity, Interval, Preset, Range},
};
use rust_decimal::Decimal;
use server::{
    overview::overview,
    warehouse::{Limits, QueryError, Warehouse},
    zone::Zone,
};

const SALES: &[&str] = &["bucket", "store_id", "orders", "lines", "units", "revenue", "discount"];
const PRODUCT_SALES: &[&str] = &["bucket", "product_id", "lines", "units", "revenue", "discount"];
const CUSTOMERS: &[&str] = &["bucket", "customer_id", "orders", "lines", "units", "revenue", "discount"];
const EVENTS: &[&str] = &["bucket", "topic", "event_type", "events"];
const PRODUCTS: &[&str] = &["product_id", "department", "category", "product_type", "brand"];

fn sale(bucket: &'static str, store: Value, orders: i64, revenue: &'static str) -> [Value; 7] {
    [Time(bucket), store, Count(orders), Count(2 * orders), Amount("3"), Amount(revenue), Amount("0.0001")]
}

fn question(metrics: &[&str]) -> MetricQuery {
    MetricQuery {
        metrics: metrics.iter().map(|name| metric::find(name).expect("a metric")).collect(),
        interval: Interval { from: at("2025-01-01T00:00:00Z"), to: at("2025-01-03T00:00:00Z") },
        granularity: None,
        split: None,
        filters: Vec::new(),
        limit: MAX_ROWS,
    }
}

fn values(rows: &[Row]) -> Vec<Vec<Option<String>>> {
    rows.iter().map(|row| row.values.iter().map(|value| value.map(|value| value.to_string())).collect()).collect()
}

fn keys(rows: &[Row]) -> Vec<Option<&str>> {
    rows.iter().map(|row| row.key.as_deref()).collect()
}

fn some(texts: &[&str]) -> Vec<Option<String>> {
    texts.iter().map(|text| Some((*text).to_owned())).collect()
}

async fn warehouse(lake: &common::TestLake) -> Warehouse {
    let warehouse = Warehouse::new(&lake.url(), Limits::default()).expect("a warehouse");
    warehouse.refresh().await.expect("a lake that can be read");
    warehouse
}

#[tokio::test]
async fn a_lake_without_tables_is_empty_and_not_an_error() {
    let lake = common::TestLake::new();
    let warehouse = warehouse(&lake).await;
    let rows = warehouse.query(&question(&["revenue", "active_customers", "events"])).await.expect("an answer");
    assert_eq!(values(&rows), [vec![None, None, None]]);
    let overview = overview(&warehouse, Range::default(), at("2025-01-03T12:00:00Z")).await.expect("an overview");
    assert!(overview.is_empty());
    assert!(overview.kpis.iter().all(|kpi| kpi.value.is_none() && kpi.previous.is_none()));
}

#[tokio::test]
async fn sums_are_exact_and_the_end_of_the_interval_is_outside() {
    let lake = common::TestLake::new();
    lake.append(
        &schema::SALES,
        SALES,
        &[
            &sale("2024-12-31T23:00:00Z", Text("1"), 9, "9"),
            &sale("2025-01-01T00:00:00Z", Text("1"), 1, "99999999999999.9999"),
            &sale("2025-01-02T23:00:00Z", Text("2"), 2, "0.0002"),
            &sale("2025-01-03T00:00:00Z", Text("2"), 9, "9"),
        ],
    )
    .await;
    let warehouse = warehouse(&lake).await;
    let rows =
        warehouse.query(&question(&["revenue", "orders", "discounts", "average_order_value"])).await.expect("rows");
    assert_eq!(values(&rows), [some(&["100000000000000.0001", "3", "0.0002", "33333333333333.33336666"])]);
}

#[tokio::test]
async fn a_split_puts_the_greatest_first_and_joins_the_products() {
    let lake = common::TestLake::new();
    let sold = |product, revenue| {
        [Time("2025-01-01T10:00:00Z"), Text(product), Count(1), Amount("1"), Amount(revenue), Amount("0")]
    };
    let rows = [sold("apple", "5"), sold("pear", "4"), sold("milk", "7"), sold("nobody knows", "1")];
    lake.append(&schema::PRODUCT_SALES, PRODUCT_SALES, &rows.each_ref().map(|row| row.as_slice())).await;
    let warehouse = warehouse(&lake).await;
    let mut by_department = question(&["revenue", "units"]);
    by_department.split = Some(Dimension::Department);
    let undescribed = warehouse.query(&by_department).await.expect("rows");
    assert_eq!((keys(&undescribed), values(&undescribed)), (vec![None], vec![some(&["17", "4"])]));

    // Described later, right for the past.
    let described: [[Value; 5]; 3] = [
        [Text("apple"), Text("FRUIT"), Text("POME"), Text("APPLES"), Text("Private")],
        [Text("pear"), Text("FRUIT"), Text("POME"), Null, Null],
        [Text("milk"), Text("DAIRY"), Null, Null, Text("National")],
    ];
    lake.append(&schema::PRODUCTS, PRODUCTS, &described.each_ref().map(|row| row.as_slice())).await;
    assert!(warehouse.refresh().await.expect("a refresh"));
    let rows = warehouse.query(&by_department).await.expect("rows");
    assert_eq!(keys(&rows), [Some("FRUIT"), Some("DAIRY"), None]);
    assert_eq!(values(&rows), [some(&["9", "2"]), some(&["7", "1"]), some(&["1", "1"])]);
    let mut best = question(&["revenue"]);
    (best.split, best.limit) = (Some(Dimension::Product), 2);
    assert_eq!(keys(&warehouse.query(&best).await.expect("rows")), [Some("milk"), Some("apple")]);
    assert_eq!(warehouse.describe_product("apple").brand.as_deref(), Some("Private"));
}

#[tokio::test]
async fn a_replaced_day_takes_the_place_of_the_old_one() {
    let lake = common::TestLake::new();
    lake.append(
        &schema::SALES,
        SALES,
        &[&sale("2025-01-01T10:00:00Z", Text("1"), 1, "10"), &sale("2025-01-02T10:00:00Z", Text("1"), 1, "20")],
    )
    .await;
    let warehouse = warehouse(&lake).await;
    let asked = question(&["revenue"]);
    assert_eq!(values(&warehouse.query(&asked).await.expect("rows")), [some(&["30"])]);
    assert!(!warehouse.refresh().await.expect("a refresh"), "nothing was committed");

    let late = [sale("2025-01-01T10:00:00Z", Text("1"), 1, "10"), sale("2025-01-01T09:00:00Z", Null, 1, "5.5")];
    let mut table = lake.lake.table(&schema::SALES).await.expect("the table");
    let replaced = table.files(Some(&BTreeSet::from(["2025-01-01".to_owned()]))).expect("the files of the day");
    let rows = common::batch(&schema::SALES, SALES, &late.each_ref().map(|row| row.as_slice()));
    table.replace_dates(&replaced, vec![rows], &[]).await.expect("a commit");
    assert!(warehouse.refresh().await.expect("a refresh"));
    assert_eq!(warehouse.rows(GoldTable::Sales), 3);
    assert_eq!(values(&warehouse.query(&asked).await.expect("rows")), [some(&["35.5"])]);
    let mut hourly = question(&["revenue"]);
    hourly.granularity = Some(Granularity::Hour);
    hourly.interval.to = at("2025-01-01T10:00:00Z");
    let rows = warehouse.query(&hourly).await.expect("rows");
    assert_eq!(rows.len(), 1, "rows of a file are found by time whatever their order in it");
    assert_eq!(rows[0].time, Some(at("2025-01-01T09:00:00Z")));
}

#[tokio::test]
async fn metrics_of_several_tables_share_their_buckets() {
    let lake = common::TestLake::new();
    lake.append(&schema::SALES, SALES, &[&sale("2025-01-02T10:00:00Z", Text("1"), 2, "10")]).await;
    let bought = |bucket, customer| [Time(bucket), customer, Count(1), Count(1), Amount("1"), Amount("5"), Amount("0")];
    let customers = [
        bought("2025-01-02T10:00:00Z", Text("anna")),
        bought("2025-01-02T11:00:00Z", Text("anna")),
        bought("2025-01-02T11:00:00Z", Text("bert")),
        bought("2025-01-02T11:00:00Z", Null),
    ];
    lake.append(&schema::CUSTOMER_SALES, CUSTOMERS, &customers.each_ref().map(|row| row.as_slice())).await;
    let happened = [Time("2025-01-01T10:00:00Z"), Text("analytics-events"), Text("page.viewed"), Count(7)];
    lake.append(&schema::EVENT_COUNTS, EVENTS, &[&happened]).await;
    let warehouse = warehouse(&lake).await;
    let mut daily = question(&["orders", "active_customers", "events"]);
    daily.granularity = Some(Granularity::Day);
    let rows = warehouse.query(&daily).await.expect("rows");
    assert_eq!(
        rows.iter().filter_map(|row| row.time).collect::<Vec<_>>(),
        [at("2025-01-01T00:00:00Z"), at("2025-01-02T00:00:00Z")]
    );
    assert_eq!(
        values(&rows),
        [vec![None, None, Some("7".to_owned())], vec![Some("2".to_owned()), Some("2".to_owned()), None]]
    );
}

#[tokio::test]
async fn the_overview_compares_with_the_interval_before_and_has_every_bucket() {
    let lake = common::TestLake::new();
    lake.append(
        &schema::SALES,
        SALES,
        &[
            &sale("2025-01-01T20:00:00Z", Text("7"), 1, "4"),
            &sale("2025-01-02T13:00:00Z", Text("7"), 2, "5"),
            &sale("2025-01-03T12:00:00Z", Null, 1, "6"),
        ],
    )
    .await;
    let warehouse = warehouse(&lake).await;
    let overview =
        overview(&warehouse, Range::Last(Preset::Day), at("2025-01-03T12:30:00Z")).await.expect("an overview");
    let kpi = |name: &str| overview.kpis.iter().find(|kpi| kpi.metric == name).expect("a KPI of the catalogue");
    assert_eq!((kpi("revenue").value, kpi("revenue").previous), (Some(Decimal::from(11)), Some(Decimal::from(4))));
    assert_eq!(kpi("events").value, None, "there is no such table");
    assert_eq!(overview.revenue.len(), 24);
    assert_eq!((overview.revenue[0].orders, overview.revenue[1].orders), (Decimal::TWO, Decimal::ZERO));
    assert_eq!(kpi("average_order_value").course[..2], [Some(Decimal::new(25, 1)), None]);
    let stores: Vec<_> = overview.stores.iter().map(|store| (store.label.as_str(), store.count)).collect();
    assert_eq!(stores, [("Unknown", Decimal::ONE), ("7", Decimal::TWO)]);
}

#[tokio::test]
async fn questions_are_bounded() {
    let lake = common::TestLake::new();
    let stores = ["1", "2", "3"].map(|store| sale("2025-01-01T10:00:00Z", Text(store), 1, "1"));
    lake.append(&schema::SALES, SALES, &stores.each_ref().map(|row| row.as_slice())).await;
    let mut by_store = question(&["revenue"]);
    by_store.split = Some(Dimension::Store);

    by_store.limit = 2;
    assert_eq!(warehouse(&lake).await.query(&by_store).await.expect("rows").len(), 2);
    by_store.limit = usize::MAX;
    // Waiting for a turn that never comes counts.
    let hasty = Limits { time: Duration::from_millis(1), concurrency: 0, ..Limits::default() };
    let hasty = Warehouse::new(&lake.url(), hasty).expect("a warehouse");
    assert!(matches!(hasty.query(&by_store).await, Err(QueryError::Timeout(_))));
    let tiny = Limits { memory_bytes: 1, ..Limits::default() };
    let tiny = Warehouse::new(&lake.url(), tiny).expect("a warehouse");
    tiny.refresh().await.expect("the tables are not counted");
    assert!(matches!(tiny.query(&by_store).await, Err(QueryError::TooLarge)));
    by_store.metrics = question(&["events"]).metrics;
    let refused = tiny.query(&by_store).await.expect_err("events have no stores");
    assert_eq!(refused.to_string(), "`events` cannot be split by store");
}

#[tokio::test]
async fn filters_keep_what_all_of_them_keep() {
    let lake = common::TestLake::new();
    let sold = |product, revenue| {
        [Time("2025-01-01T10:00:00Z"), Text(product), Count(1), Amount("1"), Amount(revenue), Amount("0")]
    };
    let rows = [sold("apple", "5"), sold("pear", "4"), sold("milk", "7"), sold("nobody knows", "1")];
    lake.append(&schema::PRODUCT_SALES, PRODUCT_SALES, &rows.each_ref().map(|row| row.as_slice())).await;
    let warehouse = warehouse(&lake).await;
    let asked = |filters: &[(Dimension, &[&str])]| {
        let filter = |(dimension, values): &(Dimension, &[&str])| Filter {
            dimension: *dimension,
            values: values.iter().map(|value| (*value).to_owned()).collect(),
        };
        MetricQuery { filters: filters.iter().map(filter).collect(), ..question(&["revenue"]) }
    };
    let revenue = async |filters: &[(Dimension, &[&str])]| {
        let rows = warehouse.query(&asked(filters)).await.expect("an answer");
        values(&rows)[0][0].clone().unwrap_or_else(|| "nothing".to_owned())
    };
    assert_eq!(revenue(&[(Dimension::Product, &["apple", "milk", "x"])]).await, "12");
    assert_eq!(revenue(&[(Dimension::Department, &["FRUIT"])]).await, "nothing", "nothing is described yet");

    let described: [[Value; 5]; 2] = [
        [Text("apple"), Text("FRUIT"), Text("POME"), Text("APPLES"), Text("Private")],
        [Text("pear"), Text("FRUIT"), Text("POME"), Null, Null],
    ];
    lake.append(&schema::PRODUCTS, PRODUCTS, &described.each_ref().map(|row| row.as_slice())).await;
    warehouse.refresh().await.expect("a refresh");
    assert_eq!(revenue(&[(Dimension::Department, &["FRUIT"])]).await, "9", "the answer from before is not kept");
    assert_eq!(revenue(&[(Dimension::Department, &["FRUIT"]), (Dimension::Brand, &["Private"])]).await, "5");
    assert_eq!(revenue(&[(Dimension::Brand, &["Private", ""])]).await, "17", "the empty text is what names nothing");
    assert_eq!(revenue(&[(Dimension::Brand, &[])]).await, "nothing");

    let refused = |query: MetricQuery| {
        let warehouse = &warehouse;
        async move { warehouse.query(&query).await.expect_err("refused").to_string() }
    };
    let mixed = asked(&[(Dimension::Store, &["1"]), (Dimension::Brand, &["Private"])]);
    assert_eq!(refused(mixed).await, "`revenue` is not known by store and brand together");
    let events = MetricQuery { metrics: question(&["events"]).metrics, ..asked(&[(Dimension::Store, &["1"])]) };
    assert_eq!(refused(events).await, "`events` cannot be filtered by store");
    let many = vec![(Dimension::Store, &["1"] as &[&str]); MAX_FILTERS + 1];
    assert!(refused(asked(&many)).await.contains("at most 8 filters"));
}

#[tokio::test]
async fn local_days_begin_at_local_midnight_whatever_clocks_do() {
    let lake = common::TestLake::new();
    // New York leaves summer time on 2 November 2025 at 06:00 UTC: that day has 25 hours, 04:00 to 05:00 UTC the day after.
    lake.append(
        &schema::SALES,
        SALES,
        &[
            &sale("2025-11-02T03:00:00Z", Text("1"), 1, "1"),
            &sale("2025-11-02T04:00:00Z", Text("1"), 1, "2"),
            &sale("2025-11-03T04:00:00Z", Text("1"), 1, "4"),
            &sale("2025-11-03T05:00:00Z", Text("1"), 1, "8"),
        ],
    )
    .await;
    let warehouse = warehouse(&lake).await;
    let zone = Zone::named("America/New_York").expect("a zone");
    let interval = Interval { from: at("2025-11-01T04:00:00Z"), to: at("2025-11-04T05:00:00Z") };
    let query = MetricQuery { interval, granularity: Some(Granularity::Day), ..question(&["revenue"]) };
    let offsets = zone.offsets(interval).expect("whole quarters of an hour");
    let rows = warehouse.query_local(&query, &offsets).await.expect("rows");
    let times: Vec<_> = rows.iter().filter_map(|row| row.time).collect();
    assert_eq!(times, ["2025-11-01T04:00:00Z", "2025-11-02T04:00:00Z", "2025-11-03T05:00:00Z"].map(at));
    assert_eq!(values(&rows), [some(&["1"]), some(&["6"]), some(&["8"])]);
    assert_eq!(zone.buckets(interval, Granularity::Day), times, "whoever fills gaps finds the same days");
    let in_utc = warehouse.query(&query).await.expect("rows");
    assert_eq!(values(&in_utc), [some(&["3"]), some(&["12"])], "an answer is kept for its zone alone");
}
