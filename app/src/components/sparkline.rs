//! The course of a number as a small line without axes.

use leptos::prelude::*;
use rust_decimal::{Decimal, prelude::ToPrimitive};

use crate::charts::plot::Plot;

const WIDTH: f64 = 120.0;
const HEIGHT: f64 = 32.0;

/// Decoration: the numbers behind it are in the chart's table.
#[component]
pub fn Sparkline(course: Vec<Option<Decimal>>) -> impl IntoView {
    let values: Vec<Option<f64>> = course.into_iter().map(|value| value.and_then(|value| value.to_f64())).collect();
    let plot = Plot::new(&values, WIDTH, HEIGHT);
    view! {
        <svg class="sparkline" viewBox=plot.view_box() preserveAspectRatio="none" aria-hidden="true" focusable="false">
            <path class="plot-area" d=plot.area() />
            <path class="plot-line" d=plot.line() />
        </svg>
    }
}
