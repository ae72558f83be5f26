//! Each bug put in on purpose is found: what the simulator does not see, it would not see when it matters.

use super::*;
use crate::planted::Bug;

/// Seeds within which each bug is found.
const SEEDS: u64 = 120;

/// A plan for a seed.
type Draws = fn(u64) -> Plan;

/// All bugs, with what brings them to light soonest.
const BUGS: &[(Bug, Draws)] = &[
    (Bug::CommitBeforeOwnEpoch, anything),
    (Bug::HighWatermarkOneTooFar, anything),
    (Bug::HighWatermarkIsTheLogsEnd, anything),
    (Bug::AckBeforeDurable, anything),
    (Bug::LeaderCountsItselfBeforeDurable, anything),
    (Bug::AckAllWhenOnlyLocal, anything),
    (Bug::AckOneBeforeDurable, anything),
    (Bug::MinInsyncIgnored, anything),
    (Bug::VoteNotKept, crashes),
    (Bug::ReadWithoutLease, transfers_unheard),
    (Bug::ReadBeforeOwnEpoch, slow_transfers),
    (Bug::LeaseOutlivesTransfer, transfers_unheard),
    (Bug::TruncateOneTooMany, anything),
    (Bug::FollowerStampsItsOwnEpoch, anything),
    (Bug::CopyKeepsWhatIsNotCommitted, anything),
    (Bug::CopyAnchoredBeforeDurable, slow_disks_that_die),
    (Bug::ProducersNotReplicated, anything),
    (Bug::ProducersNotRolledBack, leaders_cut_off),
    (Bug::SleepersNeverWake, a_node_dies_while_all_sleep),
];

const MS: u64 = 1_000_000;

fn anything(seed: u64) -> Plan {
    Plan::new(seed, &KINDS)
}

fn crashes(seed: u64) -> Plan {
    Plan::new(seed, &[Kind::Crash])
}

fn slow_disks_that_die(seed: u64) -> Plan {
    dense(
        seed,
        &[Kind::Crash, Kind::SlowDisk, Kind::Transfer, Kind::Partition],
    )
}

fn slow_transfers(seed: u64) -> Plan {
    let mut plan = dense(seed, &[Kind::SlowDisk, Kind::Transfer, Kind::Transfer]);
    plan.consumers = 8;
    plan
}

fn leaders_cut_off(seed: u64) -> Plan {
    dense(
        seed,
        &[Kind::Partition, Kind::OneWay, Kind::Pause, Kind::Transfer],
    )
}

/// A busy partition, and a fault after the other.
fn dense(seed: u64, kinds: &[Kind]) -> Plan {
    let (mut plan, mut random) = (three(seed), crate::quorum::Random::new(seed));
    let mut at_ns = 1_200 * MS;
    while at_ns < plan.heal_ns - 1_000 * MS {
        let for_ns = random.between(50, 900) * MS;
        plan.faults.push(Fault {
            kind: random.one_of(kinds),
            at_ns,
            for_ns,
            who: random.next_u64(),
        });
        at_ns += random.between(50, 600) * MS;
    }
    plan
}

/// Three nodes and a busy partition.
fn three(seed: u64) -> Plan {
    let mut plan = Plan::new(seed, &[]);
    (plan.replicas, plan.nodes, plan.partitions, plan.heal_ns) = (3, 3, 1, 12_000 * MS);
    (plan.all, plan.one, plan.consumers, plan.batches) = (4, 0, 4, 400);
    plan.settings.min_insync_replicas = 1;
    plan.lulls.clear();
    plan
}

/// One node is not heard by another one, but by all else.
fn unheard(from: u64, to: u64, at_ns: u64, for_ns: u64) -> Fault {
    // The other is the remainder of the upper bits, of which the ninth and tenth choose the kind of deafness.
    let other = (512..)
        .find(|upper| upper % 3 == to && upper >> 8 & 3 == 2)
        .expect("there is one");
    let who = (0..)
        .map(|low| other << 16 | low)
        .find(|who| who % 3 == from)
        .expect("there is one");
    Fault {
        kind: Kind::OneWay,
        at_ns,
        for_ns,
        who,
    }
}

fn a_node_dies_while_all_sleep(seed: u64) -> Plan {
    let mut plan = three(seed);
    plan.lulls = vec![(2_000 * MS, 4_000 * MS)];
    plan.faults = vec![Fault {
        kind: Kind::Crash,
        at_ns: 3_500 * MS,
        for_ns: 8_000 * MS,
        who: seed,
    }];
    plan
}

/// A leader that has handed over is not told by its successor.
fn transfers_unheard(seed: u64) -> Plan {
    let (mut plan, mut random) = (three(seed), crate::quorum::Random::new(seed));
    let mut at_ns = 1_500 * MS;
    while at_ns < plan.heal_ns - 1_000 * MS {
        let to = random.below(3);
        let from = (to + 1 + random.below(2)) % 3;
        plan.faults.push(Fault {
            kind: Kind::Transfer,
            at_ns,
            for_ns: MS,
            who: to << 24,
        });
        let delay_ns = random.between(50_000, 600_000);
        plan.faults
            .push(unheard(to, from, at_ns + delay_ns, random.between(100, 500) * MS));
        at_ns += random.between(600, 900) * MS;
    }
    plan
}

/// The first seed that finds a bug, and what it breaks.
fn find(bug: Bug, plan: Draws) -> Option<(u64, Violation)> {
    Bug::plant(Some(bug));
    let found = (0..SEEDS).find_map(|seed| {
        let plan = plan(seed);
        let outcome = std::panic::catch_unwind(|| run(&plan).violation);
        let violation = outcome.unwrap_or_else(|panic| {
            let said = panic.downcast_ref::<String>().cloned().unwrap_or_default();
            Some(Violation {
                rule: "an invariant's own assertion",
                found: said,
            })
        });
        violation.map(|violation| (seed, violation))
    });
    Bug::plant(None);
    found
}

#[test]
fn every_planted_bug_is_found() {
    let mut missed = Vec::new();
    for &(bug, plan) in BUGS {
        let begun = std::time::Instant::now();
        match find(bug, plan) {
            Some((seed, violation)) => {
                println!("{bug:?}: seed {seed}: {violation} ({:.1?})", begun.elapsed());
                // It is the bug that was found.
                assert_eq!(
                    run(&plan(seed)).violation,
                    None,
                    "{bug:?} is not needed for seed {seed}"
                );
            }
            None => {
                println!("{bug:?}: MISSED ({:.1?})", begun.elapsed());
                missed.push(bug);
            }
        }
    }
    assert_eq!(missed, []);
}
