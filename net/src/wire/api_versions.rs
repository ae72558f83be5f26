//! ApiVersions (18), versions 0-4: what the broker speaks. KIP-35, KIP-511 (client name, fallback), KIP-584 (features).
//!
//! A request in a version above the highest is answered with a version 0 response that carries UNSUPPORTED_VERSION and the
//! whole list (KIP-511); its body is not decoded.

use super::schema::wire;
use super::{APIS, Str};

wire! {
    /// Asks which APIs and versions the broker has.
    pub struct ApiVersionsRequest<'a> for ApiVersions {
        /// The name of the client's software.
        client_software_name: Str<'a>, 3..;
        /// Its version.
        client_software_version: Str<'a>, 3..;
    }

    /// The APIs of this broker.
    pub struct ApiVersionsResponse<'a> for ApiVersions {
        /// The error code, or 0.
        error_code: i16, 0..;
        /// The APIs supported by the broker.
        api_keys: Vec<ApiVersion>, 0..;
        /// How long the client is throttled.
        throttle_time_ms: i32, 1..;
    } tagged {
        /// Features supported by the broker. In version 3, those with a minimum of 0 are left out.
        supported_features: Vec<SupportedFeatureKey<'a>>, tag 0, 3..;
        /// Epoch of the finalized features, -1 when unknown.
        finalized_features_epoch: i64 = -1, tag 1, 3..;
        /// Features in effect in the cluster; valid when the epoch is not -1.
        finalized_features: Vec<FinalizedFeatureKey<'a>>, tag 2, 3..;
        /// Of no use without ZooKeeper.
        zk_migration_ready: bool, tag 3, 3..;
    }

    /// One API.
    pub struct ApiVersion {
        /// Its key.
        api_key: i16, 0..;
        /// Its lowest version.
        min_version: i16, 0..;
        /// Its highest version.
        max_version: i16, 0..;
    }

    /// A feature and the levels the broker can run it at.
    pub struct SupportedFeatureKey<'a> {
        /// The name of the feature.
        name: Str<'a>, 3..;
        /// The lowest level.
        min_version: i16, 3..;
        /// The highest level.
        max_version: i16, 3..;
    }

    /// A feature and the level it runs at in the cluster.
    pub struct FinalizedFeatureKey<'a> {
        /// The name of the feature.
        name: Str<'a>, 3..;
        /// The highest level in effect.
        max_version_level: i16, 3..;
        /// The lowest level in effect.
        min_version_level: i16, 3..;
    }
}

impl ApiVersion {
    /// What this broker advertises: the API table.
    pub fn all() -> Vec<Self> {
        let advertise = |info: &super::ApiInfo| ApiVersion {
            api_key: info.key.key(),
            min_version: info.advertised_min,
            max_version: info.max,
        };
        APIS.iter().map(advertise).collect()
    }
}
