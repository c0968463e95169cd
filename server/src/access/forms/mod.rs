//! Forms: everything that people change. Plain HTML forms send them, with or without JavaScript; after each the browser goes
//! on to a page that tells how it went.
//!
//! * [`door`]: what works without a login
//! * [`own`]: what people change of themselves
//! * [`admin`]: users, their sessions, roles

mod admin;
mod door;
mod own;

use std::sync::Arc;

use axum::{Extension, RequestPartsExt as _, extract::FromRequestParts, response::Response, routing::MethodRouter};
use http::{StatusCode, Uri, header, request::Parts};
use model::access::{Flash, Permission};
use serde::Deserialize;
use uuid::Uuid;

use super::{
    Access, Denied, Standing,
    audit::Actor,
    cookies::Name,
    gate::Gate,
    guard::{self, Identity},
    invalid,
    login::Device,
    rules::Kind,
    sessions::Client,
};
use crate::{plain, routes::WebState};

/// Every form, by the path it is sent to. Some pages have the same paths.
pub fn forms() -> Vec<(&'static str, MethodRouter<WebState>)> {
    [door::forms(), own::forms(), admin::forms()].concat()
}

/// What the handlers before a login work with.
struct Door {
    gate: Arc<Gate>,
    access: Arc<Access>,
    client: Client,
    /// The refresh token that the browser had before.
    refresh: Option<String>,
    /// Whether somebody has logged in with it before.
    device: Option<Device>,
}

/// What the handlers behind the login work with.
pub(crate) struct Desk {
    gate: Arc<Gate>,
    pub(crate) access: Arc<Access>,
    pub(crate) standing: Arc<Standing>,
    session: Option<Uuid>,
    pub(crate) actor: Actor,
}

impl FromRequestParts<WebState> for Door {
    type Rejection = Response;

    async fn from_request_parts(parts: &mut Parts, state: &WebState) -> Result<Door, Response> {
        let unready = || guard::refusal(Kind::Page, StatusCode::SERVICE_UNAVAILABLE, "The server is starting.");
        let access = state.gate.access().cloned().ok_or_else(unready)?;
        let Extension(client) = parts.extract::<Extension<Client>>().await.map_err(|_| unready())?;
        let refresh = state.gate.cookies.get(&parts.headers, Name::Refresh);
        let device = state.gate.cookies.read_device(&access.keys, &parts.headers);
        Ok(Door { gate: Arc::clone(&state.gate), access, client, refresh, device })
    }
}

impl FromRequestParts<WebState> for Desk {
    type Rejection = Response;

    async fn from_request_parts(parts: &mut Parts, state: &WebState) -> Result<Desk, Response> {
        let Door { gate, access, client, .. } = Door::from_request_parts(parts, state).await?;
        let nobody = || guard::refusal(Kind::Page, StatusCode::UNAUTHORIZED, "Log in first.");
        let identity = parts.extensions.get::<Identity>().ok_or_else(nobody)?;
        let actor = guard::actor_of(identity, &client);
        Ok(Desk { gate, access, session: identity.session(), standing: Arc::clone(&identity.standing), actor })
    }
}

pub(crate) fn good(text: impl Into<String>) -> Flash {
    Flash { good: true, text: text.into(), secrets: Vec::new() }
}

fn shown_once(text: &str, secrets: Vec<String>) -> Flash {
    Flash { good: true, text: text.to_owned(), secrets }
}

/// To the page, which shows how it went.
fn go_on(gate: &Gate, access: &Access, path: &str, outcome: Result<Flash, Denied>) -> Response {
    let flash = match outcome {
        Ok(flash) => flash,
        Err(Denied::Forbidden(why)) => {
            tracing::info!(path, "refused: {why}");
            return guard::refusal(Kind::Page, StatusCode::FORBIDDEN, &why);
        }
        Err(denied) => {
            if let Denied::Internal(error) = &denied {
                tracing::error!(path, "a form could not be carried out: {error:#}");
            }
            // A cookie carries it: no more than fits.
            Flash { good: false, text: denied.to_string().chars().take(300).collect(), secrets: Vec::new() }
        }
    };
    let mut response = plain::see_other(path);
    match gate.cookies.flash(&access.keys, &flash) {
        Ok(cookie) => _ = response.headers_mut().append(header::SET_COOKIE, cookie),
        Err(error) => tracing::error!("nothing can be told to the next page: {error:#}"),
    }
    response
}

/// A path of ours to go on to. Anything that a browser could take for another site's address is the start page.
pub(crate) fn safe_next(next: &str) -> String {
    let plain = next.starts_with('/')
        && !next.starts_with("//")
        && !next.contains('\\')
        && next.len() <= 2000
        && !next.chars().any(|c| c.is_control() || c.is_whitespace());
    match next.parse::<Uri>() {
        Ok(uri) if plain && uri.authority().is_none() => next.to_owned(),
        _ => "/".to_owned(),
    }
}

impl Desk {
    pub(crate) fn go_on(&self, path: &str, outcome: Result<Flash, Denied>) -> Response {
        go_on(&self.gate, &self.access, path, outcome)
    }

    fn link(&self, token: &str) -> String {
        format!("{}/invitation?token={token}", self.gate.public_url)
    }
}

#[derive(Deserialize)]
struct NameForm {
    name: String,
}

#[derive(Deserialize)]
struct SessionForm {
    session: Uuid,
}

fn ended(found: Option<Uuid>) -> Flash {
    good(if found.is_some() { "The session has ended." } else { "The session had ended already." })
}

/// What a form of the given fields has ticked, in whatever number; Serde's form format has no lists.
type Fields = Vec<(String, String)>;

fn field<'a>(fields: &'a Fields, name: &str) -> &'a str {
    fields.iter().find(|(field, _)| field == name).map_or("", |(_, value)| value)
}

fn permissions(fields: &Fields) -> Result<Vec<Permission>, Denied> {
    let names = fields.iter().filter(|(field, _)| field == "permissions").map(|(_, name)| name);
    let mut permissions = Vec::new();
    for name in names {
        let Some(permission) = Permission::from_name(name) else {
            return invalid(format!("There is no permission {}.", name.escape_debug()));
        };
        if !permissions.contains(&permission) {
            permissions.push(permission);
        }
    }
    Ok(permissions)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nobody_is_led_to_another_site() {
        for path in ["/", "/pipeline", "/?from=2026-01-01&to=2026-02-01", "/admin/audit?who=a%40b"] {
            assert_eq!(safe_next(path), path);
        }
        for elsewhere in [
            "",
            "//evil.example",
            "/\\evil.example",
            "\\\\evil.example",
            "https://evil.example/",
            "javascript:alert(1)",
            "/\t/evil.example",
            "/ok\r\nset-cookie: a=b",
            "evil.example",
        ] {
            assert_eq!(safe_next(elsewhere), "/", "{elsewhere:?}");
        }
    }
}
