//! Forms: everything that people change. Plain HTML forms send them, with or without JavaScript; after each the browser goes
//! on to a page that tells how it went.

use std::sync::Arc;

use axum::{
    Extension, Form, RequestPartsExt as _,
    extract::{FromRequestParts, State},
    response::Response,
    routing::{MethodRouter, post},
};
use http::{HeaderMap, HeaderValue, StatusCode, Uri, header, request::Parts};
use model::access::{Flash, Permission};
use serde::Deserialize;
use url::form_urlencoded;
use uuid::Uuid;

use super::{
    Access, Denied, Standing,
    audit::Actor,
    cookies::{Name, theme_named},
    gate::Gate,
    guard::{self, Identity},
    invalid,
    login::Login,
    roles::RoleDraft,
    rules::Kind,
    sessions::{Client, Tokens},
};
use crate::{plain, routes::WebState};

/// Every form, by the path it is sent to. Some pages have the same paths.
pub fn forms() -> Vec<(&'static str, MethodRouter<WebState>)> {
    vec![
        ("/login", post(log_in)),
        ("/login/code", post(log_in_with_code)),
        ("/logout", post(log_out)),
        ("/setup", post(set_up)),
        ("/invitation", post(accept)),
        ("/theme", post(choose_theme)),
        ("/profile/name", post(change_name)),
        ("/profile/password", post(change_password)),
        ("/profile/second-factor/begin", post(begin_second_factor)),
        ("/profile/second-factor/confirm", post(confirm_second_factor)),
        ("/profile/second-factor/off", post(second_factor_off)),
        ("/profile/second-factor/codes", post(new_recovery_codes)),
        ("/profile/sessions/end", post(end_own_session)),
        ("/profile/sessions/end-others", post(end_other_sessions)),
        ("/keys/create", post(create_key)),
        ("/keys/revoke", post(revoke_key)),
        ("/admin/users/invite", post(invite)),
        ("/admin/users/role", post(change_role)),
        ("/admin/users/disable", post(disable)),
        ("/admin/users/enable", post(enable)),
        ("/admin/users/reset", post(reset)),
        ("/admin/users/second-factor-off", post(second_factor_off_for)),
        ("/admin/users/end-sessions", post(end_sessions_of)),
        ("/admin/users/unlock", post(unlock)),
        ("/admin/sessions/end", post(end_session)),
        ("/admin/roles/save", post(save_role)),
        ("/admin/roles/delete", post(delete_role)),
    ]
}

/// What the handlers before a login work with.
struct Door {
    gate: Arc<Gate>,
    access: Arc<Access>,
    client: Client,
    /// The refresh token that the browser had before.
    refresh: Option<String>,
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
        Ok(Door { gate: Arc::clone(&state.gate), access, client, refresh })
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
    match access.log_in(&form.email, form.password, client).await {
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
    match access.log_in_with_code(&token, &form.code, client).await {
        Ok(Login::In(tokens)) => begin_session(&door, &tokens, &safe_next(&form.next)).await,
        Ok(Login::Wrong | Login::NeedsCode(_)) => {
            go_on(gate, access, &with_next("/login/code", &form.next), invalid("That code is not right."))
        }
        Err(denied @ Denied::Invalid(_)) => go_on(gate, access, &with_next("/login", &form.next), Err(denied)),
        Err(denied) => go_on(gate, access, &with_next("/login/code", &form.next), Err(denied)),
    }
}

async fn log_out(door: Door, identity: Option<Extension<Identity>>) -> Response {
    let Door { gate, access, client, refresh } = door;
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

async fn change_name(desk: Desk, Form(form): Form<NameForm>) -> Response {
    let outcome = desk.access.change_name(&desk.standing, &form.name, &desk.actor).await;
    desk.go_on("/profile", outcome.map(|()| good("Your name is changed.")))
}

#[derive(Deserialize)]
struct ChangePassword {
    current: String,
    password: String,
}

async fn change_password(desk: Desk, Form(form): Form<ChangePassword>) -> Response {
    let session = desk.session.unwrap_or_default();
    let outcome = desk.access.change_password(&desk.standing, session, form.current, &form.password, &desk.actor).await;
    desk.go_on("/profile", outcome.map(|()| good("Your password is changed. Your other sessions have ended.")))
}

async fn begin_second_factor(desk: Desk, Form(form): Form<Password>) -> Response {
    let outcome = async {
        desk.access.confirm_password(desk.standing.user, form.password, &desk.actor).await?;
        desk.access.begin_second_factor(desk.standing.user).await
    };
    let outcome = outcome.await;
    let told = "Show the picture to your authenticator, then enter the code that it gives.";
    desk.go_on("/profile", outcome.map(|()| good(told)))
}

#[derive(Deserialize)]
struct Code {
    code: String,
}

const KEEP_CODES: &str =
    "Keep these recovery codes in a safe place. Each lets you in once when your authenticator is lost.";

async fn confirm_second_factor(desk: Desk, Form(form): Form<Code>) -> Response {
    let outcome = desk.access.confirm_second_factor(desk.standing.user, &form.code, &desk.actor).await;
    desk.go_on("/profile", outcome.map(|codes| shown_once(&format!("The second factor is on. {KEEP_CODES}"), codes)))
}

#[derive(Deserialize)]
struct Password {
    password: String,
}

async fn second_factor_off(desk: Desk, Form(form): Form<Password>) -> Response {
    let outcome = async {
        desk.access.confirm_password(desk.standing.user, form.password, &desk.actor).await?;
        desk.access.second_factor_off(desk.standing.user, &desk.actor).await
    };
    let outcome = outcome.await;
    desk.go_on("/profile", outcome.map(|()| good("The second factor is off.")))
}

async fn new_recovery_codes(desk: Desk, Form(form): Form<Password>) -> Response {
    let outcome = async {
        desk.access.confirm_password(desk.standing.user, form.password, &desk.actor).await?;
        desk.access.new_recovery_codes(desk.standing.user, &desk.actor).await
    };
    let outcome = outcome.await;
    desk.go_on("/profile", outcome.map(|codes| shown_once(KEEP_CODES, codes)))
}

#[derive(Deserialize)]
struct SessionForm {
    session: Uuid,
}

fn ended(found: Option<Uuid>) -> Flash {
    good(if found.is_some() { "The session has ended." } else { "The session had ended already." })
}

async fn end_own_session(desk: Desk, Form(form): Form<SessionForm>) -> Response {
    let outcome = desk.access.end_session(form.session, Some(desk.standing.user), &desk.actor, "session.end").await;
    desk.go_on("/profile", outcome.map(ended))
}

async fn end_other_sessions(desk: Desk) -> Response {
    let outcome = desk.access.end_sessions(desk.standing.user, desk.session, &desk.actor).await;
    desk.go_on("/profile", outcome.map(|count| good(format!("{count} other sessions have ended."))))
}

async fn end_session(desk: Desk, Form(form): Form<SessionForm>) -> Response {
    let outcome = async {
        if let Some(user) = desk.access.user_of_session(form.session).await?
            && user != desk.standing.user
        {
            desk.access.check_manageable(user, &desk.standing).await?;
        }
        desk.access.end_session(form.session, None, &desk.actor, "session.end").await
    };
    let outcome = outcome.await;
    desk.go_on("/admin/sessions", outcome.map(ended))
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

async fn create_key(desk: Desk, Form(fields): Form<Fields>) -> Response {
    let outcome = async {
        let Ok(days) = field(&fields, "days").trim().parse() else {
            return invalid("A key is good for 1 to 365 days.");
        };
        let (name, permissions) = (field(&fields, "name"), permissions(&fields)?);
        desk.access.create_api_key(&desk.standing, name, &permissions, days, &desk.actor).await
    };
    let outcome = outcome.await;
    let told = "This is the new key. Copy it now: it is not shown again.";
    desk.go_on("/keys", outcome.map(|key| shown_once(told, vec![key])))
}

#[derive(Deserialize)]
struct Key {
    key: Uuid,
}

async fn revoke_key(desk: Desk, Form(form): Form<Key>) -> Response {
    let outcome = desk.access.revoke_api_key(form.key, &desk.standing, &desk.actor).await;
    desk.go_on("/keys", outcome.map(|()| good("The key is revoked.")))
}

const USERS: &str = "/admin/users";

#[derive(Deserialize)]
struct Invite {
    name: String,
    email: String,
    role: String,
}

async fn invite(desk: Desk, Form(form): Form<Invite>) -> Response {
    let invited = desk.access.create_user(&form.name, &form.email, &form.role, Some(&desk.standing), &desk.actor).await;
    let told = "Send this link to the new user. It works once, for 48 hours.";
    desk.go_on(USERS, invited.map(|token| shown_once(told, vec![desk.link(&token)])))
}

#[derive(Deserialize)]
struct ChangeRole {
    user: Uuid,
    role: String,
}

async fn change_role(desk: Desk, Form(form): Form<ChangeRole>) -> Response {
    let outcome = desk.access.change_role(form.user, &form.role, &desk.standing, &desk.actor).await;
    desk.go_on(USERS, outcome.map(|()| good("The role is changed. It counts from now on.")))
}

#[derive(Deserialize)]
struct UserForm {
    user: Uuid,
}

async fn disable(desk: Desk, Form(form): Form<UserForm>) -> Response {
    let outcome = desk.access.set_disabled(form.user, true, &desk.standing, &desk.actor).await;
    desk.go_on(USERS, outcome.map(|()| good("The user is disabled. Sessions and keys of theirs no longer work.")))
}

async fn enable(desk: Desk, Form(form): Form<UserForm>) -> Response {
    let outcome = desk.access.set_disabled(form.user, false, &desk.standing, &desk.actor).await;
    desk.go_on(USERS, outcome.map(|()| good("The user may log in again.")))
}

async fn reset(desk: Desk, Form(form): Form<UserForm>) -> Response {
    let outcome = desk.access.reset(form.user, Some(&desk.standing), &desk.actor).await;
    let told =
        "The old password no longer works. Send this link to the user to choose another; it works once, for 48 hours.";
    desk.go_on(USERS, outcome.map(|token| shown_once(told, vec![desk.link(&token)])))
}

async fn second_factor_off_for(desk: Desk, Form(form): Form<UserForm>) -> Response {
    let outcome = async {
        desk.access.check_manageable(form.user, &desk.standing).await?;
        desk.access.second_factor_off(form.user, &desk.actor).await
    };
    let outcome = outcome.await;
    desk.go_on(USERS, outcome.map(|()| good("The user's second factor is off.")))
}

async fn end_sessions_of(desk: Desk, Form(form): Form<UserForm>) -> Response {
    let outcome = async {
        desk.access.check_manageable(form.user, &desk.standing).await?;
        desk.access.end_sessions(form.user, None, &desk.actor).await
    };
    let outcome = outcome.await;
    desk.go_on(USERS, outcome.map(|count| good(format!("{count} sessions have ended."))))
}

async fn unlock(desk: Desk, Form(form): Form<UserForm>) -> Response {
    let outcome = desk.access.unlock(form.user, &desk.standing, &desk.actor).await;
    desk.go_on(USERS, outcome.map(|()| good("The user may try again at once.")))
}

const ROLES: &str = "/admin/roles";

async fn save_role(desk: Desk, Form(fields): Form<Fields>) -> Response {
    let outcome = async {
        let draft = RoleDraft {
            name: field(&fields, "name").trim().to_owned(),
            description: field(&fields, "description").trim().to_owned(),
            permissions: permissions(&fields)?,
            requires_second_factor: field(&fields, "requires_second_factor") == "true",
        };
        desk.access.save_role(&draft, &desk.standing, &desk.actor).await
    };
    let outcome = outcome.await;
    desk.go_on(ROLES, outcome.map(|()| good("The role is saved. It counts from now on.")))
}

async fn delete_role(desk: Desk, Form(form): Form<NameForm>) -> Response {
    let outcome = desk.access.delete_role(&form.name, &desk.standing, &desk.actor).await;
    desk.go_on(ROLES, outcome.map(|()| good("The role is deleted.")))
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
