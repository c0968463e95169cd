//! What roles there are, and what each may do.

use leptos::prelude::*;
use leptos_meta::Title;
use model::access::Role;

use crate::{
    api,
    components::{
        answered::Answered,
        role_forms::{NewRoleForm, RoleForm},
        roles::RoleMatrix,
    },
};

#[component]
pub fn RolesPage() -> impl IntoView {
    let roles = Resource::new(|| (), |()| api::get_roles());
    view! {
        <Title text="Roles" />
        <h1 class="page-title">"Roles"</h1>
        <Answered answer=roles href="/admin/roles" show=|roles| view! { <Roles roles /> }.into_any() />
    }
    .into_any()
}

#[component]
fn Roles(roles: Vec<Role>) -> impl IntoView {
    let forms = roles.iter().cloned().map(|role| view! { <RoleForm role /> }).collect_view();
    view! {
        <section class="panel" aria-labelledby="matrix-title">
            <h2 class="panel-title" id="matrix-title">
                "Who may do what"
            </h2>
            <RoleMatrix roles />
        </section>
        <div class="panels">
            <section class="panel" aria-labelledby="change-title">
                <h2 class="panel-title" id="change-title">
                    "Change a role"
                </h2>
                {forms}
            </section>
            <section class="panel" aria-labelledby="new-role-title">
                <h2 class="panel-title" id="new-role-title">
                    "New role"
                </h2>
                <NewRoleForm />
            </section>
        </div>
    }
    .into_any()
}
