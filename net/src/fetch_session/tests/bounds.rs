//! What happens when the cache is full.

use tautline_core::limits::TOPIC_NAME_BYTES_MAX;

use super::*;

#[test]
fn eviction() {
    let mut sessions = sessions();
    let small = open(&mut sessions, NAMES, &[("a", 0, 0)], NOW);
    let large = open(
        &mut sessions,
        NAMES,
        &[("a", 0, 0), ("a", 1, 0), ("a", 2, 0)],
        NOW,
    );
    assert!(small != 0 && large != 0 && small != large);

    let two = [("a", 0, 0), ("a", 1, 0)];
    assert_eq!(
        open(&mut sessions, NAMES, &two, NOW + 1_000),
        SESSION_ID_NONE,
        "both are new"
    );
    // Both are used, so neither is stale, but the small one is no longer new: a larger one takes its place.
    for id in [small, large] {
        incremental(sessions.begin(NAMES, &request(id, 1, &[]), NOW + 1_001));
    }
    assert_eq!(
        open(&mut sessions, NAMES, &[("a", 0, 0)], NOW + 1_001),
        SESSION_ID_NONE,
        "not larger"
    );
    let medium = open(&mut sessions, NAMES, &two, NOW + 1_001);
    assert_ne!(medium, SESSION_ID_NONE);
    assert_eq!(
        (sessions.len(), sessions.evictions(), sessions.partition_count()),
        (2, 1, 5)
    );
    let gone = sessions.begin(NAMES, &request(small, 2, &[]), NOW + 1_001);
    assert_eq!(gone, FetchContext::Refused(ErrorCode::FetchSessionIdNotFound));

    // Used by nobody for long: anyone may have the place of the one used longest ago.
    incremental(sessions.begin(NAMES, &request(medium, 1, &[]), NOW + 1_500));
    assert_ne!(
        open(&mut sessions, NAMES, &[("a", 0, 0)], NOW + 2_400),
        SESSION_ID_NONE
    );
    assert!(!sessions.sessions.contains_key(&large) && sessions.sessions.contains_key(&medium));
}

#[test]
fn partitions_are_bounded() {
    let mut sessions = sessions();
    let many: Vec<_> = (0..=100).map(|partition| ("a", partition, 0)).collect();
    assert_eq!(open(&mut sessions, NAMES, &many, NOW), SESSION_ID_NONE);
    let id = open(&mut sessions, NAMES, &many[..100], NOW);
    assert_ne!(id, SESSION_ID_NONE);
    assert_eq!(
        open(&mut sessions, NAMES, &many[..1], NOW),
        SESSION_ID_NONE,
        "slots are free, partitions are not"
    );
    let grown = sessions.begin(NAMES, &request(id, 1, &many[100..]), NOW);
    assert_eq!(grown, FetchContext::Refused(ErrorCode::FetchSessionIdNotFound));
    assert_eq!((sessions.len(), sessions.partition_count()), (0, 0));

    let long: &'static str = "x".repeat(TOPIC_NAME_BYTES_MAX + 1).leak();
    assert_eq!(open(&mut sessions, NAMES, &[(long, 0, 0)], NOW), SESSION_ID_NONE);
}
