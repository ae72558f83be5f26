//! AlterConfigs (33), versions 0-2: replaces the whole configuration of a resource. KIP-133.

use super::Str;
use super::schema::wire;

wire! {
    /// Asks to replace configurations.
    pub struct AlterConfigsRequest<'a> for AlterConfigs {
        /// Whose configuration.
        resources: Vec<AlterConfigsResource<'a>>, 0..;
        /// Whether to check only.
        validate_only: bool, 0..;
    }

    /// A topic or a broker and its new configuration.
    pub struct AlterConfigsResource<'a> {
        /// What it is: see [`resource_type`](super::resource_type).
        resource_type: i8, 0..;
        /// Its name, or the broker's id in decimal.
        resource_name: Str<'a>, 0..;
        /// Its settings from now on; others return to their defaults.
        configs: Vec<AlterableConfig<'a>>, 0..;
    }

    /// One setting.
    pub struct AlterableConfig<'a> {
        /// Its name.
        name: Str<'a>, 0..;
        /// Its value.
        value: Option<Str<'a>> = Some(Str::default()), 0.., null 0..;
    }

    /// What became of the configurations.
    pub struct AlterConfigsResponse<'a> for AlterConfigs {
        /// How long the client is throttled.
        throttle_time_ms: i32, 0..;
        /// Results by resource.
        responses: Vec<AlterConfigsResourceResponse<'a>>, 0..;
    }

    /// The result of one resource.
    pub struct AlterConfigsResourceResponse<'a> {
        /// The error code, or 0.
        error_code: i16, 0..;
        /// What the error is about.
        error_message: Option<Str<'a>>, 0.., null 0..;
        /// What it is.
        resource_type: i8, 0..;
        /// Its name.
        resource_name: Str<'a>, 0..;
    }
}
