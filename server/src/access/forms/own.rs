//! What people change of themselves: name, password, second factor, sessions, keys.

use axum::{
    Form,
    response::Response,
    routing::{MethodRouter, post},
};
use serde::Deserialize;
use uuid::Uuid;

use super::{Desk, Fields, NameForm, SessionForm, ended, field, good, permissions, shown_once};
use crate::{access::invalid, routes::WebState};

pub(super) fn forms() -> Vec<(&'static str, MethodRouter<WebState>)> {
    vec![
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
    ]
}

async fn change_name(desk: Desk, Form(form): Form<NameForm>) -> Response {
    let outcome = desk.access.change_name(&desk.standing, &form.name, &desk.actor).await;
    desk.go_on("/profile", outcome.map(|()| good("Your name is changed.")))
}

#[derive(Deserialize)]
struct ChangePassword {
    current: String,
    password: String,
    /// A box that is not ticked is not sent.
    #[serde(default)]
    keep_keys: bool,
}

async fn change_password(desk: Desk, Form(form): Form<ChangePassword>) -> Response {
    let session = desk.session.unwrap_or_default();
    let ChangePassword { current, password, keep_keys } = form;
    let changed =
        desk.access.change_password(&desk.standing, session, current, &password, keep_keys, &desk.actor).await;
    let told = changed.map(|revoked| {
        let keys = if keep_keys { "Your API keys still work.".to_owned() } else { keys_revoked(revoked) };
        good(format!("Your password is changed. Your other sessions have ended. {keys}"))
    });
    desk.go_on("/profile", told)
}

fn keys_revoked(count: u64) -> String {
    match count {
        0 => "You had no API keys to revoke.".to_owned(),
        1 => "Your API key is revoked.".to_owned(),
        count => format!("Your {count} API keys are revoked."),
    }
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

async fn end_own_session(desk: Desk, Form(form): Form<SessionForm>) -> Response {
    let outcome = desk.access.end_session(form.session, Some(desk.standing.user), &desk.actor, "session.end").await;
    desk.go_on("/profile", outcome.map(ended))
}

#[derive(Deserialize)]
struct EndOthers {
    /// A box that is not ticked is not sent.
    #[serde(default)]
    revoke_keys: bool,
}

async fn end_other_sessions(desk: Desk, Form(form): Form<EndOthers>) -> Response {
    let outcome = async {
        let ended = desk.access.end_sessions(desk.standing.user, desk.session, &desk.actor).await?;
        let mut told = format!("{ended} other sessions have ended.");
        if form.revoke_keys {
            let revoked = desk.access.revoke_own_api_keys(&desk.standing, &desk.actor).await?;
            told = format!("{told} {}", keys_revoked(revoked));
        }
        Ok(good(told))
    };
    let outcome = outcome.await;
    desk.go_on("/profile", outcome)
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
