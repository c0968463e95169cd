//! What is kept: views of the page Explore and SQL queries, one's own and those that others share.

use leptos::prelude::*;
use leptos_meta::Title;
use leptos_router::hooks::use_query_map;
use model::{
    access::Permission,
    saved::{DashboardSummary, Saved, SavedKind},
};

use crate::{
    api,
    components::{answered::Answered, icon::Shape, kept::KeptList, notice::Notice},
    format,
    problem::Problem,
    session::use_may,
};

/// From so many on a search helps.
const WORTH_SEARCHING: usize = 12;

/// What is kept, and the dashboards that views can be put on.
type Answer = Result<(Vec<Saved>, Vec<DashboardSummary>), Problem>;

#[component]
pub fn SavedPage() -> impl IntoView {
    let query = use_query_map();
    let find = Memo::new(move |_| query.read().get("find").unwrap_or_default().trim().to_owned());
    let answer: Resource<Answer> = Resource::new(
        move || find.get(),
        |find| async move {
            let saved = api::get_saved(find).await?;
            let mut dashboards = api::get_dashboards().await?;
            dashboards.retain(|dashboard| dashboard.mine);
            Ok((saved, dashboards))
        },
    );
    let here = Signal::derive(move || match find.read().as_str() {
        "" => "/saved".to_owned(),
        find => format!("/saved?find={}", format::percent_encoded(find)),
    });
    let runs_sql = use_may(Permission::SqlRun);
    let show = move |(saved, dashboards): (Vec<Saved>, Vec<DashboardSummary>)| {
        let find = find.get_untracked();
        if saved.is_empty() && find.is_empty() {
            return view! { <Nothing runs_sql /> }.into_any();
        }
        let dashboards = StoredValue::new(dashboards);
        let search = (!find.is_empty() || saved.len() >= WORTH_SEARCHING).then(|| view! { <Search find /> });
        let (views, queries): (Vec<_>, Vec<_>) = saved.into_iter().partition(|item| item.kind == SavedKind::View);
        let queries = move || {
            runs_sql.get().then(|| view! { <Section kind=SavedKind::Query items=queries.clone() dashboards /> })
        };
        view! {
            {search}
            <Section kind=SavedKind::View items=views dashboards />
            <Transition>{queries}</Transition>
        }
        .into_any()
    };
    view! {
        <Title text="Saved" />
        <div class="page-head">
            <h1 class="page-title">"Saved"</h1>
            <a class="button button-secondary" href="/dashboards">
                "Dashboards"
            </a>
        </div>
        <Answered answer href=here show />
    }
    .into_any()
}

#[component]
fn Nothing(runs_sql: Signal<bool>) -> impl IntoView {
    let sql = move || {
        runs_sql.get().then(|| {
            view! {
                <a class="button button-secondary" href="/sql">
                    "Write SQL"
                </a>
            }
        })
    };
    view! {
        <Notice
            title="Nothing is saved yet"
            detail="Save a view on the page Explore, or a query on the page SQL, to find it here again, share it, and put views on dashboards."
            shape=Shape::Saved
        >
            <a class="button" href="/explore">
                "Explore the numbers"
            </a>
            " "
            <Transition>{sql}</Transition>
        </Notice>
    }
    .into_any()
}

#[component]
fn Search(find: String) -> impl IntoView {
    view! {
        <form class="form-inline search" method="get" action="/saved" role="search" aria-label="Saved">
            <input name="find" type="search" aria-label="Part of the name" placeholder="Part of the name" maxlength="80" value=find />
            <button type="submit" class="button button-secondary">
                "Find"
            </button>
        </form>
    }
}

#[component]
fn Section(kind: SavedKind, items: Vec<Saved>, dashboards: StoredValue<Vec<DashboardSummary>>) -> impl IntoView {
    let (id, title, none) = match kind {
        SavedKind::View => ("views-title", "Views", "There are no such views."),
        SavedKind::Query => ("queries-title", "Queries", "There are no such queries."),
    };
    let list = if items.is_empty() {
        view! { <p class="empty">{none}</p> }.into_any()
    } else {
        view! { <KeptList items dashboards labelled_by=id /> }.into_any()
    };
    view! {
        <section class="panel" aria-labelledby=id>
            <h2 class="panel-title" id=id>
                {title}
            </h2>
            {list}
        </section>
    }
    .into_any()
}
