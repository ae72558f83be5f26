//! Throughput against p99.9: each rate that a sweep tried, and the knee, the highest at which the tail held.

use super::Colors;
use super::chart::{Axis, Chart, Margins, plot_area};
use super::scale::{Scale, log_bounds, round_duration, round_rate};
use crate::compare::result::{Comparison, TargetResult};
use crate::load::run::Kind;
use crate::report::figures::{duration, thousands};
use crate::sweep::result::{Step, Swept};

const SIZE: (f64, f64) = (1100.0, 460.0);

/// The plot of all targets.
pub fn figure(run: &Comparison, colors: &Colors) -> String {
    let shown: Vec<(&TargetResult, &Swept)> = run
        .targets
        .iter()
        .filter_map(|target| Some((target, target.sweep.as_ref()?)))
        .collect();
    let steps = || shown.iter().flat_map(|(_, swept)| &swept.steps);
    let y_bounds =
        log_bounds(steps().flat_map(|step| [step.latency.p50_ns as f64, step.latency.p99_9_ns as f64]));
    let (Some(y_bounds), Some(x_bounds)) = (y_bounds, log_bounds(steps().map(|step| step.rate))) else {
        return String::new();
    };
    let margins = Margins {
        left: 58.0,
        right: 110.0,
        top: 30.0,
        bottom: 46.0,
    };
    let (x_pixels, y_pixels) = plot_area(SIZE, &margins);
    let (x, y) = (Scale::log(x_bounds, x_pixels), Scale::log(y_bounds, y_pixels));
    let x = Axis {
        ticks: x
            .ticks()
            .into_iter()
            .map(|tick| (tick, round_rate(tick)))
            .collect(),
        scale: x,
        name: "messages a second, as asked for".into(),
    };
    let y = Axis {
        ticks: y
            .ticks()
            .into_iter()
            .map(|tick| (tick, round_duration(tick)))
            .collect(),
        scale: y,
        name: "p99.9, and p50 as the thin line".into(),
    };
    let mut chart = Chart::new(SIZE, margins, x, y);
    for (target, swept) in &shown {
        draw(&mut chart, target, swept, &colors.of_target(target));
    }
    let what = match run.setup.kind {
        Kind::E2e => "end to end",
        Kind::Produce => "of acknowledgements",
    };
    format!(
        "<figure>{}<figcaption>Latency {what}. A filled dot is a rate at which the tail held, a ring one at which it broke; a rate that broke \
         was tried twice. The dashed line is the knee.</figcaption></figure>",
        chart.finish("Throughput against p99.9")
    )
}

fn draw(chart: &mut Chart, target: &TargetResult, swept: &Swept, color: &str) {
    let mut steps: Vec<&Step> = swept.steps.iter().collect();
    steps.sort_by(|a, b| {
        a.rate
            .total_cmp(&b.rate)
            .then(a.broken_by.is_some().cmp(&b.broken_by.is_some()))
    });
    // Of a rate that was tried twice, the line goes through the better try.
    let mut best: Vec<&Step> = steps.clone();
    best.sort_by(|a, b| {
        a.rate
            .total_cmp(&b.rate)
            .then(a.latency.p99_9_ns.cmp(&b.latency.p99_9_ns))
    });
    best.dedup_by(|later, kept| later.rate == kept.rate);
    let of = |value: fn(&Step) -> u64| {
        best.iter()
            .map(|step| (step.rate, value(step) as f64))
            .collect::<Vec<_>>()
    };
    chart.line(&of(|step| step.latency.p50_ns), color, "thin");
    let tail = of(|step| step.latency.p99_9_ns);
    chart.line(&tail, color, "line");
    for step in steps {
        let text = format!(
            "{} at {} msg/s: p50 {}, p99 {}, p99.9 {}{}",
            target.name,
            thousands(step.rate),
            duration(step.latency.p50_ns as f64),
            duration(step.latency.p99_ns as f64),
            duration(step.latency.p99_9_ns as f64),
            step.broken_by
                .as_ref()
                .map(|reason| format!(": {reason}"))
                .unwrap_or_default()
        );
        let class = if step.broken_by.is_some() { "ring" } else { "dot" };
        chart.dot(
            (step.rate, step.latency.p99_9_ns as f64),
            4.0,
            color,
            class,
            &text,
        );
    }
    if let Some(&last) = tail.last() {
        chart.end_label(last, &target.name, color);
    }
    if let Some(knee) = swept.knee_rate {
        chart.upright(knee, &thousands(knee), color, "knee");
    }
}
