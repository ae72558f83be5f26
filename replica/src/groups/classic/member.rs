//! A member of a classic group.

use std::sync::Arc;

use bytes::Bytes;

use crate::coordinator::Token;
use crate::groups::limits::MEMBER_OVERHEAD_BYTES;
use crate::groups::record::MemberMetadata;

/// One member, under its id in the group.
#[derive(Debug)]
pub(crate) struct Member {
    /// Set for a static member.
    pub instance_id: Option<Arc<str>>,
    /// The client's name of itself.
    pub client_id: Arc<str>,
    /// Where the client is.
    pub client_host: Arc<str>,
    /// How long it has to join a rebalance.
    pub rebalance_timeout_ms: i32,
    /// How long it may be silent.
    pub session_timeout_ms: i32,
    /// Names of protocols with its metadata for each, best first.
    pub protocols: Vec<(Arc<str>, Bytes)>,
    /// What it was assigned in the current generation.
    pub assignment: Bytes,
    /// Who waits for the answer to its JoinGroup.
    pub join: Option<Token>,
    /// Who waits for the answer to its SyncGroup.
    pub sync: Option<Token>,
    /// Whether it waits in its first JoinGroup.
    pub is_new: bool,
    /// Whether it has still to send SyncGroup in this generation.
    pub is_unsynced: bool,
}

impl Member {
    /// Its metadata for a protocol.
    pub fn metadata(&self, protocol: &str) -> Bytes {
        let mut protocols = self.protocols.iter();
        protocols
            .find(|(name, _)| **name == *protocol)
            .map_or_else(Bytes::new, |(_, metadata)| metadata.clone())
    }

    /// Whether its protocols are the same still.
    pub fn has_protocols(&self, protocols: &[(String, Bytes)]) -> bool {
        self.protocols.len() == protocols.len()
            && self
                .protocols
                .iter()
                .zip(protocols)
                .all(|((name, metadata), (other_name, other))| **name == **other_name && metadata == other)
    }

    /// Whether it may be silent: it waits for us.
    pub const fn is_excused(&self) -> bool {
        !self.is_new && (self.join.is_some() || self.sync.is_some())
    }

    /// Its bytes in memory and in a record, or somewhat more.
    pub fn bytes(&self, member_id: &str) -> usize {
        MEMBER_OVERHEAD_BYTES
            + member_id.len()
            + self.instance_id.as_ref().map_or(0, |id| id.len())
            + self.client_id.len()
            + self.client_host.len()
            + self.protocol_bytes()
            + self.assignment.len()
    }

    /// The bytes of its protocols.
    pub fn protocol_bytes(&self) -> usize {
        let protocols = self.protocols.iter();
        protocols
            .map(|(name, metadata)| name.len() + metadata.len())
            .sum()
    }

    /// As it is kept, for the chosen protocol.
    pub fn record(&self, member_id: &str, protocol: &str) -> MemberMetadata {
        MemberMetadata {
            member_id: member_id.to_owned(),
            group_instance_id: self.instance_id.as_deref().map(str::to_owned),
            client_id: self.client_id.to_string(),
            client_host: self.client_host.to_string(),
            rebalance_timeout_ms: self.rebalance_timeout_ms,
            session_timeout_ms: self.session_timeout_ms,
            subscription: self.metadata(protocol),
            assignment: self.assignment.clone(),
        }
    }
}
