//! Prometheus' text format, version 0.0.4.

use std::fmt::{Display, Write};

/// The format's content type.
pub const CONTENT_TYPE: &str = "text/plain; version=0.0.4; charset=utf-8";

/// Type of a family.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[expect(missing_docs, reason = "Prometheus' names")]
pub enum Kind {
    Counter,
    Gauge,
    Histogram,
}

/// Text that grows family by family.
#[derive(Debug, Default)]
pub struct Exposition {
    text: String,
}

impl Exposition {
    /// Begins a family: one HELP and one TYPE line, with its samples right behind, as the format demands.
    pub fn family(&mut self, name: &'static str, kind: Kind, help: &str) -> Family<'_> {
        let kind = match kind {
            Kind::Counter => "counter",
            Kind::Gauge => "gauge",
            Kind::Histogram => "histogram",
        };
        line(
            &mut self.text,
            format_args!("# HELP {name} {help}\n# TYPE {name} {kind}\n"),
        );
        Family {
            text: &mut self.text,
            name,
        }
    }

    /// The text.
    pub fn finish(self) -> String {
        self.text
    }
}

/// The samples of one family.
pub struct Family<'a> {
    text: &'a mut String,
    name: &'static str,
}

impl Family<'_> {
    /// Adds a sample.
    pub fn sample(&mut self, labels: &[(&str, &dyn Display)], value: impl Display) -> &mut Self {
        self.suffixed("", labels, value)
    }

    /// Adds a sample of a histogram: `_bucket`, `_sum`, `_count`.
    pub fn suffixed(
        &mut self,
        suffix: &str,
        labels: &[(&str, &dyn Display)],
        value: impl Display,
    ) -> &mut Self {
        line(self.text, format_args!("{}{suffix}", self.name));
        for (at, (label, value)) in labels.iter().enumerate() {
            let before = if at == 0 { '{' } else { ',' };
            line(
                self.text,
                format_args!("{before}{label}=\"{}\"", escape(&value.to_string())),
            );
        }
        let end = if labels.is_empty() { "" } else { "}" };
        line(self.text, format_args!("{end} {value}\n"));
        self
    }
}

fn line(text: &mut String, arguments: std::fmt::Arguments<'_>) {
    text.write_fmt(arguments)
        .expect("a string takes what is written to it");
}

fn escape(value: &str) -> String {
    value
        .replace('\\', "\\\\")
        .replace('"', "\\\"")
        .replace('\n', "\\n")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn families_are_as_the_format_says() {
        let mut text = Exposition::default();
        text.family("a_total", Kind::Counter, "What a counts.")
            .sample(&[], 1)
            .sample(&[("topic", &"quo\"te\\"), ("shard", &3)], 2.5);
        text.family("b", Kind::Histogram, "What b counts.")
            .suffixed("_bucket", &[("le", &"+Inf")], 7);
        assert_eq!(
            text.finish(),
            "# HELP a_total What a counts.\n# TYPE a_total counter\na_total 1\n\
             a_total{topic=\"quo\\\"te\\\\\",shard=\"3\"} 2.5\n\
             # HELP b What b counts.\n# TYPE b histogram\nb_bucket{le=\"+Inf\"} 7\n"
        );
    }
}
