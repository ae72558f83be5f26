//! DescribeCluster (60), versions 0-2. KIP-700, KIP-919 (endpoint types, 1), KIP-1073 (fenced brokers, 2).

use super::Str;
use super::schema::wire;

wire! {
    /// Asks for the brokers of the cluster.
    pub struct DescribeClusterRequest for DescribeCluster {
        /// Whether to include the operations allowed on the cluster.
        include_cluster_authorized_operations: bool, 0..;
        /// 1: brokers. 2: controllers.
        endpoint_type: i8 = 1, 1..;
        /// Whether to include fenced brokers.
        include_fenced_brokers: bool, 2..;
    }

    /// The brokers.
    pub struct DescribeClusterResponse<'a> for DescribeCluster {
        /// How long the client is throttled.
        throttle_time_ms: i32, 0..;
        /// The error code, or 0.
        error_code: i16, 0..;
        /// What the error is about.
        error_message: Option<Str<'a>>, 0.., null 0..;
        /// The type that was asked for.
        endpoint_type: i8 = 1, 1..;
        /// The cluster's id.
        cluster_id: Str<'a>, 0..;
        /// The broker to send administrative requests to, or -1.
        controller_id: i32 = -1, 0..;
        /// Every broker.
        brokers: Vec<DescribeClusterBroker<'a>>, 0..;
        /// Bits of the operations allowed on the cluster; `i32::MIN` when not asked for.
        cluster_authorized_operations: i32 = i32::MIN, 0..;
    }

    /// A broker and its address.
    pub struct DescribeClusterBroker<'a> {
        /// The broker's id.
        broker_id: i32, 0..;
        /// Host name.
        host: Str<'a>, 0..;
        /// Port.
        port: i32, 0..;
        /// Rack, if it is in one.
        rack: Option<Str<'a>>, 0.., null 0..;
        /// Whether it is fenced.
        is_fenced: bool, 2..;
    }
}
