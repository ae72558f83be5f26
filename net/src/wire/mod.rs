//! Kafka's wire protocol: requests and responses as Rust structs, one file an API key. Pure functions of bytes, on any core.
//!
//! A request is read from its frame (size prefix excluded) with one [`Reader`]; strings and records borrow from the frame:
//!
//! ```
//! use tautline_net::wire::{CreateTopicsRequest, Message, Reader, RequestHeader, WireError};
//!
//! fn topics(frame: &[u8]) -> Result<usize, WireError> {
//!     let mut reader = Reader::new(frame);
//!     let header = RequestHeader::decode(&mut reader)?;
//!     let request = CreateTopicsRequest::decode(&mut reader, header.version)?;
//!     Ok(request.topics.len())
//! }
//! # assert!(topics(&[0, 19]).is_err());
//! ```
//!
//! or, for any API, `Request::decode(&header, &mut reader)`. A response is encoded as a whole frame into a [`Writer`], which is
//! then sent as [`Writer::segments`]; only Fetch has payloads to interleave:
//!
//! ```
//! use tautline_net::wire::{self, InitProducerIdResponse, Writer};
//!
//! let mut writer = Writer::new();
//! let response = InitProducerIdResponse { producer_id: 7, ..Default::default() };
//! wire::encode_response(&response, 4, 99, &mut writer);
//! assert_eq!(writer.bytes()[..4], (writer.bytes().len() as u32 - 4).to_be_bytes());
//! ```
//!
//! Promises: a decoder never panics, never allocates more than [`decoded_bytes_limit`] of its frame, and
//! recurses only as deep as the schema. Produce and Fetch requests decode without allocating ([`List`]), their responses encode
//! into a reused buffer ([`ProduceResponseEncoder`], [`FetchResponseEncoder`]).
//!
//! To add an API: declare its structs with `wire!` (schema.rs) in a file of its own, and add a line to the table in [`api`].

pub mod api;
mod error;
mod header;
mod list;
mod reader;
mod records;
#[cfg(test)]
mod sample;
pub(crate) mod schema;
#[cfg(test)]
mod tests;
mod topics;
mod types;
mod writer;

mod add_offsets_to_txn;
mod add_partitions_to_txn;
mod alter_configs;
mod api_versions;
mod consumer_group_describe;
mod consumer_group_heartbeat;
mod create_partitions;
mod create_topics;
mod delete_groups;
mod delete_records;
mod delete_topics;
mod describe_cluster;
mod describe_configs;
mod describe_groups;
mod describe_log_dirs;
mod describe_producers;
mod describe_topic_partitions;
mod describe_transactions;
mod end_txn;
mod fetch;
mod find_coordinator;
mod heartbeat;
mod incremental_alter_configs;
mod init_producer_id;
mod join_group;
mod leave_group;
mod list_config_resources;
mod list_groups;
mod list_offsets;
mod list_transactions;
mod metadata;
mod offset_commit;
mod offset_delete;
mod offset_fetch;
mod offset_for_leader_epoch;
mod produce;
mod sync_group;
mod txn_offset_commit;
mod update_features;
mod write_txn_markers;

pub use api::{APIS, ApiInfo, ApiKey, Request};
pub use error::WireError;
pub use header::{RequestHeader, ResponseHeader};
pub use list::List;
pub use reader::{Layout, Reader, decoded_bytes_limit};
pub use records::Records;
pub use types::{Blob, Nullable, Str, Wire};
pub use writer::{Segment, Splice, Writer};

pub use add_offsets_to_txn::*;
pub use add_partitions_to_txn::*;
pub use alter_configs::*;
pub use api_versions::*;
pub use consumer_group_describe::*;
pub use consumer_group_heartbeat::*;
pub use create_partitions::*;
pub use create_topics::*;
pub use delete_groups::*;
pub use delete_records::*;
pub use delete_topics::*;
pub use describe_cluster::*;
pub use describe_configs::*;
pub use describe_groups::*;
pub use describe_log_dirs::*;
pub use describe_producers::*;
pub use describe_topic_partitions::*;
pub use describe_transactions::*;
pub use end_txn::*;
pub use fetch::*;
pub use find_coordinator::*;
pub use heartbeat::*;
pub use incremental_alter_configs::*;
pub use init_producer_id::*;
pub use join_group::*;
pub use leave_group::*;
pub use list_config_resources::*;
pub use list_groups::*;
pub use list_offsets::*;
pub use list_transactions::*;
pub use metadata::*;
pub use offset_commit::*;
pub use offset_delete::*;
pub use offset_fetch::*;
pub use offset_for_leader_epoch::*;
pub use produce::*;
pub use sync_group::*;
pub use txn_offset_commit::*;
pub use update_features::*;
pub use write_txn_markers::*;

/// A request or a response as a whole.
pub trait Message<'a>: Wire<'a> {
    /// The API it belongs to, which says what versions there are.
    const API: ApiKey;

    /// Reads the message. What follows it in the frame is left alone, as in Kafka: librdkafka (2.12, 2.16) puts three bytes
    /// too many behind a Metadata request for all topics.
    fn decode(reader: &mut Reader<'a>, version: i16) -> Result<Self, WireError> {
        if !Self::API.supports(version) {
            return Err(WireError::UnsupportedVersion {
                api: Self::API,
                version,
            });
        }
        reader.set_layout(Layout {
            version,
            flexible: Self::API.is_flexible(version),
        });
        Self::read(reader)
    }

    /// Appends the message. A field that the version does not have is left out.
    fn encode(&self, writer: &mut Writer, version: i16) {
        writer.set_layout(Layout {
            version,
            flexible: Self::API.is_flexible(version),
        });
        self.write(writer);
    }
}

/// Appends a response as a frame: size prefix, header, body.
pub fn encode_response<'a, M: Message<'a>>(
    response: &M,
    version: i16,
    correlation_id: i32,
    writer: &mut Writer,
) {
    begin_response(M::API, version, correlation_id, writer);
    response.write(writer);
    writer.end_frame();
}

/// Starts a response's frame: size prefix and header. The writer is left at the body, in its layout.
fn begin_response(api: ApiKey, version: i16, correlation_id: i32, writer: &mut Writer) {
    writer.begin_frame();
    ResponseHeader { correlation_id }.encode(writer, api, version);
    writer.set_layout(Layout {
        version,
        flexible: api.is_flexible(version),
    });
}

/// Appends a request as a frame: size prefix, header, body. For tests and for our own clients.
pub fn encode_request<'a, M: Message<'a>>(
    request: &M,
    version: i16,
    correlation_id: i32,
    client_id: &str,
    writer: &mut Writer,
) {
    writer.begin_frame();
    RequestHeader {
        api: M::API,
        version,
        correlation_id,
        client_id: Some(client_id.into()),
    }
    .encode(writer);
    request.encode(writer, version);
    writer.end_frame();
}
