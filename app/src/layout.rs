//! What surrounds every page: navigation, header, footer. And, in the place of all that, the calm frame of the pages for
//! people who are not signed in yet.

use leptos::prelude::*;
use model::access::Permission;

use crate::{
    components::{
        connection::ConnectionBadge,
        flash::FlashMessage,
        icon::{Icon, Shape},
        navigation::Navigation,
        notice::Remark,
        user_menu::UserMenu,
    },
    live::provide_live_feed,
    session::{provide_session, use_may, use_me},
};

/// For people who are signed in.
#[component]
pub fn Layout(children: Children) -> impl IntoView {
    let me = provide_session();
    provide_live_feed(me);
    view! {
        <SkipLink />
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
                <div class="topbar-end">
                    <LiveBadge />
                    <UserMenu />
                </div>
            </header>
            <main id="main" class="content" tabindex="-1">
                <FlashMessage />
                <EnrolRemark />
                {children()}
            </main>
            <Footer />
        </div>
    }
    .into_any()
}

/// For who is not signed in, or not yet: one thing to do, and nothing beside it.
#[component]
pub fn CalmFrame(children: Children) -> impl IntoView {
    view! {
        <SkipLink />
        <div class="layout layout-calm">
            <main id="main" class="calm" tabindex="-1">
                <p class="brand">
                    <Icon shape=Shape::Logo />
                    <span>"StreamlineHub"</span>
                </p>
                <FlashMessage />
                <div class="panel calm-card">{children()}</div>
            </main>
            <Footer />
        </div>
    }
    .into_any()
}

#[component]
fn SkipLink() -> impl IntoView {
    view! {
        // Left to the browser, which moves the focus as well; the router would only scroll.
        <a class="skip-link" href="#main" rel="external">
            "Skip to the content"
        </a>
    }
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

#[component]
fn Footer() -> impl IntoView {
    view! {
        <footer class="footer">
            <span>"StreamlineHub " {env!("CARGO_PKG_VERSION")}</span>
            <span>"All times are in UTC"</span>
        </footer>
    }
}

/// For who may see what is live.
#[component]
fn LiveBadge() -> impl IntoView {
    let sees_metrics = use_may(Permission::MetricsRead);
    view! { <Transition>{move || sees_metrics.get().then(|| view! { <ConnectionBadge /> })}</Transition> }.into_any()
}

/// Why there is nothing but the profile.
#[component]
fn EnrolRemark() -> impl IntoView {
    let me = use_me();
    let must_enrol = move || me.get().and_then(Result::ok).is_some_and(|me| me.must_enrol);
    let remark = move || {
        must_enrol().then(|| {
            view! {
                <Remark>
                    "Your role asks for a second factor. " <a href="/profile">"Set one up in your profile"</a>
                    "; until then there is nothing else to see."
                </Remark>
            }
        })
    };
    view! { <Transition>{remark}</Transition> }.into_any()
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
