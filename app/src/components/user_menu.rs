//! The menu of the person who is signed in.

use leptos::{ev, html::Details, prelude::*};
use model::access::{Me, Permission};
use wasm_bindgen::JsCast;

use crate::{
    components::{
        icon::{Icon, Shape},
        theme_choice::ThemeChoice,
    },
    session::use_me,
};

#[component]
pub fn UserMenu() -> impl IntoView {
    let me = use_me();
    view! {
        <Transition>
            {move || me.get().and_then(Result::ok).map(|me| view! { <Menu me /> })}
        </Transition>
    }
    .into_any()
}

/// Opens without JavaScript; with it, following a link, pressing Escape or a click beside it closes it again.
#[component]
fn Menu(me: Me) -> impl IntoView {
    let menu = NodeRef::<Details>::new();
    let close = move || {
        if let Some(menu) = menu.get_untracked() {
            menu.set_open(false);
        }
    };
    let escape = move |event: ev::KeyboardEvent| {
        if event.key() != "Escape" {
            return;
        }
        close();
        // The focus would be lost with what it was on.
        let summary = menu.get_untracked().and_then(|menu| menu.query_selector("summary").ok().flatten());
        if let Some(Ok(summary)) = summary.map(JsCast::dyn_into::<web_sys::HtmlElement>) {
            _ = summary.focus();
        }
    };
    // Effects run in the browser only.
    Effect::new(move || {
        let listener = window_event_listener(ev::click, move |event| {
            let target = event.target().and_then(|target| target.dyn_into::<web_sys::Node>().ok());
            if menu.get_untracked().is_some_and(|menu| !menu.contains(target.as_ref())) {
                close();
            }
        });
        on_cleanup(move || listener.remove());
    });
    let keys = me.may(Permission::KeysManage).then(|| {
        view! {
            <li>
                <a href="/keys">
                    <Icon shape=Shape::Key />
                    "API keys"
                </a>
            </li>
        }
    });
    view! {
        <details class="user-menu" node_ref=menu on:keydown=escape>
            <summary class="user-menu-button">
                <Icon shape=Shape::Person />
                <span class="user-menu-name">{me.name.clone()}</span>
            </summary>
            <div class="user-menu-panel">
                <p class="user-menu-who">
                    <strong>{me.name}</strong>
                    <span class="detail">{me.email}</span>
                    <span class="detail">"Role: " {me.role}</span>
                </p>
                <ul class="nav-list" on:click=move |_| close()>
                    <li>
                        <a href="/profile">
                            <Icon shape=Shape::Person />
                            "Profile"
                        </a>
                    </li>
                    {keys}
                </ul>
                <ThemeChoice />
                <form method="post" action="/logout">
                    <button type="submit" class="button button-secondary button-wide">
                        "Log out"
                    </button>
                </form>
            </div>
        </details>
    }
    .into_any()
}
