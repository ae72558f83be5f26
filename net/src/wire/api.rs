//! The table of requests: key, versions, first flexible version, the type of the request. Everything that depends on the
//! set of APIs is generated from it: adding one is a line here and a file beside.

use std::ops::RangeInclusive;

use super::{Message, Reader, RequestHeader, WireError};

/// What the table says of one API.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ApiInfo {
    /// The API.
    pub key: ApiKey,
    /// Kafka's name, without "Request".
    pub name: &'static str,
    /// Lowest version that is decoded.
    pub min: i16,
    /// Highest version that is decoded.
    pub max: i16,
    /// Lowest version that ApiVersions lists; below `min` only for Produce (KAFKA-18659).
    pub advertised_min: i16,
    /// First version with compact lengths and tagged fields (KIP-482); `i16::MAX` where none has them.
    pub flexible: i16,
}

macro_rules! apis {
    ($( $name:ident = $key:literal, $min:literal..=$max:literal, flexible $flexible:expr, $request:ty, $response:ty
        $(, advertised from $advertised:literal)?; )*) => {
        /// A request this broker decodes.
        #[allow(missing_docs)] // Kafka's names say it
        #[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
        #[repr(i16)]
        pub enum ApiKey {
            $( $name = $key, )*
        }

        /// Every API, by key.
        pub const APIS: &[ApiInfo] = &[
            $( ApiInfo {
                key: ApiKey::$name,
                name: stringify!($name),
                min: $min,
                max: $max,
                advertised_min: apis!(@advertised $min $($advertised)?),
                flexible: $flexible,
            }, )*
        ];

        impl ApiKey {
            /// The API of a key on the wire.
            pub fn from_key(key: i16) -> Option<Self> {
                match key {
                    $( $key => Some(ApiKey::$name), )*
                    _ => None,
                }
            }

            /// What the table says of this API.
            pub const fn info(self) -> &'static ApiInfo {
                apis!(@index self, 0usize, $($name)*)
            }
        }

        /// Any request, decoded.
        #[allow(missing_docs)] // Kafka's names say it
        #[derive(Clone, Debug, PartialEq)]
        pub enum Request<'a> {
            $( $name($request), )*
        }

        impl<'a> Request<'a> {
            /// Decodes the body behind a header; what follows it in the frame is left alone (see [`Message::decode`]).
            pub fn decode(header: &RequestHeader<'_>, reader: &mut Reader<'a>) -> Result<Self, WireError> {
                match header.api {
                    $( ApiKey::$name => <$request>::decode(reader, header.version).map(Request::$name), )*
                }
            }
        }

        /// Shows every request and response to a test.
        #[cfg(test)]
        pub(super) fn visit_messages<'a>(visitor: &mut impl super::tests::Visitor<'a>) {
            use super::tests::Kind;
            $(
                visitor.visit::<$request>(Kind::Request);
                visitor.visit::<$response>(Kind::Response);
            )*
        }
    };
    (@advertised $min:literal) => { $min };
    (@advertised $min:literal $advertised:literal) => { $advertised };
    (@index $key:ident, $at:expr, $($name:ident)*) => {{
        #[allow(non_camel_case_types, clippy::upper_case_acronyms)]
        #[derive(Clone, Copy)]
        enum Place { $($name),* }
        &APIS[match $key { $( ApiKey::$name => Place::$name as usize, )* }]
    }};
}

apis! {
    Produce = 0, 3..=13, flexible 9, super::ProduceRequest<'a>, super::ProduceResponse<'a>, advertised from 0;
    Fetch = 1, 4..=18, flexible 12, super::FetchRequest<'a>, super::FetchResponse<'a>;
    ListOffsets = 2, 1..=11, flexible 6, super::ListOffsetsRequest<'a>, super::ListOffsetsResponse<'a>;
    Metadata = 3, 0..=13, flexible 9, super::MetadataRequest<'a>, super::MetadataResponse<'a>;
    OffsetCommit = 8, 2..=10, flexible 8, super::OffsetCommitRequest<'a>, super::OffsetCommitResponse<'a>;
    OffsetFetch = 9, 1..=10, flexible 6, super::OffsetFetchRequest<'a>, super::OffsetFetchResponse<'a>;
    FindCoordinator = 10, 0..=6, flexible 3, super::FindCoordinatorRequest<'a>, super::FindCoordinatorResponse<'a>;
    JoinGroup = 11, 0..=9, flexible 6, super::JoinGroupRequest<'a>, super::JoinGroupResponse<'a>;
    Heartbeat = 12, 0..=4, flexible 4, super::HeartbeatRequest<'a>, super::HeartbeatResponse;
    LeaveGroup = 13, 0..=5, flexible 4, super::LeaveGroupRequest<'a>, super::LeaveGroupResponse<'a>;
    SyncGroup = 14, 0..=5, flexible 4, super::SyncGroupRequest<'a>, super::SyncGroupResponse<'a>;
    DescribeGroups = 15, 0..=6, flexible 5, super::DescribeGroupsRequest<'a>, super::DescribeGroupsResponse<'a>;
    ListGroups = 16, 0..=5, flexible 3, super::ListGroupsRequest<'a>, super::ListGroupsResponse<'a>;
    ApiVersions = 18, 0..=4, flexible 3, super::ApiVersionsRequest<'a>, super::ApiVersionsResponse<'a>;
    CreateTopics = 19, 2..=7, flexible 5, super::CreateTopicsRequest<'a>, super::CreateTopicsResponse<'a>;
    DeleteTopics = 20, 1..=6, flexible 4, super::DeleteTopicsRequest<'a>, super::DeleteTopicsResponse<'a>;
    DeleteRecords = 21, 0..=2, flexible 2, super::DeleteRecordsRequest<'a>, super::DeleteRecordsResponse<'a>;
    InitProducerId = 22, 0..=5, flexible 2, super::InitProducerIdRequest<'a>, super::InitProducerIdResponse;
    OffsetForLeaderEpoch = 23, 2..=4, flexible 4, super::OffsetForLeaderEpochRequest<'a>, super::OffsetForLeaderEpochResponse<'a>;
    AddPartitionsToTxn = 24, 0..=5, flexible 3, super::AddPartitionsToTxnRequest<'a>, super::AddPartitionsToTxnResponse<'a>;
    AddOffsetsToTxn = 25, 0..=4, flexible 3, super::AddOffsetsToTxnRequest<'a>, super::AddOffsetsToTxnResponse;
    EndTxn = 26, 0..=5, flexible 3, super::EndTxnRequest<'a>, super::EndTxnResponse;
    WriteTxnMarkers = 27, 1..=2, flexible 1, super::WriteTxnMarkersRequest<'a>, super::WriteTxnMarkersResponse<'a>;
    TxnOffsetCommit = 28, 0..=5, flexible 3, super::TxnOffsetCommitRequest<'a>, super::TxnOffsetCommitResponse<'a>;
    DescribeConfigs = 32, 1..=4, flexible 4, super::DescribeConfigsRequest<'a>, super::DescribeConfigsResponse<'a>;
    AlterConfigs = 33, 0..=2, flexible 2, super::AlterConfigsRequest<'a>, super::AlterConfigsResponse<'a>;
    DescribeLogDirs = 35, 1..=4, flexible 2, super::DescribeLogDirsRequest<'a>, super::DescribeLogDirsResponse<'a>;
    CreatePartitions = 37, 0..=3, flexible 2, super::CreatePartitionsRequest<'a>, super::CreatePartitionsResponse<'a>;
    DeleteGroups = 42, 0..=2, flexible 2, super::DeleteGroupsRequest<'a>, super::DeleteGroupsResponse<'a>;
    IncrementalAlterConfigs = 44, 0..=1, flexible 1, super::IncrementalAlterConfigsRequest<'a>, super::IncrementalAlterConfigsResponse<'a>;
    OffsetDelete = 47, 0..=0, flexible i16::MAX, super::OffsetDeleteRequest<'a>, super::OffsetDeleteResponse<'a>;
    UpdateFeatures = 57, 0..=2, flexible 0, super::UpdateFeaturesRequest<'a>, super::UpdateFeaturesResponse<'a>;
    DescribeCluster = 60, 0..=2, flexible 0, super::DescribeClusterRequest, super::DescribeClusterResponse<'a>;
    DescribeProducers = 61, 0..=0, flexible 0, super::DescribeProducersRequest<'a>, super::DescribeProducersResponse<'a>;
    DescribeTransactions = 65, 0..=0, flexible 0, super::DescribeTransactionsRequest<'a>, super::DescribeTransactionsResponse<'a>;
    ListTransactions = 66, 0..=2, flexible 0, super::ListTransactionsRequest<'a>, super::ListTransactionsResponse<'a>;
    ConsumerGroupHeartbeat = 68, 0..=1, flexible 0, super::ConsumerGroupHeartbeatRequest<'a>, super::ConsumerGroupHeartbeatResponse<'a>;
    ConsumerGroupDescribe = 69, 0..=1, flexible 0, super::ConsumerGroupDescribeRequest<'a>, super::ConsumerGroupDescribeResponse<'a>;
    ListConfigResources = 74, 0..=1, flexible 0, super::ListConfigResourcesRequest, super::ListConfigResourcesResponse<'a>;
    DescribeTopicPartitions = 75, 0..=0, flexible 0, super::DescribeTopicPartitionsRequest<'a>, super::DescribeTopicPartitionsResponse<'a>;
}

impl ApiKey {
    /// The number on the wire.
    pub const fn key(self) -> i16 {
        self as i16
    }

    /// Kafka's name, without "Request".
    pub const fn name(self) -> &'static str {
        self.info().name
    }

    /// The versions that are decoded.
    pub const fn versions(self) -> RangeInclusive<i16> {
        let info = self.info();
        info.min..=info.max
    }

    /// Whether this version is decoded.
    pub const fn supports(self, version: i16) -> bool {
        let info = self.info();
        info.min <= version && version <= info.max
    }

    /// Whether a version has compact lengths and tagged fields.
    pub const fn is_flexible(self, version: i16) -> bool {
        version >= self.info().flexible
    }

    /// The version of the request header: 2 for flexible versions, also of versions not yet known.
    pub const fn request_header_version(self, version: i16) -> i16 {
        if self.is_flexible(version) { 2 } else { 1 }
    }

    /// The version of the response header: 1 for flexible versions, except that ApiVersions always has 0 so that a client
    /// which does not know the broker's versions yet can read it (KIP-511).
    pub const fn response_header_version(self, version: i16) -> i16 {
        if self.is_flexible(version) && !matches!(self, ApiKey::ApiVersions) {
            1
        } else {
            0
        }
    }
}
