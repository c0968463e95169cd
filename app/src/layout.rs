//! What surrounds every page: navigation, header, footer.

use leptos::prelude::*;
use leptos_router::components::A;

use crate::components::{
    connection::ConnectionBadge,
    icon::{Icon, Shape},
};

#[component]
pub fn Layout(children: Children) -> impl IntoView {
    view! {
        // Left to the browser, which moves the focus as well; the router would only scroll.
        <a class="skip-link" href="#main" rel="external">
            "Skip to the content"
        </a>
        <div class="layout">
            <div class="sidebar">
                <div class="sidebar-fixed">
                    <Brand />
                    <nav class="sidebar-nav" aria-label="Main">
                        <Navigation />
                    </nav>
                </div>
            </div>
            <header class="topbar">
                <NarrowNavigation />
                <ConnectionBadge />
                // Kept for the signed-in user.
                <div class="topbar-user"></div>
            </header>
            <main id="main" class="content" tabindex="-1">
                {children()}
            </main>
            <footer class="footer">
                <span>"StreamlineHub " {env!("CARGO_PKG_VERSION")}</span>
                <span>"All times are in UTC"</span>
            </footer>
        </div>
    }
    .into_any()
}

#[component]
fn Brand() -> impl IntoView {
    view! {
        <a class="brand" href="/">
            <Icon shape=Shape::Logo />
            <span>"StreamlineHub"</span>
        </a>
    }
}

/// A menu that opens without JavaScript; with it, following a link closes it again.
#[component]
fn NarrowNavigation() -> impl IntoView {
    let menu = NodeRef::<leptos::html::Details>::new();
    let close = move |_| {
        if let Some(menu) = menu.get_untracked() {
            menu.set_open(false);
        }
    };
    view! {
        <div class="narrow-nav">
            <Brand />
            <details class="menu" node_ref=menu>
                <summary class="menu-button">
                    <Icon shape=Shape::Menu />
                    <span class="visually-hidden">"Menu"</span>
                </summary>
                <nav class="menu-nav" aria-label="Main" on:click=close>
                    <Navigation />
                </nav>
            </details>
        </div>
    }
}

#[component]
fn Navigation() -> impl IntoView {
    view! {
        <ul class="nav-list">
            <li>
                <A href="/" exact=true>
                    <Icon shape=Shape::Overview />
                    "Overview"
                </A>
            </li>
            <li>
                <A href="/pipeline">
                    <Icon shape=Shape::Pipeline />
                    "Pipeline"
                </A>
            </li>
        </ul>
    }
}
