//! Kafka's error codes as the harness meets them, and how they read in a message.

use anyhow::bail;
use tautline_core::error::ErrorCode;

/// Kafka's name of an error code.
pub fn name(code: i16) -> String {
    ErrorCode::from_code(code).map_or_else(|| format!("error {code}"), |error| error.name().to_string())
}

/// Fails unless `code` is 0, with Kafka's own words.
pub fn check(code: i16, what: &str) -> anyhow::Result<()> {
    match ErrorCode::from_code(code) {
        Some(ErrorCode::None) => Ok(()),
        Some(error) => bail!("{what}: the broker answers {error}"),
        None => bail!("{what}: the broker answers with error code {code}"),
    }
}

/// Whether `code` is `error`.
pub fn is(code: i16, error: ErrorCode) -> bool {
    code == error.code()
}
