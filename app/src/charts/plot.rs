//! Lines and areas as SVG paths, for what is drawn without a chart library: sparklines, and charts with JavaScript off.

use std::fmt::Write;

/// Values from left to right over a baseline of zero, scaled into a box.
pub struct Plot {
    /// Runs of neighbouring points; a missing value separates two runs.
    runs: Vec<Vec<(f64, f64)>>,
    baseline: f64,
    width: f64,
    height: f64,
}

impl Plot {
    pub fn new(values: &[Option<f64>], width: f64, height: f64) -> Plot {
        Plot::within(extent(values), values, width, height)
    }

    /// Several on one scale.
    pub fn group(all: &[&[Option<f64>]], width: f64, height: f64) -> Vec<Plot> {
        let extents = all.iter().map(|values| extent(values));
        let common =
            extents.fold((0.0, 0.0), |(low, high), (bottom, top)| (f64::min(low, bottom), f64::max(high, top)));
        all.iter().map(|values| Plot::within(common, values, width, height)).collect()
    }

    #[expect(clippy::cast_precision_loss, reason = "a chart has at most a few thousand points")]
    fn within((bottom, top): (f64, f64), values: &[Option<f64>], width: f64, height: f64) -> Plot {
        let span = if top > bottom { top - bottom } else { 1.0 };
        // A margin, so that the stroke of the highest point is not cut off.
        let y = |value: f64| 2.0 + (top - value) / span * (height - 4.0);
        let step = width / (values.len().saturating_sub(1).max(1)) as f64;
        let points: Vec<Option<(f64, f64)>> = values
            .iter()
            .enumerate()
            .map(|(index, value)| value.filter(|value| value.is_finite()).map(|value| (index as f64 * step, y(value))))
            .collect();
        let runs = points
            .split(Option::is_none)
            .map(|run| run.iter().copied().flatten().collect::<Vec<_>>())
            .filter(|run| !run.is_empty())
            .collect();
        Plot { runs, baseline: y(0.0), width, height }
    }

    pub fn view_box(&self) -> String {
        format!("0 0 {} {}", self.width, self.height)
    }

    pub fn line(&self) -> String {
        let mut path = String::new();
        for run in &self.runs {
            for (index, (x, y)) in run.iter().enumerate() {
                // Writing to a string cannot fail.
                _ = write!(path, "{}{x:.1} {y:.1}", if index == 0 { 'M' } else { 'L' });
            }
        }
        path
    }

    /// The same, closed along the baseline.
    pub fn area(&self) -> String {
        let mut path = String::new();
        for run in &self.runs {
            let (Some(first), Some(last)) = (run.first(), run.last()) else { continue };
            _ = write!(path, "M{:.1} {:.1}", first.0, self.baseline);
            for (x, y) in run {
                _ = write!(path, "L{x:.1} {y:.1}");
            }
            _ = write!(path, "L{:.1} {:.1}Z", last.0, self.baseline);
        }
        path
    }
}

/// The lowest and the highest value, zero included.
fn extent(values: &[Option<f64>]) -> (f64, f64) {
    let known = || values.iter().copied().flatten().filter(|value| value.is_finite());
    (known().fold(0.0, f64::min), known().fold(0.0, f64::max))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn several_share_a_scale() {
        let plots = Plot::group(&[&[Some(10.0)], &[Some(5.0)]], 10.0, 24.0);
        let lines: Vec<_> = plots.iter().map(Plot::line).collect();
        assert_eq!(lines, ["M0.0 2.0", "M0.0 12.0"]);
    }

    #[test]
    fn a_missing_value_leaves_a_gap() {
        let plot = Plot::new(&[Some(0.0), Some(10.0), None, Some(5.0)], 90.0, 24.0);
        assert_eq!(plot.line(), "M0.0 22.0L30.0 2.0M90.0 12.0");
        assert_eq!(plot.area(), "M0.0 22.0L0.0 22.0L30.0 2.0L30.0 22.0ZM90.0 22.0L90.0 12.0L90.0 22.0Z");
    }

    #[test]
    fn nothing_and_zeroes_are_drawn_on_the_baseline() {
        assert_eq!(Plot::new(&[], 10.0, 10.0).line(), "");
        assert_eq!(Plot::new(&[Some(0.0)], 10.0, 10.0).line(), "M0.0 2.0");
        assert!(!Plot::new(&[Some(f64::NAN), None], 10.0, 10.0).area().contains("NaN"));
    }
}
