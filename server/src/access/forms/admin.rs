//! What administrators change: users, their sessions, roles.

use axum::{
    Form,
    response::Response,
    routing::{MethodRouter, post},
};
use serde::Deserialize;
use uuid::Uuid;

use super::{Desk, Fields, NameForm, SessionForm, ended, field, good, permissions, shown_once};
use crate::{access::roles::RoleDraft, routes::WebState};

pub(super) fn forms() -> Vec<(&'static str, MethodRouter<WebState>)> {
    vec![
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
