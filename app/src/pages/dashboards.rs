//! Dashboards: one's own, and those that others share.

use leptos::prelude::*;
use leptos_meta::Title;
use model::{
    access::Permission,
    saved::{DashboardSummary, LONGEST_NAME},
};

use crate::{
    api,
    components::{
        answered::Answered, dashboard_list::DashboardCards, icon::Shape, notice::Notice, save_form::SharedBox,
    },
    session::use_may,
};

#[component]
pub fn DashboardsPage() -> impl IntoView {
    let dashboards = Resource::new(|| (), |()| api::get_dashboards());
    let saves = use_may(Permission::SavedEdit);
    view! {
        <Title text="Dashboards" />
        <div class="page-head">
            <h1 class="page-title">"Dashboards"</h1>
            <a class="button button-secondary" href="/saved">
                "Saved views"
            </a>
        </div>
        <Answered answer=dashboards href="/dashboards" show=|dashboards| view! { <Dashboards dashboards /> }.into_any() />
        <Transition>{move || saves.get().then(|| view! { <NewDashboard /> })}</Transition>
    }
    .into_any()
}

#[component]
fn Dashboards(dashboards: Vec<DashboardSummary>) -> impl IntoView {
    let (own, others): (Vec<_>, Vec<_>) = dashboards.into_iter().partition(|dashboard| dashboard.mine);
    let own = if own.is_empty() {
        view! {
            <Notice
                title="You have no dashboard yet"
                detail="A dashboard puts saved views side by side, for yourself or for everybody. Make one below, then add views to it."
                shape=Shape::Dashboard
            />
        }
        .into_any()
    } else {
        view! { <DashboardCards dashboards=own /> }.into_any()
    };
    let others = (!others.is_empty()).then(|| {
        view! {
            <section class="dashboard-group" aria-labelledby="others-title">
                <h2 class="panel-title" id="others-title">
                    "Shared by others"
                </h2>
                <DashboardCards dashboards=others />
            </section>
        }
    });
    view! {
        <section class="dashboard-group" aria-labelledby="own-title">
            <h2 class="panel-title" id="own-title">
                "Yours"
            </h2>
            {own}
        </section>
        {others}
    }
    .into_any()
}

#[component]
fn NewDashboard() -> impl IntoView {
    view! {
        <section class="panel" aria-labelledby="new-title">
            <h2 class="panel-title" id="new-title">
                "New dashboard"
            </h2>
            <form class="form" method="post" action="/dashboards/create">
                <label class="field">
                    "Name"
                    <input
                        name="name"
                        type="text"
                        autocomplete="off"
                        maxlength=LONGEST_NAME.to_string()
                        placeholder="Such as: Monday morning"
                        required
                    />
                </label>
                <SharedBox hint="Those of your views that are on it, too. Only you can change it." />
                <button type="submit" class="button">
                    "Make the dashboard"
                </button>
            </form>
        </section>
    }
    .into_any()
}
