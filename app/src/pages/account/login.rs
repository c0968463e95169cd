//! Where everything begins.

use leptos::prelude::*;
use leptos_meta::Title;

use crate::{
    components::password::{Kind, PasswordField},
    layout::CalmFrame,
    pages::account::Carried,
};

#[component]
pub fn LoginPage() -> impl IntoView {
    view! {
        <Title text="Log in" />
        <CalmFrame>
            <h1 class="page-title">"Log in"</h1>
            <form class="form" method="post" action="/login">
                <Carried name="next" otherwise="/" />
                <div class="field">
                    <label for="email">"Work email"</label>
                    <input id="email" name="email" type="email" autocomplete="username" autocapitalize="none" spellcheck="false" required autofocus />
                </div>
                <PasswordField id="password" name="password" label="Password" kind=Kind::Current />
                <button type="submit" class="button button-wide">
                    "Log in"
                </button>
            </form>
            <p class="field-hint">"No account, or the password forgotten? An administrator can send you a link."</p>
        </CalmFrame>
    }
    .into_any()
}
