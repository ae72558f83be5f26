//! A classic group as DescribeGroups tells it.

use std::sync::Arc;

use bytes::Bytes;

use tautline_core::error::ErrorCode;

use super::{ClassicGroup, State};
use crate::groups::response::{DescribedGroup, DescribedMember};

impl ClassicGroup {
    /// Its protocol type, empty where it has none.
    pub(crate) fn protocol_type(&self) -> Arc<str> {
        self.protocol_type.clone().unwrap_or_default()
    }

    /// The group as it is. Metadata is that of the chosen protocol, which there is while the group is Stable.
    pub(crate) fn describe(&self) -> DescribedGroup {
        let protocol = self.protocol.clone().filter(|_| self.state == State::Stable);
        let metadata = |member: &super::Member| {
            protocol
                .as_deref()
                .map_or_else(Bytes::new, |protocol| member.metadata(protocol))
        };
        DescribedGroup {
            error: ErrorCode::None,
            error_message: None,
            group_id: self.id.to_string(),
            state: self.state.name(),
            protocol_type: self.protocol_type(),
            members: self
                .members
                .iter()
                .map(|(member_id, member)| DescribedMember {
                    member_id: Arc::clone(member_id),
                    group_instance_id: member.instance_id.clone(),
                    client_id: Arc::clone(&member.client_id),
                    client_host: Arc::clone(&member.client_host),
                    metadata: metadata(member),
                    assignment: member.assignment.clone(),
                })
                .collect(),
            protocol: protocol.unwrap_or_default(),
        }
    }
}
