//! SQL of people: what it answers, what it refuses, and that nothing it does reaches further than its own process.

mod common;

use std::{collections::BTreeMap, time::Duration};

use common::{Amount, Count, TestLake, Text, Time, Value};
use etl::{
    lake::schema,
    quality::Rules,
    settings::{Field, FieldKind, Settings},
};
use model::topic::Layer;
use server::lake::{Catalogue, Limits, Question, ShowError, SqlError, TableError, grid};

const SALES: &[&str] = &["bucket", "store_id", "payment_method", "orders", "lines", "units", "revenue", "discount"];

fn sale(bucket: &'static str, store: &'static str, orders: i64, revenue: &'static str) -> [Value; 8] {
    let (lines, units, discount) = (Count(orders), Amount("1"), Amount("0"));
    [Time(bucket), Text(store), Text("card"), Count(orders), lines, units, Amount(revenue), discount]
}

async fn append(lake: &TestLake, rows: &[[Value; 8]]) {
    let rows: Vec<&[Value]> = rows.iter().map(|row| row.as_slice()).collect();
    lake.append(&schema::SALES, SALES, &rows).await;
}

async fn lake() -> TestLake {
    let lake = TestLake::new();
    let rows = [sale("2025-01-01T10:00:00Z", "1", 1, "10.10"), sale("2025-01-02T10:00:00Z", "2", 2, "5")];
    append(&lake, &rows).await;
    lake
}

fn catalogue(lake: &TestLake, limits: Limits) -> Catalogue {
    Catalogue::new(&lake.url(), env!("CARGO_BIN_EXE_streamlinehub").into(), limits)
}

/// The rows as text, with `-` for what is null.
async fn ask(catalogue: &Catalogue, question: &Question) -> Result<Vec<String>, SqlError> {
    let rows = catalogue.run(question).await?;
    let grid = grid::grid(&rows, question.rows).expect("text");
    let cell = |cell: Option<String>| cell.unwrap_or_else(|| "-".to_owned());
    Ok(grid.rows.into_iter().map(|row| row.into_iter().map(cell).collect::<Vec<_>>().join(" ")).collect())
}

fn question(sql: &str) -> Question {
    Question { sql: sql.to_owned(), rows: 100, versions: BTreeMap::new() }
}

async fn refusal(catalogue: &Catalogue, sql: &str) -> SqlError {
    match ask(catalogue, &question(sql)).await {
        Err(error) => error,
        Ok(rows) => panic!("{sql} answers {rows:?}"),
    }
}

/// Whether all is well for the next one.
async fn works(catalogue: &Catalogue) {
    let rows = ask(catalogue, &question("SELECT sum(revenue) FROM gold.sales")).await.expect("an answer");
    assert_eq!(rows, ["15.1000"]);
}

#[tokio::test]
async fn what_is_read_is_exact_and_new_rows_are_seen() {
    let lake = lake().await;
    let catalogue = catalogue(&lake, Limits::default());
    let by_store = question("SELECT store_id, orders, revenue, NULL FROM sales ORDER BY store_id");
    assert_eq!(ask(&catalogue, &by_store).await.expect("rows"), ["1 1 10.1000 -", "2 2 5.0000 -"]);

    append(&lake, &[sale("2025-01-03T10:00:00Z", "3", 1, "99999999999999.9999")]).await;
    let sum = "WITH all_of_it AS (SELECT * FROM gold.sales) SELECT sum(revenue), count(*) FROM all_of_it";
    assert_eq!(ask(&catalogue, &question(sum)).await.expect("rows"), ["100000000000015.0999 3"]);
    let earlier = Question { versions: BTreeMap::from([("gold.sales".to_owned(), 1)]), ..question(sum) };
    assert_eq!(ask(&catalogue, &earlier).await.expect("rows"), ["15.1000 2"], "the version before");

    let columns = "SELECT column_name FROM information_schema.columns WHERE table_name = 'customers' LIMIT 1";
    let missing = refusal(&catalogue, columns).await.to_string();
    assert!(missing.contains("is made when the first event comes"), "{missing}");

    let few = Question { rows: 2, ..question("SELECT store_id FROM sales ORDER BY 1") };
    let rows = catalogue.run(&few).await.expect("rows");
    let cut = grid::grid(&rows, few.rows).expect("text");
    assert_eq!((cut.rows.len(), cut.truncated), (2, true));
}

#[tokio::test]
async fn only_reading_the_lake_is_possible() {
    let lake = lake().await;
    let catalogue = catalogue(&lake, Limits::default());
    std::fs::write(lake.lake.root().join("secret.csv"), "a,b\n1,2\n").expect("a file");
    let path = lake.lake.root().join("secret.csv").display().to_string();
    let statements = [
        format!("SELECT * FROM '{path}'"),
        format!("SELECT * FROM \"{path}\""),
        format!("SELECT * FROM read_csv('{path}')"),
        format!("SELECT * FROM parquet_metadata('{path}')"),
        format!("COPY (SELECT 1) TO '{path}'"),
        format!("CREATE EXTERNAL TABLE t STORED AS CSV LOCATION '{path}'"),
        "CREATE TABLE t AS SELECT 1".to_owned(),
        "SELECT 1 AS a INTO t".to_owned(),
        "CREATE VIEW v AS SELECT 1".to_owned(),
        "CREATE FUNCTION f(a INT) RETURNS INT RETURN a".to_owned(),
        "INSERT INTO gold.sales SELECT * FROM gold.sales".to_owned(),
        "DELETE FROM gold.sales".to_owned(),
        "UPDATE gold.sales SET orders = 0".to_owned(),
        "DROP TABLE gold.sales".to_owned(),
        "TRUNCATE TABLE gold.sales".to_owned(),
        "SET datafusion.execution.batch_size = 1".to_owned(),
        "SHOW ALL".to_owned(),
        "EXPLAIN ANALYZE SELECT * FROM gold.sales".to_owned(),
        "DESCRIBE gold.sales".to_owned(),
        "PREPARE p AS SELECT 1".to_owned(),
        "SELECT 1; DROP TABLE gold.sales".to_owned(),
        "WITH x AS (INSERT INTO gold.sales VALUES (1)) SELECT * FROM x".to_owned(),
        "SELECT * FROM other.public.t".to_owned(),
        "SELECT * FROM pg_catalog.pg_user".to_owned(),
        "SELECT $1".to_owned(),
        String::new(),
        "SELEC 1".to_owned(),
    ];
    for statement in &statements {
        let error = refusal(&catalogue, statement).await;
        assert!(matches!(error, SqlError::Invalid(_)), "{statement}: {error:?}");
        assert!(!error.to_string().contains("a,b"), "{error}");
    }
    let unknown = refusal(&catalogue, "SELECT * FROM gold.salez").await.to_string();
    assert!(unknown.contains("gold.salez") && unknown.contains("gold.sales"), "{unknown}");
    let column = refusal(&catalogue, "SELECT revenu FROM gold.sales").await.to_string();
    assert!(column.contains("revenu"), "{column}");
    works(&catalogue).await;
}

#[tokio::test]
async fn whatever_a_statement_costs_it_is_stopped_and_the_next_one_works() {
    let lake = lake().await;
    let limits = Limits { time: Duration::from_secs(5), memory_bytes: 96 << 20, ..Limits::default() };
    let catalogue = catalogue(&lake, limits);
    let doubling = (1..40).fold("WITH t0 AS (SELECT 1 AS a)".to_owned(), |sql, n| {
        format!("{sql}, t{n} AS (SELECT x.a FROM t{m} x JOIN t{m} y ON x.a = y.a)", m = n - 1)
    });
    let growing = (1..40).fold("WITH t0 AS (SELECT 'xxxxxxxx' AS a)".to_owned(), |sql, n| {
        format!("{sql}, t{n} AS (SELECT a || a AS a FROM t{})", n - 1)
    });
    let statements = [
        "SELECT a.value, count(*) FROM generate_series(1, 1000000) a, generate_series(1, 1000000) b GROUP BY a.value"
            .to_owned(),
        "SELECT a.value, b.value FROM generate_series(1, 1000000) a, generate_series(1, 1000000) b ORDER BY b.value, a.value"
            .to_owned(),
        "WITH RECURSIVE r AS (SELECT 1 AS n UNION ALL SELECT n + 1 FROM r) SELECT count(*) FROM r".to_owned(),
        "SELECT length(repeat('x', 2000000000))".to_owned(),
        "SELECT repeat('x', 1000000) FROM generate_series(1, 1000)".to_owned(),
        "SELECT array_agg(repeat('x', 1000)) FROM generate_series(1, 10000000)".to_owned(),
        "SELECT string_agg(repeat('x', 10000), ',') FROM generate_series(1, 10000000)".to_owned(),
        "SELECT lpad('x', 2000000000)".to_owned(),
        format!("{doubling} SELECT count(*) FROM t39"),
        format!("{growing} SELECT length(a) FROM t39"),
        format!("SELECT {}1{}", "(".repeat(20_000), ")".repeat(20_000)),
        format!("SELECT {}1", "- ".repeat(20_000)),
        format!("SELECT {}", vec!["1"; 15_000].join("+")),
        format!("SELECT 1 {}", "UNION ALL SELECT 1 ".repeat(3_000)),
        format!("SELECT '{}'", "x".repeat(1 << 20)),
    ];
    for statement in &statements {
        let shown: String = statement.chars().take(80).collect();
        match ask(&catalogue, &question(statement)).await {
            Err(SqlError::Internal(error)) => panic!("{shown}: {error:#}"),
            Err(error) => assert!(!error.to_string().is_empty(), "{shown}"),
            // Some of them are no more than long.
            Ok(rows) => assert!(rows.len() <= 100, "{shown}"),
        }
        works(&catalogue).await;
    }
}

#[tokio::test]
async fn memory_and_time_have_words_of_their_own() {
    let lake = lake().await;
    let small = |seconds| Limits { time: Duration::from_secs(seconds), memory_bytes: 64 << 20, ..Limits::default() };
    let patient = catalogue(&lake, small(60));
    let groups =
        "SELECT count(*) FROM (SELECT value % 49999991, count(*) FROM generate_series(1, 100000000) GROUP BY 1)";
    assert!(matches!(refusal(&patient, groups).await, SqlError::TooLarge), "more groups than fit");
    let catalogue = catalogue(&lake, small(2));
    let kernel = "SELECT length(repeat('x', 2000000000))";
    assert!(matches!(refusal(&catalogue, kernel).await, SqlError::TooLarge), "one value that does not fit");
    let endless =
        "SELECT count(*) FROM generate_series(1, 100000) a, generate_series(1, 100000000) b WHERE a.value < b.value";
    assert!(matches!(refusal(&catalogue, endless).await, SqlError::TooLong(_)), "more rows than there is time for");
    let answer = "SELECT repeat('x', 100000) FROM generate_series(1, 100)";
    assert_eq!(ask(&catalogue, &question(answer)).await.expect("ten megabytes").len(), 100);
    works(&catalogue).await;
}

#[tokio::test]
async fn who_stops_waiting_gives_the_turn_back_and_others_are_told_to_wait() {
    let lake = lake().await;
    let (time, wait) = (Duration::from_secs(60), Duration::from_millis(300));
    let catalogue = std::sync::Arc::new(catalogue(&lake, Limits { time, wait, concurrency: 1, ..Limits::default() }));
    let endless = "SELECT count(*) FROM generate_series(1, 100000000) a, generate_series(1, 100000000) b";
    let running = tokio::spawn({
        let catalogue = std::sync::Arc::clone(&catalogue);
        async move { ask(&catalogue, &question(endless)).await }
    });
    while workers(&lake) == 0 {
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    assert!(matches!(refusal(&catalogue, "SELECT 1").await, SqlError::Busy));
    running.abort();
    assert!(running.await.expect_err("stopped").is_cancelled());
    works(&catalogue).await;
    drop(catalogue);
    while workers(&lake) > 0 {
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
}

/// Processes for SQL over this lake that have not ended.
fn workers(lake: &TestLake) -> usize {
    // Children belong to the thread that started them.
    let tasks = std::fs::read_dir("/proc/self/task").expect("threads");
    let children = tasks.filter_map(|task| std::fs::read_to_string(task.ok()?.path().join("children")).ok());
    let ids: Vec<String> =
        children.flat_map(|ids| ids.split_whitespace().map(ToOwned::to_owned).collect::<Vec<_>>()).collect();
    let url = lake.url();
    let is_of_it = |line: Vec<u8>| String::from_utf8_lossy(&line).contains(url.as_str());
    ids.iter().filter(|id| std::fs::read(format!("/proc/{id}/cmdline")).is_ok_and(is_of_it)).count()
}

#[tokio::test]
async fn the_catalogue_shows_tables_as_they_are_and_were() {
    let lake = lake().await;
    let catalogue = catalogue(&lake, Limits::default());
    append(&lake, &[sale("2025-01-03T10:00:00Z", "3", 1, "7")]).await;
    let tables = catalogue.tables().await.expect("tables");
    let names: Vec<_> = tables.iter().map(|table| (table.full_name(), table.rows, table.version)).collect();
    assert_eq!(names, [("gold.sales".to_owned(), 3, 2)]);
    assert_eq!(tables[0].sources, ["silver.transactions"]);

    let now = catalogue.table(Layer::Gold, "sales", None).await.expect("a table");
    assert_eq!((now.preview.rows.len(), now.history.len()), (3, 3));
    let before = catalogue.table(Layer::Gold, "sales", Some(1)).await.expect("a table");
    assert_eq!((before.summary.rows, before.preview.rows.len(), before.history.len()), (2, 2, 2));
    let missing = |error| match error {
        ShowError::Table(error) => error,
        ShowError::Preview(error) => panic!("{error}"),
    };
    let later = missing(catalogue.table(Layer::Gold, "sales", Some(9)).await.expect_err("no such version"));
    assert!(matches!(later, TableError::NotYet { asked: 9, newest: 2, .. }), "{later}");
    let unknown = missing(catalogue.table(Layer::Gold, "sale", None).await.expect_err("no such table"));
    assert!(matches!(unknown, TableError::NoSuchTable(_)), "{unknown}");
    let empty = missing(catalogue.table(Layer::Silver, "transactions", None).await.expect_err("not made"));
    assert!(matches!(empty, TableError::NotMade(_)), "{empty}");
}

#[tokio::test]
async fn a_declared_column_is_shown_and_can_be_asked_for() {
    let lake = TestLake::new();
    let mut settings = Settings::defaults();
    settings.silver.fields = vec![Field {
        table: "silver.events".to_owned(),
        column: "campaign".to_owned(),
        path: "properties.campaign".to_owned(),
        kind: FieldKind::Text,
    }];
    let rules = Rules::compile(&settings).expect("a good declaration");
    let mut table = lake.lake.table(&schema::EVENTS).await.expect("the table");
    rules.fields().evolve(&mut table).await.expect("a further column");

    let catalogue = catalogue(&lake, Limits::default());
    let shown = catalogue.table(Layer::Silver, "events", None).await.expect("a table");
    let column = shown.columns.iter().find(|column| column.name == "campaign").expect("it is among the columns");
    assert_eq!(column.data_type, "text");
    let to_complete = catalogue.sql_tables().await.expect("tables");
    let events = to_complete.iter().find(|table| table.name == "silver.events").expect("the table");
    assert!(events.columns.iter().any(|column| column.name == "campaign"), "{:?}", events.columns);
    let counted = ask(&catalogue, &question("SELECT count(campaign) FROM silver.events")).await.expect("an answer");
    assert_eq!(counted, ["0"]);
}
