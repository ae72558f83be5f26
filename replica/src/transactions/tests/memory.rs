//! The memory of all coordinators of a shard is bounded: new transactional ids are refused, and those that are there go on.

use ErrorCode::CoordinatorNotAvailable;
use tautline_core::error::ErrorCode;

use super::host::{Host, V2, partition};
use crate::memory::CoordinatorMemory;

#[test]
fn ids_that_are_there_go_on() {
    let mut host = Host::with_memory(CoordinatorMemory::of(100 << 10));
    let mut held = Vec::new();
    let refused = loop {
        match host.init(&format!("id-{}", held.len()), None) {
            Ok(producer) => held.push(producer),
            Err(refused) => break refused,
        }
    };
    assert_eq!(refused, CoordinatorNotAvailable);
    assert!((60..100).contains(&held.len()), "{}", held.len());
    // They write, and end; what is left is spent by many partitions.
    let [first, second] = [held[0], held[1]];
    host.begin("id-0", first, V2);
    let before = host.memory.used_bytes();
    let many: Vec<_> = (0..10_000).map(|index| partition("t", index)).collect();
    assert_eq!(
        host.add("id-1", second, &many, V2).err(),
        Some(CoordinatorNotAvailable)
    );
    assert_eq!(host.memory.used_bytes(), before, "nothing of it is held");
    host.add("id-1", second, &many[..100], V2).unwrap();
    assert!(host.memory.used_bytes() > before);
    host.restart();
    assert_eq!(host.init("another", None), Err(CoordinatorNotAvailable));
    let used = host.memory.used_bytes();
    let next = host.end("id-1", second, true, V2).unwrap();
    host.write_markers();
    assert!(host.memory.used_bytes() < used, "its partitions are forgotten");
    assert_eq!(next.id, second.id);
    host.add("id-1", next, &many[..100], V2).unwrap();
    // Ids that expire make room.
    host.tick(604_800_001);
    host.tick(1);
    host.init("another", None).unwrap();
}
