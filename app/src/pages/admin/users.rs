//! Who may sign in.

use leptos::prelude::*;
use leptos_meta::Title;
use model::access::UsersView;

use crate::{
    api,
    components::{
        answered::Answered,
        users::{UserTable, role_options},
    },
};

/// What a new user gets unless another role is chosen: the one that may do least.
const FIRST_ROLE: &str = "viewer";

#[component]
pub fn UsersPage() -> impl IntoView {
    let users = Resource::new(|| (), |()| api::get_users());
    view! {
        <Title text="Users" />
        <h1 class="page-title">"Users"</h1>
        <Answered answer=users href="/admin/users" show=|view| view! { <Users view /> }.into_any() />
    }
    .into_any()
}

#[component]
fn Users(view: UsersView) -> impl IntoView {
    let UsersView { users, grantable_roles } = view;
    view! {
        <section class="panel" aria-labelledby="users-title">
            <h2 class="panel-title" id="users-title">
                "Everybody with an account"
            </h2>
            <UserTable users roles=grantable_roles.clone() />
        </section>
        <Invite roles=grantable_roles />
    }
    .into_any()
}

#[component]
fn Invite(roles: Vec<String>) -> impl IntoView {
    view! {
        <section class="panel" aria-labelledby="invite-title">
            <h2 class="panel-title" id="invite-title">
                "Invite somebody"
            </h2>
            <form class="form form-row" method="post" action="/admin/users/invite">
                <div class="field">
                    <label for="invite-name">"Name"</label>
                    <input id="invite-name" name="name" type="text" autocomplete="off" maxlength="100" required />
                </div>
                <div class="field">
                    <label for="invite-email">"Work email"</label>
                    <input id="invite-email" name="email" type="email" autocomplete="off" required />
                </div>
                <div class="field">
                    <label for="invite-role">"Role"</label>
                    <select id="invite-role" name="role">
                        {role_options(roles, FIRST_ROLE)}
                    </select>
                </div>
                <button type="submit" class="button">
                    "Make the invitation"
                </button>
            </form>
            <p class="field-hint">"You get a link to pass on. Whoever opens it chooses the password of the account."</p>
        </section>
    }
    .into_any()
}
