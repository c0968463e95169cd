//! The description of the API, OpenAPI 3.1, put together from what stands at the handlers and in the table of rules.
//!
//! A test compares it with the router: what is in one is in the other.

use std::{collections::BTreeMap, sync::LazyLock};

use axum::{
    extract::RawQuery,
    response::Response,
    routing::{MethodRouter, get},
};
use http::{HeaderMap, HeaderValue, Method};
use utoipa::{
    IntoResponses, Modify, OpenApi, PartialSchema,
    openapi::{
        ContentBuilder, Header, Ref, RefOr, ResponseBuilder, SecurityRequirement,
        path::{Operation, Parameter, ParameterBuilder, ParameterIn},
        security::{ApiKey, ApiKeyValue, Http, HttpAuthScheme, SecurityScheme},
    },
};

use crate::{
    access::rules::{self, Rule},
    etag,
    parameters::Parameters,
    problem::Problem,
    routes::WebState,
};

#[derive(OpenApi)]
#[openapi(
    info(
        title = "StreamlineHub",
        description = "Everything that the pages show, for programs. Send an API key, or the access token of a login, as \
            `Authorization: Bearer ...`. Errors are problem details (RFC 9457). Numbers that count or measure money are exact \
            decimal numbers, written as text; times are RFC 3339. Every answer has the header `X-Request-Id`; a request may \
            bring its own.",
        license(name = "MIT", identifier = "MIT"),
    ),
    tags(
        (name = "Events", description = "Send events into the pipeline."),
        (name = "Analytics", description = "The numbers: now, and over time."),
        (name = "Lake", description = "The tables themselves, and SQL over them."),
        (name = "Saved", description = "Views and SQL queries that people keep, and dashboards made of views. A person sees \
            their own and what is shared, and changes their own."),
        (name = "Quality", description = "Rules that the data are held against and what they found, and the messages that could \
            not be used, to look at and to send again."),
        (name = "Operation", description = "Health, metrics for Prometheus, this document."),
        (name = "Access", description = "Logins for programs that act for a person, and the audit log."),
    ),
    paths(
        crate::events::receive,
        crate::analytics::metrics,
        crate::analytics::realtime,
        crate::analytics::historical,
        crate::analytics::rows::rows,
        crate::analytics::rows::event,
        crate::lake::rest::query,
        crate::lake::rest::tables,
        crate::lake::rest::table,
        crate::saved::rest::list,
        crate::saved::rest::create,
        crate::saved::rest::read,
        crate::saved::rest::replace,
        crate::saved::rest::delete,
        crate::saved::dashboards_rest::list,
        crate::saved::dashboards_rest::create,
        crate::saved::dashboards_rest::read,
        crate::saved::dashboards_rest::replace,
        crate::saved::dashboards_rest::delete,
        crate::quality::rest::rules,
        crate::quality::rest::series,
        crate::quality::rest::samples,
        crate::quality::rest::freshness,
        crate::quality::letters_rest::letters,
        crate::quality::letters_rest::letter,
        crate::quality::letters_rest::replay,
        crate::quality::letters_rest::replay_all,
        crate::quality::letters_rest::batches,
        crate::quality::letters_rest::progress,
        crate::health_api::health,
        crate::health_api::live,
        crate::health_api::ready,
        crate::ledger::ledger,
        crate::access::rest::log_in,
        crate::access::rest::refresh,
        crate::access::rest::log_out,
        crate::access::rest::me,
        crate::access::rest::export_audit,
        crate::dashboard_socket::connect,
        crate::prometheus::metrics,
        document,
    ),
    modifiers(&Callers, &RequestIds),
)]
struct Document;

static JSON: LazyLock<String> = LazyLock::new(|| {
    Document::openapi().to_pretty_json().expect("the document is made of text and numbers, which JSON can hold")
});

/// The document, for the page that shows it and for tests.
pub fn openapi() -> utoipa::openapi::OpenApi {
    Document::openapi()
}

pub fn routes() -> Vec<(&'static str, MethodRouter<WebState>)> {
    vec![("/api-docs/openapi.json", get(document))]
}

/// This document
#[utoipa::path(
    get, path = "/api-docs/openapi.json", tag = "Operation", operation_id = "openapi",
    params(IfNoneMatch),
    responses(
        (status = 200, description = "The description of the API, OpenAPI 3.1.", body = serde_json::Value),
        (status = 304, description = "The same as the caller has."),
        Refusals,
    ),
)]
async fn document(RawQuery(query): RawQuery, headers: HeaderMap) -> Result<Response, Problem> {
    Parameters::read(query.as_deref(), &[], &[])?;
    Ok(etag::tagged_bytes(&headers, JSON.as_str(), HeaderValue::from_static("application/json")))
}

fn refusal(status: u16) -> (String, RefOr<utoipa::openapi::Response>) {
    let (description, again) = match status {
        400 => ("The request cannot be understood; `detail` says why, and `choices` what there is.", false),
        401 => ("Nobody is signed in, or no longer.", false),
        403 => ("The caller may not do this.", false),
        404 => ("There is no such thing, or it is not for the caller to see.", false),
        408 => ("The body did not arrive in time.", false),
        409 => ("The first request with the same `Idempotency-Key` is still under way.", true),
        413 => ("The body is too large.", false),
        415 => ("The body is of another type than `Content-Type` should say.", false),
        422 => ("The body is not what is expected; `detail` says where.", false),
        429 => ("Too many requests.", true),
        500 => ("Something went wrong on the server; its log says what, under `request_id`.", false),
        _ => ("The server is starting, or something that it needs does not answer.", true),
    };
    let schema = Ref::from_schema_name(<Problem as utoipa::ToSchema>::name());
    let mut response = ResponseBuilder::new()
        .description(description)
        .content("application/problem+json", ContentBuilder::new().schema(Some(schema)).build());
    if again {
        let retry = Header::builder().schema(Some(u32::schema())).description(Some("Seconds to wait."));
        response = response.header("Retry-After", retry.build());
    }
    (status.to_string(), response.build().into())
}

/// What every route may answer that is not for everybody.
pub struct Refusals;

impl IntoResponses for Refusals {
    fn responses() -> BTreeMap<String, RefOr<utoipa::openapi::Response>> {
        [400, 401, 403, 429, 500, 503].map(refusal).into()
    }
}

/// What a route may answer that anybody may call.
pub struct OpenRefusals;

impl IntoResponses for OpenRefusals {
    fn responses() -> BTreeMap<String, RefOr<utoipa::openapi::Response>> {
        [429, 503].map(refusal).into()
    }
}

/// What a route may answer that takes JSON from anybody.
pub struct BodyRefusals;

impl IntoResponses for BodyRefusals {
    fn responses() -> BTreeMap<String, RefOr<utoipa::openapi::Response>> {
        [400, 401, 403, 413, 415, 422, 429, 500, 503].map(refusal).into()
    }
}

/// What a route may answer that is about one thing.
pub struct ThingRefusals;

impl IntoResponses for ThingRefusals {
    fn responses() -> BTreeMap<String, RefOr<utoipa::openapi::Response>> {
        [400, 401, 403, 404, 429, 500, 503].map(refusal).into()
    }
}

/// What a route may answer that is about one thing and takes JSON.
pub struct ThingBodyRefusals;

impl IntoResponses for ThingBodyRefusals {
    fn responses() -> BTreeMap<String, RefOr<utoipa::openapi::Response>> {
        [400, 401, 403, 404, 413, 415, 422, 429, 500, 503].map(refusal).into()
    }
}

/// What a route may answer that takes events, beside [`Refusals`].
pub struct EventRefusals;

impl IntoResponses for EventRefusals {
    fn responses() -> BTreeMap<String, RefOr<utoipa::openapi::Response>> {
        [404, 408, 409, 413, 415].map(refusal).into()
    }
}

/// The header by which a caller says what it has.
pub struct IfNoneMatch;

impl utoipa::IntoParams for IfNoneMatch {
    fn into_params(_parameter_in: impl Fn() -> Option<ParameterIn>) -> Vec<Parameter> {
        let parameter = ParameterBuilder::new()
            .name("If-None-Match")
            .parameter_in(ParameterIn::Header)
            .description(Some("The `ETag` of an earlier answer: if it still holds, the answer is 304 and empty."))
            .schema(Some(String::schema()));
        vec![parameter.build()]
    }
}

fn operations(document: &mut utoipa::openapi::OpenApi) -> impl Iterator<Item = (&str, Method, &mut Operation)> {
    document.paths.paths.iter_mut().flat_map(|(path, item)| {
        let all = [
            (Method::GET, &mut item.get),
            (Method::POST, &mut item.post),
            (Method::PUT, &mut item.put),
            (Method::DELETE, &mut item.delete),
            (Method::PATCH, &mut item.patch),
        ];
        all.into_iter().filter_map(move |(method, operation)| Some((path.as_str(), method, operation.as_mut()?)))
    })
}

/// Who may call what, as the table of rules says.
struct Callers;

impl Modify for Callers {
    fn modify(&self, document: &mut utoipa::openapi::OpenApi) {
        let components = document.components.get_or_insert_default();
        let mut bearer = Http::new(HttpAuthScheme::Bearer);
        bearer.description = Some("An API key (`slh_...`), or the access token of a login.".to_owned());
        components.add_security_scheme("bearer", SecurityScheme::Http(bearer));
        let cookie = ApiKeyValue::with_description("access", "How a browser shows who is signed in.");
        components.add_security_scheme("cookie", SecurityScheme::ApiKey(ApiKey::Cookie(cookie)));
        for (path, method, operation) in operations(document) {
            let (who, open) = match rules::rule(path, &method) {
                None => continue,
                Some(Rule::Open) => ("Open to everybody.".to_owned(), true),
                Some(Rule::SignedIn) => ("For whoever is signed in, or comes with an API key.".to_owned(), false),
                Some(Rule::Needs(permission)) => (format!("Needs the permission `{}`.", permission.name()), false),
            };
            let text = operation.description.take().filter(|text| !text.is_empty());
            operation.description = Some(text.map_or(who.clone(), |text| format!("{text}\n\n{who}")));
            let none: [String; 0] = [];
            let ways = ["bearer", "cookie"].map(|way| SecurityRequirement::new(way, none.clone()));
            operation.security = Some(if open { vec![SecurityRequirement::default()] } else { ways.into() });
        }
    }
}

/// Every answer names its request.
struct RequestIds;

impl Modify for RequestIds {
    fn modify(&self, document: &mut utoipa::openapi::OpenApi) {
        let header =
            Header::builder().schema(Some(String::schema())).description(Some("The id of the request.")).build();
        for (_, _, operation) in operations(document) {
            for response in operation.responses.responses.values_mut() {
                if let RefOr::T(response) = response {
                    response.headers.insert("X-Request-Id".to_owned(), header.clone().into());
                }
            }
        }
    }
}
