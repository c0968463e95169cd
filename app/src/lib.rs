//! The dashboard: pages, components and charts, and the signatures of the server functions behind them.
//!
//! The larger components end with `into_any`, and the recursion limit is raised: the type of a page names every element in
//! it, which is soon too deep for the compiler.
//!
//! Rendered on the server (feature `ssr`) and brought to life in the browser (feature `hydrate`). What the pages need of
//! the server is asked through [`ports`]; nothing here knows how it is answered.

#![recursion_limit = "256"]
#![allow(unreachable_pub, reason = "the component macro makes the properties of every component public")]

pub mod api;
mod browser;
mod charts;
mod components;
mod format;
mod layout;
mod live;
mod pages;
pub mod ports;
pub mod problem;
mod refresh;
mod session;
mod task;
mod theme;

use leptos::prelude::*;
use leptos_meta::{HashedStylesheet, Link, Meta, MetaTags, Title, provide_meta_context};
use leptos_router::{
    SsrMode,
    components::{Outlet, ParentRoute, Route, Router, Routes},
    path,
};

use crate::{
    layout::Layout,
    pages::{
        account::{invitation::InvitationPage, login::LoginPage, login_code::LoginCodePage, setup::SetupPage},
        admin::{audit::AuditPage, roles::RolesPage, sessions::SessionsPage, users::UsersPage},
        dashboard::DashboardPage,
        dashboards::DashboardsPage,
        docs::DocsPage,
        event::EventPage,
        explore::ExplorePage,
        keys::KeysPage,
        letter::LetterPage,
        letters::LettersPage,
        not_found::NotFound,
        overview::OverviewPage,
        pipeline::PipelinePage,
        profile::ProfilePage,
        quality::QualityPage,
        rows::RowsPage,
        saved::SavedPage,
        sql::SqlPage,
        table::TablePage,
        tables::TablesPage,
    },
};

/// The HTML document around the app. Only the server renders it.
pub fn shell(options: LeptosOptions) -> impl IntoView {
    let theme = theme::current();
    view! {
        <!DOCTYPE html>
        <html lang="en" data-theme=theme.attribute()>
            <head>
                <meta charset="utf-8" />
                <meta name="viewport" content="width=device-width, initial-scale=1" />
                <meta name="color-scheme" content=theme.color_scheme() />
                <HashedStylesheet options=options.clone() id="streamlinehub" />
                <AutoReload options=options.clone() />
                <HydrationScripts options />
                <MetaTags />
            </head>
            <body>
                <App />
            </body>
        </html>
    }
}

#[component]
pub fn App() -> impl IntoView {
    provide_meta_context();
    view! {
        <Title formatter=|page: String| if page.is_empty() { "StreamlineHub".to_owned() } else { format!("{page} · StreamlineHub") } />
        <Meta name="description" content="Event streams from Kafka, kept in an open lakehouse, shown live and over time." />
        <Link rel="icon" href="/favicon.svg" type_="image/svg+xml" />
        <Router>
            <Routes fallback=NotFoundPage>
                // Every page is complete in the HTML, so that it can be read with JavaScript off.
                <ParentRoute path=path!("") view=SignedInPages ssr=SsrMode::Async>
                    <Route path=path!("/") view=OverviewPage ssr=SsrMode::Async />
                    <Route path=path!("/dashboards") view=DashboardsPage ssr=SsrMode::Async />
                    <Route path=path!("/dashboards/:id") view=DashboardPage ssr=SsrMode::Async />
                    <Route path=path!("/saved") view=SavedPage ssr=SsrMode::Async />
                    <Route path=path!("/explore") view=ExplorePage ssr=SsrMode::Async />
                    <Route path=path!("/pipeline") view=PipelinePage ssr=SsrMode::Async />
                    <Route path=path!("/quality") view=QualityPage ssr=SsrMode::Async />
                    <Route path=path!("/quality/letters") view=LettersPage ssr=SsrMode::Async />
                    <Route path=path!("/quality/letters/:topic/:partition/:offset") view=LetterPage ssr=SsrMode::Async />
                    <Route path=path!("/tables") view=TablesPage ssr=SsrMode::Async />
                    <Route path=path!("/tables/:layer/:name") view=TablePage ssr=SsrMode::Async />
                    <Route path=path!("/rows") view=RowsPage ssr=SsrMode::Async />
                    <Route path=path!("/events/:topic/:partition/:offset") view=EventPage ssr=SsrMode::Async />
                    <Route path=path!("/sql") view=SqlPage ssr=SsrMode::Async />
                    <Route path=path!("/docs") view=DocsPage ssr=SsrMode::Async />
                    <Route path=path!("/profile") view=ProfilePage ssr=SsrMode::Async />
                    <Route path=path!("/keys") view=KeysPage ssr=SsrMode::Async />
                    <Route path=path!("/admin/users") view=UsersPage ssr=SsrMode::Async />
                    <Route path=path!("/admin/roles") view=RolesPage ssr=SsrMode::Async />
                    <Route path=path!("/admin/sessions") view=SessionsPage ssr=SsrMode::Async />
                    <Route path=path!("/admin/audit") view=AuditPage ssr=SsrMode::Async />
                </ParentRoute>
                <Route path=path!("/login") view=LoginPage ssr=SsrMode::Async />
                <Route path=path!("/login/code") view=LoginCodePage ssr=SsrMode::Async />
                <Route path=path!("/setup") view=SetupPage ssr=SsrMode::Async />
                <Route path=path!("/invitation") view=InvitationPage ssr=SsrMode::Async />
            </Routes>
        </Router>
    }
}

/// The frame stays while the page in it changes.
#[component]
fn SignedInPages() -> impl IntoView {
    view! {
        <Layout>
            <Outlet />
        </Layout>
    }
}

#[component]
fn NotFoundPage() -> impl IntoView {
    view! {
        <Layout>
            <NotFound />
        </Layout>
    }
}

/// Brings a rendered page to life. The browser calls it once, when the module has loaded.
#[cfg(feature = "hydrate")]
#[wasm_bindgen::prelude::wasm_bindgen]
pub fn hydrate() {
    console_error_panic_hook::set_once();
    hydrate_body(App);
}
