//! Forms of the pages about what people keep. As all forms they work without JavaScript, and lead on to a page that tells how
//! it went.

use axum::{
    Form,
    response::Response,
    routing::{MethodRouter, post},
};
use model::saved::{SavedKind, TileWidth};
use serde::Deserialize;
use uuid::Uuid;

use super::{
    DashboardDraft, Shelf, TileDraft,
    dashboards::DashboardChange,
    items::{ItemChange, ItemDraft},
    tiles::TileChange,
};
use crate::{
    access::forms::{Desk, good, safe_next},
    plain,
    routes::WebState,
};

const SAVED: &str = "/saved";
const DASHBOARDS: &str = "/dashboards";

/// Every form, by the path it is sent to.
pub fn forms() -> Vec<(&'static str, MethodRouter<WebState>)> {
    vec![
        ("/saved/create", post(create)),
        ("/saved/rename", post(rename)),
        ("/saved/share", post(share)),
        ("/saved/delete", post(delete)),
        ("/dashboards/create", post(create_dashboard)),
        ("/dashboards/rename", post(rename_dashboard)),
        ("/dashboards/share", post(share_dashboard)),
        ("/dashboards/delete", post(delete_dashboard)),
        ("/dashboards/add", post(add)),
        ("/dashboards/remove", post(remove)),
        ("/dashboards/move", post(change_place)),
        ("/dashboards/width", post(change_width)),
    ]
}

fn shelf(desk: &Desk) -> Shelf<'_> {
    Shelf::new(&desk.access, &desk.standing)
}

/// The page that the form was on, if it is one of ours.
fn back_to(back: &str, otherwise: &str) -> String {
    let path = safe_next(back);
    if path == back { path } else { otherwise.to_owned() }
}

/// The page on which a dashboard is changed.
fn editing(dashboard: Uuid) -> String {
    format!("{DASHBOARDS}/{dashboard}?edit=yes")
}

fn quoted(name: &str) -> String {
    format!("“{name}”")
}

#[derive(Deserialize)]
struct Create {
    kind: SavedKind,
    name: String,
    #[serde(default)]
    text: String,
    /// A box that is not ticked is not sent.
    #[serde(default)]
    shared: bool,
    #[serde(default)]
    back: String,
}

async fn create(desk: Desk, Form(form): Form<Create>) -> Response {
    let Create { kind, name, text, shared, back } = form;
    let created = shelf(&desk).create_item(&ItemDraft { kind, name, text, shared }, &desk.actor).await;
    let told = created.map(|item| good(format!("{} is saved. You find it on the page Saved.", quoted(&item.name))));
    desk.go_on(&back_to(&back, SAVED), told)
}

#[derive(Deserialize)]
struct Rename {
    id: Uuid,
    name: String,
    #[serde(default)]
    back: String,
}

async fn rename(desk: Desk, Form(form): Form<Rename>) -> Response {
    let change = ItemChange { name: Some(form.name), ..ItemChange::default() };
    let changed = shelf(&desk).change_item(form.id, &change, &desk.actor).await;
    desk.go_on(
        &back_to(&form.back, SAVED),
        changed.map(|item| good(format!("It is called {} now.", quoted(&item.name)))),
    )
}

#[derive(Deserialize)]
struct Share {
    id: Uuid,
    shared: bool,
    #[serde(default)]
    back: String,
}

async fn share(desk: Desk, Form(form): Form<Share>) -> Response {
    let change = ItemChange { shared: Some(form.shared), ..ItemChange::default() };
    let changed = shelf(&desk).change_item(form.id, &change, &desk.actor).await;
    desk.go_on(&back_to(&form.back, SAVED), changed.map(|item| good(seen_by(&item.name, item.shared))))
}

fn seen_by(name: &str, shared: bool) -> String {
    let who = if shared { "Everybody sees" } else { "Only you see" };
    format!("{who} {} now.", quoted(name))
}

#[derive(Deserialize)]
struct Delete {
    id: Uuid,
    #[serde(default)]
    back: String,
}

async fn delete(desk: Desk, Form(form): Form<Delete>) -> Response {
    let deleted = shelf(&desk).delete_item(form.id, &desk.actor).await;
    desk.go_on(&back_to(&form.back, SAVED), deleted.map(|item| good(format!("{} is deleted.", quoted(&item.name)))))
}

#[derive(Deserialize)]
struct CreateDashboard {
    name: String,
    #[serde(default)]
    shared: bool,
    /// What is on it from the beginning.
    view: Option<Uuid>,
}

async fn create_dashboard(desk: Desk, Form(form): Form<CreateDashboard>) -> Response {
    let CreateDashboard { name, shared, view } = form;
    let tiles: Vec<_> = view.into_iter().map(|view| TileDraft::new(view, TileWidth::Half)).collect();
    let told = if tiles.is_empty() { "Add views to it." } else { "Add more views to it." };
    match shelf(&desk).create_dashboard(&DashboardDraft { name, shared, tiles }, &desk.actor).await {
        Ok(made) => desk.go_on(&editing(made.id), Ok(good(format!("{} is here. {told}", quoted(&made.name))))),
        Err(denied) => desk.go_on(DASHBOARDS, Err(denied)),
    }
}

#[derive(Deserialize)]
struct RenameDashboard {
    dashboard: Uuid,
    name: String,
}

async fn rename_dashboard(desk: Desk, Form(form): Form<RenameDashboard>) -> Response {
    let change = DashboardChange { name: Some(form.name), ..DashboardChange::default() };
    let changed = shelf(&desk).change_dashboard(form.dashboard, &change, &desk.actor).await;
    let told = changed.map(|dashboard| good(format!("It is called {} now.", quoted(&dashboard.name))));
    desk.go_on(&editing(form.dashboard), told)
}

#[derive(Deserialize)]
struct ShareDashboard {
    dashboard: Uuid,
    shared: bool,
}

async fn share_dashboard(desk: Desk, Form(form): Form<ShareDashboard>) -> Response {
    let change = DashboardChange { shared: Some(form.shared), ..DashboardChange::default() };
    let changed = shelf(&desk).change_dashboard(form.dashboard, &change, &desk.actor).await;
    let told = changed.map(|dashboard| good(seen_by(&dashboard.name, dashboard.shared)));
    desk.go_on(&editing(form.dashboard), told)
}

#[derive(Deserialize)]
struct DeleteDashboard {
    dashboard: Uuid,
}

async fn delete_dashboard(desk: Desk, Form(form): Form<DeleteDashboard>) -> Response {
    let deleted = shelf(&desk).delete_dashboard(form.dashboard, &desk.actor).await;
    let told =
        deleted.map(|name| good(format!("{} is deleted. The views that were on it are still there.", quoted(&name))));
    desk.go_on(DASHBOARDS, told)
}

#[derive(Deserialize)]
struct Add {
    dashboard: Uuid,
    view: Uuid,
    #[serde(default)]
    width: TileWidth,
    #[serde(default)]
    back: String,
}

async fn add(desk: Desk, Form(form): Form<Add>) -> Response {
    let change = TileChange::Add(TileDraft::new(form.view, form.width));
    let changed = shelf(&desk).change_tiles(form.dashboard, change, &desk.actor).await;
    let told = changed.map(|name| good(format!("The view is on {} now.", quoted(&name))));
    desk.go_on(&back_to(&form.back, &editing(form.dashboard)), told)
}

#[derive(Deserialize)]
struct Remove {
    dashboard: Uuid,
    tile: Uuid,
}

async fn remove(desk: Desk, Form(form): Form<Remove>) -> Response {
    let changed = shelf(&desk).change_tiles(form.dashboard, TileChange::Remove(form.tile), &desk.actor).await;
    desk.go_on(&editing(form.dashboard), changed.map(|_| good("The view is off the dashboard. It is still saved.")))
}

#[derive(Deserialize)]
#[serde(rename_all = "snake_case")]
enum Direction {
    Up,
    Down,
}

#[derive(Deserialize)]
struct Move {
    dashboard: Uuid,
    tile: Uuid,
    direction: Direction,
}

async fn change_place(desk: Desk, Form(form): Form<Move>) -> Response {
    let change = match form.direction {
        Direction::Up => TileChange::Up(form.tile),
        Direction::Down => TileChange::Down(form.tile),
    };
    rearrange(&desk, form.dashboard, form.tile, change).await
}

#[derive(Deserialize)]
struct Width {
    dashboard: Uuid,
    tile: Uuid,
    width: TileWidth,
}

async fn change_width(desk: Desk, Form(form): Form<Width>) -> Response {
    rearrange(&desk, form.dashboard, form.tile, TileChange::Width(form.tile, form.width)).await
}

/// What can be seen need not be told: the page opens where the tile is now.
async fn rearrange(desk: &Desk, dashboard: Uuid, tile: Uuid, change: TileChange) -> Response {
    match shelf(desk).change_tiles(dashboard, change, &desk.actor).await {
        Ok(_) => plain::see_other(format!("{}#tile-{tile}", editing(dashboard))),
        Err(denied) => desk.go_on(&editing(dashboard), Err(denied)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_form_leads_back_to_pages_of_ours_only() {
        assert_eq!(back_to("/explore?metric=revenue", SAVED), "/explore?metric=revenue");
        assert_eq!(back_to("/", SAVED), "/");
        for elsewhere in ["", "https://evil.example/", "//evil.example", "/\\evil.example", "saved"] {
            assert_eq!(back_to(elsewhere, SAVED), SAVED, "{elsewhere:?}");
        }
    }
}
