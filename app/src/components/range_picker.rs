//! The one time range of a page. It lives in the URL: plain links and a plain form, with or without JavaScript.

use chrono::{DateTime, NaiveDate, TimeDelta, Utc};
use leptos::{ev::SubmitEvent, html::Input, prelude::*};
use leptos_router::hooks::use_navigate;
use model::range::{Parsed, Preset, Range};

#[component]
pub fn RangePicker(#[prop(into)] range: Signal<Parsed>) -> impl IntoView {
    // A custom range begins as the days of the range that is shown.
    let days = move || match range.get().unwrap_or_default() {
        Range::Days { from, to } => (from, to),
        preset => {
            let interval = preset.interval(Utc::now());
            (interval.from.date_naive(), last_day(interval.to))
        }
    };
    let first = move || days().0.to_string();
    let last = move || days().1.to_string();
    let (first_input, last_input) = (NodeRef::<Input>::new(), NodeRef::<Input>::new());
    let navigate = use_navigate();
    // The form works by itself; this only spares the reader the loading of a whole page.
    let submit = move |event: SubmitEvent| {
        if let (Some(first), Some(last)) = (first_input.get_untracked(), last_input.get_untracked()) {
            event.prevent_default();
            navigate(&format!("/?from={}&to={}", first.value(), last.value()), Default::default());
        }
    };
    view! {
        <section class="range" aria-label="Time range">
            <ul class="range-presets">
                {Preset::ALL
                    .map(|preset| {
                        let selected = move || (range.get() == Ok(Range::Last(preset))).then_some("true");
                        view! {
                            <li>
                                <a href=format!("/?{}", Range::Last(preset).to_query()) aria-current=selected>
                                    {preset.label()}
                                </a>
                            </li>
                        }
                    })
                    .collect_view()}
            </ul>
            <form class="range-custom" method="get" action="/" on:submit=submit>
                <label>"From" <input type="date" name="from" required node_ref=first_input value=first prop:value=first /></label>
                <label>"to" <input type="date" name="to" required node_ref=last_input value=last prop:value=last /></label>
                <button type="submit" class="button">
                    "Apply"
                </button>
            </form>
        </section>
    }
    .into_any()
}

/// The last day that lies at least in part before `end`.
fn last_day(end: DateTime<Utc>) -> NaiveDate {
    (end - TimeDelta::seconds(1)).date_naive()
}
