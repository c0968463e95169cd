//! The numbers of the Explore page as a file.

use app::ports::Unavailable;
use axum::{
    extract::{RawQuery, State},
    response::{IntoResponse, Response},
    routing::{MethodRouter, get},
};
use chrono::{SecondsFormat, Utc};
use http::{StatusCode, header};
use model::explore::{ExploreAnswer, ExploreView};
use rust_decimal::Decimal;

use crate::{access::audit::harmless, explore::explore, problem::Problem, routes::WebState};

pub fn routes() -> Vec<(&'static str, MethodRouter<WebState>)> {
    vec![("/explore.csv", get(export))]
}

/// The rows that the page shows for the same parameters.
async fn export(State(state): State<WebState>, RawQuery(query): RawQuery) -> Result<Response, Problem> {
    let view = ExploreView::parse(&query.unwrap_or_default()).map_err(Problem::bad_request)?;
    let refused = |unavailable| match unavailable {
        Unavailable::Failed(reason) => Problem::bad_request(reason),
        _ => Problem::starting(),
    };
    let numbers = state.parts.numbers(view.as_of).map_err(refused)?;
    let answer = explore(numbers, &view, Utc::now()).await.map_err(refused)?;
    let text = csv(&view, &answer).map_err(|error| {
        tracing::error!("numbers cannot be exported: {error:#}");
        Problem::new(StatusCode::INTERNAL_SERVER_ERROR, "The file could not be written; the server's log says why.")
    })?;
    let headers = [
        (header::CONTENT_TYPE, "text/csv; charset=utf-8".to_owned()),
        (header::CONTENT_DISPOSITION, format!("attachment; filename=\"{}.csv\"", view.file_name())),
        (header::CACHE_CONTROL, "no-store".to_owned()),
    ];
    Ok((headers, text).into_response())
}

/// Numbers are exact and unformatted; a value that a spreadsheet would take for a formula gets a quote in front.
fn csv(view: &ExploreView, answer: &ExploreAnswer) -> anyhow::Result<Vec<u8>> {
    let mut writer = csv::Writer::from_writer(Vec::new());
    let mut header: Vec<String> = Vec::new();
    header.extend(answer.granularity.map(|granularity| granularity.name().to_owned()));
    let named = view.split.filter(|_| !answer.names.is_empty());
    header.extend(view.split.map(|dimension| dimension.name().to_owned()));
    header.extend(named.map(|dimension| format!("{}_name", dimension.name())));
    header.extend(view.metrics.iter().cloned());
    if view.compare {
        header.extend(view.metrics.iter().map(|name| format!("{name}_before")));
    }
    writer.write_record(header)?;
    let plain = |value: &Option<Decimal>| value.map(|value| value.normalize().to_string()).unwrap_or_default();
    for (place, row) in answer.rows.iter().enumerate() {
        let mut record: Vec<String> = Vec::new();
        record.extend(row.time.map(|time| time.to_rfc3339_opts(SecondsFormat::Secs, true)));
        record.extend(view.split.map(|_| harmless(row.key.as_deref().unwrap_or_default())));
        record.extend(named.map(|_| harmless(&answer.name_of(row.key.as_deref()))));
        let before = view.compare.then(|| answer.previous.get(place)).flatten();
        for row in [Some(row), before].into_iter().flatten() {
            record.extend(row.values.iter().map(plain));
        }
        writer.write_record(record)?;
    }
    Ok(writer.into_inner()?)
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use chrono::DateTime;
    use model::{query::Row, range::Granularity};

    use super::*;

    fn answer(granularity: Option<Granularity>, rows: Vec<Row>, previous: Vec<Row>) -> ExploreAnswer {
        let interval = ExploreView::default().range.interval(DateTime::UNIX_EPOCH);
        let (computed_at, names) = (DateTime::UNIX_EPOCH, BTreeMap::new());
        ExploreAnswer { interval, granularity, computed_at, rows, previous, more: false, names }
    }

    #[test]
    fn a_file_names_its_columns_and_holds_no_formula() {
        let view = ExploreView::parse("split=store&compare=yes").expect("a view");
        let row = |value: i64| Row { time: None, key: Some("=1+1".to_owned()), values: vec![Some(value.into())] };
        let mut answer = answer(None, vec![row(3)], vec![row(2)]);
        let text = |answer: &ExploreAnswer| String::from_utf8(csv(&view, answer).expect("CSV")).expect("text");
        assert_eq!(text(&answer), "store,revenue,revenue_before\n'=1+1,3,2\n");
        answer.names.insert("=1+1".to_owned(), "Two, in all".to_owned());
        assert_eq!(text(&answer), "store,store_name,revenue,revenue_before\n'=1+1,\"Two, in all\",3,2\n");
    }

    #[test]
    fn times_are_whole_and_nothing_is_empty() {
        let view = ExploreView::parse("metric=average_order_value").expect("a view");
        let row = Row { time: Some(DateTime::UNIX_EPOCH), key: None, values: vec![None] };
        let text = csv(&view, &answer(Some(Granularity::Day), vec![row], Vec::new())).expect("CSV");
        assert_eq!(String::from_utf8(text).expect("text"), "day,average_order_value\n1970-01-01T00:00:00Z,\n");
    }
}
