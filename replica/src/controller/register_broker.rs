//! A broker's start.

use tautline_core::error::ErrorCode;
use tautline_core::ids::{LeaderEpoch, NodeId};

use super::{Controller, Refusal};
use crate::metadata::MetadataRecord;

impl Controller {
    /// Decides on the number of this start of `node`: the leader epoch of what it leads until it starts again. It may be used
    /// once its record is committed. With it go levels for the features that this version of the broker brings.
    ///
    /// # Errors
    /// UNKNOWN_SERVER_ERROR after 2^31 starts.
    pub fn register_broker(&self, node: NodeId) -> Result<(LeaderEpoch, Vec<MetadataRecord>), Refusal> {
        let before = self.image().broker(node).map_or(-1, |broker| broker.incarnation);
        let Some(incarnation) = before.checked_add(1) else {
            let message = format!("Broker {node} has started {before} times, no leader epoch is left.");
            return Err(Refusal::new(ErrorCode::UnknownServerError, message));
        };
        let registered = MetadataRecord::RegisterBroker { node, incarnation };
        let records = std::iter::once(registered).chain(self.missing_features());
        Ok((LeaderEpoch(incarnation), records.collect()))
    }
}
