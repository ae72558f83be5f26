//! What the stage stamps of a produce request cost: as many looks at the clock, laps and counts as one takes on its way.
//!
//! `cargo run --release -p tautline-core --example stamps`. Compare with the latency of a produce on the same machine.

use std::hint::black_box;

use tautline_core::stage::{Acknowledged, Flight, Recorder, Stage, StageTimes, Stamps};
use tautline_core::time::monotonic_ns;

const REQUESTS: u64 = 2_000_000;
const REPEATS: usize = 5;

fn main() {
    let mut times = StageTimes::new(2);
    let mut recorder = Recorder::default();
    let mut costs_ns: Vec<f64> = (0..REPEATS).map(|_| measure(&mut times, &mut recorder)).collect();
    costs_ns.sort_by(f64::total_cmp);
    println!(
        "stamps of a produce: {:.0} ns (least {:.0}, most {:.0} of {REPEATS} runs); requests seen {}",
        costs_ns[REPEATS / 2],
        costs_ns[0],
        costs_ns[REPEATS - 1],
        recorder.seen(),
    );
}

/// Nanoseconds a request.
fn measure(times: &mut StageTimes, recorder: &mut Recorder) -> f64 {
    let begun_ns = monotonic_ns();
    let mut turn_ns = begun_ns;
    for _ in 0..REQUESTS {
        // The first moment, and those of completions, are the poller's, which looks at the clock anyway.
        let mut stamps = Stamps::begin(black_box(turn_ns));
        stamps.lap(Stage::Receive, turn_ns);
        stamps.lap(Stage::Queue, monotonic_ns());
        stamps.lap(Stage::Parse, monotonic_ns());
        let way = Acknowledged {
            arrived_ns: 0,
            appended_ns: monotonic_ns(),
            submitted_ns: monotonic_ns(),
            durable_ns: stamps.last_ns() + 40_000,
            committed_ns: 0,
        };
        turn_ns = monotonic_ns();
        stamps.lap(Stage::Append, turn_ns);
        stamps.follow(&way, stamps.last_ns());
        stamps.lap(Stage::Respond, stamps.last_ns() + 5_000);
        times.record(1, &stamps);
        recorder.record(stamps.own_ns(), || flight(stamps));
    }
    (monotonic_ns() - begun_ns) as f64 / REQUESTS as f64
}

fn flight(stamps: Stamps) -> Flight {
    Flight {
        api: 0,
        correlation_id: 1,
        client: None,
        bytes: 1_100,
        partition: None,
        stamps,
    }
}
