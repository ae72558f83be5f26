//! The checker against random histories of a model: correct ones pass, and every fault is found. `SEED` repeats a run.

mod by_hand;

use super::model::{Fault, history};
use super::{Anomaly, check};
use crate::clock::wall_ms;
use crate::random::Random;

const HISTORIES: u32 = 60;
const STEPS: u32 = 700;
/// A fault finds a place to strike in most histories; so many in a row without one is an error of the model.
const TRIES: u32 = 60;

fn seed() -> u64 {
    let given = std::env::var("SEED").ok().and_then(|seed| seed.parse().ok());
    let seed = given.unwrap_or(wall_ms() as u64);
    println!("SEED={seed}");
    seed
}

#[test]
fn correct_histories_pass() {
    let mut random = Random(seed());
    for _ in 0..HISTORIES {
        let seed = random.next_u64();
        let history = history(seed, STEPS, None).expect("nothing has to strike");
        let found: Vec<String> = check(&history).iter().map(ToString::to_string).collect();
        assert!(found.is_empty(), "model seed {seed}: {found:#?}");
    }
}

#[test]
fn every_fault_is_found() {
    let mut random = Random(seed());
    for (fault, expected) in Fault::ALL {
        let struck = (0..TRIES).find_map(|_| {
            let seed = random.next_u64();
            Some((seed, history(seed, STEPS, Some(fault))?))
        });
        let (seed, history) = struck.unwrap_or_else(|| panic!("{fault:?} never strikes"));
        let found = check(&history);
        let kinds: Vec<Anomaly> = found.iter().map(|violation| violation.anomaly).collect();
        assert!(
            kinds.contains(&expected),
            "{fault:?} with model seed {seed}: {kinds:?}"
        );
    }
}
