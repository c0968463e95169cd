//! Saved views and queries, each with what may be done with it.

use leptos::prelude::*;
use model::{
    explore::ExploreView,
    range::Range,
    saved::{DashboardSummary, LONGEST_NAME, Saved, SavedKind},
};
use uuid::Uuid;

use crate::format;

/// Where it is opened.
fn address(item: &Saved) -> String {
    match item.kind {
        SavedKind::View if item.text.is_empty() => "/explore".to_owned(),
        SavedKind::View => format!("/explore?{}", item.text),
        SavedKind::Query => format!("/sql?q={}", format::percent_encoded(&item.text)),
    }
}

/// `dashboards` are those that views can be put on: the person's own.
#[component]
pub fn KeptList(
    items: Vec<Saved>,
    dashboards: StoredValue<Vec<DashboardSummary>>,
    labelled_by: &'static str,
) -> impl IntoView {
    let rows = items.into_iter().map(|item| view! { <Kept item dashboards /> }).collect_view();
    view! {
        <ul class="kept-list" aria-labelledby=labelled_by>
            {rows}
        </ul>
    }
    .into_any()
}

#[component]
fn Kept(item: Saved, dashboards: StoredValue<Vec<DashboardSummary>>) -> impl IntoView {
    let href = address(&item);
    let what = match item.kind {
        SavedKind::View => view! { <p class="kept-text">{in_words(&item.text)}</p> }.into_any(),
        SavedKind::Query => view! { <p class="kept-text code">{first_line(&item.text)}</p> }.into_any(),
    };
    let changed = format!("Changed on {}", format::minute(item.changed));
    let actions =
        (item.mine || item.kind == SavedKind::View).then(|| view! { <Actions item=item.clone() dashboards /> });
    view! {
        <li class="kept">
            <div class="kept-what">
                <a class="kept-name" href=href>
                    {item.name}
                </a>
                {what}
                <p class="kept-about">
                    {who_sees(item.mine, item.shared, &item.owner)}
                    <span>{changed}</span>
                </p>
            </div>
            {actions}
        </li>
    }
    .into_any()
}

/// Whose something is, and who sees it.
pub fn who_sees(mine: bool, shared: bool, owner: &str) -> AnyView {
    let (state, words) = match (mine, shared) {
        (true, true) => ("good", "Everybody sees it".to_owned()),
        (true, false) => ("none", "Only you see it".to_owned()),
        (false, _) => ("busy", format!("By {owner}")),
    };
    view! {
        <span class="state" data-state=state>
            {words}
        </span>
    }
    .into_any()
}

/// What a view shows; where it is none any more, its parameters as they are.
fn in_words(query: &str) -> String {
    let Ok(view) = ExploreView::parse(query) else { return query.replace('&', " · ") };
    let mut parts = vec![view.title()];
    parts.push(match view.range {
        Range::Last(preset) => format!("last {}", preset.label()),
        Range::Days { from, to } => format!("{} to {}", from.format("%-d %b %Y"), to.format("%-d %b %Y")),
    });
    for filter in &view.filters {
        parts.push(format!("{}: {}", filter.dimension.label().to_lowercase(), filter.values.join(" or ")));
    }
    if view.compare {
        parts.push("compared".to_owned());
    }
    parts.extend(view.as_of.map(|at| format!("as it stood on {}", format::minute(at))));
    parts.join(" · ")
}

/// What a list shows of a statement.
fn first_line(sql: &str) -> String {
    let mut lines = sql.lines().map(str::trim).filter(|line| !line.is_empty());
    let first = lines.next().unwrap_or_default().to_owned();
    if lines.next().is_some() { format!("{first} …") } else { first }
}

#[component]
fn Actions(item: Saved, dashboards: StoredValue<Vec<DashboardSummary>>) -> impl IntoView {
    let Saved { id, kind, name, mine, shared, .. } = item;
    let add = (kind == SavedKind::View).then(|| view! { <AddTo view=id name=name.clone() dashboards /> });
    let own = mine.then(|| view! { <Own id name=name.clone() shared /> });
    view! {
        <details class="menu-below" name="kept">
            <summary class="button button-secondary" aria-label=format!("Actions for {name}")>
                "Actions"
            </summary>
            <div class="menu-below-panel">{add} {own}</div>
        </details>
    }
    .into_any()
}

#[component]
fn Own(id: Uuid, name: String, shared: bool) -> impl IntoView {
    let (share, label) = if shared { ("false", "Stop sharing") } else { ("true", "Share with everybody") };
    let id = id.to_string();
    view! {
        <form class="field-form" method="post" action="/saved/rename">
            <input type="hidden" name="id" value=id.clone() />
            <label class="field">
                "Name"
                <input
                    name="name"
                    type="text"
                    autocomplete="off"
                    maxlength=LONGEST_NAME.to_string()
                    value=name.clone()
                    required
                />
            </label>
            <button type="submit" class="button button-secondary" aria-label=format!("Rename {name}")>
                "Rename"
            </button>
        </form>
        <div class="buttons">
            <form method="post" action="/saved/share">
                <input type="hidden" name="id" value=id.clone() />
                <input type="hidden" name="shared" value=share />
                <button type="submit" class="button button-secondary" aria-label=format!("{label}: {name}")>
                    {label}
                </button>
            </form>
            <form method="post" action="/saved/delete">
                <input type="hidden" name="id" value=id />
                <button type="submit" class="button button-danger" aria-label=format!("Delete {name}")>
                    "Delete"
                </button>
            </form>
        </div>
    }
    .into_any()
}

/// Puts a view on a dashboard; on a new one where there is none yet.
#[component]
fn AddTo(view: Uuid, name: String, dashboards: StoredValue<Vec<DashboardSummary>>) -> impl IntoView {
    let id = view.to_string();
    let dashboards = dashboards.get_value();
    if dashboards.is_empty() {
        return view! {
            <form method="post" action="/dashboards/create">
                <input type="hidden" name="view" value=id />
                <input type="hidden" name="name" value=name.clone() />
                <button type="submit" class="button" aria-label=format!("Put {name} on a new dashboard")>
                    "Put on a new dashboard"
                </button>
            </form>
        }
        .into_any();
    }
    let options = dashboards
        .into_iter()
        .map(|dashboard| view! { <option value=dashboard.id.to_string()>{dashboard.name}</option> })
        .collect_view();
    view! {
        <form class="field-form" method="post" action="/dashboards/add">
            <input type="hidden" name="view" value=id />
            <input type="hidden" name="back" value="/saved" />
            <label class="field">"Dashboard" <select name="dashboard">{options}</select></label>
            <button type="submit" class="button" aria-label=format!("Add {name} to the dashboard")>
                "Add"
            </button>
        </form>
    }
    .into_any()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_list_shows_what_is_kept_in_one_line() {
        let view = "metric=revenue&range=30d&split=brand&filter=department:DELI&filter=department:MEAT&compare=yes";
        assert_eq!(in_words(view), "Revenue by brand · last 30 days · department: DELI or MEAT · compared");
        assert_eq!(in_words("metric=none&range=30d"), "metric=none · range=30d");
        assert_eq!(first_line("\n  SELECT 1\nFROM x"), "SELECT 1 …");
        assert_eq!(first_line("SELECT 1"), "SELECT 1");
    }
}
