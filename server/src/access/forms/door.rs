//! To log in and out, to join, and the theme.

use axum::{
    Extension, Form,
    extract::State,
    response::Response,
    routing::{MethodRouter, post},
};
use http::{HeaderMap, HeaderValue, header};
use serde::Deserialize;
use url::form_urlencoded;

use super::{Door, go_on, good, safe_next};
use crate::{
    access::{
        Denied,
        cookies::{Name, theme_named},
        guard::{self, Identity},
        invalid,
        login::{Device, Login},
        sessions::Tokens,
    },
    plain,
    routes::WebState,
};

pub(super) fn forms() -> Vec<(&'static str, MethodRouter<WebState>)> {
    vec![
        ("/login", post(log_in)),
        ("/login/code", post(log_in_with_code)),
        ("/logout", post(log_out)),
        ("/setup", post(set_up)),
        ("/invitation", post(accept)),
        ("/theme", post(choose_theme)),
    ]
}

fn with_next(path: &str, next: &str) -> String {
    match safe_next(next).as_str() {
        "/" => path.to_owned(),
        next => format!("{path}?next={}", form_urlencoded::byte_serialize(next.as_bytes()).collect::<String>()),
    }
}

/// The browser's earlier session, if it had one, ends with the new one.
async fn begin_session(door: &Door, tokens: &Tokens, path: &str) -> Response {
    let gate = &door.gate;
    if let Some(refresh) = &door.refresh
        && let Err(error) = door.access.end_session_of(refresh, "a new login", &door.client).await
    {
        tracing::warn!("the browser's earlier session could not be ended: {error}");
    }
    let mut response = plain::see_other(path);
    let headers = response.headers_mut();
    for cookie in gate.cookies.session(tokens) {
        headers.append(header::SET_COOKIE, cookie);
    }
    headers.append(header::SET_COOKIE, gate.cookies.clear(Name::SecondStep));
    let known = door.device.filter(|device| device.user == tokens.user);
    match gate.cookies.device(&door.access.keys, known.unwrap_or_else(|| Device::new(tokens.user))) {
        Ok(cookie) => _ = headers.append(header::SET_COOKIE, cookie),
        Err(error) => tracing::error!("the browser cannot be told by what to be known: {error:#}"),
    }
    response
}

#[derive(Deserialize)]
struct LogIn {
    email: String,
    password: String,
    #[serde(default)]
    next: String,
}

async fn log_in(door: Door, Form(form): Form<LogIn>) -> Response {
    let Door { gate, access, client, .. } = &door;
    match access.log_in(&form.email, form.password, client, door.device).await {
        Ok(Login::In(tokens)) => begin_session(&door, &tokens, &safe_next(&form.next)).await,
        Ok(Login::NeedsCode(token)) => {
            let mut response = plain::see_other(with_next("/login/code", &form.next));
            response.headers_mut().append(header::SET_COOKIE, gate.cookies.second_step(token));
            response
        }
        Ok(Login::Wrong) => {
            let wrong = invalid("The e-mail address or the password is wrong.");
            go_on(gate, access, &with_next("/login", &form.next), wrong)
        }
        Err(denied) => go_on(gate, access, &with_next("/login", &form.next), Err(denied)),
    }
}

#[derive(Deserialize)]
struct LogInWithCode {
    code: String,
    #[serde(default)]
    next: String,
}

async fn log_in_with_code(door: Door, headers: HeaderMap, Form(form): Form<LogInWithCode>) -> Response {
    let Door { gate, access, client, .. } = &door;
    let token = gate.cookies.get(&headers, Name::SecondStep).unwrap_or_default();
    match access.log_in_with_code(&token, &form.code, client, door.device).await {
        Ok(Login::In(tokens)) => begin_session(&door, &tokens, &safe_next(&form.next)).await,
        Ok(Login::Wrong | Login::NeedsCode(_)) => {
            go_on(gate, access, &with_next("/login/code", &form.next), invalid("That code is not right."))
        }
        Err(denied @ Denied::Invalid(_)) => go_on(gate, access, &with_next("/login", &form.next), Err(denied)),
        Err(denied) => go_on(gate, access, &with_next("/login/code", &form.next), Err(denied)),
    }
}

async fn log_out(door: Door, identity: Option<Extension<Identity>>) -> Response {
    let Door { gate, access, client, refresh, .. } = door;
    let mut outcome = Ok(good("You are logged out."));
    if let Some(Extension(identity)) = identity
        && let Some(session) = identity.session()
    {
        let actor = guard::actor_of(&identity, &client);
        if let Err(denied) = access.end_session(session, None, &actor, "logout").await {
            outcome = Err(denied);
        }
    } else if let Some(refresh) = refresh
        // The access token has ended, the session has not.
        && let Err(denied) = access.end_session_of(&refresh, "a logout", &client).await
    {
        outcome = Err(denied);
    }
    let mut response = go_on(&gate, &access, "/login", outcome);
    for cookie in gate.cookies.no_session() {
        response.headers_mut().append(header::SET_COOKIE, cookie);
    }
    // Whatever else this site has put into the browser's cache.
    response.headers_mut().insert("clear-site-data", HeaderValue::from_static("\"cache\""));
    response
}

#[derive(Deserialize)]
struct SetUp {
    token: String,
    name: String,
    email: String,
    password: String,
}

async fn set_up(door: Door, Form(form): Form<SetUp>) -> Response {
    let Door { gate, access, client, .. } = &door;
    match access.set_up(&form.token, &form.name, &form.email, &form.password, client).await {
        Ok(tokens) => begin_session(&door, &tokens, "/").await,
        Err(denied) => go_on(gate, access, &with_token("/setup", &form.token), Err(denied)),
    }
}

#[derive(Deserialize)]
struct Accept {
    token: String,
    password: String,
}

async fn accept(door: Door, Form(form): Form<Accept>) -> Response {
    let Door { gate, access, client, .. } = &door;
    match access.accept(&form.token, &form.password, client).await {
        Ok(Some(tokens)) => begin_session(&door, &tokens, "/").await,
        Ok(None) => {
            go_on(gate, access, "/login", Ok(good("Your password is set. Log in with it and your second factor.")))
        }
        Err(denied) => go_on(gate, access, &with_token("/invitation", &form.token), Err(denied)),
    }
}

fn with_token(path: &str, token: &str) -> String {
    // Ours are shorter; what was made up need not come back whole.
    let token: String = token.chars().take(100).collect();
    format!("{path}?token={}", form_urlencoded::byte_serialize(token.as_bytes()).collect::<String>())
}

#[derive(Deserialize)]
struct Theme {
    theme: String,
    #[serde(default)]
    next: String,
}

async fn choose_theme(State(state): State<WebState>, Form(form): Form<Theme>) -> Response {
    let mut response = plain::see_other(safe_next(&form.next));
    response.headers_mut().append(header::SET_COOKIE, state.gate.cookies.theme(theme_named(&form.theme)));
    response
}
