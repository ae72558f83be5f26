//! The range assignor: each topic's partitions are cut into as many ranges as it has subscribers, in a fixed order of the
//! members. Static members come first, in the order of their instance ids, so that a restart moves nothing; then the others by
//! id. Topics with the same subscribers and equally many partitions are cut alike, so that they can be joined.

use tautline_core::ids::PartitionIndex;

use super::classes;
use super::{AssignedGroup, PartitionSet};

/// What each member is to own, in the order of the members.
pub(super) fn assign(group: &AssignedGroup<'_>) -> Vec<PartitionSet> {
    let mut assigned = vec![PartitionSet::EMPTY; group.members.len()];
    for mut class in classes::of(group) {
        class.members.sort_by_key(|index| {
            let member = &group.members[*index];
            (member.instance_id.is_none(), member.instance_id, member.id)
        });
        for (topic, partition_count) in class.topics {
            let subscribers = class.members.len() as u32;
            let (share, longer) = (partition_count / subscribers, partition_count % subscribers);
            let mut next = 0;
            // Where there are fewer partitions than subscribers, the rest of them get none.
            for (position, member) in (0..partition_count.min(subscribers)).zip(&class.members) {
                let end = next + share + u32::from(position < longer);
                assigned[*member].extend_topic(topic, (next..end).map(|index| PartitionIndex(index as i32)));
                next = end;
            }
        }
    }
    assigned
}
