//! DescribeConfigs (32), versions 1-4. KIP-133, KIP-226 (sources and synonyms, 1), KIP-569 (types and documentation, 3).

use super::Str;
use super::schema::wire;

wire! {
    /// Asks for the configuration of topics and brokers.
    pub struct DescribeConfigsRequest<'a> for DescribeConfigs {
        /// Whose configuration.
        resources: Vec<DescribeConfigsResource<'a>>, 1..;
        /// Whether to list the values that this one overrides.
        include_synonyms: bool, 1..;
        /// Whether to include documentation.
        include_documentation: bool, 3..;
    }

    /// A topic or a broker.
    pub struct DescribeConfigsResource<'a> {
        /// What it is: see [`resource_type`].
        resource_type: i8, 1..;
        /// Its name, or the broker's id in decimal.
        resource_name: Str<'a>, 1..;
        /// The settings to list; null for all.
        configuration_keys: Option<Vec<Str<'a>>> = Some(Vec::new()), 1.., null 1..;
    }

    /// Configurations.
    pub struct DescribeConfigsResponse<'a> for DescribeConfigs {
        /// How long the client is throttled.
        throttle_time_ms: i32, 1..;
        /// Results by resource.
        results: Vec<DescribeConfigsResult<'a>>, 1..;
    }

    /// The configuration of one resource.
    pub struct DescribeConfigsResult<'a> {
        /// The error code, or 0.
        error_code: i16, 1..;
        /// What the error is about.
        error_message: Option<Str<'a>>, 1.., null 1..;
        /// What it is: see [`resource_type`].
        resource_type: i8, 1..;
        /// Its name.
        resource_name: Str<'a>, 1..;
        /// Its settings.
        configs: Vec<DescribeConfigsResourceResult<'a>>, 1..;
    }

    /// One setting.
    pub struct DescribeConfigsResourceResult<'a> {
        /// Its name.
        name: Str<'a>, 1..;
        /// Its value; null when secret.
        value: Option<Str<'a>> = Some(Str::default()), 1.., null 1..;
        /// Whether it cannot be changed while the broker runs.
        read_only: bool, 1..;
        /// Where the value comes from: see [`config_source`].
        config_source: i8 = -1, 1..;
        /// Whether the value is kept secret.
        is_sensitive: bool, 1..;
        /// The values it overrides, nearest first, itself included.
        synonyms: Vec<DescribeConfigsSynonym<'a>>, 1..;
        /// The type of the value: see [`config_type`].
        config_type: i8, 3..;
        /// What the setting does.
        documentation: Option<Str<'a>> = Some(Str::default()), 3.., null 3..;
    }

    /// A value of the same setting at another level.
    pub struct DescribeConfigsSynonym<'a> {
        /// The setting's name at that level.
        name: Str<'a>, 1..;
        /// The value there.
        value: Option<Str<'a>> = Some(Str::default()), 1.., null 1..;
        /// The level: see [`config_source`].
        source: i8, 1..;
    }
}

/// Kinds of configured things, in the four APIs about configuration.
pub mod resource_type {
    /// A topic.
    pub const TOPIC: i8 = 2;
    /// A broker.
    pub const BROKER: i8 = 4;
    /// The log levels of a broker.
    pub const BROKER_LOGGER: i8 = 8;
    /// A subscription to clients' metrics (KIP-714).
    pub const CLIENT_METRICS: i8 = 16;
    /// A consumer group (KIP-848).
    pub const GROUP: i8 = 32;
}

/// Where a value comes from (KIP-226).
pub mod config_source {
    /// Set on the topic.
    pub const DYNAMIC_TOPIC: i8 = 1;
    /// Set on the broker while it runs.
    pub const DYNAMIC_BROKER: i8 = 2;
    /// Set for all brokers while they run.
    pub const DYNAMIC_DEFAULT_BROKER: i8 = 3;
    /// Set in the broker's file or by a flag.
    pub const STATIC_BROKER: i8 = 4;
    /// Set by nobody.
    pub const DEFAULT: i8 = 5;
    /// Set on a log level.
    pub const DYNAMIC_BROKER_LOGGER: i8 = 6;
}

/// Types of values (KIP-569).
pub mod config_type {
    /// True or false.
    pub const BOOLEAN: i8 = 1;
    /// Text.
    pub const STRING: i8 = 2;
    /// 32 bits.
    pub const INT: i8 = 3;
    /// 16 bits.
    pub const SHORT: i8 = 4;
    /// 64 bits.
    pub const LONG: i8 = 5;
    /// A floating-point number.
    pub const DOUBLE: i8 = 6;
    /// Text with commas.
    pub const LIST: i8 = 7;
    /// The name of a Java class.
    pub const CLASS: i8 = 8;
    /// A secret.
    pub const PASSWORD: i8 = 9;
}
