//! What programs can ask: every call, with its parameters and answers.

use leptos::prelude::*;
use leptos_meta::Title;
use model::api_docs::{ApiCall, ApiDocs, ApiField, ApiGroup, ApiType};

use crate::{api, components::answered::Answered};

#[component]
pub fn DocsPage() -> impl IntoView {
    let docs = Resource::new(|| (), |()| api::get_api_docs());
    view! {
        <Title text="API" />
        <h1 class="page-title">"API"</h1>
        <Answered answer=docs href="/docs" show=|docs| view! { <Docs docs /> }.into_any() />
    }
    .into_any()
}

#[component]
fn Docs(docs: ApiDocs) -> impl IntoView {
    let contents = docs.groups.iter().map(|group| {
        let calls = group.calls.iter().map(|call| {
            view! {
                <li>
                    <a href=format!("#{}", call.id)>{call.summary.clone()}</a>
                </li>
            }
        });
        view! {
            <li>
                <strong>{group.name.clone()}</strong>
                <ul>{calls.collect_view()}</ul>
            </li>
        }
    });
    view! {
        <section class="panel" aria-labelledby="docs-begin">
            <h2 class="panel-title" id="docs-begin">
                "To begin with"
            </h2>
            <p>{prose(&docs.description)}</p>
            <p>
                "Make a key on the page " <a href="/keys">"API keys"</a> ". The same as a document for tools: "
                <a href="/api-docs/openapi.json" rel="external">
                    "OpenAPI 3.1"
                </a>
            </p>
            <nav aria-label="Calls">
                <ul class="api-contents">{contents.collect_view()}</ul>
            </nav>
        </section>
        {docs.groups.into_iter().map(|group| view! { <Group group /> }).collect_view()}
        <section class="panel" aria-labelledby="docs-types">
            <h2 class="panel-title" id="docs-types">
                "Types"
            </h2>
            {docs.types.into_iter().map(|one| view! { <Type one /> }).collect_view()}
        </section>
    }
    .into_any()
}

#[component]
fn Group(group: ApiGroup) -> impl IntoView {
    let label = group.name.clone();
    view! {
        <section class="panel" aria-label=label>
            <h2 class="panel-title">{group.name}</h2>
            <p class="muted">{group.description}</p>
            {group.calls.into_iter().map(|call| view! { <Call call /> }).collect_view()}
        </section>
    }
    .into_any()
}

#[component]
fn Call(call: ApiCall) -> impl IntoView {
    let body = call.body.map(|body| {
        view! {
            <p>
                "Send " <code>{body}</code> " as JSON."
            </p>
        }
    });
    let statuses: Vec<&str> = call.responses.iter().map(|response| response.status.as_str()).collect();
    let summary = format!("Answers: {}", statuses.join(", "));
    let responses = call.responses.into_iter().map(|response| {
        view! {
            <tr>
                <th scope="row">{response.status}</th>
                <td class="wrap">{prose(&response.description)}</td>
                <td class="code">{response.kind.unwrap_or_default()}</td>
            </tr>
        }
    });
    let name = format!("{} {}", call.method, call.path);
    let (answers_label, example_label) = (format!("Answers of {name}"), format!("Example of {name}"));
    view! {
        <article class="api-call" id=call.id>
            <h3>{call.summary}</h3>
            <p class="code wrap">{name.clone()}</p>
            {call.description.iter().map(|text| view! { <p>{prose(text)}</p> }).collect_view()}
            {body}
            <Fields fields=call.parameters title="Parameter" needed="required" about=name />
            <details>
            <summary>{summary}</summary>
            <div class="table-scroll" tabindex="0" role="region" aria-label=answers_label>
                <table>
                    <thead>
                        <tr>
                            <th scope="col">"Status"</th>
                            <th scope="col">"When"</th>
                            <th scope="col">"Answer"</th>
                        </tr>
                    </thead>
                    <tbody>{responses.collect_view()}</tbody>
                </table>
            </div>
            </details>
            <pre class="example" tabindex="0" role="region" aria-label=example_label>
                <code>{call.example}</code>
            </pre>
        </article>
    }
    .into_any()
}

/// A text in which what stands between backticks is code.
fn prose(text: &str) -> Vec<AnyView> {
    let parts = text.split('`').enumerate().map(|(place, part)| {
        let part = part.to_owned();
        if place % 2 == 1 { view! { <code>{part}</code> }.into_any() } else { part.into_any() }
    });
    parts.collect()
}

#[component]
fn Type(one: ApiType) -> impl IntoView {
    let name = one.name.clone();
    let words = (!one.words.is_empty()).then(|| {
        view! {
            <p>
                "One of " <code>{one.words.join(", ")}</code>
            </p>
        }
    });
    view! {
        <article class="api-call">
            <h3 class="code">{name}</h3>
            <p>{prose(&one.description)}</p>
            {words}
            <Fields fields=one.fields title="Field" needed="always there" about=one.name />
        </article>
    }
    .into_any()
}

#[component]
fn Fields(
    fields: Vec<ApiField>,
    title: &'static str,
    /// What is said of a field that must be there.
    needed: &'static str,
    about: String,
) -> impl IntoView {
    let rows = fields.iter().map(|field| {
        view! {
            <tr>
                <th scope="row" class="code">
                    {field.name.clone()}
                </th>
                <td>{field.kind.clone()} {field.required.then(|| view! { <span class="detail">{needed}</span> })}</td>
                <td class="wrap">{prose(&field.description)}</td>
            </tr>
        }
    });
    let rows = rows.collect_view();
    (!fields.is_empty()).then(|| {
        view! {
            <div class="table-scroll" tabindex="0" role="region" aria-label=format!("{title}s of {about}")>
                <table>
                    <thead>
                        <tr>
                            <th scope="col">{title}</th>
                            <th scope="col">"Type"</th>
                            <th scope="col">"Meaning"</th>
                        </tr>
                    </thead>
                    <tbody>{rows}</tbody>
                </table>
            </div>
        }
    })
}
