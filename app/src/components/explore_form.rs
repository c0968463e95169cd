//! What is explored. It lives in the URL: a plain form and plain links, with or without JavaScript. With it a change takes
//! effect at once.

use leptos::{
    ev::{Event, SubmitEvent},
    html::Form,
    prelude::*,
};
use leptos_router::{NavigateOptions, hooks::use_navigate};
use model::{
    explore::{Buckets, ChartKind, ExploreView, MAX_METRICS},
    metric::{Dimension, METRICS},
    range::{Preset, Range},
};
use web_sys::{FormData, HtmlFormElement, HtmlInputElement, UrlSearchParams, wasm_bindgen::JsCast};

use crate::{components::explore_filters::ExploreFilters, task::use_alive};

#[component]
pub fn ExploreForm(view: Memo<ExploreView>) -> impl IntoView {
    let element = NodeRef::<Form>::new();
    let navigate = use_navigate();
    let go = move |query: &str| {
        // The reader's place on the page stays.
        navigate(&format!("/explore?{query}"), NavigateOptions { scroll: false, ..Default::default() });
    };
    let submit = {
        let go = go.clone();
        move |event: SubmitEvent| {
            if let Some(query) = element.get_untracked().and_then(|form| filled_in(&form)) {
                event.prevent_default();
                go(&tidy(&query).unwrap_or(query));
            }
        }
    };
    let change = move |event: Event| {
        let Some(query) = element.get_untracked().and_then(|form| filled_in(&form)) else { return };
        match tidy(&query) {
            Ok(query) if query != view.read_untracked().to_query() => go(&query),
            Ok(_) => {}
            // A date that is still being typed is wrong for a while, and a filter lacks its dimension.
            Err(_) if is_typed(&event) => {}
            Err(query) => go(&query),
        }
    };
    view! {
        <section class="panel explore-form" aria-label="View">
            <form method="get" action="/explore" node_ref=element on:submit=submit on:change=change>
                <input
                    type="hidden"
                    name="range"
                    value=move || preset(&view.read())
                    prop:value=move || preset(&view.read())
                />
                <div class="explore-row">
                    <Metrics view />
                    <Choice
                        label="Split by"
                        name="split"
                        none=Some("Nothing")
                        options=splits
                        chosen=move || view.read().split.map(Dimension::name).unwrap_or_default()
                        view
                    />
                    <Choice
                        label="Time"
                        name="by"
                        none=None
                        options=|_| Buckets::ALL.map(|one| (one.name(), one.label(), true)).to_vec()
                        chosen=move || view.read().buckets.name()
                        view
                    />
                    <Charts view />
                </div>
                <div class="explore-row">
                    <Days view />
                    <label class="choice explore-compare">
                        <input
                            type="checkbox"
                            name="compare"
                            value="yes"
                            checked=view.read_untracked().compare
                            prop:checked=move || view.read().compare
                        />
                        "Compare with the period before"
                    </label>
                </div>
                <ExploreFilters view />
                <button type="submit" class="button explore-show">
                    "Show"
                </button>
            </form>
        </section>
    }
    .into_any()
}

/// What the form says, as a browser would send it.
fn filled_in(form: &HtmlFormElement) -> Option<String> {
    let data = FormData::new_with_form(form).ok()?;
    let parameters = UrlSearchParams::new_with_str_sequence_sequence(&data).ok()?;
    Some(parameters.to_string().into())
}

/// The same view as we write it; what is no view as it is.
fn tidy(query: &str) -> Result<String, String> {
    ExploreView::parse(query).map(|view| view.to_query()).map_err(|_| query.to_owned())
}

fn is_typed(event: &Event) -> bool {
    let input = event.target().and_then(|target| target.dyn_into::<HtmlInputElement>().ok());
    input.is_some_and(|input| ["date", "datetime-local", "text", "search"].contains(&input.type_().as_str()))
}

fn preset(view: &ExploreView) -> &'static str {
    match view.range {
        Range::Last(preset) => preset.name(),
        Range::Days { .. } => "",
    }
}

/// The dimensions, and whether each of the view's metrics is known by it.
fn splits(view: &ExploreView) -> Vec<(&'static str, &'static str, bool)> {
    let possible =
        |dimension| view.metrics().iter().all(|metric| metric.source(Some(dimension), &view.filters).is_some());
    Dimension::ALL.map(|one| (one.name(), one.label(), possible(one))).to_vec()
}

/// A select of which each option has a name, a label, and may be chosen or not.
#[component]
pub fn Choice(
    #[prop(into)] label: String,
    name: &'static str,
    /// What the empty option is called.
    none: Option<&'static str>,
    options: fn(&ExploreView) -> Vec<(&'static str, &'static str, bool)>,
    chosen: impl Fn() -> &'static str + Copy + Send + Sync + 'static,
    view: Memo<ExploreView>,
) -> impl IntoView {
    // Without scripts what cannot be chosen now may be right with what is chosen beside it.
    let alive = use_alive();
    let first = untrack(chosen);
    let listed = options(&view.read_untracked()).into_iter().map(|(name, label, _)| {
        let impossible = move || alive.get() && options(&view.read()).iter().any(|(one, _, can)| *one == name && !can);
        view! {
            <option value=name selected=name == first disabled=impossible>
                {label}
            </option>
        }
    });
    let none = none.map(|none| view! { <option value="">{none}</option> });
    view! {
        <label class="field">
            {label}
            <select name=name prop:value=chosen>
                {none}
                {listed.collect_view()}
            </select>
        </label>
    }
    .into_any()
}

/// A select for each metric, and one for the next. Their order counts: the first one decides what is greatest.
#[component]
fn Metrics(view: Memo<ExploreView>) -> impl IntoView {
    let selects = (0..MAX_METRICS).map(|place| {
        let chosen = move || {
            let view = view.read();
            view.metrics().get(place).map(|metric| metric.name).unwrap_or_default()
        };
        let label = if place == 0 { "Metric" } else { "and" };
        let none = (place > 0).then_some("–");
        let unused = move || place > view.read().metrics.len();
        view! {
            <div class="explore-metric" hidden=unused>
                <Choice label name="metric" none options=known_metrics chosen view />
            </div>
        }
    });
    view! {
        <fieldset class="explore-metrics">
            <legend class="visually-hidden">"Metrics"</legend>
            {selects.collect_view()}
        </fieldset>
    }
    .into_any()
}

fn known_metrics(view: &ExploreView) -> Vec<(&'static str, &'static str, bool)> {
    METRICS
        .iter()
        .map(|metric| (metric.name, metric.label, metric.source(view.split, &view.filters).is_some()))
        .collect()
}

#[component]
fn Charts(view: Memo<ExploreView>) -> impl IntoView {
    let kinds = ChartKind::ALL.map(|kind| {
        view! {
            <label class="segment">
                <input
                    class="visually-hidden"
                    type="radio"
                    name="chart"
                    value=kind.name()
                    checked=view.read_untracked().chart == kind
                    prop:checked=move || view.read().chart == kind
                />
                {kind.label()}
            </label>
        }
    });
    view! {
        <fieldset class="segments explore-charts">
            <legend>"Chart"</legend>
            {kinds.collect_view()}
        </fieldset>
    }
    .into_any()
}

/// The range: links to those that are one click away, and days of one's own choice.
#[component]
fn Days(view: Memo<ExploreView>) -> impl IntoView {
    let presets = Preset::ALL.map(|preset| {
        let range = Range::Last(preset);
        let href = move || ExploreView { range, ..view.get() }.href();
        let current = move || (view.read().range == range).then_some("true");
        view! {
            <li>
                <a href=href aria-current=current data-noscroll="">
                    {preset.label()}
                </a>
            </li>
        }
    });
    let day = move |pick: fn(Range) -> Option<String>| move || pick(view.read().range).unwrap_or_default();
    let first = day(|range| match range {
        Range::Days { from, .. } => Some(from.to_string()),
        Range::Last(_) => None,
    });
    let last = day(|range| match range {
        Range::Days { to, .. } => Some(to.to_string()),
        Range::Last(_) => None,
    });
    let as_of = move || view.read().as_of.map(|at| at.format("%Y-%m-%dT%H:%M:%S").to_string()).unwrap_or_default();
    view! {
        <div class="range" role="group" aria-label="Time range">
            <ul class="range-presets">{presets.collect_view()}</ul>
            <div class="range-custom">
                <label>"From" <input type="date" name="from" value=first prop:value=first /></label>
                <label>"to" <input type="date" name="to" value=last prop:value=last /></label>
                <label>"As of (UTC)" <input type="datetime-local" name="as_of" value=as_of prop:value=as_of /></label>
            </div>
        </div>
    }
    .into_any()
}
