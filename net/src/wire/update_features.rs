//! UpdateFeatures (57), versions 0-2: changes the levels at which features run in the cluster. KIP-584, KIP-778 (upgrade
//! type, checking only, 1), KIP-1022 (one result for all, 2).

use super::Str;
use super::schema::wire;

wire! {
    /// Asks to change levels.
    pub struct UpdateFeaturesRequest<'a> for UpdateFeatures {
        /// How long to wait in milliseconds.
        timeout_ms: i32 = 60_000, 0..;
        /// The changes.
        feature_updates: Vec<FeatureUpdateKey<'a>>, 0..;
        /// Whether to check only.
        validate_only: bool, 1..;
    }

    /// The level of one feature.
    pub struct FeatureUpdateKey<'a> {
        /// The name of the feature.
        feature: Str<'a>, 0..;
        /// The level it is to run at; below 1 for none.
        max_version_level: i16, 0..;
        /// Whether the level may go down.
        allow_downgrade: bool, 0..=0;
        /// Which way the level may go: see [`upgrade_type`].
        upgrade_type: i8 = upgrade_type::UPGRADE, 1..;
    }

    /// What became of the changes.
    pub struct UpdateFeaturesResponse<'a> for UpdateFeatures {
        /// How long the client is throttled.
        throttle_time_ms: i32, 0..;
        /// The error code of the whole request, or 0.
        error_code: i16, 0..;
        /// What the error is about.
        error_message: Option<Str<'a>>, 0.., null 0..;
        /// Results by feature.
        results: Vec<UpdatableFeatureResult<'a>>, 0..=1;
    }

    /// The result of one feature.
    pub struct UpdatableFeatureResult<'a> {
        /// The name of the feature.
        feature: Str<'a>, 0..;
        /// The error code, or 0.
        error_code: i16, 0..;
        /// What the error is about.
        error_message: Option<Str<'a>>, 0.., null 0..;
    }
}

/// Values of [`FeatureUpdateKey::upgrade_type`].
pub mod upgrade_type {
    /// Up only.
    pub const UPGRADE: i8 = 1;
    /// Down, if nothing is lost by it.
    pub const SAFE_DOWNGRADE: i8 = 2;
    /// Down, whatever is lost.
    pub const UNSAFE_DOWNGRADE: i8 = 3;
}
