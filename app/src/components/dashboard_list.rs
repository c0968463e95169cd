//! The ways to dashboards: all of them as cards, or a few as a row.

use leptos::prelude::*;
use model::saved::DashboardSummary;

use crate::{
    api,
    components::{
        icon::{Icon, Shape},
        kept::who_sees,
    },
    format,
};

/// The most that the row has room for.
const ROW: usize = 6;

#[component]
pub fn DashboardCards(dashboards: Vec<DashboardSummary>) -> impl IntoView {
    let cards = dashboards
        .into_iter()
        .map(|dashboard| {
            let views = match dashboard.tiles {
                0 => "Nothing on it yet".to_owned(),
                1 => "1 view".to_owned(),
                tiles => format!("{tiles} views"),
            };
            view! {
                <li class="panel dashboard-card">
                    <h3>
                        <a class="dashboard-link" href=format!("/dashboards/{}", dashboard.id)>
                            {dashboard.name}
                        </a>
                    </h3>
                    <p class="muted">{views} ", changed on " {format::day(dashboard.changed)}</p>
                    <p>
                        {who_sees(dashboard.mine, dashboard.shared, &dashboard.owner)}
                    </p>
                </li>
            }
        })
        .collect_view();
    view! { <ul class="dashboard-cards">{cards}</ul> }.into_any()
}

/// The first of them on the start page; nothing where there are none, or where they cannot be read.
#[component]
pub fn DashboardRow() -> impl IntoView {
    let dashboards = Resource::new(|| (), |()| api::get_dashboards());
    let row = move || {
        let dashboards = dashboards.get().and_then(Result::ok).filter(|dashboards| !dashboards.is_empty())?;
        let links = dashboards
            .into_iter()
            .take(ROW)
            .map(|dashboard| {
                let owner = (!dashboard.mine).then(|| view! { <span class="muted">" by " {dashboard.owner}</span> });
                view! {
                    <li>
                        <a class="shortcut" href=format!("/dashboards/{}", dashboard.id)>
                            <Icon shape=Shape::Dashboard />
                            <span class="shortcut-name">{dashboard.name} {owner}</span>
                        </a>
                    </li>
                }
            })
            .collect_view();
        Some(view! {
            <nav class="shortcuts" aria-label="Your dashboards">
                <ul>
                    {links} <li>
                        <a class="shortcut shortcut-all" href="/dashboards">
                            "All dashboards"
                        </a>
                    </li>
                </ul>
            </nav>
        })
    };
    view! { <Transition>{row}</Transition> }.into_any()
}
