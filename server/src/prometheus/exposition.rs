//! Prometheus' text format, version 0.0.4: a family of samples at a time.

use std::fmt::Write;

pub(super) const CONTENT_TYPE: &str = "text/plain; version=0.0.4; charset=utf-8";

/// A family of samples: its name, what it is for, and of what kind it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Family {
    pub name: &'static str,
    /// `counter`, `gauge` or `histogram`.
    pub kind: &'static str,
    pub help: &'static str,
    /// The names of the labels, in the order in which samples give their values.
    pub labels: &'static [&'static str],
}

/// The text as it grows.
#[derive(Debug, Default)]
pub(super) struct Exposition(String);

impl Exposition {
    /// Begins a family; its samples follow at once.
    pub(super) fn begin(&mut self, family: &Family) {
        let Family { name, kind, help, .. } = family;
        self.write(format_args!("# HELP {name} {help}\n# TYPE {name} {kind}\n"));
    }

    /// A sample of the family that was begun last.
    pub(super) fn sample(&mut self, family: &Family, values: &[&str], value: impl std::fmt::Display) {
        self.suffixed(family, "", values, None, value);
    }

    /// A histogram: for each bound how many values are not above it, then their sum and count.
    pub(super) fn histogram(&mut self, family: &Family, values: &[&str], buckets: &[(f64, u64)], sum: f64, count: u64) {
        for (bound, below) in buckets {
            self.suffixed(family, "_bucket", values, Some(&bound.to_string()), below);
        }
        self.suffixed(family, "_bucket", values, Some("+Inf"), count);
        self.suffixed(family, "_sum", values, None, sum);
        self.suffixed(family, "_count", values, None, count);
    }

    pub(super) fn finish(self) -> String {
        self.0
    }

    fn suffixed(
        &mut self,
        family: &Family,
        suffix: &str,
        values: &[&str],
        bound: Option<&str>,
        value: impl std::fmt::Display,
    ) {
        self.write(format_args!("{}{suffix}", family.name));
        let labels = family.labels.iter().copied().zip(values.iter().copied()).chain(bound.map(|bound| ("le", bound)));
        let mut separator = '{';
        for (name, value) in labels {
            self.write(format_args!("{separator}{name}=\"{}\"", escaped(value)));
            separator = ',';
        }
        self.write(format_args!("{} {value}\n", if separator == ',' { "}" } else { "" }));
    }

    fn write(&mut self, text: std::fmt::Arguments<'_>) {
        self.0.write_fmt(text).expect("writing to a string succeeds");
    }
}

fn escaped(value: &str) -> String {
    value.replace('\\', "\\\\").replace('"', "\\\"").replace('\n', "\\n")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_text_is_as_prometheus_reads_it() {
        let plain = Family { name: "up", kind: "gauge", help: "Whether it is.", labels: &[] };
        let labelled = Family { name: "seconds", kind: "histogram", help: "How long.", labels: &["route"] };
        let mut text = Exposition::default();
        text.begin(&plain);
        text.sample(&plain, &[], 1);
        text.begin(&labelled);
        text.histogram(&labelled, &["/a\"b\\c\nd"], &[(0.5, 1), (1.0, 2)], 1.25, 3);
        assert_eq!(
            text.finish(),
            "# HELP up Whether it is.\n# TYPE up gauge\nup 1\n# HELP seconds How long.\n# TYPE seconds histogram\n\
             seconds_bucket{route=\"/a\\\"b\\\\c\\nd\",le=\"0.5\"} 1\nseconds_bucket{route=\"/a\\\"b\\\\c\\nd\",le=\"1\"} 2\n\
             seconds_bucket{route=\"/a\\\"b\\\\c\\nd\",le=\"+Inf\"} 3\nseconds_sum{route=\"/a\\\"b\\\\c\\nd\"} 1.25\n\
             seconds_count{route=\"/a\\\"b\\\\c\\nd\"} 3\n"
        );
    }
}
