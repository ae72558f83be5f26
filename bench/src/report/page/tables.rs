//! The tables of a section: the verdict, percentiles, knees, and how it was measured.

use std::fmt::Write;

use super::{Colors, escape};
use crate::compare::result::{Comparison, TargetResult};
use crate::load::summary::CLIENT_BUSY_WARNING;
use crate::report::document::Document;
use crate::report::figures::{duration, figures, thousands};
use crate::report::measured::Measured;
use crate::report::percentiles::{COLUMNS, Percentiles};

/// What an acknowledgement of this target promises, in a word.
pub fn chip(target: &TargetResult) -> String {
    let (class, word) = match target.durability.is_durable() {
        Some(true) => ("good", "durable before acknowledged"),
        Some(false) => ("warn", "acknowledged from memory"),
        None => ("warn", "durability unknown"),
    };
    format!("<span class=\"chip {class}\">{word}</span>")
}

/// One sentence: the tail of the first target against the others.
pub fn verdict(run: &Comparison) -> String {
    let name = if run.targets.iter().any(|target| target.series("e2e").is_some()) {
        "e2e"
    } else {
        "produce"
    };
    let tail = |target: &TargetResult| target.series(name).map(|measured| measured.latency.p99_9_ns);
    let Some((first, ours)) = run
        .targets
        .first()
        .and_then(|target| Some((target, tail(target)?)))
    else {
        return String::new();
    };
    let mut text = format!(
        "<p class=lead>One message in a thousand takes <b>{}</b> or more with {}",
        duration(ours as f64),
        escape(&first.name)
    );
    for other in &run.targets[1..] {
        if let Some(theirs) = tail(other) {
            let times = theirs as f64 / ours.max(1) as f64;
            let _ = write!(
                text,
                ", {} with {} ({} times)",
                duration(theirs as f64),
                escape(&other.name),
                figures(times)
            );
        }
    }
    text + ".</p>"
}

/// Percentiles of one series, of all targets and of the floor, with the spread over the rounds.
pub fn percentiles(document: &Document, name: &str, colors: &Colors) -> String {
    let run = &document.run;
    let mut table = String::from("<div class=wide><table><tr><th></th>");
    for (column, _) in COLUMNS {
        let _ = write!(table, "<th>{column}</th>");
    }
    table += "<th>max</th><th>messages</th><th>msg/s</th></tr>";
    for (name, floor) in document.floor() {
        let _ = write!(table, "<tr><td class=soft>floor: {}</td>", escape(name));
        for value in floor.in_columns() {
            let _ = write!(table, "<td class=soft>{}</td>", duration(value as f64));
        }
        let _ = write!(
            table,
            "<td class=soft>{}</td><td></td></tr>",
            thousands(floor.samples as f64)
        );
    }
    let mut first: Option<&Percentiles> = None;
    for target in &run.targets {
        let Some(measured) = target.series(name) else {
            continue;
        };
        let _ = write!(
            table,
            "<tr><td><b class=name style=\"color:{}\">{}</b>{}</td>",
            colors.of_target(target),
            escape(&target.name),
            if measured.repeats.len() > 1 {
                "<small>least to greatest round</small>"
            } else {
                ""
            }
        );
        for (at, value) in measured.latency.in_columns().into_iter().enumerate() {
            let class = if COLUMNS.get(at).is_some_and(|column| column.0 == "p99.9") {
                "hot"
            } else {
                ""
            };
            let _ = write!(
                table,
                "<td class=\"{class}\">{}{}",
                duration(value as f64),
                spread(measured, at)
            );
            if let Some(first) = first {
                let times = value as f64 / first.in_columns()[at].max(1) as f64;
                let _ = write!(table, "<small>× {}</small>", figures(times));
            }
            table += "</td>";
        }
        let samples = thousands(measured.latency.samples as f64);
        let _ = write!(
            table,
            "<td>{samples}</td><td>{}</td></tr>",
            thousands(measured.messages_per_second)
        );
        first = first.or(Some(&measured.latency));
    }
    let times = match run.targets.first() {
        Some(first) if run.targets.len() > 1 => {
            format!("<p class=sub>× is the multiple of {}.</p>", escape(&first.name))
        }
        _ => String::new(),
    };
    table + "</table></div>" + &times
}

fn spread(measured: &Measured, column: usize) -> String {
    if measured.repeats.len() < 2 {
        return String::new();
    }
    let values = measured
        .repeats
        .iter()
        .map(|repeat| repeat.latency.in_columns()[column]);
    let (least, greatest) = (values.clone().min().unwrap_or(0), values.max().unwrap_or(0));
    format!(
        "<small>{} – {}</small>",
        duration(least as f64),
        duration(greatest as f64)
    )
}

/// The knee of each target.
pub fn knees(run: &Comparison, colors: &Colors) -> String {
    let mut table = String::from(
        "<div class=wide><table><tr><th></th><th>knee, msg/s</th><th>p50 there</th><th>p99 there</th><th>p99.9 there</th><th class=left>what broke above it</th></tr>",
    );
    for target in &run.targets {
        let Some(swept) = &target.sweep else { continue };
        let at_knee = swept
            .steps
            .iter()
            .find(|step| step.broken_by.is_none() && Some(step.rate) == swept.knee_rate);
        let _ = write!(
            table,
            "<tr><td><b class=name style=\"color:{}\">{}</b></td><td class=hot>{}</td>",
            colors.of_target(target),
            escape(&target.name),
            swept.knee_rate.map_or("none".into(), thousands)
        );
        for value in at_knee.map_or([None; 3], |step| {
            let latency = &step.latency;
            [latency.p50_ns, latency.p99_ns, latency.p99_9_ns].map(Some)
        }) {
            let _ = write!(
                table,
                "<td>{}</td>",
                value.map_or(String::new(), |ns| duration(ns as f64))
            );
        }
        let reason = swept
            .broken_by
            .as_deref()
            .unwrap_or("nothing: it held at the highest rate tried");
        let _ = write!(table, "<td class=text>{}</td></tr>", escape(reason));
    }
    table + "</table></div>"
}

/// Machine, cores, flags, and each target.
pub fn method(document: &Document, colors: &Colors) -> String {
    let run = &document.run;
    let setup = &run.setup;
    let mut text = String::from("<dl>");
    let mut row = |name: &str, value: &str| {
        let _ = write!(text, "<dt>{name}</dt><dd>{}</dd>", escape(value));
    };
    row("Machine", &run.machine.to_string());
    if !run.broker_cores.is_empty() {
        row(
            "Cores",
            &format!(
                "brokers on {}, harness on {}",
                run.broker_cores, setup.client_cores
            ),
        );
    } else {
        row("Cores", &format!("harness on {}", setup.client_cores));
    }
    row("Load", &setup.to_string());
    row(
        "Time",
        &format!(
            "{} s measured after {} s of warm-up{}",
            setup.duration_s,
            setup.warmup_s,
            if setup.repeats > 1 {
                format!(", {} rounds", setup.repeats)
            } else {
                String::new()
            }
        ),
    );
    if run.at_unix_s > 0 {
        row("Ended", &utc(run.at_unix_s));
    }
    row("File", &document.file);
    text += "</dl>";
    for sentence in &run.method {
        let _ = write!(text, "<p>{}</p>", escape(sentence));
    }
    let _ = write!(text, "<pre>{}</pre>", escape(&run.command_line.join(" ")));
    text += "<div class=wide><table><tr><th></th><th class=left>what, how it was started, what it promises</th><th>harness late, p99.9</th><th>harness busy</th><th>broker CPU</th><th>memory</th><th>errors</th></tr>";
    for target in &run.targets {
        text += &target_row(target, colors);
    }
    text + "</table></div>"
}

fn target_row(target: &TargetResult, colors: &Colors) -> String {
    let late = target
        .series("send-lateness")
        .map(|late| duration(late.latency.p99_9_ns as f64));
    let busy = target.outcome.client_busy;
    let (percent, warning) = (
        busy.map(|busy| format!("{:.0} %", busy * 100.0)),
        busy.is_some_and(|busy| busy > CLIENT_BUSY_WARNING),
    );
    let errors: u64 = target.outcome.errors.values().sum();
    let or_dash = |text: Option<String>| text.unwrap_or_else(|| "–".into());
    let configs: Vec<String> = target
        .topic_configs
        .iter()
        .map(|(name, value)| format!("{name}={value}"))
        .collect();
    let configs = if configs.is_empty() {
        String::new()
    } else {
        format!("<small>topic: {}</small>", escape(&configs.join(" ")))
    };
    format!(
        "<tr><td><b class=name style=\"color:{}\">{}</b></td><td class=text>{}<small>{}</small>{configs}<small>{}</small></td>\
         <td>{}</td><td>{}{}</td><td>{}</td><td>{}</td><td>{}</td></tr>",
        colors.of_target(target),
        escape(&target.name),
        escape(&target.product),
        escape(&target.started),
        escape(&target.durability.statement),
        or_dash(late),
        or_dash(percent),
        if warning {
            "<small>the limit is the harness</small>"
        } else {
            ""
        },
        or_dash(target.broker_cpu.map(|cpu| format!("{cpu:.2} cores"))),
        or_dash(target.broker_memory_mib.map(|mib| format!("{mib} MiB"))),
        if errors + target.outcome.unanswered == 0 {
            "none".into()
        } else {
            format!("{errors} errors, {} unanswered", target.outcome.unanswered)
        },
    )
}

/// A time as a person reads it, in UTC.
fn utc(unix_s: u64) -> String {
    let (days, second) = ((unix_s / 86_400) as i64, unix_s % 86_400);
    // Days to a date by eras of 400 years that begin in March, after Howard Hinnant's civil_from_days.
    let shifted = days + 719_468;
    let era = shifted.div_euclid(146_097);
    let day_of_era = shifted.rem_euclid(146_097);
    let year_of_era = (day_of_era - day_of_era / 1460 + day_of_era / 36_524 - day_of_era / 146_096) / 365;
    let day_of_year = day_of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
    let shifted_month = (5 * day_of_year + 2) / 153;
    let day = day_of_year - (153 * shifted_month + 2) / 5 + 1;
    let month = if shifted_month < 10 {
        shifted_month + 3
    } else {
        shifted_month - 9
    };
    let year = year_of_era + era * 400 + i64::from(month <= 2);
    format!(
        "{year}-{month:02}-{day:02} {:02}:{:02} UTC",
        second / 3600,
        second / 60 % 60
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn dates() {
        assert_eq!(utc(0), "1970-01-01 00:00 UTC");
        assert_eq!(utc(951_827_696), "2000-02-29 12:34 UTC");
        assert_eq!(utc(1_796_000_000), "2026-11-30 00:53 UTC");
    }
}
