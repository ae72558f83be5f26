//! ApiVersions (18), versions 0-4: what this broker speaks. KIP-35, KIP-511, KIP-584.

use tautline_core::buffer::Slice;
use tautline_core::error::ErrorCode;

use tautline_replica::controller::FEATURES;
use tautline_replica::metadata::MetadataImage;

use crate::connection::{Call, Reply};
use crate::wire::{
    self, ApiVersion, ApiVersionsRequest, ApiVersionsResponse, FinalizedFeatureKey, SupportedFeatureKey,
    WireError, Writer,
};

/// First version whose clients can read of features that can be switched off.
const SUPPORTED_FROM_0_VERSION: i16 = 4;

/// Lists the APIs. A client name or version that is not of the allowed form is INVALID_REQUEST (KIP-511).
pub async fn handle(call: Call) -> Result<Reply, WireError> {
    let request: ApiVersionsRequest<'_> = call.decode()?;
    let legal = call.version < 3
        || (is_legal(&request.client_software_name) && is_legal(&request.client_software_version));
    let error = if legal {
        ErrorCode::None
    } else {
        ErrorCode::InvalidRequest
    };
    let image = call.broker.image();
    Ok(call.reply(&with_features(response(error), &image, call.version)))
}

/// Adds what features there are, and at which levels they run.
fn with_features(
    response: ApiVersionsResponse<'static>,
    image: &MetadataImage,
    version: i16,
) -> ApiVersionsResponse<'static> {
    // Clients of version 3 can't read a lowest level of 0 (KIP-1022), and 0 is the lowest of all.
    let supported = FEATURES.iter().filter(|_| version >= SUPPORTED_FROM_0_VERSION);
    let supported = supported.map(|feature| SupportedFeatureKey {
        name: feature.name.into(),
        min_version: 0,
        max_version: feature.level_max,
    });
    let finalized = image.features().map(|(name, level)| FinalizedFeatureKey {
        name: name.to_owned().into(),
        max_version_level: level,
        min_version_level: level,
    });
    ApiVersionsResponse {
        supported_features: supported.collect(),
        finalized_features_epoch: image.features_epoch(),
        finalized_features: finalized.collect(),
        ..response
    }
}

/// The answer to a version that is not supported: version 0, with the whole list (KIP-511).
pub fn unsupported(call: &Call) -> Reply {
    let mut writer = Writer::new();
    wire::encode_response(
        &response(ErrorCode::UnsupportedVersion),
        0,
        call.correlation_id(),
        &mut writer,
    );
    call.count_errors(&writer);
    Reply::SendOne(Slice::from_vec(writer.into_parts().0))
}

fn response(error: ErrorCode) -> ApiVersionsResponse<'static> {
    ApiVersionsResponse {
        error_code: error.code(),
        api_keys: ApiVersion::all(),
        ..Default::default()
    }
}

fn is_legal(text: &str) -> bool {
    let bytes = text.as_bytes();
    let inner = |b: u8| b.is_ascii_alphanumeric() || b == b'-' || b == b'.';
    match bytes {
        [] => false,
        [first, .., last] => {
            first.is_ascii_alphanumeric() && last.is_ascii_alphanumeric() && bytes.iter().copied().all(inner)
        }
        [only] => only.is_ascii_alphanumeric(),
    }
}
