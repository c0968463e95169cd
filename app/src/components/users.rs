//! The users as a table, with what may be done about each.

use leptos::prelude::*;
use model::access::{UserState, UserSummary};

use crate::format;

/// `roles` are those that the person who looks may give.
#[component]
pub fn UserTable(users: Vec<UserSummary>, roles: Vec<String>) -> impl IntoView {
    if users.is_empty() {
        return view! { <p class="empty">"There are no users."</p> }.into_any();
    }
    let rows = users.into_iter().map(move |user| view! { <UserRow user roles=roles.clone() /> }).collect_view();
    view! {
        <div class="table-scroll" tabindex="0" role="region" aria-labelledby="users-title">
            <table class="stacked users">
                <thead>
                    <tr>
                        <th scope="col">"User"</th>
                        <th scope="col">"Role"</th>
                        <th scope="col">"State"</th>
                        <th scope="col">"Second factor"</th>
                        <th scope="col" class="number">
                            "Sessions"
                        </th>
                        <th scope="col">"Last login"</th>
                        <th scope="col">
                            <span class="visually-hidden">"Actions"</span>
                        </th>
                    </tr>
                </thead>
                <tbody>{rows}</tbody>
            </table>
        </div>
    }
    .into_any()
}

#[component]
fn UserRow(user: UserSummary, roles: Vec<String>) -> impl IntoView {
    let (state, label) = state(user.state);
    let locked = user.locked_until.map(|until| {
        view! {
            <span class="state" data-state="warn">
                <span class="dot" aria-hidden="true"></span>
                "Locked until "
                {format::minute(until)}
            </span>
        }
    });
    let last_login = user.last_login.map_or_else(|| "Never".to_owned(), format::minute);
    let role = if user.manageable {
        view! { <RoleForm user=user.clone() roles /> }.into_any()
    } else {
        user.role.clone().into_any()
    };
    let actions = user.manageable.then(|| view! { <Actions user=user.clone() /> });
    view! {
        <tr>
            <th scope="row" data-label="User">
                <span class="user-name">{user.name}</span>
                <span class="detail">{user.email}</span>
            </th>
            <td data-label="Role">{role}</td>
            <td data-label="State">
                <span class="states">
                    <span class="state" data-state=state>
                        <span class="dot" aria-hidden="true"></span>
                        {label}
                    </span>
                    {locked}
                </span>
            </td>
            <td data-label="Second factor">{if user.second_factor { "On" } else { "Off" }}</td>
            <td data-label="Sessions" class="number">
                {user.sessions}
            </td>
            <td data-label="Last login">{last_login}</td>
            <td class="row-actions">{actions}</td>
        </tr>
    }
    .into_any()
}

fn state(state: UserState) -> (&'static str, &'static str) {
    match state {
        UserState::Invited => ("busy", "Invited"),
        UserState::Active => ("good", "Active"),
        UserState::Disabled => ("bad", "Disabled"),
    }
}

#[component]
fn RoleForm(user: UserSummary, roles: Vec<String>) -> impl IntoView {
    let mut roles = roles;
    // The role that the user has may be one that cannot be given again.
    if !roles.contains(&user.role) {
        roles.insert(0, user.role.clone());
    }
    view! {
        <form class="form-inline" method="post" action="/admin/users/role">
            <input type="hidden" name="user" value=user.id.to_string() />
            <select name="role" aria-label=format!("Role of {}", user.name)>
                {role_options(roles, &user.role)}
            </select>
            <button type="submit" class="button button-secondary" aria-label=format!("Change the role of {}", user.name)>
                "Change"
            </button>
        </form>
    }
    .into_any()
}

/// The options of a choice of roles.
pub fn role_options(roles: Vec<String>, selected: &str) -> AnyView {
    let options = roles.into_iter().map(|role| {
        let is_selected = role == selected;
        let label = role.clone();
        view! {
            <option value=role selected=is_selected>
                {label}
            </option>
        }
    });
    options.collect_view().into_any()
}

/// What one button does to a user. The button is called `label`; read aloud, `label`, `joint` and the name make one phrase.
struct Action {
    path: &'static str,
    label: &'static str,
    joint: &'static str,
    danger: bool,
}

const fn action(path: &'static str, label: &'static str, joint: &'static str) -> Action {
    Action { path, label, joint, danger: false }
}

/// Only what makes sense for the user as they are now.
fn actions(user: &UserSummary) -> Vec<Action> {
    let mut actions = Vec::new();
    if user.locked_until.is_some() {
        actions.push(action("unlock", "Unlock", " "));
    }
    match user.state {
        UserState::Invited => actions.push(action("reset", "New invitation link", " for ")),
        UserState::Active => actions.push(action("reset", "Link for a new password", " of ")),
        UserState::Disabled => {}
    }
    if user.sessions > 0 {
        actions.push(action("end-sessions", "End all sessions", " of "));
    }
    if user.second_factor {
        actions.push(Action { danger: true, ..action("second-factor-off", "Turn off the second factor", " of ") });
    }
    if user.state == UserState::Disabled {
        actions.push(action("enable", "Enable", " "));
    } else {
        actions.push(Action { danger: true, ..action("disable", "Disable", " ") });
    }
    actions
}

/// Opens in the row itself: a menu that floats would be cut off where the table scrolls.
#[component]
fn Actions(user: UserSummary) -> impl IntoView {
    let buttons = actions(&user)
        .into_iter()
        .map(|Action { path, label, joint, danger }| {
            let class = if danger { "button button-danger" } else { "button button-secondary" };
            view! {
                <li>
                    <form method="post" action=format!("/admin/users/{path}")>
                        <input type="hidden" name="user" value=user.id.to_string() />
                        <button type="submit" class=class aria-label=format!("{label}{joint}{}", user.name)>
                            {label}
                        </button>
                    </form>
                </li>
            }
        })
        .collect_view();
    view! {
        <details class="actions">
            <summary class="button button-secondary" aria-label=format!("Actions for {}", user.name)>
                "Actions"
            </summary>
            <ul>{buttons}</ul>
        </details>
    }
    .into_any()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn paths(state: &str, locked_until: Option<&str>) -> Vec<&'static str> {
        let user = serde_json::json!({
            "id": "6f2b8f1e-3f0c-4a55-9a3e-0d4c1c0b7a11", "name": "Ann Example", "email": "ann@example.com", "role": "viewer",
            "state": state, "second_factor": false, "sessions": 0, "last_login": null, "created": "2025-11-22T00:00:00Z",
            "locked_until": locked_until, "manageable": true,
        });
        actions(&serde_json::from_value(user).expect("a user")).iter().map(|action| action.path).collect()
    }

    #[test]
    fn only_what_makes_sense_is_offered() {
        assert_eq!(paths("active", None), ["reset", "disable"]);
        assert_eq!(paths("disabled", None), ["enable"]);
        assert_eq!(paths("active", Some("2025-11-22T10:00:00Z")), ["unlock", "reset", "disable"]);
    }
}
