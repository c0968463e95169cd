//! The way to the pages, as far as the person may go.

use leptos::prelude::*;
use leptos_router::components::A;
use model::access::{Me, Permission};

use crate::{
    components::icon::{Icon, Shape},
    session::use_me,
};

/// A page in the navigation.
struct Place {
    href: &'static str,
    label: &'static str,
    shape: Shape,
    /// Who lacks it does not see the link; the server would refuse the page.
    needs: Permission,
}

const PAGES: [Place; 9] = [
    Place { href: "/", label: "Overview", shape: Shape::Overview, needs: Permission::MetricsRead },
    Place { href: "/explore", label: "Explore", shape: Shape::Explore, needs: Permission::MetricsRead },
    Place { href: "/dashboards", label: "Dashboards", shape: Shape::Dashboard, needs: Permission::MetricsRead },
    Place { href: "/saved", label: "Saved", shape: Shape::Saved, needs: Permission::MetricsRead },
    Place { href: "/pipeline", label: "Pipeline", shape: Shape::Pipeline, needs: Permission::PipelineRead },
    Place { href: "/quality", label: "Quality", shape: Shape::Quality, needs: Permission::QualityRead },
    Place { href: "/tables", label: "Tables", shape: Shape::Table, needs: Permission::PipelineRead },
    Place { href: "/sql", label: "SQL", shape: Shape::Terminal, needs: Permission::SqlRun },
    Place { href: "/keys", label: "API keys", shape: Shape::Key, needs: Permission::KeysManage },
];

const ADMINISTRATION: [Place; 4] = [
    Place { href: "/admin/users", label: "Users", shape: Shape::People, needs: Permission::UsersManage },
    Place { href: "/admin/roles", label: "Roles", shape: Shape::Shield, needs: Permission::RolesManage },
    Place { href: "/admin/sessions", label: "Sessions", shape: Shape::Device, needs: Permission::UsersManage },
    Place { href: "/admin/audit", label: "Audit log", shape: Shape::Log, needs: Permission::AuditRead },
];

#[component]
pub fn Navigation() -> impl IntoView {
    let me = use_me();
    view! {
        <Transition>
            {move || me.get().and_then(Result::ok).map(|me| view! { <Places me /> })}
        </Transition>
    }
    .into_any()
}

#[component]
fn Places(me: Me) -> impl IntoView {
    let pages = links(&PAGES, &me);
    let administration = links(&ADMINISTRATION, &me);
    let administration = (!administration.is_empty()).then(|| {
        view! {
            <li>
                <span class="nav-group">"Administration"</span>
                <ul class="nav-list">{administration}</ul>
            </li>
        }
    });
    // There is nothing else yet for who has to set up a second factor first.
    let profile = me.must_enrol.then(|| view! { <Link href="/profile" label="Profile" shape=Shape::Person /> });
    view! {
        <ul class="nav-list">
            {pages}
            {profile}
            {administration}
        </ul>
    }
    .into_any()
}

fn links(places: &'static [Place], me: &Me) -> Vec<AnyView> {
    places
        .iter()
        .filter(|place| me.may(place.needs))
        .map(|place| view! { <Link href=place.href label=place.label shape=place.shape /> }.into_any())
        .collect()
}

#[component]
fn Link(href: &'static str, label: &'static str, shape: Shape) -> impl IntoView {
    view! {
        <li>
            <A href=href exact=true>
                <Icon shape />
                {label}
            </A>
        </li>
    }
}
