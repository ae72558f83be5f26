//! A classic group in the log, and back.

use std::sync::Arc;

use super::{ClassicGroup, Member, State};
use crate::coordinator::CoordinatorRecord;
use crate::groups::record::{GroupMetadata, MemberMetadata};
use crate::memory::CoordinatorMemory;

impl ClassicGroup {
    /// The record that keeps the group as it is. Its members are kept where it is Stable.
    pub(super) fn record(&self) -> CoordinatorRecord {
        let protocol = self.protocol.as_deref().unwrap_or_default();
        let members = self.members.iter();
        let metadata = GroupMetadata {
            protocol_type: self.protocol_type.as_deref().unwrap_or_default().to_owned(),
            generation: self.generation,
            protocol: self.protocol.as_deref().map(str::to_owned),
            leader: self.leader.as_deref().map(str::to_owned),
            since_ms: self.since_ms,
            members: members
                .map(|(member_id, member)| member.record(member_id, protocol))
                .collect(),
        };
        metadata.record(&self.id)
    }

    /// The group of a record.
    pub(crate) fn from_record(memory: &CoordinatorMemory, id: Arc<str>, metadata: GroupMetadata) -> Self {
        let protocol: Option<Arc<str>> = metadata.protocol.map(Arc::from);
        let state = if metadata.members.is_empty() {
            State::Empty
        } else {
            State::Stable
        };
        let mut group = Self {
            state,
            since_ms: metadata.since_ms,
            generation: metadata.generation,
            protocol_type: Some(metadata.protocol_type)
                .filter(|name| !name.is_empty())
                .map(Arc::from),
            protocol: protocol.clone(),
            leader: metadata.leader.map(Arc::from),
            ..Self::simple(memory, id, 0)
        };
        let protocol = protocol.unwrap_or_default();
        let has_leader = group.leader.is_some();
        for member in metadata.members {
            let member_id: Arc<str> = member.member_id.as_str().into();
            if !group.members.contains_key(&member_id) {
                group.add(&member_id, Member::from_record(member, Arc::clone(&protocol)));
            }
        }
        if !has_leader {
            // The first that was added leads now. But the group came from a consumer group, and a rebalance is due: see `start`.
            group.leader = None;
        } else if group
            .leader
            .as_ref()
            .is_some_and(|leader| !group.members.contains_key(leader))
        {
            group.leader = group.members.keys().next().cloned();
        }
        group.note_subscribed();
        group
    }
}

impl Member {
    fn from_record(member: MemberMetadata, protocol: Arc<str>) -> Self {
        Self {
            instance_id: member.group_instance_id.map(Arc::from),
            client_id: member.client_id.into(),
            client_host: member.client_host.into(),
            rebalance_timeout_ms: member.rebalance_timeout_ms,
            session_timeout_ms: member.session_timeout_ms,
            // It tells the others when it joins again.
            protocols: vec![(protocol, member.subscription)],
            assignment: member.assignment,
            join: None,
            sync: None,
            is_new: false,
            is_unsynced: false,
        }
    }
}
