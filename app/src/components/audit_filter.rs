//! Which lines of the audit log are shown. It lives in the URL: a plain form and plain links, with or without JavaScript.

use leptos::prelude::*;
use model::access::{AuditFilter, Outcome};

use crate::format;

/// The page or the export, with the filter in its address.
pub fn address(path: &str, filter: &AuditFilter) -> String {
    let before = filter.before.map(|before| before.to_string()).unwrap_or_default();
    let fields = [
        ("who", &filter.who),
        ("what", &filter.what),
        ("from", &filter.from),
        ("to", &filter.to),
        ("outcome", &filter.outcome),
        ("before", &before),
    ];
    let query: Vec<String> = fields
        .into_iter()
        .filter(|(_, value)| !value.is_empty())
        .map(|(name, value)| format!("{name}={}", format::percent_encoded(value)))
        .collect();
    if query.is_empty() { path.to_owned() } else { format!("{path}?{}", query.join("&")) }
}

#[component]
pub fn AuditFilterForm(#[prop(into)] filter: Signal<AuditFilter>) -> impl IntoView {
    let field = move |pick: fn(&AuditFilter) -> &String| move || pick(&filter.read()).clone();
    let (who, what) = (field(|filter| &filter.who), field(|filter| &filter.what));
    let (from, to) = (field(|filter| &filter.from), field(|filter| &filter.to));
    let outcomes = Outcome::ALL
        .map(|outcome| {
            view! {
                <option value=outcome.name() selected=move || filter.read().outcome == outcome.name()>
                    {label(outcome)}
                </option>
            }
        })
        .collect_view();
    view! {
        <form class="form form-row" method="get" action="/admin/audit" role="search" aria-label="Audit log">
            <div class="field">
                <label for="who">"Who"</label>
                <input id="who" name="who" type="search" placeholder="User, key or address" value=who prop:value=who />
            </div>
            <div class="field">
                <label for="what">"What"</label>
                <input id="what" name="what" type="search" placeholder="Action or target" value=what prop:value=what />
            </div>
            <div class="field">
                <label for="from">"From"</label>
                <input id="from" name="from" type="date" value=from prop:value=from />
            </div>
            <div class="field">
                <label for="to">"To"</label>
                <input id="to" name="to" type="date" value=to prop:value=to />
            </div>
            <div class="field">
                <label for="outcome">"Outcome"</label>
                <select id="outcome" name="outcome">
                    <option value="">"Any"</option>
                    {outcomes}
                </select>
            </div>
            <button type="submit" class="button">
                "Show"
            </button>
            <a class="button button-secondary" href="/admin/audit" rel="external">
                "Clear"
            </a>
        </form>
    }
    .into_any()
}

/// All lines that the filter lets through, as a file.
#[component]
pub fn AuditExport(#[prop(into)] filter: Signal<AuditFilter>) -> impl IntoView {
    let href = move || address("/api/v1/audit.csv", &AuditFilter { before: None, ..filter.get() });
    view! {
        <a class="button button-secondary" href=href rel="external" download="audit.csv">
            "Export as CSV"
        </a>
    }
}

pub fn label(outcome: Outcome) -> &'static str {
    match outcome {
        Outcome::Success => "Success",
        Outcome::Failure => "Failure",
        Outcome::Refused => "Refused",
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_address_names_only_what_is_asked_for() {
        assert_eq!(address("/admin/audit", &AuditFilter::default()), "/admin/audit");
        let filter = AuditFilter { who: "a&b".to_owned(), before: Some(7), ..AuditFilter::default() };
        assert_eq!(address("/admin/audit", &filter), "/admin/audit?who=a%26b&before=7");
    }
}
