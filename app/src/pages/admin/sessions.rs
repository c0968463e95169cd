//! The open sessions of everybody.

use leptos::prelude::*;
use leptos_meta::Title;

use crate::{
    api,
    components::{
        answered::Answered,
        sessions::{SessionTable, Whose},
    },
};

#[component]
pub fn SessionsPage() -> impl IntoView {
    let sessions = Resource::new(|| (), |()| api::get_sessions());
    view! {
        <Title text="Sessions" />
        <h1 class="page-title" id="sessions-title">
            "Sessions"
        </h1>
        <Answered
            answer=sessions
            href="/admin/sessions"
            show=|sessions| {
                view! {
                    <section class="panel">
                        <SessionTable sessions whose=Whose::Everybodys titled_by="sessions-title" />
                    </section>
                }
                    .into_any()
            }
        />
    }
    .into_any()
}
