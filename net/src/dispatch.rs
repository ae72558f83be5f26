//! From a frame to its handler: one line an API key.

use std::rc::Rc;

use futures_util::FutureExt;
use futures_util::future::{LocalBoxFuture, ready};
use tautline_core::buffer::Slice;
use tautline_core::stage::{Stage, Stamps};
use tautline_core::time::monotonic_ns;

use crate::broker::Broker;
use crate::connection::{Answer, Call, ConnectionState, Held, Reply};
use crate::handlers;
use crate::metrics::ApiGroup;
use crate::wire::{ApiKey, Reader, RequestHeader, WireError};

/// A request that was started. Those of Produce and of Fetch, which are many, are of one type each, so that their memory can be
/// used again.
pub enum Begun<P, F> {
    /// Produce: it was appended, and waits for nothing but others; it does not have to be polled to get on.
    Produce(P),
    /// Fetch: it begins when it is polled.
    Fetch(F),
    /// Any other.
    Other(LocalBoxFuture<'static, Answer>),
}

/// Starts a request. What must happen in the order of arrival (appending) happens before this returns.
pub fn dispatch(
    broker: &Rc<Broker>,
    connection: &Rc<ConnectionState>,
    frame: Slice,
    held: Option<Rc<Held>>,
    stamps: Stamps,
) -> Begun<impl Future<Output = Answer> + use<>, impl Future<Output = Answer> + use<>> {
    let mut reader = Reader::new(&frame);
    let header = match RequestHeader::decode(&mut reader) {
        Ok(header) => header,
        Err(error) => {
            let answer = Answer {
                reply: Reply::Close(format!("bad request header: {error}")),
                stamps,
                correlation_id: 0,
                partition: None,
            };
            return Begun::Other(ready(answer).boxed_local());
        }
    };
    let (api, version) = (header.api, header.version);
    broker.metrics.request(api);
    let body_at = reader.position();
    let call = Call::new(
        broker.clone(),
        connection.clone(),
        &header,
        frame.clone(),
        body_at,
        held,
        stamps,
    );
    if !api.supports(version) {
        let reply = if api == ApiKey::ApiVersions {
            handlers::api_versions::unsupported(&call)
        } else {
            Reply::Close(format!("{api:?} version {version} is not supported"))
        };
        return Begun::Other(ready(call.answer(reply, None)).boxed_local());
    }
    match api {
        ApiKey::Produce => Begun::Produce(handlers::produce::handle(call)),
        ApiKey::Fetch => Begun::Fetch(handlers::fetch::handle(call)),
        _ => Begun::Other(other(call)),
    }
}

/// A body that can't be read closes the connection.
fn unreadable(api: ApiKey, version: i16, error: &WireError) -> Reply {
    Reply::Close(format!("bad {api:?} request, version {version}: {error}"))
}

/// Starts a request of any API but the two that carry records.
fn other(call: Call) -> LocalBoxFuture<'static, Answer> {
    let answer = call.answer(Reply::Nothing, None);
    let (api, version) = (call.api, call.version);
    match api {
        ApiKey::Produce | ApiKey::Fetch => unreachable!("they have ways of their own"),
        ApiKey::ListOffsets => closing(api, version, answer, handlers::list_offsets::handle(call)),
        ApiKey::Metadata => closing(api, version, answer, handlers::metadata::handle(call)),
        ApiKey::ApiVersions => closing(api, version, answer, handlers::api_versions::handle(call)),
        ApiKey::CreateTopics => closing(api, version, answer, handlers::create_topics::handle(call)),
        ApiKey::DeleteTopics => closing(api, version, answer, handlers::delete_topics::handle(call)),
        ApiKey::DeleteRecords => closing(api, version, answer, handlers::delete_records::handle(call)),
        ApiKey::InitProducerId => closing(api, version, answer, handlers::init_producer_id::handle(call)),
        ApiKey::AddPartitionsToTxn => closing(
            api,
            version,
            answer,
            handlers::add_partitions_to_txn::handle(call),
        ),
        ApiKey::AddOffsetsToTxn => closing(api, version, answer, handlers::add_offsets_to_txn::handle(call)),
        ApiKey::EndTxn => closing(api, version, answer, handlers::end_txn::handle(call)),
        ApiKey::WriteTxnMarkers => closing(api, version, answer, handlers::write_txn_markers::handle(call)),
        ApiKey::DescribeTransactions => closing(
            api,
            version,
            answer,
            handlers::describe_transactions::handle(call),
        ),
        ApiKey::ListTransactions => closing(api, version, answer, handlers::list_transactions::handle(call)),
        ApiKey::OffsetForLeaderEpoch => closing(
            api,
            version,
            answer,
            handlers::offset_for_leader_epoch::handle(call),
        ),
        ApiKey::DescribeConfigs => closing(api, version, answer, handlers::describe_configs::handle(call)),
        ApiKey::AlterConfigs => closing(api, version, answer, handlers::alter_configs::handle(call)),
        ApiKey::DescribeLogDirs => closing(api, version, answer, handlers::describe_log_dirs::handle(call)),
        ApiKey::CreatePartitions => closing(api, version, answer, handlers::create_partitions::handle(call)),
        ApiKey::IncrementalAlterConfigs => closing(
            api,
            version,
            answer,
            handlers::incremental_alter_configs::handle(call),
        ),
        ApiKey::DescribeCluster => closing(api, version, answer, handlers::describe_cluster::handle(call)),
        ApiKey::DescribeProducers => {
            closing(api, version, answer, handlers::describe_producers::handle(call))
        }
        ApiKey::ListConfigResources => closing(
            api,
            version,
            answer,
            handlers::list_config_resources::handle(call),
        ),
        ApiKey::DescribeTopicPartitions => closing(
            api,
            version,
            answer,
            handlers::describe_topic_partitions::handle(call),
        ),
        ApiKey::OffsetCommit => closing(api, version, answer, handlers::offset_commit::handle(call)),
        ApiKey::OffsetFetch => closing(api, version, answer, handlers::offset_fetch::handle(call)),
        ApiKey::FindCoordinator => closing(api, version, answer, handlers::find_coordinator::handle(call)),
        ApiKey::JoinGroup => closing(api, version, answer, handlers::join_group::handle(call)),
        ApiKey::Heartbeat => closing(api, version, answer, handlers::heartbeat::handle(call)),
        ApiKey::LeaveGroup => closing(api, version, answer, handlers::leave_group::handle(call)),
        ApiKey::SyncGroup => closing(api, version, answer, handlers::sync_group::handle(call)),
        ApiKey::DescribeGroups => closing(api, version, answer, handlers::describe_groups::handle(call)),
        ApiKey::ListGroups => closing(api, version, answer, handlers::list_groups::handle(call)),
        ApiKey::TxnOffsetCommit => closing(api, version, answer, handlers::txn_offset_commit::handle(call)),
        ApiKey::DeleteGroups => closing(api, version, answer, handlers::delete_groups::handle(call)),
        ApiKey::OffsetDelete => closing(api, version, answer, handlers::offset_delete::handle(call)),
        ApiKey::UpdateFeatures => closing(api, version, answer, handlers::update_features::handle(call)),
        ApiKey::ConsumerGroupHeartbeat => closing(
            api,
            version,
            answer,
            handlers::consumer_group_heartbeat::handle(call),
        ),
        ApiKey::ConsumerGroupDescribe => closing(
            api,
            version,
            answer,
            handlers::consumer_group_describe::handle(call),
        ),
    }
}

fn closing(
    api: ApiKey,
    version: i16,
    mut answer: Answer,
    handler: impl Future<Output = Result<Reply, WireError>> + 'static,
) -> LocalBoxFuture<'static, Answer> {
    async move {
        let reply = handler.await;
        answer.reply = reply.unwrap_or_else(|error| unreadable(api, version, &error));
        // Members of a group wait for each other.
        let stage = match ApiGroup::of(api.key()) {
            ApiGroup::Rebalance => Stage::Wait,
            _ => Stage::Handle,
        };
        answer.stamps.lap(stage, monotonic_ns());
        answer
    }
    .boxed_local()
}
