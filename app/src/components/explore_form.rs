//! What is explored. It lives in the URL: a plain form and plain links, with or without JavaScript.

use leptos::prelude::*;
use model::{
    explore::{Buckets, ChartKind, ExploreView},
    metric::{Dimension, METRICS},
    range::{Preset, Range},
};

use crate::pages::explore::address;

#[component]
pub fn ExploreForm(view: ExploreView) -> impl IntoView {
    let presets = Preset::ALL
        .map(|preset| {
            let range = Range::Last(preset);
            let href = address("/explore", &ExploreView { range, ..view.clone() });
            view! {
                <li>
                    <a href=href aria-current=(view.range == range).then_some("true")>
                        {preset.label()}
                    </a>
                </li>
            }
        })
        .collect_view();
    let (preset, first, last) = match view.range {
        Range::Last(preset) => (Some(preset), String::new(), String::new()),
        Range::Days { from, to } => (None, from.to_string(), to.to_string()),
    };
    let kept = preset.map(|preset| view! { <input type="hidden" name="range" value=preset.name() /> });
    let metrics = METRICS
        .iter()
        .map(|metric| {
            let checked = view.metrics.iter().any(|name| name == metric.name);
            view! {
                <label class="choice">
                    <input type="checkbox" name="metric" value=metric.name checked=checked />
                    {metric.label}
                </label>
            }
        })
        .collect_view();
    let filters: Vec<_> = view
        .filter_values()
        .map(|(dimension, value)| {
            let shown = if value.is_empty() { "Unknown" } else { value };
            view! {
                <label class="choice">
                    <input type="checkbox" name="filter" value=format!("{}:{value}", dimension.name()) checked=true />
                    {format!("{}: {shown}", dimension.label())}
                </label>
            }
        })
        .collect();
    let filters = (!filters.is_empty()).then(|| {
        view! {
            <fieldset class="choices">
                <legend>"Filters in use"</legend>
                {filters}
            </fieldset>
        }
    });
    let buckets = Buckets::ALL.map(|one| option(one.name(), one.label(), view.buckets == one)).collect_view();
    let splits = Dimension::ALL.map(|one| option(one.name(), one.label(), view.split == Some(one))).collect_view();
    let dimensions = Dimension::ALL.map(|one| option(one.name(), one.label(), false)).collect_view();
    let charts = ChartKind::ALL.map(|one| option(one.name(), one.label(), view.chart == one)).collect_view();
    view! {
        <ul class="range-presets" aria-label="Time range">
            {presets}
        </ul>
        <form class="form form-row form-below" method="get" action="/explore" aria-label="View">
            <fieldset class="choices">
                <legend>"Metrics"</legend>
                {metrics}
            </fieldset>
            {filters}
            {kept}
            <label class="field">"First day" <input name="from" type="date" value=first /></label>
            <label class="field">"Last day" <input name="to" type="date" value=last /></label>
            <label class="field">"Time buckets" <select name="by">{buckets}</select></label>
            <label class="field">
                "Split by" <select name="split">
                    <option value="">"Nothing"</option>
                    {splits}
                </select>
            </label>
            <label class="field">
                "Filter by" <select name="where">
                    <option value="">"Nothing more"</option>
                    {dimensions}
                </select>
            </label>
            <label class="field">"Value" <input name="is" type="text" maxlength="256" /></label>
            <label class="field">"Chart" <select name="chart">{charts}</select></label>
            <label class="choice">
                <input type="checkbox" name="compare" value="yes" checked=view.compare />
                "Compare with the period before"
            </label>
            <button type="submit" class="button">
                "Show"
            </button>
        </form>
    }
    .into_any()
}

fn option(name: &'static str, label: &'static str, selected: bool) -> impl IntoView {
    view! {
        <option value=name selected=selected>
            {label}
        </option>
    }
}
