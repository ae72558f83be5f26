//! IncrementalAlterConfigs (44), versions 0-1: changes single settings of a resource. KIP-339.

use super::schema::wire;
use super::{AlterConfigsResourceResponse, Str};

wire! {
    /// Asks to change settings.
    pub struct IncrementalAlterConfigsRequest<'a> for IncrementalAlterConfigs {
        /// Whose settings.
        resources: Vec<IncrementalAlterConfigsResource<'a>>, 0..;
        /// Whether to check only.
        validate_only: bool, 0..;
    }

    /// A topic or a broker and what to change.
    pub struct IncrementalAlterConfigsResource<'a> {
        /// What it is: see [`resource_type`](super::resource_type).
        resource_type: i8, 0..;
        /// Its name, or the broker's id in decimal.
        resource_name: Str<'a>, 0..;
        /// The settings to change.
        configs: Vec<IncrementalAlterableConfig<'a>>, 0..;
    }

    /// One change.
    pub struct IncrementalAlterableConfig<'a> {
        /// The setting's name.
        name: Str<'a>, 0..;
        /// What to do with it: see [`config_operation`].
        config_operation: i8, 0..;
        /// The value to set, append or subtract.
        value: Option<Str<'a>> = Some(Str::default()), 0.., null 0..;
    }

    /// What became of the changes.
    pub struct IncrementalAlterConfigsResponse<'a> for IncrementalAlterConfigs {
        /// How long the client is throttled.
        throttle_time_ms: i32, 0..;
        /// Results by resource.
        responses: Vec<AlterConfigsResourceResponse<'a>>, 0..;
    }
}

/// What to do with a setting.
pub mod config_operation {
    /// Set it to the value.
    pub const SET: i8 = 0;
    /// Return it to its default.
    pub const DELETE: i8 = 1;
    /// Add the value to a list.
    pub const APPEND: i8 = 2;
    /// Take the value from a list.
    pub const SUBTRACT: i8 = 3;
}
