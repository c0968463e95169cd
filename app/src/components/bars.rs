//! Bars drawn by the server: lists that can be read without any script.

use leptos::prelude::*;
use model::overview::Ranked;
use rust_decimal::{Decimal, prelude::ToPrimitive};

use crate::format;

/// A ranking as a list of bars with their values.
#[component]
pub fn BarList(#[prop(into)] ranked: Signal<Vec<Ranked>>) -> impl IntoView {
    let items = move || {
        let ranked = ranked.read();
        let top = greatest(&ranked);
        ranked
            .iter()
            .map(|row| {
                view! {
                    <li>
                        <span class="bar-label">{row.label.clone()}</span>
                        <Bar share=share(row.revenue, top) />
                        <span class="bar-value">{format::money(row.revenue)}</span>
                    </li>
                }
            })
            .collect_view()
    };
    view! { <ol class="bar-list">{items}</ol> }
}

/// One bar, as long as its share (0 to 1). An SVG, as its width is then data and not style.
#[component]
pub fn Bar(share: f64) -> impl IntoView {
    view! {
        <svg class="bar" viewBox="0 0 100 8" preserveAspectRatio="none" aria-hidden="true" focusable="false">
            <rect class="bar-rest" width="100" height="8" />
            <rect class="bar-share" width=format!("{:.1}", share.clamp(0.0, 1.0) * 100.0) height="8" />
        </svg>
    }
}

pub fn greatest(ranked: &[Ranked]) -> Decimal {
    ranked.iter().map(|row| row.revenue).max().unwrap_or_default()
}

/// What part `value` is of `whole`; nothing where there is no whole.
pub fn share(value: Decimal, whole: Decimal) -> f64 {
    value.checked_div(whole).and_then(|share| share.to_f64()).unwrap_or_default()
}
