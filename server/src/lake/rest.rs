//! The tables and SQL for programs: REST under `/api/v1`.

use std::{sync::Arc, time::Instant};

use axum::{
    Extension, Form, Json,
    extract::{
        Path, RawQuery, State,
        rejection::{FormRejection, JsonRejection},
    },
    response::{IntoResponse, Response},
    routing::{MethodRouter, get, post},
};
use http::{HeaderMap, StatusCode, header};
use model::{
    lake::{Grid, TableDetail, TableSummary},
    topic::Layer,
};
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use super::{Catalogue, Question, Rows, ShowError, SqlError, TableError, formats, grid};
use crate::{
    access::{
        audit::Deed,
        guard::{self, Identity},
        rest::{Refusal, access},
        rules::Kind,
        sessions::Client,
    },
    etag,
    openapi::{BodyRefusals, IfNoneMatch, Refusals},
    parameters::Parameters,
    problem::Problem,
    routes::WebState,
};

/// Rows of an answer where nothing is said, and at most.
const ROWS: usize = 10_000;
const MOST_ROWS: usize = 100_000;

pub(crate) fn routes() -> Vec<(&'static str, MethodRouter<WebState>)> {
    vec![("/api/v1/query", post(query)), ("/api/v1/tables", get(tables)), ("/api/v1/tables/{layer}/{name}", get(table))]
}

/// The form of the SQL page.
pub(crate) fn forms() -> Vec<(&'static str, MethodRouter<WebState>)> {
    vec![("/sql/export", post(export))]
}

/// How the rows are written.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub(crate) enum Format {
    #[default]
    Json,
    Csv,
    /// An Arrow IPC stream.
    Arrow,
    Parquet,
}

impl Format {
    fn extension(self) -> &'static str {
        match self {
            Format::Json => "json",
            Format::Csv => "csv",
            Format::Arrow => "arrow",
            Format::Parquet => "parquet",
        }
    }
}

#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct Query {
    /// One `SELECT`. The tables are `bronze.x`, `silver.x` and `gold.x`; see `/api/v1/tables`.
    #[schema(example = "SELECT date, sum(revenue) AS revenue FROM gold.sales GROUP BY date ORDER BY date")]
    sql: String,
    /// Rows at most; 10000 where nothing is said.
    #[schema(minimum = 1, maximum = 100_000)]
    limit: Option<usize>,
    #[serde(default)]
    format: Format,
}

#[derive(Serialize, ToSchema)]
pub(crate) struct QueryAnswer {
    #[serde(flatten)]
    grid: Grid,
    milliseconds: u64,
}

fn catalogue(state: &WebState) -> Result<&Arc<Catalogue>, Problem> {
    state.parts.catalogue.get().ok_or_else(Problem::starting)
}

fn internal(what: &str, error: &anyhow::Error) -> Problem {
    tracing::error!("{what}: {error:#}");
    Problem::new(StatusCode::INTERNAL_SERVER_ERROR, "Something went wrong on the server; its log says what.")
}

fn no_answer(error: &SqlError) -> Problem {
    let status = match error {
        SqlError::Invalid(_) => StatusCode::BAD_REQUEST,
        SqlError::TooLong(_) | SqlError::TooLarge => StatusCode::UNPROCESSABLE_ENTITY,
        SqlError::Busy | SqlError::Changed => StatusCode::SERVICE_UNAVAILABLE,
        SqlError::Internal(error) => return internal("a statement failed", error),
    };
    Problem::new(status, error.sentence())
}

fn not_shown(error: &ShowError) -> Problem {
    match error {
        ShowError::Table(TableError::Internal(error)) => internal("a table cannot be read", error),
        ShowError::Table(TableError::Gone { .. }) => {
            Problem::new(StatusCode::GONE, format!("It cannot be shown: {error}."))
        }
        ShowError::Table(_) => Problem::new(StatusCode::NOT_FOUND, format!("It cannot be shown: {error}.")),
        ShowError::Preview(error) => no_answer(error),
    }
}

/// Run SQL over the lake
///
/// One statement that reads. Values are exact text in JSON and CSV. Every statement is noted in the audit log.
#[utoipa::path(
    post, path = "/api/v1/query", tag = "Lake", operation_id = "query", request_body = Query,
    responses(
        BodyRefusals,
        (status = 200, description = "The rows. In the other formats the header `X-Truncated` says whether there are more.",
            content(
                (QueryAnswer = "application/json"), (String = "text/csv"),
                (Vec<u8> = "application/vnd.apache.arrow.stream"), (Vec<u8> = "application/vnd.apache.parquet"))),
    ),
)]
pub(crate) async fn query(
    State(state): State<WebState>,
    Extension(client): Extension<Client>,
    Extension(identity): Extension<Identity>,
    json: Result<Json<Query>, JsonRejection>,
) -> Result<Response, Refusal> {
    let refuse = |rejection: JsonRejection| Refusal::Problem(Problem::new(rejection.status(), rejection.body_text()));
    let Json(asked) = json.map_err(refuse)?;
    let rows = asked.limit.unwrap_or(ROWS);
    if !(1..=MOST_ROWS).contains(&rows) {
        let why = format!("`limit` is {rows}; it must be from 1 to {MOST_ROWS}.");
        return Err(Refusal::Problem(Problem::bad_request(why)));
    }
    let catalogue = catalogue(&state).map_err(Refusal::Problem)?;
    // Before it runs, so that it is noted however it ends.
    let actor = guard::actor_of(&identity, &client);
    access(&state)?.note(&actor, &Deed::success("sql.query", "lake").with_detail(&asked.sql)).await?;
    let (content_type, truncated, content) =
        answer(catalogue, asked.sql, rows, asked.format).await.map_err(Refusal::Problem)?;
    let headers = [(header::CONTENT_TYPE, content_type), (header::CACHE_CONTROL, "no-store")];
    Ok((headers, [("x-truncated", if truncated { "true" } else { "false" })], content).into_response())
}

/// What the form of the SQL page sends.
#[derive(Deserialize)]
pub(crate) struct Export {
    sql: String,
    #[serde(default)]
    format: Format,
}

/// The answer as a file.
async fn export(
    State(state): State<WebState>,
    Extension(client): Extension<Client>,
    Extension(identity): Extension<Identity>,
    form: Result<Form<Export>, FormRejection>,
) -> Result<Response, Response> {
    let page = |problem: Problem| guard::refusal(Kind::Page, problem.status(), problem.detail());
    let Form(asked) = form.map_err(|rejection| page(Problem::new(rejection.status(), rejection.body_text())))?;
    let catalogue = catalogue(&state).map_err(page)?;
    let actor = guard::actor_of(&identity, &client);
    let deed = Deed::success("sql.export", "lake").with_detail(&asked.sql);
    let noted = access(&state).map_err(IntoResponse::into_response)?.note(&actor, &deed).await;
    noted.map_err(|denied| Refusal::from(denied).into_response())?;
    let (content_type, _, content) = answer(catalogue, asked.sql, MOST_ROWS, asked.format).await.map_err(page)?;
    let name = format!("attachment; filename=\"answer.{}\"", asked.format.extension());
    let headers = [
        (header::CONTENT_TYPE, content_type.to_owned()),
        (header::CONTENT_DISPOSITION, name),
        (header::CACHE_CONTROL, "no-store".to_owned()),
    ];
    Ok((headers, content).into_response())
}

/// Runs a statement; answers the type of the content, whether there are more rows, and the content.
async fn answer(
    catalogue: &Catalogue,
    sql: String,
    rows: usize,
    format: Format,
) -> Result<(&'static str, bool, Vec<u8>), Problem> {
    let begun = Instant::now();
    let question = Question { sql, rows, ..Question::default() };
    let found = catalogue.run(&question).await.map_err(|error| no_answer(&error))?;
    let milliseconds = u64::try_from(begun.elapsed().as_millis()).unwrap_or(u64::MAX);
    // Off the threads that serve others: it may be a hundred thousand rows.
    let written = tokio::task::spawn_blocking(move || -> anyhow::Result<_> {
        let (kept, truncated) = grid::cut(&found.batches, rows);
        let kept = Rows { schema: found.schema, batches: kept };
        let (content_type, content) = match format {
            Format::Json => {
                let grid = Grid { truncated, ..grid::grid(&kept, rows)? };
                ("application/json", serde_json::to_vec(&QueryAnswer { grid, milliseconds })?)
            }
            Format::Csv => ("text/csv; charset=utf-8", formats::csv(&grid::grid(&kept, rows)?)?),
            Format::Arrow => ("application/vnd.apache.arrow.stream", formats::arrow(&kept)?),
            Format::Parquet => ("application/vnd.apache.parquet", formats::parquet(&kept)?),
        };
        Ok((content_type, truncated, content))
    });
    let written = written.await.map_err(anyhow::Error::from).and_then(|written| written);
    written.map_err(|error| internal("an answer cannot be written", &error))
}

/// The lake's tables
#[utoipa::path(
    get, path = "/api/v1/tables", tag = "Lake", operation_id = "tables",
    params(IfNoneMatch),
    responses(
        (status = 200, description = "Every table that exists.", body = Vec<TableSummary>, headers(
            ("ETag" = String, description = "Names this answer, for `If-None-Match`."))),
        (status = 304, description = "The same as the caller has."),
        Refusals,
    ),
)]
pub(crate) async fn tables(
    State(state): State<WebState>,
    RawQuery(parameters): RawQuery,
    headers: HeaderMap,
) -> Result<Response, Problem> {
    Parameters::read(parameters.as_deref(), &[], &[])?;
    let tables = catalogue(&state)?.tables().await;
    let tables = tables.map_err(|error| internal("the tables cannot be listed", &error))?;
    Ok(etag::tagged(&headers, &tables))
}

/// A table
///
/// Its columns, what it is made from, its newest commits and some rows, as of the newest version or of an earlier one.
#[utoipa::path(
    get, path = "/api/v1/tables/{layer}/{name}", tag = "Lake", operation_id = "table",
    params(
        ("layer" = Layer, Path, description = "`bronze`, `silver` or `gold`."),
        ("name" = String, Path, description = "The table's name.", example = "sales"),
        ("version" = Option<u64>, Query, description = "A Delta version; the newest where nothing is said."),
        IfNoneMatch,
    ),
    responses(
        (status = 200, description = "The table.", body = TableDetail, headers(
            ("ETag" = String, description = "Names this answer, for `If-None-Match`."))),
        (status = 304, description = "The same as the caller has."),
        (status = 404, description = "There is no such table, or no such version yet.",
            body = Problem, content_type = "application/problem+json"),
        (status = 410, description = "The version is gone.", body = Problem, content_type = "application/problem+json"),
        Refusals,
    ),
)]
pub(crate) async fn table(
    State(state): State<WebState>,
    Path((layer, name)): Path<(String, String)>,
    RawQuery(parameters): RawQuery,
    headers: HeaderMap,
) -> Result<Response, Problem> {
    let parameters = Parameters::read(parameters.as_deref(), &["version"], &[])?;
    let unknown = || Problem::unknown("layer", &layer, Layer::ALL.map(Layer::name));
    let layer = Layer::from_name(&layer).ok_or_else(unknown)?;
    let number = |text: &str| {
        text.parse::<u64>().map_err(|_| Problem::bad_request("`version` must be a whole number, such as 12."))
    };
    let version = parameters.get("version").map(number).transpose()?;
    let detail = catalogue(&state)?.table(layer, &name, version).await.map_err(|error| not_shown(&error))?;
    Ok(etag::tagged(&headers, &detail))
}
