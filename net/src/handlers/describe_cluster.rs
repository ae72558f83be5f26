//! DescribeCluster (60), versions 0-2: the brokers. KIP-700, KIP-919 (endpoint types), KIP-1073 (fenced brokers).

use tautline_core::error::ErrorCode;

use super::authorized_operations::{CLUSTER_OPERATIONS, OPERATIONS_NOT_ASKED};
use crate::broker::CONTROLLER_SHARD;
use crate::connection::{Call, Reply};
use crate::wire::{DescribeClusterBroker, DescribeClusterRequest, DescribeClusterResponse, WireError};

/// Endpoint type of brokers.
const BROKERS: i8 = 1;
/// Endpoint type of controllers that are not brokers.
const CONTROLLERS: i8 = 2;

/// Describes the cluster, to clients who think they speak with a broker.
pub async fn handle(call: Call) -> Result<Reply, WireError> {
    let request: DescribeClusterRequest = call.decode()?;
    let refuse = |code: ErrorCode, message: String| {
        let error_message = Some(message.into());
        Ok(call.reply(&DescribeClusterResponse {
            error_code: code.code(),
            error_message,
            ..Default::default()
        }))
    };
    match request.endpoint_type {
        BROKERS => {}
        CONTROLLERS => {
            let message = "The request was sent to an endpoint of type BROKER, but we wanted an endpoint of type CONTROLLER";
            return refuse(ErrorCode::MismatchedEndpointType, message.to_owned());
        }
        other => {
            return refuse(
                ErrorCode::UnsupportedEndpointType,
                format!("Unsupported endpoint type {other}"),
            );
        }
    }
    let node = &call.broker.node;
    let brokers = node.advertised.iter().map(|broker| DescribeClusterBroker {
        broker_id: broker.id.0,
        host: broker.address.host.as_str().into(),
        port: broker.address.port.into(),
        rack: None,
        is_fenced: false,
    });
    let asked = request.include_cluster_authorized_operations;
    Ok(call.reply(&DescribeClusterResponse {
        endpoint_type: BROKERS,
        cluster_id: node.cluster_id.as_str().into(),
        controller_id: node.broker_of(CONTROLLER_SHARD).id.0,
        brokers: brokers.collect(),
        cluster_authorized_operations: if asked {
            CLUSTER_OPERATIONS
        } else {
            OPERATIONS_NOT_ASKED
        },
        ..Default::default()
    }))
}
