//! WriteTxnMarkers (27), versions 1-2: a transaction's coordinator, or an administrator, ends it in partitions. KIP-98,
//! KIP-664, KIP-1228 (transaction version, 2).

use super::Str;
use super::schema::wire;

wire! {
    /// Asks to write markers.
    pub struct WriteTxnMarkersRequest<'a> for WriteTxnMarkers {
        /// The markers.
        markers: Vec<WritableTxnMarker<'a>>, 1..;
    }

    /// The end of a transaction.
    pub struct WritableTxnMarker<'a> {
        /// The producer's id.
        producer_id: i64, 1..;
        /// Its epoch.
        producer_epoch: i16, 1..;
        /// Whether the transaction was committed; else it was aborted.
        transaction_result: bool, 1..;
        /// The topics.
        topics: Vec<WritableTxnMarkerTopic<'a>>, 1..;
        /// The epoch of the coordinator's partition.
        coordinator_epoch: i32, 1..;
        /// The transaction's version: from 2 on the epoch must be above the one that wrote (KIP-890).
        transaction_version: i8, 2..;
    }

    /// Partitions of one topic.
    pub struct WritableTxnMarkerTopic<'a> {
        /// Its name.
        name: Str<'a>, 1..;
        /// Indexes of its partitions.
        partition_indexes: Vec<i32>, 1..;
    }

    /// What became of the markers.
    pub struct WriteTxnMarkersResponse<'a> for WriteTxnMarkers {
        /// Results by marker.
        markers: Vec<WritableTxnMarkerResult<'a>>, 1..;
    }

    /// Results of one marker.
    pub struct WritableTxnMarkerResult<'a> {
        /// The producer's id.
        producer_id: i64, 1..;
        /// Results by topic.
        topics: Vec<WritableTxnMarkerTopicResult<'a>>, 1..;
    }

    /// Results of one topic.
    pub struct WritableTxnMarkerTopicResult<'a> {
        /// Its name.
        name: Str<'a>, 1..;
        /// Results by partition.
        partitions: Vec<WritableTxnMarkerPartitionResult>, 1..;
    }

    /// The result of one partition.
    pub struct WritableTxnMarkerPartitionResult {
        /// The partition's index.
        partition_index: i32, 1..;
        /// The error code, or 0.
        error_code: i16, 1..;
    }
}
