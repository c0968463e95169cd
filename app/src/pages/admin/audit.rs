//! Who did what and when.

use leptos::prelude::*;
use leptos_meta::Title;
use leptos_router::hooks::use_query_map;
use model::access::{AuditFilter, AuditPage as Lines};

use crate::{
    api,
    components::{
        answered::Answered,
        audit_filter::{AuditExport, AuditFilterForm, address},
        audit_table::AuditTable,
    },
};

const HERE: &str = "/admin/audit";

#[component]
pub fn AuditPage() -> impl IntoView {
    let query = use_query_map();
    let filter = Memo::new(move |_| {
        let query = query.read();
        let field = |name| query.get(name).unwrap_or_default();
        AuditFilter {
            who: field("who"),
            what: field("what"),
            from: field("from"),
            to: field("to"),
            outcome: field("outcome"),
            before: query.get_str("before").and_then(|before| before.parse().ok()),
        }
    });
    let lines = Resource::new(move || filter.get(), api::get_audit);
    let here = Signal::derive(move || address(HERE, &filter.read()));
    view! {
        <Title text="Audit log" />
        <div class="page-head">
            <h1 class="page-title" id="audit-title">
                "Audit log"
            </h1>
            <AuditExport filter />
        </div>
        <section class="panel" aria-label="Filter">
            <AuditFilterForm filter />
        </section>
        <Answered answer=lines href=here show=move |lines| view! { <Page lines filter=filter.get_untracked() /> }.into_any() />
    }
    .into_any()
}

/// The lines that were found, and the ways to those before and after them.
#[component]
fn Page(lines: Lines, filter: AuditFilter) -> impl IntoView {
    let at = |before| address(HERE, &AuditFilter { before, ..filter.clone() });
    let newest = filter.before.map(|_| view! { <a class="button button-secondary" href=at(None)>"Newest"</a> });
    let older = lines.next.map(|next| view! { <a class="button button-secondary" href=at(Some(next))>"Older"</a> });
    view! {
        <section class="panel" aria-labelledby="audit-title">
            <AuditTable entries=lines.entries />
            <nav class="pager" aria-label="Pages of the log">
                {newest}
                {older}
            </nav>
        </section>
    }
    .into_any()
}
