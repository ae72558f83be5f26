//! What every assignor promises, and what each promises of its own, over groups made from seeds.

use std::collections::BTreeSet;

use proptest::prelude::*;
use uuid::Uuid;

use super::*;

fn topic(index: usize) -> TopicId {
    TopicId(Uuid::from_u128(index as u128 + 1))
}

/// A group that owns its strings and targets.
#[derive(Clone, Debug)]
struct Fixture {
    members: Vec<(String, Option<String>, usize, PartitionSet)>,
    subscriptions: Vec<Vec<TopicId>>,
    topics: BTreeMap<TopicId, u32>,
}

impl Fixture {
    fn uniform_subscriptions(members: usize, partitions: &[u32]) -> Self {
        let topics: BTreeMap<_, _> = partitions
            .iter()
            .enumerate()
            .map(|(i, n)| (topic(i), *n))
            .collect();
        Self {
            members: (0..members).map(|i| Self::member(i, 0)).collect(),
            subscriptions: vec![topics.keys().copied().collect()],
            topics,
        }
    }

    fn member(index: usize, subscription: usize) -> (String, Option<String>, usize, PartitionSet) {
        (format!("m{index:04}"), None, subscription, PartitionSet::EMPTY)
    }

    fn group(&self) -> AssignedGroup<'_> {
        AssignedGroup {
            members: self
                .members
                .iter()
                .map(|(id, instance_id, subscription, target)| AssignedMember {
                    id,
                    instance_id: instance_id.as_deref(),
                    subscription: *subscription,
                    target,
                })
                .collect(),
            subscriptions: self.subscriptions.clone(),
            topics: self.topics.clone(),
        }
    }

    /// Assigns, checks what all assignors promise, makes it the target; returns how many partitions went to a new owner.
    fn assign(&mut self, assignor: Assignor) -> usize {
        let assigned = assignor.assign(&self.group());
        assert_eq!(
            assigned,
            assignor.assign(&self.group()),
            "the same input gives the same"
        );
        let mut owned = BTreeSet::new();
        let mut moved = 0;
        for ((_, _, subscription, target), assigned) in self.members.iter_mut().zip(assigned) {
            for (topic, partition) in assigned.iter() {
                assert!(self.subscriptions[*subscription].contains(&topic), "subscribed");
                assert!((partition.0 as u32) < self.topics[&topic], "exists");
                assert!(owned.insert((topic, partition)), "given twice");
            }
            moved += assigned.difference(target).len();
            *target = assigned;
        }
        let subscribed: BTreeSet<TopicId> = self
            .members
            .iter()
            .flat_map(|member| self.subscriptions[member.2].iter().copied())
            .collect();
        let all: usize = subscribed
            .iter()
            .filter_map(|topic| self.topics.get(topic))
            .map(|n| *n as usize)
            .sum();
        assert_eq!(owned.len(), all, "complete");
        moved
    }

    fn loads(&self) -> Vec<usize> {
        self.members.iter().map(|member| member.3.len()).collect()
    }

    fn spread(&self) -> usize {
        let loads = self.loads();
        loads.iter().max().unwrap_or(&0) - loads.iter().min().unwrap_or(&0)
    }

    /// Partitions that no member's target has.
    fn unowned(&self) -> usize {
        let all: usize = self.topics.values().map(|n| *n as usize).sum();
        all - self.loads().iter().sum::<usize>()
    }

    /// Whether no partition can move to make two members more even.
    fn settled(&self) -> bool {
        self.members.iter().all(|(_, _, _, target)| {
            let load = target.len();
            target.topics().all(|(topic, _)| {
                self.members
                    .iter()
                    .filter(|other| self.subscriptions[other.2].contains(&topic))
                    .all(|other| load <= other.3.len() + 1)
            })
        })
    }
}

fn fixtures() -> impl Strategy<Value = Fixture> {
    let partitions = proptest::collection::vec(0u32..12, 1..6);
    let subscriptions = proptest::collection::vec(proptest::collection::btree_set(0usize..7, 0..6), 1..5);
    (
        partitions,
        subscriptions,
        proptest::collection::vec((0usize..5, any::<bool>()), 1..12),
    )
        .prop_map(|(partitions, subscriptions, members)| {
            let mut fixture = Fixture::uniform_subscriptions(0, &partitions);
            // Some topics do not exist.
            fixture.subscriptions = subscriptions
                .into_iter()
                .map(|topics| topics.into_iter().map(topic).collect())
                .collect();
            for (index, (subscription, is_static)) in members.into_iter().enumerate() {
                let mut member = Fixture::member(index, subscription % fixture.subscriptions.len());
                member.1 = is_static.then(|| format!("i{:04}", 97 - index));
                fixture.members.push(member);
            }
            fixture
        })
}

proptest! {
    #[test]
    fn any_group_is_assigned_completely_and_again_alike(mut fixture in fixtures(), replaced in 0usize..12) {
        for assignor in Assignor::ALL {
            fixture.assign(assignor);
            prop_assert_eq!(fixture.assign(assignor), 0, "nothing changed, and so nothing moves");
            if assignor == Assignor::Uniform {
                prop_assert!(fixture.settled());
            }
        }
        // A member comes back with another subscription, and a topic grows.
        let at = replaced % fixture.members.len();
        fixture.members[at].2 = (fixture.members[at].2 + 1) % fixture.subscriptions.len();
        *fixture.topics.values_mut().next().unwrap() += 3;
        for assignor in Assignor::ALL {
            fixture.assign(assignor);
        }
    }

    #[test]
    fn uniform_is_even_within_one_and_moves_only_what_must_move(
        members in 1usize..20,
        partitions in proptest::collection::vec(0u32..20, 1..5),
        steps in proptest::collection::vec((0u8..3, any::<prop::sample::Index>()), 1..12),
    ) {
        let mut fixture = Fixture::uniform_subscriptions(members, &partitions);
        fixture.assign(Assignor::Uniform);
        prop_assert!(fixture.spread() <= 1);
        for (number, (step, index)) in steps.into_iter().enumerate() {
            match step {
                0 => {
                    let newcomer = Fixture::member(1000 - number, 0);
                    fixture.members.push(newcomer);
                    let moved = fixture.assign(Assignor::Uniform);
                    let given = fixture.members.last().unwrap().3.len();
                    prop_assert_eq!(moved, given, "only the share of the newcomer moves");
                    prop_assert_eq!(given, *fixture.loads().iter().min().unwrap());
                }
                1 if fixture.members.len() > 1 => {
                    fixture.members.remove(index.index(fixture.members.len()));
                    let unowned = fixture.unowned();
                    prop_assert_eq!(fixture.assign(Assignor::Uniform), unowned, "only what was left moves");
                }
                _ => {
                    let grown = index.index(fixture.topics.len());
                    *fixture.topics.values_mut().nth(grown).unwrap() += 1;
                    prop_assert_eq!(fixture.assign(Assignor::Uniform), 1, "only the new partition is given");
                }
            }
            prop_assert!(fixture.spread() <= 1);
        }
    }
}

#[test]
fn uniform_spreads_each_topic() {
    let mut fixture = Fixture::uniform_subscriptions(3, &[3, 3, 3]);
    fixture.assign(Assignor::Uniform);
    for (_, _, _, target) in &fixture.members {
        assert!(target.topics().all(|(_, partitions)| partitions.len() == 1));
    }
}

#[test]
fn uniform_gives_to_the_one_who_may_have_it() {
    // KIP-848 has no bound for mixed subscriptions but that nothing can be made more even.
    let mut fixture = Fixture::uniform_subscriptions(0, &[6, 2]);
    fixture.subscriptions = vec![vec![topic(0)], vec![topic(0), topic(1)]];
    fixture.members = vec![Fixture::member(0, 0), Fixture::member(1, 1)];
    fixture.assign(Assignor::Uniform);
    assert_eq!(fixture.loads(), [4, 4]);
}

fn indices(set: &PartitionSet, topic: TopicId) -> Vec<i32> {
    set.of_topic(topic).iter().map(|partition| partition.0).collect()
}

#[test]
fn range_cuts_topics_with_equally_many_partitions_alike() {
    let mut fixture = Fixture::uniform_subscriptions(2, &[3, 3]);
    fixture.assign(Assignor::Range);
    for index in 0..2 {
        assert_eq!(indices(&fixture.members[0].3, topic(index)), [0, 1]);
        assert_eq!(indices(&fixture.members[1].3, topic(index)), [2]);
    }
    // KAFKA-14048: fewer partitions than members.
    let mut fixture = Fixture::uniform_subscriptions(3, &[2]);
    fixture.assign(Assignor::Range);
    assert_eq!(fixture.loads(), [1, 1, 0]);
}

#[test]
fn range_keeps_the_partitions_of_an_instance_whatever_its_member_id() {
    let mut fixture = Fixture::uniform_subscriptions(3, &[4, 4, 7]);
    for (index, member) in fixture.members.iter_mut().enumerate() {
        member.1 = Some(format!("i{index}"));
    }
    fixture.assign(Assignor::Range);
    let of_instance = |fixture: &Fixture| -> BTreeMap<Option<String>, PartitionSet> {
        let members = fixture.members.iter();
        members
            .map(|member| (member.1.clone(), member.3.clone()))
            .collect()
    };
    let before = of_instance(&fixture);
    let ids = ["z", "b", "a"];
    for (member, id) in fixture.members.iter_mut().zip(ids) {
        id.clone_into(&mut member.0);
    }
    fixture.members.sort_by(|one, other| one.0.cmp(&other.0));
    assert_eq!(fixture.assign(Assignor::Range), 0);
    assert_eq!(of_instance(&fixture), before);
}

#[test]
fn a_thousand_members_and_ten_thousand_partitions() {
    for subscriptions in [1, 50] {
        let mut fixture = Fixture::uniform_subscriptions(1_000, &[100; 100]);
        let topics = fixture.subscriptions[0].clone();
        fixture.subscriptions = (0..subscriptions)
            .map(|skip| topics.iter().copied().skip(skip).collect())
            .collect();
        for (index, member) in fixture.members.iter_mut().enumerate() {
            member.2 = index % subscriptions;
        }
        for assignor in Assignor::ALL {
            fixture.assign(assignor);
        }
        fixture.assign(Assignor::Uniform);
        fixture.members.push(Fixture::member(9_999, 0));
        let moved = fixture.assign(Assignor::Uniform);
        // With mixed subscriptions a partition may have to go by way of a third member.
        assert!((9..=10 * subscriptions).contains(&moved), "{moved}");
    }
}
