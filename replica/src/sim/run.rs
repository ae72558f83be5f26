//! Runs a plan, and makes a failing one smaller.

use super::judge::Violation;
use super::plan::Plan;
use super::world::World;

/// What a run came to.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Outcome {
    /// Of everything that happened: the same plan, the same hash.
    pub hash: u32,
    /// What does not hold.
    pub violation: Option<Violation>,
    /// The last things that happened.
    pub trace: Vec<String>,
    /// Batches acknowledged with acks=all.
    pub acked: u64,
    /// Leaders there were.
    pub leaders: usize,
    /// Time in the simulation, nanoseconds.
    pub took_ns: u64,
}

/// Runs a plan to its end, or to the first violation.
#[must_use]
pub fn run(plan: &Plan) -> Outcome {
    let mut world = World::new(plan.clone());
    let violation = world.run().err();
    Outcome {
        hash: world.trace.hash(),
        violation,
        trace: world.trace.lines(),
        acked: world.judge.acked_count(),
        leaders: world.judge.leaders(),
        took_ns: world.queue.now_ns(),
    }
}

/// A plan with as few faults as break the same rule: each is left out in turn, from the last, as long as that helps.
#[must_use]
pub fn minimize(plan: &Plan, violation: &Violation) -> Plan {
    let mut least = plan.clone();
    loop {
        let before = least.faults.len();
        for at in (0..before).rev() {
            let mut fewer = least.clone();
            fewer.faults.remove(at);
            let still = run(&fewer).violation;
            if still.is_some_and(|found| found.rule == violation.rule) {
                least = fewer;
            }
        }
        if least.faults.len() == before {
            return least;
        }
    }
}
