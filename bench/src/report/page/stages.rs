//! Where a request's time went, by the broker's own account: for each stage its median, 99th and 99.9th percentile.

use super::chart::{Axis, Chart, Margins, plot_area};
use super::scale::{Scale, log_bounds, round_duration};
use super::{Colors, escape};
use crate::compare::result::{Comparison, TargetResult};
use crate::compare::stages::Stage;
use crate::report::figures::duration;

const WIDTH: f64 = 1100.0;
const ROW_PX: f64 = 24.0;

/// A plot for each target that tells its stages.
pub fn figure(run: &Comparison, colors: &Colors) -> String {
    let shown = run.targets.iter().filter(|target| !target.stages.is_empty());
    let figures: String = shown
        .map(|target| of_target(target, &colors.of_target(target)))
        .collect();
    if figures.is_empty() {
        return String::new();
    }
    format!("<h3>Where the time goes</h3>{figures}")
}

fn of_target(target: &TargetResult, color: &str) -> String {
    let of_load =
        |name: &str| !name.contains(": ") || name.starts_with("produce") || name.starts_with("fetch");
    let stages: Vec<&Stage> = target
        .stages
        .iter()
        .filter(|stage| of_load(&stage.name))
        .collect();
    let values = stages
        .iter()
        .flat_map(|stage| [stage.p50_ns as f64, stage.p99_9_ns as f64]);
    let Some(bounds) = log_bounds(values) else {
        return String::new();
    };
    let longest = stages.iter().map(|stage| stage.name.len()).max().unwrap_or(0);
    let margins = Margins {
        left: 30.0 + 7.2 * longest as f64,
        right: 70.0,
        top: 8.0,
        bottom: 26.0,
    };
    let size = (WIDTH, ROW_PX * stages.len() as f64 + margins.top + margins.bottom);
    let (x_pixels, y_pixels) = plot_area(size, &margins);
    let x = Scale::log(bounds, x_pixels);
    // The first stage is on top.
    let row = |at: usize| (stages.len() - at) as f64 - 0.5;
    let x = Axis {
        ticks: x
            .ticks()
            .into_iter()
            .map(|tick| (tick, round_duration(tick)))
            .collect(),
        scale: x,
        name: String::new(),
    };
    let y = Axis {
        scale: Scale::linear((0.0, stages.len() as f64), y_pixels),
        ticks: stages
            .iter()
            .enumerate()
            .map(|(at, stage)| (row(at), stage.name.clone()))
            .collect(),
        name: String::new(),
    };
    let mut chart = Chart::new(size, margins, x, y);
    for (at, stage) in stages.iter().enumerate() {
        let y = row(at);
        let [p50, p99, p99_9] = [stage.p50_ns, stage.p99_ns, stage.p99_9_ns].map(|ns| ns as f64);
        chart.line(&[(p50, y), (p99_9, y)], color, "reach");
        let text = format!(
            "{}, {} times: p50 {}, p99 {}, p99.9 {}, mean {}",
            stage.name,
            stage.count,
            duration(p50),
            duration(p99),
            duration(p99_9),
            duration(stage.mean_ns)
        );
        chart.dot((p50, y), 4.5, color, "dot", &text);
        chart.dot((p99, y), 3.5, color, "ring", &text);
        chart.dot((p99_9, y), 3.0, color, "dot", &text);
        chart.text((p99_9, y), (9.0, 4.0), &duration(p99_9), "tick");
    }
    format!(
        "<figure><h4>{}</h4>{}<figcaption>Large dot: median, ring: 99 %, small dot: 99.9 %. Warm-ups included; within the \
         broker's buckets a figure is an estimate.</figcaption></figure>",
        escape(&target.name),
        chart.finish(&format!("Stages of {}", target.name))
    )
}
