//! Request headers 1 and 2, response headers 0 and 1.

use super::{ApiKey, Layout, Nullable, Reader, Str, Wire, WireError, Writer};

/// What precedes every request.
#[derive(Clone, Debug, PartialEq)]
pub struct RequestHeader<'a> {
    /// The request that follows.
    pub api: ApiKey,
    /// Its version. May be one that is not supported: see [`ApiKey::supports`] before decoding the body.
    pub version: i16,
    /// Comes back in the response.
    pub correlation_id: i32,
    /// The client's name for itself.
    pub client_id: Option<Str<'a>>,
}

impl<'a> RequestHeader<'a> {
    /// Reads a header, and leaves the reader at the body.
    pub fn decode(reader: &mut Reader<'a>) -> Result<Self, WireError> {
        reader.set_layout(Layout {
            version: 1,
            flexible: false,
        });
        let (key, version) = (i16::read(reader)?, i16::read(reader)?);
        let api = ApiKey::from_key(key).ok_or(WireError::UnknownApi { key, version })?;
        let correlation_id = i32::read(reader)?;
        // The client id has a 16-bit length in every version of the header.
        let client_id = Option::read(reader)?;
        if api.request_header_version(version) >= 2 {
            reader.tagged_fields(|_, _| Ok(false))?;
        }
        Ok(Self {
            api,
            version,
            correlation_id,
            client_id,
        })
    }

    /// Appends the header, in the version that belongs to the request's.
    pub fn encode(&self, writer: &mut Writer) {
        writer.set_layout(Layout {
            version: 1,
            flexible: false,
        });
        self.api.key().write(writer);
        self.version.write(writer);
        self.correlation_id.write(writer);
        Str::write_nullable(self.client_id.as_ref(), writer);
        if self.api.request_header_version(self.version) >= 2 {
            writer.uvarint(0);
        }
    }
}

/// What precedes every response.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ResponseHeader {
    /// The request's.
    pub correlation_id: i32,
}

impl ResponseHeader {
    /// Reads a header, and leaves the reader at the body.
    pub fn decode(reader: &mut Reader<'_>, api: ApiKey, version: i16) -> Result<Self, WireError> {
        let correlation_id = i32::read(reader)?;
        if api.response_header_version(version) >= 1 {
            reader.tagged_fields(|_, _| Ok(false))?;
        }
        Ok(Self { correlation_id })
    }

    /// Appends the header, in the version that belongs to the request's.
    pub fn encode(&self, writer: &mut Writer, api: ApiKey, version: i16) {
        self.correlation_id.write(writer);
        if api.response_header_version(version) >= 1 {
            writer.uvarint(0);
        }
    }
}
