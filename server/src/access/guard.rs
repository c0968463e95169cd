//! Stands before every route: where a request comes from, who sends it, and whether they may.

use std::{net::SocketAddr, sync::Arc, time::Duration};

use axum::{
    Json,
    body::{Body, to_bytes},
    extract::{ConnectInfo, MatchedPath, Request, State},
    middleware::Next,
    response::{IntoResponse, Response},
};
use chrono::{TimeDelta, Utc};
use http::{HeaderMap, HeaderValue, Method, StatusCode, Uri, header};
use url::form_urlencoded;
use uuid::Uuid;

use super::{
    Access, Credential, Denied, Standing, api_key_credential, api_keys,
    audit::{Actor, Deed},
    confirm,
    cookies::Name,
    gate::Gate,
    path::{self, Written},
    rules::{self, Kind, Rule},
    sessions::{Client, Renewal, Tokens},
    token::{self, Audience},
};
use crate::{plain, problem::Problem, security};

/// The longest form, in bytes.
pub(super) const LONGEST_FORM: usize = 64 * 1024;
/// Pages that a browser opens at the same moment, all with the same refresh token, come within this time.
const RACE: TimeDelta = TimeDelta::seconds(2);
const RACE_PAUSE: Duration = Duration::from_millis(300);

/// Who sends a request.
#[derive(Clone, Debug)]
pub struct Identity {
    pub standing: Arc<Standing>,
    pub credential: Credential,
    /// When the access token ends, in seconds since 1970; an API key has none.
    pub access_until: Option<i64>,
}

impl Identity {
    pub fn session(&self) -> Option<Uuid> {
        match self.credential {
            Credential::Session(id) => Some(id),
            Credential::ApiKey(_) => None,
        }
    }
}

/// What a request brought to show who sends it.
enum Shown {
    Nothing,
    Bearer(String),
    Cookie(String),
}

/// The middleware. Behind it a request has a [`Client`], and an [`Identity`] if it has a sender.
pub async fn guard(State(gate): State<Arc<Gate>>, mut request: Request, next: Next) -> Response {
    let peer = request.extensions().get::<ConnectInfo<SocketAddr>>().map(|peer| peer.0.ip());
    let client = Client {
        address: gate.address(peer, request.headers()),
        user_agent: text(request.headers(), header::USER_AGENT).unwrap_or_default().to_owned(),
    };
    request.extensions_mut().insert(client.clone());
    if let Err(why) = gate.hosts.check(&request) {
        return refusal(rules::kind(request.uri().path()), StatusCode::MISDIRECTED_REQUEST, &why);
    }
    if let Some(elsewhere) = written_otherwise(&request) {
        return elsewhere;
    }
    let Some(path) = request.extensions().get::<MatchedPath>().map(|path| path.as_str().to_owned()) else {
        // A file, or nothing at all. The page that says so shows who is signed in.
        return not_a_route(&gate, &client, request, next).await;
    };
    let kind = rules::kind(&path);
    let Some(rule) = rules::rule(&path, request.method()) else {
        tracing::error!(path, "this route declares no permission and is refused");
        return refusal(kind, StatusCode::FORBIDDEN, "Nobody may use this.");
    };
    let shown = shown(&gate, request.headers());
    if let Some(refused) = foreign(&gate, &request, &shown, kind) {
        return refused;
    }
    // The whole form is here before anybody is judged: rights may end while the rest of it is on its way.
    if kind == Kind::Page && !request.method().is_safe() {
        request = match with_whole_form(request).await {
            Ok(request) => request,
            Err(refused) => return refused,
        };
    }
    if kind == Kind::Function {
        // Functions answer the pages' scripts. For a form of a browser they would lead back to wherever it says it came from.
        request.headers_mut().remove(header::REFERER);
        request.headers_mut().insert(header::ACCEPT, HeaderValue::from_static("application/json"));
    }
    let Some(access) = gate.access().cloned() else {
        return match rule {
            Rule::Open if kind == Kind::Rest => next.run(request).await,
            _ => starting(kind),
        };
    };
    let mut renewed = None;
    let identity = match identify(&access, &shown).await {
        Ok(Some(identity)) => Some(identity),
        Ok(None) if kind == Kind::Page && rule != Rule::Open => {
            match renew(&gate, &access, request.headers(), &client).await {
                Ok(Renewed::Now(identity, tokens)) => {
                    renewed = Some(tokens);
                    Some(identity)
                }
                // By then the answer to the other page has brought the browser its new tokens.
                Ok(Renewed::ByAnotherPage) if request.method().is_safe() => {
                    tokio::time::sleep(RACE_PAUSE).await;
                    return plain::see_other(request.uri().path_and_query().map_or("/", |path| path.as_str()));
                }
                Ok(Renewed::ByAnotherPage | Renewed::No) => None,
                Err(denied) => return failed(kind, &denied),
            }
        }
        Ok(None) => None,
        Err(denied) => return failed(kind, &denied),
    };
    if identity.is_none()
        && matches!(shown, Shown::Bearer(_))
        && let Err(denied) = access.note_bad_token(&client, &path).await
    {
        return failed(kind, &denied);
    }
    if let Some(limited) = limited(&access, identity.as_ref(), &client, kind).await {
        return limited;
    }
    let allowed = match (rule, &identity) {
        (Rule::Open, _) | (Rule::SignedIn, Some(_)) => true,
        (_, None) => return signed_out(&gate, kind, request.uri(), request.headers()),
        (Rule::Needs(permission), Some(identity)) => identity.standing.may(permission),
    };
    if kind != Kind::Rest && identity.as_ref().is_some_and(|identity| identity.session().is_none()) {
        return refusal(kind, StatusCode::FORBIDDEN, "An API key is for the API; pages and forms are for people.");
    }
    if let Some(identity) = &identity {
        request.extensions_mut().insert(identity.clone());
    }
    if allowed
        && rules::asks_again(&path)
        && let Some((identity, session)) = identity.as_ref().and_then(|identity| Some((identity, identity.session()?)))
    {
        let actor = actor_of(identity, &client);
        request = match confirm::confirmed(&access, &identity.standing, session, &actor, request).await {
            Ok(request) => request,
            Err(question) => return with_cookies(&gate, renewed.as_deref(), question),
        };
    }
    let response = if allowed {
        next.run(request).await
    } else {
        // Whoever answers the request is not asked: a refusal is made of the rule and the caller alone.
        let identity = identity.expect("who is nobody was sent away before");
        let actor = identity.standing.actor(&client.address.to_string());
        let deed = Deed::refused("access", &path, "");
        if let Err(denied) = access.note_once(&actor, &deed).await {
            return failed(kind, &denied);
        }
        if kind == Kind::Page && request.method().is_safe() && identity.standing.must_enrol {
            plain::see_other("/profile")
        } else {
            not_for_you(kind, rule, &identity.standing)
        }
    };
    with_cookies(&gate, renewed.as_deref(), response)
}

/// An answer for one person, with the tokens that the request had renewed.
fn with_cookies(gate: &Gate, renewed: Option<&Tokens>, mut response: Response) -> Response {
    let headers = response.headers_mut();
    for cookie in renewed.into_iter().flat_map(|tokens| gate.cookies.session(tokens)) {
        headers.append(header::SET_COOKIE, cookie);
    }
    // What is for one person is kept nowhere.
    headers.entry(header::CACHE_CONTROL).or_insert(HeaderValue::from_static("no-store"));
    response
}

/// Another way of writing a path leads to the canonical one, before anything is looked up by it.
fn written_otherwise(request: &Request) -> Option<Response> {
    let (path, is_safe) = (request.uri().path(), request.method().is_safe());
    match path::judge(path) {
        Written::Canonically => None,
        Written::Otherwise(canonical) if is_safe => {
            let query = request.uri().query().map(|query| format!("?{query}")).unwrap_or_default();
            let location = HeaderValue::from_str(&format!("{canonical}{query}"));
            let Ok(location) = location else {
                return Some(refusal(rules::kind(&canonical), StatusCode::BAD_REQUEST, "This address is no text."));
            };
            let no_store = (header::CACHE_CONTROL, HeaderValue::from_static("no-store"));
            Some((StatusCode::PERMANENT_REDIRECT, [(header::LOCATION, location), no_store]).into_response())
        }
        // What changes something is not sent twice.
        Written::Otherwise(canonical) => {
            let why = format!("There is nothing at this path; it is written {canonical}.");
            Some(refusal(rules::kind(&canonical), StatusCode::NOT_FOUND, &why))
        }
        Written::Badly(why) => Some(refusal(rules::kind(path), StatusCode::NOT_FOUND, why)),
    }
}

/// The pages that a refusal leads to, those of them that are for the caller.
const WAYS: [(&str, &str); 6] = [
    ("/", "Overview"),
    ("/pipeline", "Pipeline"),
    ("/quality", "Data quality"),
    ("/tables", "Tables"),
    ("/sql", "SQL"),
    ("/profile", "Your profile"),
];

fn not_for_you(kind: Kind, rule: Rule, standing: &Standing) -> Response {
    let why = match rule {
        Rule::Needs(permission) => {
            format!("This needs the permission {}. An administrator can give it to you.", permission.name())
        }
        Rule::Open | Rule::SignedIn => "You may not do this.".to_owned(),
    };
    if kind != Kind::Page {
        return refusal(kind, StatusCode::FORBIDDEN, &why);
    }
    let open_to = |(path, _): &(&str, &str)| match rules::rule(path, &Method::GET) {
        Some(Rule::Needs(permission)) => standing.may(permission),
        Some(Rule::Open | Rule::SignedIn) => true,
        None => false,
    };
    let ways: Vec<_> = WAYS.into_iter().filter(open_to).collect();
    plain::titled(StatusCode::FORBIDDEN, "This is not for you to see", &why, &ways)
}

async fn not_a_route(gate: &Gate, client: &Client, mut request: Request, next: Next) -> Response {
    // Files of ours cost nothing; a page that says that there is nothing is rendered.
    if let Some(access) = gate.access().filter(|_| !request.uri().path().starts_with("/pkg/")) {
        let identity = identify(access, &shown(gate, request.headers())).await.ok().flatten();
        if let Some(limited) = limited(access, identity.as_ref(), client, Kind::Page).await {
            return limited;
        }
        if let Some(identity) = identity.filter(|identity| identity.session().is_some()) {
            request.extensions_mut().insert(identity);
        }
    }
    next.run(request).await
}

/// Reads the form that a request brings.
async fn with_whole_form(request: Request) -> Result<Request, Response> {
    let (parts, body) = request.into_parts();
    let Ok(form) = to_bytes(body, LONGEST_FORM).await else {
        return Err(refusal(Kind::Page, StatusCode::PAYLOAD_TOO_LARGE, "This form is too long, or was cut off."));
    };
    // No text of ours has a character of that kind, and PostgreSQL takes none.
    if form.contains(&0) || form.windows(3).any(|three| three == b"%00") {
        return Err(refusal(Kind::Page, StatusCode::BAD_REQUEST, "This form has a character that is no text."));
    }
    Ok(Request::from_parts(parts, Body::from(form)))
}

fn text(headers: &HeaderMap, name: header::HeaderName) -> Option<&str> {
    headers.get(name).and_then(|value| value.to_str().ok())
}

/// What comes with the request itself counts before cookies, which browsers add by themselves.
fn shown(gate: &Gate, headers: &HeaderMap) -> Shown {
    if let Some(authorization) = headers.get(header::AUTHORIZATION) {
        let bearer = authorization.to_str().ok().and_then(|value| {
            let (scheme, token) = value.split_once(' ')?;
            scheme.eq_ignore_ascii_case("bearer").then(|| token.trim().to_owned())
        });
        return Shown::Bearer(bearer.unwrap_or_default());
    }
    gate.cookies.get(headers, Name::Access).map_or(Shown::Nothing, Shown::Cookie)
}

/// Browsers add cookies to whatever any page makes them send. What changes something, and sockets, must come from a page of
/// ours: browsers say so in `Sec-Fetch-Site` or `Origin`. Programs show who they are without cookies.
fn foreign(gate: &Gate, request: &Request, shown: &Shown, kind: Kind) -> Option<Response> {
    let headers = request.headers();
    if request.method().is_safe() && !security::is_socket(headers) {
        return None;
    }
    let origin = headers.get(header::ORIGIN).map(|origin| origin.to_str().unwrap_or("?"));
    let ours = match (text(headers, header::HeaderName::from_static("sec-fetch-site")), origin) {
        (Some(site), _) if site != "same-origin" && site != "none" => false,
        (_, Some(origin)) => gate.hosts.is_own(origin, request),
        (Some(_), None) => true,
        // No browser of today: without cookies there is nothing to take advantage of.
        (None, None) => matches!(shown, Shown::Bearer(_)) || !headers.contains_key(header::COOKIE),
    };
    (!ours).then(|| {
        let why = match origin {
            Some(origin) => format!(
                "This did not come from a page of this site: it came from {}. If that is where this site is, set web.public_url to it.",
                origin.chars().take(100).collect::<String>()
            ),
            None => "This did not come from a page of this site: its header Origin is missing.".to_owned(),
        };
        refusal(kind, StatusCode::FORBIDDEN, &why)
    })
}

async fn identify(access: &Access, shown: &Shown) -> Result<Option<Identity>, Denied> {
    let (token, is_bearer) = match shown {
        Shown::Nothing => return Ok(None),
        Shown::Bearer(token) => (token, true),
        Shown::Cookie(token) => (token, false),
    };
    if is_bearer && token.starts_with(api_keys::PREFIX) {
        let credential = api_key_credential(token);
        let standing = access.standing(&credential).await?;
        return Ok(standing.map(|standing| Identity { standing, credential, access_until: None }));
    }
    let Some(claims) = token::verify(&access.keys, Audience::Access, token) else { return Ok(None) };
    let credential = Credential::Session(claims.sid);
    let standing = access.standing(&credential).await?.filter(|standing| standing.user == claims.sub);
    Ok(standing.map(|standing| Identity { standing, credential, access_until: Some(claims.exp) }))
}

/// Somebody opens a page after their access token has ended: the refresh token gives them new ones. Pages only: what a
/// page asks in parallel would use it twice.
async fn renew(gate: &Gate, access: &Access, headers: &HeaderMap, client: &Client) -> Result<Renewed, Denied> {
    if headers.contains_key(header::AUTHORIZATION) {
        return Ok(Renewed::No);
    }
    let Some(refresh) = gate.cookies.get(headers, Name::Refresh) else { return Ok(Renewed::No) };
    let tokens = match access.renew_or_wait(&refresh, client, RACE).await? {
        Renewal::New(tokens) => tokens,
        Renewal::Raced => return Ok(Renewed::ByAnotherPage),
        Renewal::No => return Ok(Renewed::No),
    };
    let credential = Credential::Session(tokens.session);
    let Some(standing) = access.standing(&credential).await? else { return Ok(Renewed::No) };
    let access_until = Some(Utc::now().timestamp() + tokens.access_seconds);
    Ok(Renewed::Now(Identity { standing, credential, access_until }, tokens))
}

/// What came of the refresh token that a page brought.
enum Renewed {
    Now(Identity, Box<Tokens>),
    ByAnotherPage,
    No,
}

async fn limited(access: &Access, identity: Option<&Identity>, client: &Client, kind: Kind) -> Option<Response> {
    let caller = match identity {
        Some(identity) => format!("user:{}", identity.standing.user),
        None => format!("address:{}", client.network()),
    };
    let seconds = access.too_many(&caller, access.rates.requests).await?;
    let mut response = refusal(kind, StatusCode::TOO_MANY_REQUESTS, "Too many requests. Wait a moment.");
    response.headers_mut().insert(header::RETRY_AFTER, HeaderValue::from(seconds));
    Some(response)
}

/// Nobody is signed in: people are led to the login and back, programs are told.
fn signed_out(gate: &Gate, kind: Kind, uri: &Uri, headers: &HeaderMap) -> Response {
    match kind {
        Kind::Page => {
            let wanted = uri.path_and_query().map_or("/", |path| path.as_str());
            let next: String = form_urlencoded::byte_serialize(wanted.as_bytes()).collect();
            let mut response =
                plain::see_other(if wanted == "/" { "/login".to_owned() } else { format!("/login?next={next}") });
            // A refresh token that is not good any more would be tried at every page.
            if gate.cookies.get(headers, Name::Refresh).is_some() {
                for cookie in gate.cookies.no_session() {
                    response.headers_mut().append(header::SET_COOKIE, cookie);
                }
            }
            response
        }
        Kind::Function | Kind::Rest => {
            refusal(kind, StatusCode::UNAUTHORIZED, "Log in, or send a token that is still good.")
        }
    }
}

fn starting(kind: Kind) -> Response {
    let mut response =
        refusal(kind, StatusCode::SERVICE_UNAVAILABLE, "The server is starting. This page comes by itself.");
    response.headers_mut().insert(header::RETRY_AFTER, HeaderValue::from_static("2"));
    if kind == Kind::Page {
        response.headers_mut().insert("refresh", HeaderValue::from_static("2"));
    }
    response
}

/// The database does not answer.
pub(crate) fn failed(kind: Kind, denied: &Denied) -> Response {
    if let Denied::Internal(error) = denied {
        tracing::error!("a request cannot be judged: {error:#}");
    }
    refusal(kind, StatusCode::SERVICE_UNAVAILABLE, "Accounts cannot be read right now. Try again in a moment.")
}

/// A refusal in the form that the caller understands.
pub(crate) fn refusal(kind: Kind, status: StatusCode, why: &str) -> Response {
    let mut response = match kind {
        Kind::Page => plain::page(status, why),
        Kind::Function => {
            let problem = match status {
                StatusCode::UNAUTHORIZED => app::problem::Problem::SignedOut,
                StatusCode::FORBIDDEN => app::problem::Problem::Forbidden(why.to_owned()),
                StatusCode::SERVICE_UNAVAILABLE => app::problem::Problem::Starting(why.to_owned()),
                _ => app::problem::Problem::Failed(why.to_owned()),
            };
            (status, Json(problem)).into_response()
        }
        Kind::Rest => Problem::new(status, why).into_response(),
    };
    if status == StatusCode::UNAUTHORIZED {
        response.headers_mut().insert(header::WWW_AUTHENTICATE, HeaderValue::from_static("Bearer"));
    }
    response
}

/// Who does something, for handlers behind the guard.
pub(crate) fn actor_of(identity: &Identity, client: &Client) -> Actor {
    identity.standing.actor(&client.address.to_string())
}
