//! What people may change about themselves.

use leptos::prelude::*;
use leptos_meta::Title;
use model::access::{Me, SessionSummary};

use crate::{
    api,
    components::{
        answered::Answered,
        password::{Kind, PasswordField},
        second_factor::SecondFactorForms,
        sessions::{SessionTable, Whose},
        theme_choice::ThemeChoice,
    },
    session::use_me,
};

const HERE: &str = "/profile";

#[component]
pub fn ProfilePage() -> impl IntoView {
    let me = use_me();
    let second_factor = Resource::new(|| (), |()| api::get_second_factor());
    let sessions = Resource::new(|| (), |()| api::get_own_sessions());
    view! {
        <Title text="Profile" />
        <h1 class="page-title">"Profile"</h1>
        <div class="panels">
            <section class="panel" aria-labelledby="you-title">
                <h2 class="panel-title" id="you-title">
                    "You"
                </h2>
                <Answered answer=me href=HERE show=|me| view! { <You me /> }.into_any() />
            </section>
            <section class="panel" aria-labelledby="second-factor-title">
                <h2 class="panel-title" id="second-factor-title">
                    "Second factor"
                </h2>
                <Answered answer=second_factor href=HERE show=|state| view! { <SecondFactorForms state /> }.into_any() />
            </section>
            <section class="panel" aria-labelledby="password-title">
                <h2 class="panel-title" id="password-title">
                    "Password"
                </h2>
                <Answered answer=me href=HERE show=|me| view! { <ChangePassword email=me.email /> }.into_any() />
            </section>
            <section class="panel" aria-labelledby="appearance-title">
                <h2 class="panel-title" id="appearance-title">
                    "Appearance"
                </h2>
                <ThemeChoice />
            </section>
            <section class="panel panel-wide" aria-labelledby="sessions-title">
                <h2 class="panel-title" id="sessions-title">
                    "Your sessions"
                </h2>
                <Answered answer=sessions href=HERE show=|sessions| view! { <Sessions sessions /> }.into_any() />
            </section>
        </div>
    }
    .into_any()
}

#[component]
fn You(me: Me) -> impl IntoView {
    view! {
        <dl class="facts">
            <div>
                <dt>"Work email"</dt>
                <dd>{me.email}</dd>
            </div>
            <div>
                <dt>"Role"</dt>
                <dd>{me.role}</dd>
            </div>
        </dl>
        <form class="form" method="post" action="/profile/name">
            <div class="field">
                <label for="name">"Name"</label>
                <input id="name" name="name" type="text" autocomplete="name" maxlength="100" required value=me.name />
            </div>
            <button type="submit" class="button">
                "Save the name"
            </button>
        </form>
    }
    .into_any()
}

#[component]
fn ChangePassword(email: String) -> impl IntoView {
    view! {
        <form class="form" method="post" action="/profile/password">
            // Tells the browser's keeper of passwords whose password changes. Without a name it is not sent.
            <input type="email" autocomplete="username" value=email readonly hidden />
            <PasswordField id="current-password" name="current" label="Current password" kind=Kind::Current />
            <PasswordField id="new-password" name="password" label="New password" kind=Kind::New />
            <label class="choice">
                <input type="checkbox" name="keep_keys" value="true" />
                <span>
                    "Keep my API keys"
                    <span class="detail">"Otherwise they are revoked, as your other sessions end: whoever had the password may have made some."</span>
                </span>
            </label>
            <button type="submit" class="button">
                "Change the password"
            </button>
        </form>
    }
    .into_any()
}

#[component]
fn Sessions(sessions: Vec<SessionSummary>) -> impl IntoView {
    let others = sessions.iter().any(|session| !session.current).then(|| {
        view! {
            <form class="form-below" method="post" action="/profile/sessions/end-others">
                <label class="choice">
                    <input type="checkbox" name="revoke_keys" value="true" />
                    <span>"Revoke my API keys as well"</span>
                </label>
                <button type="submit" class="button button-danger">
                    "End all others"
                </button>
            </form>
        }
    });
    view! {
        <SessionTable sessions whose=Whose::Own titled_by="sessions-title" />
        {others}
    }
    .into_any()
}
