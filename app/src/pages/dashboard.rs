//! A dashboard: its views side by side, and, for its owner, a link that turns it into forms.

use leptos::prelude::*;
use leptos_meta::Title;
use leptos_router::hooks::{use_params_map, use_query_map};
use model::saved::{DashboardDetail, Tile};

use crate::{
    api,
    components::{
        answered::Answered,
        dashboard_forms::{AddView, DashboardForms, TileForms},
        explore_card::ExploreCard,
        icon::Shape,
        kept::who_sees,
        notice::Notice,
    },
};

#[component]
pub fn DashboardPage() -> impl IntoView {
    let (params, query) = (use_params_map(), use_query_map());
    let id = Memo::new(move |_| params.read().get("id").unwrap_or_default());
    let wants_edit = Memo::new(move |_| query.read().get_str("edit") == Some("yes"));
    let dashboard = Resource::new(move || id.get(), api::get_dashboard);
    let here = Signal::derive(move || format!("/dashboards/{}", id.read()));
    let show = move |dashboard: Option<DashboardDetail>| match dashboard {
        Some(dashboard) => view! { <Shown dashboard wants_edit /> }.into_any(),
        None => view! { <Nowhere /> }.into_any(),
    };
    view! { <Answered answer=dashboard href=here show /> }.into_any()
}

#[component]
fn Nowhere() -> impl IntoView {
    view! {
        <Title text="Not found" />
        <h1 class="page-title">"Dashboard not found"</h1>
        <Notice
            title="There is no such dashboard"
            detail="It may have been deleted, or its owner shares it no longer."
            shape=Shape::Empty
        >
            <a class="button" href="/dashboards">
                "To the dashboards"
            </a>
        </Notice>
    }
    .into_any()
}

#[component]
fn Shown(dashboard: DashboardDetail, wants_edit: Memo<bool>) -> impl IntoView {
    let title = dashboard.name.clone();
    let mine = dashboard.mine;
    let face = move || {
        let dashboard = dashboard.clone();
        if mine && wants_edit.get() {
            view! { <Edited dashboard /> }.into_any()
        } else {
            view! { <Looked dashboard /> }.into_any()
        }
    };
    view! {
        <Title text=title />
        {face}
    }
    .into_any()
}

#[component]
fn Head(dashboard: DashboardDetail, children: Children) -> impl IntoView {
    view! {
        <div class="page-head">
            <div class="dashboard-head">
                <h1 class="page-title">{dashboard.name}</h1>
                {who_sees(dashboard.mine, dashboard.shared, &dashboard.owner)}
            </div>
            {children()}
        </div>
    }
    .into_any()
}

/// As everybody sees it who may.
#[component]
fn Looked(dashboard: DashboardDetail) -> impl IntoView {
    let edit = dashboard.mine.then(|| {
        view! {
            <a class="button button-secondary" href=format!("/dashboards/{}?edit=yes", dashboard.id)>
                "Edit"
            </a>
        }
    });
    let tiles = if dashboard.tiles.is_empty() {
        view! { <Bare mine=dashboard.mine edit=format!("/dashboards/{}?edit=yes", dashboard.id) /> }.into_any()
    } else {
        let tiles = dashboard.tiles.clone().into_iter().map(|tile| view! { <Place tile>""</Place> }).collect_view();
        view! { <ul class="tiles">{tiles}</ul> }.into_any()
    };
    view! {
        <Head dashboard>{edit}</Head>
        {tiles}
    }
    .into_any()
}

#[component]
fn Bare(mine: bool, edit: String) -> impl IntoView {
    let (detail, action) = if mine {
        let action = view! {
            <a class="button" href=edit>
                "Add views"
            </a>
        };
        ("Add views that you or others have saved.", Some(action))
    } else {
        ("Its owner has not put any views on it.", None)
    };
    view! {
        <Notice title="Nothing is on this dashboard yet" detail=detail shape=Shape::Dashboard>
            {action}
        </Notice>
    }
    .into_any()
}

/// As its owner changes it.
#[component]
fn Edited(dashboard: DashboardDetail) -> impl IntoView {
    let count = dashboard.tiles.len();
    let id = dashboard.id;
    let tiles = dashboard
        .tiles
        .clone()
        .into_iter()
        .enumerate()
        .map(|(place, tile)| {
            let forms = view! { <TileForms dashboard=id tile=tile.clone() first=place == 0 last=place + 1 == count /> };
            view! { <Place tile>{forms}</Place> }
        })
        .collect_view();
    view! {
        <Head dashboard=dashboard.clone()>
            <a class="button" href=format!("/dashboards/{id}")>
                "Done"
            </a>
        </Head>
        <AddView dashboard=id count />
        <ul class="tiles">{tiles}</ul>
        <DashboardForms dashboard />
    }
    .into_any()
}

/// Where a view stands on the dashboard.
#[component]
fn Place(tile: Tile, children: Children) -> impl IntoView {
    let card = match tile.shows {
        Some(shown) => view! { <ExploreCard title=shown.name query=shown.query id=format!("view-{}", tile.id) /> }.into_any(),
        None => view! {
            <section class="panel">
                <h2 class="panel-title">"A view that is shared no longer"</h2>
                <p class="muted">"The person whose view it is has made it private. It comes back when they share it again."</p>
            </section>
        }
        .into_any(),
    };
    view! {
        <li class="tile" id=format!("tile-{}", tile.id) data-width=tile.width.name()>
            {card}
            {children()}
        </li>
    }
    .into_any()
}
