//! The records of consumer groups as they are read from the log.

use std::sync::Arc;

use super::group::ConsumerGroup;
use super::record::ConsumerRecord;
use crate::groups::group::Group;
use crate::groups::turn::Groups;
use crate::memory::CoordinatorMemory;

/// Takes a record, if it is of a consumer group.
///
/// # Errors
/// What is wrong with it; it is passed over.
pub(crate) fn replay(
    groups: &mut Groups,
    memory: &CoordinatorMemory,
    key: &[u8],
    value: Option<&[u8]>,
) -> Result<bool, String> {
    let decoded =
        ConsumerRecord::decode(key, value).map_err(|error| format!("record of a consumer group: {error}"))?;
    let Some((id, record)) = decoded else {
        return Ok(false);
    };
    if let ConsumerRecord::Group(None) = record {
        if let Some(Group::Consumer(_)) = groups.get(&id) {
            groups.remove(&id);
        }
        return Ok(true);
    }
    match groups.get_mut(&id) {
        Some(Group::Consumer(group)) => group.apply(record),
        // Nothing is left to delete.
        _ if value.is_none() => {}
        // A group that nobody joined was made by a commit and has no records of its own.
        Some(Group::Classic(classic)) if !classic.is_empty() => {
            return Err(format!("record of a consumer group for the classic group {id}"));
        }
        _ => {
            let mut group = ConsumerGroup::new(memory, Arc::clone(&id));
            group.apply(record);
            groups.insert(id, Group::Consumer(group));
        }
    }
    Ok(true)
}
