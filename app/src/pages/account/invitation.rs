//! Where an invitation leads, and a link for a new password.

use leptos::prelude::*;
use leptos_meta::Title;

use crate::{
    components::password::{Kind, PasswordField},
    layout::CalmFrame,
    pages::account::Carried,
};

#[component]
pub fn InvitationPage() -> impl IntoView {
    view! {
        <Title text="Choose a password" />
        <CalmFrame>
            <h1 class="page-title">"Choose your password"</h1>
            <p class="muted">"You will log in with it and your work email from now on."</p>
            <form class="form" method="post" action="/invitation">
                <Carried name="token" />
                <PasswordField id="password" name="password" label="New password" kind=Kind::New />
                <button type="submit" class="button button-wide">
                    "Save the password"
                </button>
            </form>
        </CalmFrame>
    }
    .into_any()
}
