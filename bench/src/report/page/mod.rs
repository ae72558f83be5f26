//! One self-contained page of HTML with SVG plots: no link outside, no script.
//!
//! Each run is a section with plots of its own. Figures of different machines never share an axis, and the page says so
//! when it holds several.

mod chart;
mod curves;
mod knees;
mod scale;
mod stages;
mod tables;
mod timeline;

use std::fmt::Write;

use super::document::Document;
use crate::compare::result::{Comparison, TargetResult};
use crate::load::job::Pace;
use crate::report::figures::thousands;

const STYLE: &str = include_str!("style.css");
/// Colours that `style.css` names.
const COLORS: usize = 8;

/// The page.
pub fn render(title: &str, documents: &[Document]) -> String {
    let mut body = String::new();
    let machines = machines(documents);
    for (at, machine) in machines.iter().enumerate() {
        if machines.len() > 1 {
            let _ = write!(
                body,
                "<h2>Machine {} of {}: {}</h2><p class=note>This page holds runs of {} machines. Figures of different machines are \
                 never on one axis, and are not to be compared with each other.</p>",
                at + 1,
                machines.len(),
                escape(&machine.to_string()),
                machines.len()
            );
        }
        for document in documents
            .iter()
            .filter(|document| &document.run.machine == *machine)
        {
            section(&mut body, document, &Colors::of(documents));
        }
    }
    format!(
        "<!doctype html>\n<html lang=en><head><meta charset=utf-8><meta name=viewport content=\"width=device-width, initial-scale=1\">\
         <title>{title}</title><style>{STYLE}</style></head>\n<body><main><h1>{title}</h1>{}{body}\
         <footer>Made by tautline-bench {}. Latency counts from when a message was meant to be sent, so a stall shows in every message \
         it held up. The JSON beside this page holds every figure.</footer></main></body></html>\n",
        lead(&machines, documents),
        env!("CARGO_PKG_VERSION"),
        title = escape(title),
    )
}

fn machines(documents: &[Document]) -> Vec<&super::machine::Machine> {
    let mut machines = Vec::new();
    for document in documents {
        if !machines.contains(&&document.run.machine) {
            machines.push(&document.run.machine);
        }
    }
    machines
}

fn lead(machines: &[&super::machine::Machine], documents: &[Document]) -> String {
    let runs = match documents.len() {
        1 => "One run".into(),
        runs => format!("{runs} runs"),
    };
    match machines {
        [machine] => format!(
            "<p class=soft>{runs} on one machine: {}</p>",
            escape(&machine.to_string())
        ),
        _ => format!("<p class=soft>{runs} on {} machines</p>", machines.len()),
    }
}

fn section(body: &mut String, document: &Document, colors: &Colors) {
    let run = &document.run;
    let _ = write!(body, "<h2>{}</h2>", escape(&heading(run)));
    let _ = write!(body, "<p class=soft>{}</p>", escape(&run.setup.to_string()));
    for difference in &run.differences {
        let _ = write!(body, "<p class=note>{}</p>", escape(difference));
    }
    body.push_str(&colors.key(run));
    if run.targets.iter().any(|target| target.sweep.is_some()) {
        body.push_str(&knees::figure(run, colors));
        body.push_str(&tables::knees(run, colors));
    } else {
        body.push_str(&tables::verdict(run));
        let shown: Vec<(&str, &str)> = [
            ("e2e", "End to end: intended send to receipt"),
            ("produce", "Acknowledgement: intended send to answer"),
        ]
        .into_iter()
        .filter(|(name, _)| run.targets.iter().any(|target| target.series(name).is_some()))
        .collect();
        for (name, title) in &shown {
            let _ = write!(body, "<h3>{title}</h3>");
            body.push_str(&tables::percentiles(document, name, colors));
        }
        body.push_str("<h3>Percentiles</h3><div class=grid2>");
        for (name, title) in &shown {
            body.push_str(&curves::figure(document, name, title, colors));
        }
        body.push_str("</div><h3>Latency over time</h3><div class=grid2>");
        for (name, title) in &shown {
            body.push_str(&timeline::figure(run, name, title, colors));
        }
        body.push_str("</div>");
        body.push_str(&stages::figure(run, colors));
    }
    body.push_str("<h3>How it was measured</h3>");
    body.push_str(&tables::method(document, colors));
}

fn heading(run: &Comparison) -> String {
    let size = run.setup.value_bytes;
    match run.command.as_str() {
        "sweep" => format!("Rate against tail, {size} B messages"),
        _ => match run.setup.pace {
            Pace::Open { rate } => format!("{} messages a second of {size} B", thousands(rate)),
            Pace::Closed { in_flight } => format!("Closed loop, {in_flight} in flight, {size} B messages"),
        },
    }
}

/// A colour for each name of a target, the same on the whole page.
pub struct Colors {
    names: Vec<String>,
}

impl Colors {
    fn of(documents: &[Document]) -> Colors {
        let mut names: Vec<String> = Vec::new();
        for target in documents.iter().flat_map(|document| &document.run.targets) {
            if !names.contains(&target.name) {
                names.push(target.name.clone());
            }
        }
        Colors { names }
    }

    /// The colour of a target, as CSS has it.
    pub fn of_target(&self, target: &TargetResult) -> String {
        let at = self
            .names
            .iter()
            .position(|name| *name == target.name)
            .unwrap_or(0);
        format!("var(--c{})", at % COLORS)
    }

    fn key(&self, run: &Comparison) -> String {
        let keys = run.targets.iter().map(|target| {
            let (color, name) = (self.of_target(target), escape(&target.name));
            format!(
                "<span class=key><i style=\"background:{color}\"></i><b>{name}</b> {}</span>",
                tables::chip(target)
            )
        });
        format!("<p class=keys>{}</p>", keys.collect::<String>())
    }
}

/// Text as HTML.
pub fn escape(text: &str) -> String {
    let mut escaped = String::with_capacity(text.len());
    for c in text.chars() {
        match c {
            '&' => escaped.push_str("&amp;"),
            '<' => escaped.push_str("&lt;"),
            '>' => escaped.push_str("&gt;"),
            '"' => escaped.push_str("&quot;"),
            _ => escaped.push(c),
        }
    }
    escaped
}
