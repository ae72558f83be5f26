//! FindCoordinator (10), versions 0-6: which broker coordinates a group or a transaction. KIP-98 (key type, 1), KIP-699
//! (many keys, 4), KIP-890 (5: TRANSACTION_ABORTABLE), KIP-932 (6: share coordinators).

use super::Str;
use super::schema::wire;

wire! {
    /// Asks for coordinators.
    pub struct FindCoordinatorRequest<'a> for FindCoordinator {
        /// What is looked for, in versions before 4.
        key: Str<'a>, 0..=3;
        /// What the keys are: see [`coordinator_type`].
        key_type: i8, 1..;
        /// What is looked for.
        coordinator_keys: Vec<Str<'a>>, 4..;
    }

    /// The coordinators. The fields of versions 0 to 3 are those of the only key.
    pub struct FindCoordinatorResponse<'a> for FindCoordinator {
        /// How long the client is throttled.
        throttle_time_ms: i32, 1..;
        /// The error code, or 0.
        error_code: i16, 0..=3;
        /// What the error is about.
        error_message: Option<Str<'a>>, 1..=3, null 1..=3;
        /// The broker's id.
        node_id: i32, 0..=3;
        /// The broker's host.
        host: Str<'a>, 0..=3;
        /// The broker's port.
        port: i32, 0..=3;
        /// Results by key.
        coordinators: Vec<FoundCoordinator<'a>>, 4..;
    }

    /// The result of one key.
    pub struct FoundCoordinator<'a> {
        /// The key.
        key: Str<'a>, 4..;
        /// The broker's id, -1 with an error.
        node_id: i32, 4..;
        /// The broker's host.
        host: Str<'a>, 4..;
        /// The broker's port, -1 with an error.
        port: i32, 4..;
        /// The error code, or 0.
        error_code: i16, 4..;
        /// What the error is about.
        error_message: Option<Str<'a>>, 4.., null 4..;
    }
}

/// Values of [`FindCoordinatorRequest::key_type`].
pub mod coordinator_type {
    /// The key is a group's id.
    pub const GROUP: i8 = 0;
    /// The key is a transactional id (KIP-98, version 1).
    pub const TRANSACTION: i8 = 1;
    /// The key is `group:topic id:partition` of a share group (KIP-932, version 6).
    pub const SHARE: i8 = 2;
}
