//! ListConfigResources (74), versions 0-1: what has configuration of its own. Version 0 lists only subscriptions to clients'
//! metrics (KIP-714), version 1 everything (KIP-1142).

use super::Str;
use super::schema::wire;

wire! {
    /// Asks which resources have a configuration.
    pub struct ListConfigResourcesRequest for ListConfigResources {
        /// The kinds to list; empty for all. See [`resource_type`](super::resource_type).
        resource_types: Vec<i8>, 1..;
    }

    /// The resources.
    pub struct ListConfigResourcesResponse<'a> for ListConfigResources {
        /// How long the client is throttled.
        throttle_time_ms: i32, 0..;
        /// The error code, or 0.
        error_code: i16, 0..;
        /// The resources.
        config_resources: Vec<ConfigResource<'a>>, 0..;
    }

    /// A resource.
    pub struct ConfigResource<'a> {
        /// Its name.
        resource_name: Str<'a>, 0..;
        /// What it is.
        resource_type: i8 = super::resource_type::CLIENT_METRICS, 1..;
    }
}
