//! API keys as a table, each with a button that revokes it.

use chrono::{DateTime, Utc};
use leptos::prelude::*;
use model::access::ApiKeySummary;

use crate::format;

#[component]
pub fn ApiKeyTable(keys: Vec<ApiKeySummary>) -> impl IntoView {
    if keys.is_empty() {
        return view! { <p class="empty">"There are no keys yet. Programs need one to ask the API."</p> }.into_any();
    }
    let now = Utc::now();
    view! {
        <div class="table-scroll" tabindex="0" role="region" aria-labelledby="keys-title">
            <table class="stacked">
                <thead>
                    <tr>
                        <th scope="col">"Key"</th>
                        <th scope="col">"Owner"</th>
                        <th scope="col">"May"</th>
                        <th scope="col">"State"</th>
                        <th scope="col">"Made"</th>
                        <th scope="col">"Last used"</th>
                        <th scope="col">
                            <span class="visually-hidden">"Action"</span>
                        </th>
                    </tr>
                </thead>
                <tbody>{keys.into_iter().map(|key| row(key, now)).collect_view()}</tbody>
            </table>
        </div>
    }
    .into_any()
}

fn row(key: ApiKeySummary, now: DateTime<Utc>) -> impl IntoView {
    let (state, words) = state(&key, now);
    let permissions =
        key.permissions.iter().map(|permission| view! { <li class="code">{permission.name()}</li> }).collect_view();
    // What is over cannot be revoked.
    let revoke = (state == "good").then(|| {
        view! {
            <form method="post" action="/keys/revoke">
                <input type="hidden" name="key" value=key.id.to_string() />
                <button type="submit" class="button button-danger" aria-label=format!("Revoke {}", key.name)>
                    "Revoke"
                </button>
            </form>
        }
    });
    view! {
        <tr>
            <th scope="row" data-label="Key">
                {key.name}
                <span class="detail code">{key.prefix} "…"</span>
            </th>
            <td data-label="Owner" class="wrap">
                {key.owner}
            </td>
            <td data-label="May">
                <ul>{permissions}</ul>
            </td>
            <td data-label="State">
                <span class="state" data-state=state>
                    <span class="dot" aria-hidden="true"></span>
                    {words}
                </span>
            </td>
            <td data-label="Made">{format::day(key.created)}</td>
            <td data-label="Last used">{key.last_used.map_or_else(|| "Never".to_owned(), format::minute)}</td>
            <td class="row-actions">{revoke}</td>
        </tr>
    }
}

fn state(key: &ApiKeySummary, now: DateTime<Utc>) -> (&'static str, String) {
    if let Some(revoked) = key.revoked {
        ("bad", format!("Revoked on {}", format::day(revoked)))
    } else if key.expires <= now {
        ("warn", format!("Expired on {}", format::day(key.expires)))
    } else {
        ("good", format!("Works until {}", format::day(key.expires)))
    }
}
