//! Latency over time: a panel for each target, all with the same axes; median, 99th percentile and the maximum of each
//! second.

use super::chart::{Axis, Chart, Margins, plot_area};
use super::scale::{Scale, log_bounds, round_duration};
use super::{Colors, escape};
use crate::compare::result::{Comparison, TargetResult};
use crate::report::figures::duration;
use crate::report::measured::Tick;

const WIDTH: f64 = 560.0;
const PANEL_PX: f64 = 146.0;

/// The panels of one series.
pub fn figure(run: &Comparison, name: &str, title: &str, colors: &Colors) -> String {
    let shown: Vec<(&TargetResult, &[Tick])> = run
        .targets
        .iter()
        .filter_map(|target| Some((target, target.series(name)?.timeline.as_slice())))
        .filter(|(_, ticks)| !ticks.is_empty())
        .collect();
    let ticks = shown.iter().flat_map(|(_, ticks)| ticks.iter());
    let Some(bounds) = log_bounds(ticks.flat_map(|tick| [tick.p50_ns as f64, tick.max_ns as f64])) else {
        return String::new();
    };
    let mut figure = format!("<figure><h4>{}</h4>", escape(title));
    for (at, (target, ticks)) in shown.iter().enumerate() {
        let last = at + 1 == shown.len();
        figure += &panel(run, target, ticks, bounds, last, colors);
    }
    let rounds = if run.setup.repeats > 1 {
        " A dotted line begins a round; the rounds of the targets alternated."
    } else {
        ""
    };
    figure
        + &format!(
            "<figcaption>Of each second: the area from the median to the 99th percentile, and the maximum as a ring.{rounds}</figcaption></figure>"
        )
}

fn panel(
    run: &Comparison,
    target: &TargetResult,
    ticks: &[Tick],
    bounds: (f64, f64),
    last: bool,
    colors: &Colors,
) -> String {
    let margins = Margins {
        left: 58.0,
        right: 92.0,
        top: 16.0,
        bottom: if last { 46.0 } else { 22.0 },
    };
    let size = (WIDTH, PANEL_PX + if last { 24.0 } else { 0.0 });
    let (x_pixels, y_pixels) = plot_area(size, &margins);
    let duration_s = run.setup.duration_s;
    let whole = duration_s * f64::from(run.setup.repeats);
    // A second is drawn at its middle; one that reaches beyond its round, at the round's end.
    let at = |tick: &Tick| f64::from(tick.repeat) * duration_s + (tick.at_s + 0.5).min(duration_s);
    let x = Scale::linear((0.0, whole), x_pixels);
    let y = Scale::log(bounds, y_pixels);
    let powers = y
        .ticks()
        .into_iter()
        .filter(|tick| (tick.log10() - tick.log10().round()).abs() < 1e-6);
    let mut powers: Vec<f64> = powers.collect();
    if powers.len() < 2 {
        powers = y.ticks();
    }
    let x = Axis {
        ticks: x
            .ticks()
            .into_iter()
            .map(|tick| (tick, if last { format!("{tick} s") } else { String::new() }))
            .collect(),
        scale: x,
        name: if last {
            "time measured".into()
        } else {
            String::new()
        },
    };
    let y = Axis {
        ticks: powers
            .into_iter()
            .map(|tick| (tick, round_duration(tick)))
            .collect(),
        scale: y,
        name: String::new(),
    };
    let mut chart = Chart::new(size, margins, x, y);
    let color = colors.of_target(target);
    for round in 1..run.setup.repeats {
        chart.upright(f64::from(round) * duration_s, "", "", "round");
    }
    for round in ticks.chunk_by(|one, next| one.repeat == next.repeat) {
        let of = |value: fn(&Tick) -> u64| {
            round
                .iter()
                .map(|tick| (at(tick), value(tick) as f64))
                .collect::<Vec<_>>()
        };
        let (p50, p99) = (of(|tick| tick.p50_ns), of(|tick| tick.p99_ns));
        chart.band(&p99, &p50, &color, "band");
        chart.line(&p50, &color, "line");
        chart.line(&p99, &color, "thin");
        for tick in round {
            let text = format!(
                "{}: p50 {}, p99 {}, p99.9 {}, max {}",
                target.name,
                duration(tick.p50_ns as f64),
                duration(tick.p99_ns as f64),
                duration(tick.p99_9_ns as f64),
                duration(tick.max_ns as f64)
            );
            chart.dot((at(tick), tick.max_ns as f64), 2.6, &color, "ring", &text);
        }
    }
    if let Some(tick) = ticks.last() {
        chart.end_label((whole, tick.p99_ns as f64), &target.name, &color);
    }
    chart.finish(&format!("Latency of {} over time", target.name))
}
