//! Which role may do what, as one table.

use leptos::prelude::*;
use model::access::{Permission, Role};

#[component]
pub fn RoleMatrix(roles: Vec<Role>) -> impl IntoView {
    let heads = roles
        .iter()
        .map(|role| {
            view! {
                <th scope="col" class="mark">
                    {role.name.clone()}
                    <span class="detail">{if role.built_in { "built in" } else { "own" }}</span>
                </th>
            }
        })
        .collect_view();
    let rows = Permission::ALL
        .map(|permission| {
            let cells =
                roles.iter().map(|role| view! { <Mark yes=role.permissions.contains(&permission) /> }).collect_view();
            view! {
                <tr>
                    <th scope="row">
                        <span class="code">{permission.name()}</span>
                        <span class="detail">{permission.description()}</span>
                    </th>
                    {cells}
                </tr>
            }
        })
        .collect_view();
    let second_factor = roles.iter().map(|role| view! { <Mark yes=role.requires_second_factor /> }).collect_view();
    let users = roles.into_iter().map(|role| view! { <td class="mark">{role.users}</td> }).collect_view();
    view! {
        <div class="table-scroll" tabindex="0" role="region" aria-labelledby="matrix-title">
            <table class="matrix">
                <thead>
                    <tr>
                        <th scope="col">"Permission"</th>
                        {heads}
                    </tr>
                </thead>
                <tbody>{rows}</tbody>
                <tbody>
                    <tr>
                        <th scope="row">"Asks for a second factor"</th>
                        {second_factor}
                    </tr>
                    <tr>
                        <th scope="row">"Users"</th>
                        {users}
                    </tr>
                </tbody>
            </table>
        </div>
    }
    .into_any()
}

#[component]
fn Mark(yes: bool) -> impl IntoView {
    let (sign, word) = if yes { ("✓", "Yes") } else { ("–", "No") };
    view! {
        <td class="mark" data-yes=yes.to_string()>
            <span aria-hidden="true">{sign}</span>
            <span class="visually-hidden">{word}</span>
        </td>
    }
}
