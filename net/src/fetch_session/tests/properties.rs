//! Fetch sessions under random requests.

use std::collections::BTreeMap;

use proptest::prelude::*;

use super::*;
use crate::fetch_session::session::FetchSession;
use crate::wire::Records;

/// What a client knows of the broker: for each partition, the high watermark it was told last.
type View = BTreeMap<(&'static str, i32), i64>;

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::with_cases(64) })]

    /// A client that keeps its own view, as KIP-227 has it, against partitions that change at random: it is served exactly
    /// its partitions, and after every response it knows what a full response would have told it.
    #[test]
    fn a_client_never_misses_a_change(
        steps in prop::collection::vec((any::<u16>(), any::<u16>(), any::<u8>()), 1..60),
        by_id: bool,
    ) {
        let version = if by_id { IDS } else { NAMES };
        let all: Vec<(&'static str, i32)> = ["a", "bb"].into_iter().flat_map(|topic| (0..3).map(move |at| (topic, at))).collect();
        let mut broker: View = all.iter().map(|key| (*key, 0)).collect();
        let mut sessions = sessions();
        let mut client: View = [(all[0], 10)].into();
        let id = open(&mut sessions, version, &[(all[0].0, all[0].1, 0)], NOW);

        for (epoch, (appended, asked, kind)) in (1..).zip(steps) {
            // Some partitions grow.
            for (at, key) in all.iter().enumerate().filter(|(at, _)| appended >> at & 1 == 1) {
                *broker.get_mut(key).unwrap() += at as i64 + 1;
            }
            // The client adds a partition or forgets one, but never the last.
            let key = all[usize::from(asked) % all.len()];
            let change = if kind % 3 == 0 && client.len() > 1 && client.contains_key(&key) {
                client.remove(&key);
                forget(request(id, epoch, &[]), &[key])
            } else if kind % 3 == 1 {
                client.entry(key).or_insert(-1);
                request(id, epoch, &[(key.0, key.1, 0)])
            } else {
                request(id, epoch, &[])
            };

            let turn = incremental(sessions.begin(version, &change, NOW));
            let name = |topic: FetchedTopic<'_>| match topic {
                FetchedTopic::Name(name) => if name == "a" { "a" } else { "bb" },
                FetchedTopic::Id(id) => if id.0.as_u128() == 1 { "a" } else { "bb" },
            };
            let serve: Vec<_> = sessions
                .partitions(&turn)
                .map(|partition| (partition.slot, (name(partition.topic), partition.partition.0)))
                .collect();
            let mut keys: Vec<_> = serve.iter().map(|(_, key)| *key).collect();
            keys.sort_unstable();
            prop_assert_eq!(keys, client.keys().copied().collect::<Vec<_>>());

            let mut finishing = sessions.finish(&turn).unwrap();
            for (slot, key) in serve {
                let high_watermark = broker[&key];
                let records = Some(Records::Spliced { size_bytes: usize::from(kind) % 2 });
                let included = finishing.include(slot, &PartitionData { high_watermark, records, ..answer(0, b"") });
                if included {
                    client.insert(key, high_watermark);
                }
                prop_assert_eq!(client[&key], high_watermark, "{:?} changed and was left out", key);
            }
        }
        prop_assert_eq!(sessions.partition_count(), client.len());
    }

    /// The limits hold whatever is asked.
    #[test]
    fn limits_hold(steps in prop::collection::vec((0i32..6, -1i32..4, prop::collection::vec(0i32..80, 0..60), any::<bool>()), 0..60)) {
        let limits = SessionLimits { slots: 3, partitions: 70, eviction_ms: 5 };
        let mut sessions = FetchSessions::new(limits, 1..6, 1);
        for (now, (id, epoch, partitions, drop)) in (0..).zip(steps) {
            let partitions: Vec<_> = partitions.into_iter().map(|partition| ("a", partition, 0)).collect();
            let mut asked = request(id, epoch, &partitions);
            if drop {
                asked = forget(asked, &[("a", 1), ("a", 2)]);
            }
            match sessions.begin(NAMES, &asked, now) {
                FetchContext::Full(full) => {
                    let answers = vec![answer(0, b""); partitions.len()];
                    sessions.create(full, &asked, &answers, now);
                }
                FetchContext::Incremental(turn) => prop_assert!(sessions.partitions(&turn).count() > 0),
                FetchContext::Refused(_) => {}
            }
            prop_assert!(sessions.len() <= limits.slots && sessions.partition_count() <= limits.partitions);
            let counted: usize = sessions.sessions.values().map(FetchSession::len).sum();
            prop_assert_eq!(counted, sessions.partition_count());
        }
    }
}
