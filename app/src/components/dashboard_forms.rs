//! What the owner of a dashboard changes: what is on it, in which order and how wide, its name and who sees it.

use leptos::prelude::*;
use model::saved::{DashboardDetail, LONGEST_NAME, MOST_TILES, Saved, SavedKind, Tile, TileWidth};
use uuid::Uuid;

use crate::{
    api,
    components::{
        answered::Answered,
        icon::{Icon, Shape},
    },
};

/// The buttons below a view. Each is a form, so that it works without JavaScript.
#[component]
pub fn TileForms(dashboard: Uuid, tile: Tile, first: bool, last: bool) -> impl IntoView {
    let name = tile.shows.map_or_else(|| "this view".to_owned(), |shown| shown.name);
    let (width, width_label) = match tile.width {
        TileWidth::Half => (TileWidth::Full, "Full width"),
        TileWidth::Full => (TileWidth::Half, "Half width"),
    };
    let ids = move || {
        view! {
            <input type="hidden" name="dashboard" value=dashboard.to_string() />
            <input type="hidden" name="tile" value=tile.id.to_string() />
        }
    };
    let shift = |direction: &'static str, shape: Shape, words: &str, at_end: bool| {
        view! {
            <form method="post" action="/dashboards/move">
                {ids()} <input type="hidden" name="direction" value=direction />
                <button
                    type="submit"
                    class="button button-secondary button-icon"
                    aria-label=format!("Move {name} {words}")
                    disabled=at_end
                >
                    <Icon shape />
                </button>
            </form>
        }
    };
    view! {
        <div class="buttons tile-forms" role="group" aria-label=format!("Change {name}")>
            {shift("up", Shape::Up, "forward", first)} {shift("down", Shape::Down, "back", last)}
            <form method="post" action="/dashboards/width">
                {ids()} <input type="hidden" name="width" value=width.name() />
                <button type="submit" class="button button-secondary" aria-label=format!("{width_label} for {name}")>
                    {width_label}
                </button>
            </form>
            <form method="post" action="/dashboards/remove">
                {ids()}
                <button type="submit" class="button button-danger" aria-label=format!("Take {name} off the dashboard")>
                    "Take off"
                </button>
            </form>
        </div>
    }
    .into_any()
}

/// Adds a saved view, while there is room for one.
#[component]
pub fn AddView(dashboard: Uuid, count: usize) -> impl IntoView {
    let saved = Resource::new(|| (), |()| api::get_saved(String::new()));
    let show = move |saved: Vec<Saved>| {
        let views: Vec<_> = saved.into_iter().filter(|item| item.kind == SavedKind::View).collect();
        if count >= MOST_TILES {
            view! { <p class="muted">{format!("The dashboard is full: it has {MOST_TILES} views.")}</p> }.into_any()
        } else if views.is_empty() {
            view! {
                <p>
                    "There are no saved views yet. " <a href="/explore">"Explore the numbers"</a>
                    ", and save what you want to see again."
                </p>
            }
            .into_any()
        } else {
            view! { <AddForm dashboard views /> }.into_any()
        }
    };
    view! {
        <section class="panel" aria-labelledby="add-title">
            <h2 class="panel-title" id="add-title">
                "Add a view"
            </h2>
            <Answered answer=saved href=format!("/dashboards/{dashboard}?edit=yes") show />
        </section>
    }
    .into_any()
}

#[component]
fn AddForm(dashboard: Uuid, views: Vec<Saved>) -> impl IntoView {
    let (own, others): (Vec<_>, Vec<_>) = views.into_iter().partition(|item| item.mine);
    let group = |label: &'static str, items: Vec<Saved>| {
        let options = items
            .into_iter()
            .map(|item| {
                let label = if item.mine { item.name } else { format!("{} (by {})", item.name, item.owner) };
                view! { <option value=item.id.to_string()>{label}</option> }
            })
            .collect_view();
        view! { <optgroup label=label>{options}</optgroup> }
    };
    let own = (!own.is_empty()).then(|| group("Yours", own));
    let others = (!others.is_empty()).then(|| group("Shared by others", others));
    let widths = [(TileWidth::Half, "Half"), (TileWidth::Full, "Full")]
        .map(|(width, label)| view! { <option value=width.name()>{label}</option> })
        .collect_view();
    view! {
        <form class="form form-row" method="post" action="/dashboards/add">
            <input type="hidden" name="dashboard" value=dashboard.to_string() />
            <div class="field field-long">
                <label for="add-view">"View"</label>
                <select id="add-view" name="view">
                    {own} {others}
                </select>
            </div>
            <div class="field">
                <label for="add-width">"Width"</label>
                <select id="add-width" name="width">
                    {widths}
                </select>
            </div>
            <button type="submit" class="button">
                "Add"
            </button>
        </form>
    }
    .into_any()
}

/// The dashboard as a whole.
#[component]
pub fn DashboardForms(dashboard: DashboardDetail) -> impl IntoView {
    let DashboardDetail { id, name, shared, .. } = dashboard;
    let id = id.to_string();
    let (share, label, hint) = if shared {
        ("false", "Stop sharing", "Everybody sees this dashboard, and those of your views that are on it.")
    } else {
        (
            "true",
            "Share with everybody",
            "Only you see this dashboard. Who sees it when it is shared also sees those of your views that are on it.",
        )
    };
    view! {
        <div class="panels">
            <section class="panel" aria-labelledby="rename-title">
                <h2 class="panel-title" id="rename-title">
                    "Name"
                </h2>
                <form class="field-form" method="post" action="/dashboards/rename">
                    <input type="hidden" name="dashboard" value=id.clone() />
                    <label class="field">
                        <span class="visually-hidden">"Name of the dashboard"</span>
                        <input
                            name="name"
                            type="text"
                            autocomplete="off"
                            maxlength=LONGEST_NAME.to_string()
                            value=name
                            required
                        />
                    </label>
                    <button type="submit" class="button button-secondary">
                        "Rename"
                    </button>
                </form>
            </section>
            <section class="panel" aria-labelledby="sharing-title">
                <h2 class="panel-title" id="sharing-title">
                    "Who sees it"
                </h2>
                <p class="muted section-text">{hint}</p>
                <div class="buttons">
                    <form method="post" action="/dashboards/share">
                        <input type="hidden" name="dashboard" value=id.clone() />
                        <input type="hidden" name="shared" value=share />
                        <button type="submit" class="button button-secondary">
                            {label}
                        </button>
                    </form>
                    <form method="post" action="/dashboards/delete">
                        <input type="hidden" name="dashboard" value=id />
                        <button type="submit" class="button button-danger">
                            "Delete the dashboard"
                        </button>
                    </form>
                </div>
            </section>
        </div>
    }
    .into_any()
}
