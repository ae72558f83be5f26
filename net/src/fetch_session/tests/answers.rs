//! Which partitions a response includes, and the order of the next.

use super::*;
use crate::wire::EpochEndOffset;

#[test]
fn only_what_changed_is_answered() {
    let mut sessions = sessions();
    let id = open(&mut sessions, NAMES, &[("a", 0, 5)], NOW);
    let mut epoch = 0;
    let mut included = |answer: &PartitionData<'_>| {
        epoch += 1;
        let turn = incremental(sessions.begin(NAMES, &request(id, epoch, &[]), NOW));
        !finish(&mut sessions, &turn, std::slice::from_ref(answer)).is_empty()
    };
    let same = answer(10, b"");
    assert!(!included(&same));
    assert!(!included(&PartitionData {
        records: None,
        ..same.clone()
    }));
    assert!(included(&answer(10, b"records")));
    assert!(!included(&same));
    assert!(included(&PartitionData {
        high_watermark: 11,
        ..same.clone()
    }));
    assert!(included(&same));
    assert!(included(&PartitionData {
        last_stable_offset: 9,
        ..same.clone()
    }));
    assert!(included(&same));
    assert!(included(&PartitionData {
        log_start_offset: 3,
        ..same.clone()
    }));
    assert!(included(&same));
    // An error is sent each time, and the partition once more when it is gone.
    let error = PartitionData {
        error_code: 6,
        high_watermark: 10,
        ..same.clone()
    };
    assert!(included(&error));
    assert!(included(&error));
    assert!(included(&same));
    assert!(!included(&same));
    // KIP-392: a replica to read from. KIP-595: truncation. Both say something each time.
    let redirect = PartitionData {
        preferred_read_replica: 0,
        ..same.clone()
    };
    assert!(included(&redirect) && included(&redirect));
    let diverging = PartitionData {
        diverging_epoch: EpochEndOffset {
            epoch: 0,
            end_offset: 4,
        },
        ..same.clone()
    };
    assert!(included(&diverging) && included(&diverging));
    assert!(!included(&same));
}

#[test]
fn a_new_partition_is_answered_once() {
    let mut sessions = sessions();
    let id = open(&mut sessions, NAMES, &[("a", 0, 5)], NOW);
    let turn = incremental(sessions.begin(NAMES, &request(id, 1, &[("b", 1, 0)]), NOW));
    assert_eq!(
        finish(&mut sessions, &turn, &[answer(10, b""), answer(0, b"")]),
        [1]
    );
    let turn = incremental(sessions.begin(NAMES, &request(id, 2, &[]), NOW));
    assert!(finish(&mut sessions, &turn, &[answer(10, b""), answer(0, b"")]).is_empty());
}

#[test]
fn an_error_of_the_full_fetch_is_followed_by_an_answer() {
    let mut sessions = sessions();
    let full_request = request(0, 0, &[("a", 0, 5)]);
    let FetchContext::Full(full) = sessions.begin(NAMES, &full_request, NOW) else {
        panic!()
    };
    let error = PartitionData {
        error_code: 5,
        high_watermark: 10,
        ..answer(10, b"")
    };
    let id = sessions.create(full, &full_request, [&error], NOW);
    let turn = incremental(sessions.begin(NAMES, &request(id, 1, &[]), NOW));
    assert_eq!(finish(&mut sessions, &turn, &[answer(10, b"")]), [0]);
}

#[test]
fn partitions_with_records_are_served_last_next_time() {
    let mut sessions = sessions();
    let id = open(
        &mut sessions,
        NAMES,
        &[("a", 0, 0), ("a", 1, 0), ("a", 2, 0)],
        NOW,
    );
    let mut first_served = Vec::new();
    for epoch in 1..=6 {
        let turn = incremental(sessions.begin(NAMES, &request(id, epoch, &[]), NOW));
        first_served.push(served(&sessions, &turn)[0].1);
        // Room for the records of one partition only: the first.
        assert_eq!(
            finish(
                &mut sessions,
                &turn,
                &[answer(10, b"batch"), answer(10, b""), answer(10, b"")]
            )
            .len(),
            1
        );
    }
    assert_eq!(first_served, [0, 1, 2, 0, 1, 2]);
}
