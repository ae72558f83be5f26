//! Percentile curves: latency against how rare it is, an axis that gives each nine of a percentile the same room.

use super::chart::{Axis, Chart, Margins, plot_area};
use super::scale::{Scale, log_bounds, round_duration};
use super::{Colors, escape};
use crate::compare::result::TargetResult;
use crate::report::document::{Document, FLOOR};
use crate::report::figures::duration;
use crate::report::measured::{Measured, Point};
use crate::report::percentiles::Percentiles;

const SIZE: (f64, f64) = (560.0, 380.0);
/// Names of quantiles, by their nines.
const TICKS: [(f64, &str); 7] = [
    (0.301, "50 %"),
    (1.0, "90 %"),
    (2.0, "99 %"),
    (3.0, "99.9 %"),
    (4.0, "99.99 %"),
    (5.0, "99.999 %"),
    (6.0, "99.9999 %"),
];

/// The plot of one series of all targets; a band is the least and the greatest of the repeats.
pub fn figure(document: &Document, name: &str, title: &str, colors: &Colors) -> String {
    let targets = &document.run.targets;
    let shown: Vec<(&TargetResult, &Measured)> = targets
        .iter()
        .filter_map(|target| Some((target, target.series(name)?)))
        .filter(|(_, measured)| measured.curve.len() > 1)
        .collect();
    let floor = document.floor().into_iter().find(|(name, _)| *name == FLOOR);
    let floor: Vec<(f64, f64)> = floor.map_or(Vec::new(), |(_, floor)| floor_points(floor));
    let all = shown.iter().flat_map(|(_, measured)| measured.curve.iter());
    let repeats = shown.iter().flat_map(|(_, measured)| &measured.repeats);
    let values = all
        .chain(repeats.flat_map(|repeat| &repeat.curve))
        .map(|point| point.ns as f64)
        .chain(floor.iter().map(|point| point.1));
    let Some(bounds) = log_bounds(values) else {
        return String::new();
    };
    let ends = shown.iter().filter_map(|(_, measured)| measured.curve.last());
    let nines = ends.map(|point| point.nines).fold(1.0, f64::max);

    let margins = Margins {
        left: 58.0,
        right: 92.0,
        top: 24.0,
        bottom: 46.0,
    };
    let (x_pixels, y_pixels) = plot_area(SIZE, &margins);
    let y = Scale::log(bounds, y_pixels);
    let x = Axis {
        scale: Scale::linear((0.0, nines), x_pixels),
        ticks: TICKS
            .into_iter()
            .filter(|(at, _)| *at <= nines + 0.01)
            .map(|(at, name)| (at, name.to_string()))
            .collect(),
        name: "part of all messages that were faster".into(),
    };
    let y = Axis {
        ticks: y
            .ticks()
            .into_iter()
            .map(|tick| (tick, round_duration(tick)))
            .collect(),
        scale: y,
        name: "latency".into(),
    };
    let mut chart = Chart::new(SIZE, margins, x, y);
    for (target, measured) in &shown {
        let color = colors.of_target(target);
        let (upper, lower) = band(measured);
        chart.band(&upper, &lower, &color, "band");
        let line: Vec<_> = measured.curve.iter().map(xy).collect();
        chart.line(&line, &color, "line");
        if let Some(&last) = line.last() {
            chart.end_label(last, &target.name, &color);
        }
        for (tick, name) in TICKS {
            if let Some(point) = measured
                .curve
                .iter()
                .find(|point| (point.nines - tick).abs() < 0.02)
            {
                let text = format!("{}, {name}: {}", target.name, duration(point.ns as f64));
                chart.dot(xy(point), 2.6, &color, "dot", &text);
            }
        }
    }
    chart.line(&floor, "var(--soft)", "floor");
    if let Some(&last) = floor.last() {
        chart.end_label(last, "floor", "var(--soft)");
    }
    let bands = shown.iter().any(|(_, measured)| measured.repeats.len() > 1);
    let caption = match (bands, floor.is_empty()) {
        (true, true) => {
            "The line is all rounds together, the band lies between the best and the worst round."
        }
        (true, false) => {
            "The line is all repeats together, the band lies between the best and the worst. Dashed: the machine's floor."
        }
        (false, true) => "",
        (false, false) => "Dashed: the machine's floor, a round trip with a durable write.",
    };
    format!(
        "<figure><h4>{}</h4>{}<figcaption>{caption}</figcaption></figure>",
        escape(title),
        chart.finish(&format!("Percentile curves, {title}"))
    )
}

fn xy(point: &Point) -> (f64, f64) {
    (point.nines, point.ns as f64)
}

/// Points of a plot.
type Line = Vec<(f64, f64)>;

/// The greatest and the least of the repeats, as far as all of them go.
fn band(measured: &Measured) -> (Line, Line) {
    let curves = || measured.repeats.iter().map(|repeat| &repeat.curve);
    let len = curves().map(Vec::len).min().unwrap_or(0);
    if measured.repeats.len() < 2 {
        return (Vec::new(), Vec::new());
    }
    let edge = |pick: fn(f64, f64) -> f64| {
        let point = |at: usize| {
            let values = curves().map(|curve| curve[at].ns as f64);
            (
                measured.repeats[0].curve[at].nines,
                values.reduce(pick).unwrap_or(0.0),
            )
        };
        (0..len).map(point).collect()
    };
    (edge(f64::max), edge(f64::min))
}

/// The quoted percentiles of a floor, as far as it has samples for them.
fn floor_points(floor: &Percentiles) -> Vec<(f64, f64)> {
    let values = [
        floor.p50_ns,
        floor.p90_ns,
        floor.p99_ns,
        floor.p99_9_ns,
        floor.p99_99_ns,
    ];
    let nines = [0.301, 1.0, 2.0, 3.0, 4.0];
    let points = nines.into_iter().zip(values);
    let most = (floor.samples.max(1) as f64).log10();
    points
        .filter(|(nines, _)| *nines <= most)
        .map(|(nines, ns)| (nines, ns as f64))
        .collect()
}
