//! The first account of an installation. The link to it stands in the server's log.

use leptos::prelude::*;
use leptos_meta::Title;

use crate::{
    components::password::{Kind, PasswordField},
    layout::CalmFrame,
    pages::account::Carried,
};

#[component]
pub fn SetupPage() -> impl IntoView {
    view! {
        <Title text="Set up" />
        <CalmFrame>
            <h1 class="page-title">"Welcome to StreamlineHub"</h1>
            <p class="muted">"This makes the first account. It may do everything and can invite others."</p>
            <form class="form" method="post" action="/setup">
                <Carried name="token" />
                <div class="field">
                    <label for="name">"Your name"</label>
                    <input id="name" name="name" type="text" autocomplete="name" maxlength="100" required autofocus />
                </div>
                <div class="field">
                    <label for="email">"Work email"</label>
                    <input id="email" name="email" type="email" autocomplete="username" autocapitalize="none" spellcheck="false" required />
                </div>
                <PasswordField id="password" name="password" label="Password" kind=Kind::New />
                <button type="submit" class="button button-wide">
                    "Make the account"
                </button>
            </form>
        </CalmFrame>
    }
    .into_any()
}
