//! How well each component works.

use leptos::prelude::*;
use model::health::{Component, Health, Status};

use crate::format;

#[component]
pub fn ComponentList(#[prop(into)] health: Signal<Health>) -> impl IntoView {
    let items = move || health.get().components.into_iter().map(item).collect_view();
    view! {
        <section class="panel" aria-labelledby="components-title">
            <h2 class="panel-title" id="components-title">
                "Components"
            </h2>
            <ul class="components">{items}</ul>
        </section>
    }
    .into_any()
}

fn item(component: Component) -> impl IntoView {
    view! {
        <li>
            <span class="component-name">{name(&component.name)}</span>
            <span class="state" data-state=state(component.status)>
                <span class="dot" aria-hidden="true"></span>
                {label(component.status)}
            </span>
            <span class="muted">{component.latency_ms.map(format::milliseconds)}</span>
            <span class="component-detail">{component.detail}</span>
        </li>
    }
}

fn name(name: &str) -> String {
    match name {
        "broker" => "Kafka broker".to_owned(),
        "redis" => "Redis".to_owned(),
        "postgres" => "PostgreSQL".to_owned(),
        "lake" => "Lake".to_owned(),
        "pipeline" => "Pipeline".to_owned(),
        "disk" => "Disk".to_owned(),
        "books" => "Books".to_owned(),
        other => other.to_owned(),
    }
}

fn state(status: Status) -> &'static str {
    match status {
        Status::Ok => "good",
        Status::Starting => "busy",
        Status::Degraded => "warn",
        Status::Down => "bad",
    }
}

fn label(status: Status) -> &'static str {
    match status {
        Status::Ok => "Working",
        Status::Starting => "Starting",
        Status::Degraded => "Degraded",
        Status::Down => "Down",
    }
}
