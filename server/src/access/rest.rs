//! Logins and the audit log for programs: REST under `/api/v1`.

use std::sync::Arc;

use axum::{
    Extension, Json,
    body::{Body, Bytes},
    extract::{
        Query, State,
        rejection::{JsonRejection, QueryRejection},
    },
    response::{IntoResponse, Response},
    routing::{MethodRouter, get, post},
};
use chrono::Utc;
use futures::stream;
use http::{HeaderValue, StatusCode, header};
use model::access::{AuditFilter, Me};
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use super::{
    Access, Denied,
    audit::{self, Deed},
    guard::{self, Identity},
    login::Login,
    sessions::{Client, Tokens},
};
use crate::{
    openapi::{BodyRefusals, Refusals},
    problem::Problem,
    routes::WebState,
};

/// Lines that are read at once for an export. Statements are long.
const EXPORT_CHUNK: i64 = 200;

pub fn routes() -> Vec<(&'static str, MethodRouter<WebState>)> {
    vec![
        ("/api/v1/auth/login", post(log_in)),
        ("/api/v1/auth/refresh", post(refresh)),
        ("/api/v1/auth/logout", post(log_out)),
        ("/api/v1/auth/me", get(me)),
        ("/api/v1/audit.csv", get(export_audit)),
    ]
}

#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct LogIn {
    #[schema(example = "ann@example.com")]
    email: String,
    #[schema(example = "purple elephants paint fences")]
    password: String,
    /// Of the authenticator, or a recovery code, where there is a second factor.
    code: Option<String>,
}

#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct Refresh {
    refresh_token: String,
}

/// As OAuth 2.0 (RFC 6749, 5.1) names these.
#[derive(Serialize, ToSchema)]
pub(crate) struct TokenAnswer {
    access_token: String,
    #[schema(value_type = String, example = "Bearer")]
    token_type: &'static str,
    /// Seconds.
    expires_in: i64,
    refresh_token: String,
}

impl From<Tokens> for TokenAnswer {
    fn from(tokens: Tokens) -> TokenAnswer {
        TokenAnswer {
            access_token: tokens.access,
            token_type: "Bearer",
            expires_in: tokens.access_seconds,
            refresh_token: tokens.refresh,
        }
    }
}

fn answer(tokens: Tokens) -> Response {
    no_store(Json(TokenAnswer::from(tokens)).into_response())
}

pub(crate) fn no_store(mut response: Response) -> Response {
    response.headers_mut().insert(header::CACHE_CONTROL, HeaderValue::from_static("no-store"));
    response
}

/// Why there is no answer.
pub(crate) enum Refusal {
    Denied(Denied),
    Problem(Problem),
    Unauthorized(&'static str),
}

impl From<Denied> for Refusal {
    fn from(denied: Denied) -> Refusal {
        Refusal::Denied(denied)
    }
}

impl IntoResponse for Refusal {
    fn into_response(self) -> Response {
        let problem = |status, why: String| Problem::new(status, why).into_response();
        match self {
            Refusal::Problem(problem) => problem.into_response(),
            Refusal::Unauthorized(why) => {
                let mut response = problem(StatusCode::UNAUTHORIZED, why.to_owned());
                response.headers_mut().insert(header::WWW_AUTHENTICATE, HeaderValue::from_static("Bearer"));
                response
            }
            Refusal::Denied(Denied::Internal(error)) => {
                tracing::error!("a request failed: {error:#}");
                let why = Denied::Internal(error).to_string();
                problem(StatusCode::INTERNAL_SERVER_ERROR, why)
            }
            Refusal::Denied(Denied::Invalid(why)) => problem(StatusCode::BAD_REQUEST, why),
            Refusal::Denied(Denied::Missing(why)) => problem(StatusCode::NOT_FOUND, why),
            Refusal::Denied(Denied::Forbidden(why)) => problem(StatusCode::FORBIDDEN, why),
            Refusal::Denied(Denied::TooMany(seconds)) => {
                let mut response = problem(StatusCode::TOO_MANY_REQUESTS, Denied::TooMany(seconds).to_string());
                response.headers_mut().insert(header::RETRY_AFTER, HeaderValue::from(seconds));
                response
            }
        }
    }
}

pub(crate) fn access(state: &WebState) -> Result<Arc<Access>, Refusal> {
    let starting = || Refusal::Problem(Problem::starting());
    state.gate.access().cloned().ok_or_else(starting)
}

pub(crate) fn body<T>(body: Result<Json<T>, JsonRejection>) -> Result<T, Refusal> {
    body.map(|Json(body)| body)
        .map_err(|rejection| Refusal::Problem(Problem::new(rejection.status(), rejection.body_text())))
}

/// Log in
///
/// For a program that acts for a person: it gets an access token, which is good for minutes, and a refresh token, which is
/// good once.
#[utoipa::path(
    post, path = "/api/v1/auth/login", tag = "Access", operation_id = "login",
    request_body = LogIn,
    responses(
        BodyRefusals,
        (status = 200, description = "A session.", body = TokenAnswer),
        (status = 401, description = "The address, the password or the code is wrong, or a code is needed.",
            body = Problem, content_type = "application/problem+json"),
    ),
)]
pub(crate) async fn log_in(
    State(state): State<WebState>,
    Extension(client): Extension<Client>,
    json: Result<Json<LogIn>, JsonRejection>,
) -> Result<Response, Refusal> {
    let (access, form) = (access(&state)?, body(json)?);
    let first = access.log_in(&form.email, form.password, &client, None).await?;
    let login = match (first, form.code) {
        (Login::NeedsCode(token), Some(code)) => access.log_in_with_code(&token, &code, &client, None).await?,
        (login, _) => login,
    };
    Ok(match login {
        Login::In(tokens) => answer(tokens),
        Login::NeedsCode(_) => {
            return Err(Refusal::Unauthorized("This account has a second factor: send `code` as well."));
        }
        Login::Wrong => return Err(Refusal::Unauthorized("The e-mail address, the password or the code is wrong.")),
    })
}

/// Renew the tokens
///
/// A refresh token that comes a second time ends the session.
#[utoipa::path(
    post, path = "/api/v1/auth/refresh", tag = "Access", operation_id = "refresh",
    request_body = Refresh,
    responses(
        BodyRefusals,
        (status = 200, description = "New tokens of the same session.", body = TokenAnswer),
        (status = 401, description = "The refresh token is not good any more.",
            body = Problem, content_type = "application/problem+json"),
    ),
)]
pub(crate) async fn refresh(
    State(state): State<WebState>,
    Extension(client): Extension<Client>,
    json: Result<Json<Refresh>, JsonRejection>,
) -> Result<Response, Refusal> {
    let (access, form) = (access(&state)?, body(json)?);
    match access.renew(&form.refresh_token, &client).await? {
        Some(tokens) => Ok(answer(tokens)),
        None => Err(Refusal::Unauthorized("The refresh token is not good any more. Log in again.")),
    }
}

/// End the session
#[utoipa::path(
    post, path = "/api/v1/auth/logout", tag = "Access", operation_id = "logout",
    responses((status = 204, description = "It is ended."), Refusals),
)]
pub(crate) async fn log_out(
    State(state): State<WebState>,
    Extension(client): Extension<Client>,
    Extension(identity): Extension<Identity>,
) -> Result<Response, Refusal> {
    let access = access(&state)?;
    let Some(session) = identity.session() else {
        return Err(Denied::Invalid("An API key has no session; revoke the key.".to_owned()).into());
    };
    let actor = guard::actor_of(&identity, &client);
    access.end_session(session, None, &actor, "logout").await?;
    Ok(StatusCode::NO_CONTENT.into_response())
}

/// Who am I
#[utoipa::path(
    get, path = "/api/v1/auth/me", tag = "Access", operation_id = "me",
    responses((status = 200, description = "The caller, and what they may do now.", body = Me), Refusals),
)]
pub(crate) async fn me(Extension(identity): Extension<Identity>) -> Response {
    no_store(Json(me_of(&identity)).into_response())
}

/// The caller, as pages and programs see themselves.
pub(crate) fn me_of(identity: &Identity) -> Me {
    let standing = &identity.standing;
    Me {
        id: standing.user,
        name: standing.name.clone(),
        email: standing.email.clone(),
        role: standing.role.clone(),
        permissions: standing.permissions.clone(),
        second_factor: standing.second_factor,
        must_enrol: standing.must_enrol,
        access_seconds_left: identity.access_until.map_or(0, |until| (until - Utc::now().timestamp()).max(0)),
    }
}

/// The audit log
///
/// As CSV, the newest line first, to the last line that the filter matches. An answer that breaks off is not whole: it ends without
/// the last chunk of the transfer, which clients report.
#[utoipa::path(
    get, path = "/api/v1/audit.csv", tag = "Access", operation_id = "audit_export",
    params(AuditFilter),
    responses(
        (status = 200, description = "The lines that the filter matches.", body = String, content_type = "text/csv",
            example = "number,at,actor,address,action,target,outcome,detail"),
        Refusals,
    ),
)]
pub(crate) async fn export_audit(
    State(state): State<WebState>,
    Extension(client): Extension<Client>,
    Extension(identity): Extension<Identity>,
    query: Result<Query<AuditFilter>, QueryRejection>,
) -> Result<Response, Refusal> {
    let access = access(&state)?;
    let Query(filter) = query.map_err(|rejection| Refusal::Problem(Problem::bad_request(rejection.body_text())))?;
    audit::check(&filter).map_err(|error| Denied::Invalid(error.to_string()))?;
    let asked = format!(
        "who={} what={} from={} to={} outcome={}",
        filter.who, filter.what, filter.from, filter.to, filter.outcome
    );
    let actor = guard::actor_of(&identity, &client);
    access.note(&actor, &Deed::success("audit.export", "audit log").with_detail(&asked)).await?;
    // Read as the caller takes it, so that its length costs no memory.
    let chunks = stream::try_unfold((true, filter.before), move |(is_first, before)| {
        let (access, filter) = (Arc::clone(&access), filter.clone());
        async move {
            if !is_first && before.is_none() {
                return anyhow::Ok(None);
            }
            let entries = audit::entries(&access.pool, &filter, before, EXPORT_CHUNK).await?;
            let full = i64::try_from(entries.len())? == EXPORT_CHUNK;
            let next = entries.last().filter(|_| full).map(|entry| entry.number);
            let text = audit::csv(&entries, is_first)?;
            Ok(Some((Bytes::from(text), (false, next))))
        }
    });
    let headers = [
        (header::CONTENT_TYPE, "text/csv; charset=utf-8"),
        (header::CONTENT_DISPOSITION, "attachment; filename=\"audit-log.csv\""),
        (header::CACHE_CONTROL, "no-store"),
    ];
    Ok((headers, Body::from_stream(chunks)).into_response())
}
