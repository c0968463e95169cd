//! Forms that change a role or make one.

use leptos::prelude::*;
use model::access::{Permission, Role};

use crate::components::permission_boxes::PermissionBoxes;

#[component]
pub fn RoleForm(role: Role) -> impl IntoView {
    let summary = view! {
        <summary>
            <span class="code">{role.name.clone()}</span>
            <span class="detail">{role.description.clone()}</span>
        </summary>
    };
    let form =
        if role.built_in { view! { <BuiltInForm role /> }.into_any() } else { view! { <OwnForm role /> }.into_any() };
    view! {
        <details class="more">
            {summary}
            {form}
        </details>
    }
    .into_any()
}

#[component]
fn BuiltInForm(role: Role) -> impl IntoView {
    view! {
        <form class="form" method="post" action="/admin/roles/save">
            <input type="hidden" name="name" value=role.name.clone() />
            <p class="field-hint">"What a built-in role may do is the same everywhere and cannot be changed."</p>
            <SecondFactorBox required=role.requires_second_factor />
            <button type="submit" class="button" aria-label=format!("Save {}", role.name)>
                "Save"
            </button>
        </form>
    }
    .into_any()
}

#[component]
fn OwnForm(role: Role) -> impl IntoView {
    let Role { name, description, permissions, requires_second_factor, users, .. } = role;
    let delete = if users == 0 {
        view! {
            <form class="form-below" method="post" action="/admin/roles/delete">
                <input type="hidden" name="name" value=name.clone() />
                <button type="submit" class="button button-danger" aria-label=format!("Delete {name}")>
                    "Delete"
                </button>
            </form>
        }
        .into_any()
    } else {
        view! { <p class="field-hint">"It can be deleted once no user has it."</p> }.into_any()
    };
    view! {
        <form class="form" method="post" action="/admin/roles/save">
            <input type="hidden" name="name" value=name.clone() />
            <label class="field">
                "Description" <input name="description" type="text" autocomplete="off" maxlength="200" value=description />
            </label>
            <PermissionBoxes legend="May" offered=Permission::ALL.to_vec() chosen=permissions />
            <SecondFactorBox required=requires_second_factor />
            <button type="submit" class="button" aria-label=format!("Save {name}")>
                "Save"
            </button>
        </form>
        {delete}
    }
    .into_any()
}

#[component]
pub fn NewRoleForm() -> impl IntoView {
    view! {
        <form class="form" method="post" action="/admin/roles/save">
            <div class="form-row">
                <div class="field">
                    <label for="role-name">"Name"</label>
                    <input
                        id="role-name"
                        name="name"
                        type="text"
                        autocomplete="off"
                        autocapitalize="none"
                        spellcheck="false"
                        maxlength="40"
                        required
                    />
                </div>
                <div class="field">
                    <label for="role-description">"Description"</label>
                    <input id="role-description" name="description" type="text" autocomplete="off" maxlength="200" />
                </div>
            </div>
            <PermissionBoxes legend="May" offered=Permission::ALL.to_vec() />
            <SecondFactorBox required=false />
            <button type="submit" class="button">
                "Make the role"
            </button>
        </form>
    }
    .into_any()
}

#[component]
fn SecondFactorBox(required: bool) -> impl IntoView {
    view! {
        <label class="choice">
            <input type="checkbox" name="requires_second_factor" value="true" checked=required />
            <span>
                "Asks for a second factor"
                <span class="detail">"Who has the role and no second factor yet sees nothing but the profile until it is set up."</span>
            </span>
        </label>
    }
}
