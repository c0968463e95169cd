//! The quality of the data: the rules and what they found, which values fail them most, how fresh the tables are, and whether
//! topics have as many events as usual.

use std::time::Duration;

use leptos::prelude::*;
use leptos_meta::Title;
use leptos_router::hooks::use_query_map;
use model::{
    quality::{QualityView, Stopped},
    range::{Preset, Range},
};

use crate::{
    api,
    charts::quality::PassChart,
    components::{
        answered::Answered,
        notice::Remark,
        quality_freshness::{FreshnessTable, VolumeTables},
        quality_rules::{OffenderTable, RuleTable, SampleTable},
    },
    refresh::refresh_every,
};

const PERIOD: Duration = Duration::from_secs(15);
const RANGES: [Preset; 3] = [Preset::Day, Preset::Week, Preset::Month];

#[component]
pub fn QualityPage() -> impl IntoView {
    let query = use_query_map();
    // Anything else is the last day.
    let preset = Memo::new(move |_| {
        let name = query.read().get("range").unwrap_or_default();
        RANGES.into_iter().find(|preset| preset.name() == name).unwrap_or(Preset::Day)
    });
    let view = Resource::new(move || preset.get(), |preset| api::get_quality(Range::Last(preset)));
    refresh_every(|| PERIOD, move || view.refetch());
    let here = Signal::derive(move || format!("/quality?range={}", preset.read().name()));
    let ranges = RANGES
        .map(|choice| {
            let selected = move || (preset.get() == choice).then_some("true");
            view! {
                <li>
                    <a href=format!("/quality?range={}", choice.name()) aria-current=selected>
                        {choice.label()}
                    </a>
                </li>
            }
        })
        .collect_view();
    view! {
        <Title text="Quality" />
        <div class="page-head">
            <h1 class="page-title">"Quality"</h1>
            <a class="button button-secondary" href="/quality/letters">
                "Dead letters and quarantine"
            </a>
        </div>
        <section class="range" aria-label="Time range">
            <ul class="range-presets">{ranges}</ul>
        </section>
        <Answered answer=view href=here show=|view| view! { <Report view /> }.into_any() />
    }
    .into_any()
}

#[component]
fn Report(view: QualityView) -> impl IntoView {
    let QualityView { rules, minutes, points, samples, freshness, volume, anomalies, stopped, .. } = view;
    let stopped = stopped.into_iter().map(stopped_remark).collect_view();
    view! {
        {stopped}
        <div class="report">
            <PassChart rules=rules.clone() points minutes />
            <RuleTable rules=rules.clone() />
            <OffenderTable rules />
            <SampleTable samples />
            <FreshnessTable freshness />
            <VolumeTables volume anomalies />
        </div>
    }
    .into_any()
}

fn stopped_remark(stopped: Stopped) -> impl IntoView {
    view! {
        <Remark>
            <strong>{stopped.topic} " waits in Bronze. "</strong>
            {stopped.error}
        </Remark>
    }
}
