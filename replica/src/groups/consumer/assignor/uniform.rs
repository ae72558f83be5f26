//! The uniform assignor: balance first, then stickiness.
//!
//! 1. Members keep what they were to own and may still own.
//! 2. What nobody owns goes to the subscriber with the least, one partition at a time, so that a topic spreads.
//! 3. Within each class of topics the subscriber with the most gives to the one with the least until they differ by one at
//!    most; as that may unsettle another class that shares members, it is repeated until nothing moves.
//!
//! With one subscription for all, loads differ by one at most and no partition moves that need not: a joining member is
//! given its share and no other partition moves; of a leaving member only its own do. With several subscriptions no
//! partition can move to make things more even, unless the passes ran out.
//!
//! Cost: partitions and members times a logarithm, a pass; one pass where subscriptions are the same.

use std::collections::{BTreeMap, BTreeSet};

use tautline_core::ids::{PartitionIndex, TopicId};

use super::classes::{self, Class};
use super::{AssignedGroup, PartitionSet};

/// Passes over the classes of a group with many subscriptions; after them a less even assignment stands.
const PASSES_MAX: usize = 16;

/// A class with what each of its members owns of it; what it had before comes first, so that new partitions move first.
struct Share {
    class: Class,
    held: Vec<Vec<(TopicId, PartitionIndex)>>,
}

/// What each member is to own, in the order of the members.
pub(super) fn assign(group: &AssignedGroup<'_>) -> Vec<PartitionSet> {
    let mut loads = vec![0usize; group.members.len()];
    let mut shares: Vec<Share> = classes::of(group)
        .into_iter()
        .map(|class| Share {
            held: vec![Vec::new(); class.members.len()],
            class,
        })
        .collect();
    let mut taken = keep(group, &mut shares, &mut loads);
    for share in &mut shares {
        share.give_unowned(&mut taken, &mut loads);
    }
    for _ in 0..PASSES_MAX {
        let mut moved = false;
        for share in &mut shares {
            moved |= share.level(&mut loads);
        }
        // A single class is level after one pass.
        if !moved || shares.len() == 1 {
            break;
        }
    }
    let mut assigned = vec![PartitionSet::EMPTY; group.members.len()];
    for share in shares {
        for (member, held) in share.class.members.iter().zip(share.held) {
            let mut by_topic: BTreeMap<TopicId, Vec<PartitionIndex>> = BTreeMap::new();
            for (topic, partition) in held {
                by_topic.entry(topic).or_default().push(partition);
            }
            for (topic, partitions) in by_topic {
                assigned[*member].extend_topic(topic, partitions);
            }
        }
    }
    assigned
}

/// Lets members keep what they have; returns of each topic which partitions are owned.
fn keep(
    group: &AssignedGroup<'_>,
    shares: &mut [Share],
    loads: &mut [usize],
) -> BTreeMap<TopicId, Vec<bool>> {
    let mut share_of: BTreeMap<TopicId, usize> = BTreeMap::new();
    let mut taken: BTreeMap<TopicId, Vec<bool>> = BTreeMap::new();
    for (index, share) in shares.iter().enumerate() {
        for (topic, partition_count) in &share.class.topics {
            share_of.insert(*topic, index);
            taken.insert(*topic, vec![false; *partition_count as usize]);
        }
    }
    for (index, member) in group.members.iter().enumerate() {
        for (topic, partitions) in member.target.topics() {
            let Some(share) = share_of.get(&topic).map(|share| &mut shares[*share]) else {
                continue;
            };
            let Some(position) = share.class.position(index) else {
                continue;
            };
            let taken = taken.get_mut(&topic).expect("each topic of a class is in it");
            for partition in partitions {
                let owned = usize::try_from(partition.0).ok().and_then(|at| taken.get_mut(at));
                // Not where the topic was made anew with fewer partitions, nor where two were to own it.
                if let Some(owned @ false) = owned {
                    *owned = true;
                    share.held[position].push((topic, *partition));
                    loads[index] += 1;
                }
            }
        }
    }
    taken
}

impl Share {
    fn give_unowned(&mut self, taken: &mut BTreeMap<TopicId, Vec<bool>>, loads: &mut [usize]) {
        let members = &self.class.members;
        let mut by_load: BTreeSet<(usize, usize)> = (0..members.len())
            .map(|position| (loads[members[position]], position))
            .collect();
        for (topic, _) in &self.class.topics {
            let taken = taken.get_mut(topic).expect("each topic of a class is in it");
            for (partition, owned) in taken.iter_mut().enumerate().filter(|(_, owned)| !**owned) {
                let (load, position) = by_load.pop_first().expect("a class has a subscriber");
                self.held[position].push((*topic, PartitionIndex(partition as i32)));
                loads[members[position]] = load + 1;
                by_load.insert((load + 1, position));
                *owned = true;
            }
        }
    }

    /// Moves partitions of the class until no move makes it more even; true if one was moved.
    fn level(&mut self, loads: &mut [usize]) -> bool {
        let members = &self.class.members;
        let mut takers: BTreeSet<(usize, usize)> = (0..members.len())
            .map(|position| (loads[members[position]], position))
            .collect();
        let mut givers: BTreeSet<(usize, usize)> = takers
            .iter()
            .copied()
            .filter(|(_, position)| !self.held[*position].is_empty())
            .collect();
        let mut moved = false;
        while let (Some(&least), Some(&most)) = (takers.first(), givers.last()) {
            if most.0 <= least.0 + 1 {
                break;
            }
            moved = true;
            let partition = self.held[most.1].pop().expect("a giver holds a partition");
            self.held[least.1].push(partition);
            takers.remove(&least);
            takers.remove(&most);
            givers.remove(&least);
            givers.remove(&most);
            for (load, position) in [(least.0 + 1, least.1), (most.0 - 1, most.1)] {
                loads[members[position]] = load;
                takers.insert((load, position));
                if !self.held[position].is_empty() {
                    givers.insert((load, position));
                }
            }
        }
        moved
    }
}
