//! How each field type travels: integers, strings, bytes, ids, arrays and their nullable forms.

use std::borrow::Cow;
use std::ops::RangeBounds;

use uuid::Uuid;

use super::reader::STRING_BYTES_MAX;
use super::{Layout, Reader, WireError, Writer};

/// A string: borrowed from the frame when decoded, borrowed or owned when encoded.
pub type Str<'a> = Cow<'a, str>;

/// Bytes: borrowed from the frame when decoded, borrowed or owned when encoded.
pub type Blob<'a> = Cow<'a, [u8]>;

/// A type that fields have.
pub trait Wire<'a>: Sized {
    /// Reads a value.
    fn read(reader: &mut Reader<'a>) -> Result<Self, WireError>;

    /// Appends the value. Infallible: what a version cannot carry is left out.
    fn write(&self, writer: &mut Writer);

    /// The fewest bytes any value takes, so that an array's length can be checked before anything is reserved for it.
    fn min_size(layout: Layout) -> usize;

    /// A value that a version can carry, made from test entropy.
    #[cfg(test)]
    fn sample(sampler: &mut super::sample::Sampler) -> Self;
}

/// A type whose fields can be null.
pub trait Nullable<'a>: Wire<'a> + Default {
    /// Reads a value or a null.
    fn read_nullable(reader: &mut Reader<'a>) -> Result<Option<Self>, WireError>;

    /// Appends a value or a null.
    fn write_nullable(value: Option<&Self>, writer: &mut Writer);
}

/// Whether a version is within the range of a field.
pub(super) fn within(versions: impl RangeBounds<i16>, version: i16) -> bool {
    versions.contains(&version)
}

/// Appends an optional value where this version allows no null: an absent one as the empty value.
pub(super) fn write_required<'a, T: Nullable<'a>>(value: &Option<T>, writer: &mut Writer) {
    match value {
        Some(value) => value.write(writer),
        None => T::default().write(writer),
    }
}

impl<'a, T: Nullable<'a>> Wire<'a> for Option<T> {
    fn read(reader: &mut Reader<'a>) -> Result<Self, WireError> {
        T::read_nullable(reader)
    }

    fn write(&self, writer: &mut Writer) {
        T::write_nullable(self.as_ref(), writer);
    }

    fn min_size(_: Layout) -> usize {
        1
    }

    #[cfg(test)]
    fn sample(sampler: &mut super::sample::Sampler) -> Self {
        sampler.flag().then(|| T::sample(sampler))
    }
}

/// Fixed-size numbers, big endian.
macro_rules! number {
    ($($ty:ty),*) => { $(
        impl<'a> Wire<'a> for $ty {
            fn read(reader: &mut Reader<'a>) -> Result<Self, WireError> {
                Ok(<$ty>::from_be_bytes(reader.array()?))
            }

            fn write(&self, writer: &mut Writer) {
                writer.put(&self.to_be_bytes());
            }

            fn min_size(_: Layout) -> usize {
                size_of::<$ty>()
            }

            #[cfg(test)]
            fn sample(sampler: &mut super::sample::Sampler) -> Self {
                <$ty>::from_be_bytes(sampler.array())
            }
        }
    )* };
}

number!(i8, i16, u16, i32, u32, i64);

impl<'a> Wire<'a> for bool {
    fn read(reader: &mut Reader<'a>) -> Result<Self, WireError> {
        Ok(reader.array::<1>()? != [0])
    }

    fn write(&self, writer: &mut Writer) {
        writer.put(&[u8::from(*self)]);
    }

    fn min_size(_: Layout) -> usize {
        1
    }

    #[cfg(test)]
    fn sample(sampler: &mut super::sample::Sampler) -> Self {
        sampler.flag()
    }
}

impl<'a> Wire<'a> for Uuid {
    fn read(reader: &mut Reader<'a>) -> Result<Self, WireError> {
        Ok(Uuid::from_bytes(reader.array()?))
    }

    fn write(&self, writer: &mut Writer) {
        writer.put(self.as_bytes());
    }

    fn min_size(_: Layout) -> usize {
        16
    }

    #[cfg(test)]
    fn sample(sampler: &mut super::sample::Sampler) -> Self {
        Uuid::from_bytes(sampler.array())
    }
}

impl<'a> Wire<'a> for Str<'a> {
    fn read(reader: &mut Reader<'a>) -> Result<Self, WireError> {
        required(Self::read_nullable(reader)?, reader)
    }

    fn write(&self, writer: &mut Writer) {
        let text = cut(self);
        writer.string_len(Some(text.len()));
        writer.put(text.as_bytes());
    }

    fn min_size(layout: Layout) -> usize {
        if layout.flexible { 1 } else { 2 }
    }

    #[cfg(test)]
    fn sample(sampler: &mut super::sample::Sampler) -> Self {
        sampler.text().into()
    }
}

impl<'a> Nullable<'a> for Str<'a> {
    fn read_nullable(reader: &mut Reader<'a>) -> Result<Option<Self>, WireError> {
        let Some(length) = reader.string_len()? else {
            return Ok(None);
        };
        let at = reader.position();
        let text = std::str::from_utf8(reader.take(length)?).map_err(|_| WireError::NotUtf8 { at })?;
        Ok(Some(Cow::Borrowed(text)))
    }

    fn write_nullable(value: Option<&Self>, writer: &mut Writer) {
        match value {
            Some(value) => value.write(writer),
            None => writer.string_len(None),
        }
    }
}

/// A string's length has 16 bits in old versions, and clients read no longer one in the others either: it is cut.
fn cut(text: &str) -> &str {
    let mut end = text.len().min(STRING_BYTES_MAX);
    while !text.is_char_boundary(end) {
        end -= 1;
    }
    &text[..end]
}

impl<'a> Wire<'a> for Blob<'a> {
    fn read(reader: &mut Reader<'a>) -> Result<Self, WireError> {
        required(Self::read_nullable(reader)?, reader)
    }

    fn write(&self, writer: &mut Writer) {
        writer.long_len(Some(self.len()));
        writer.put(self);
    }

    fn min_size(layout: Layout) -> usize {
        if layout.flexible { 1 } else { 4 }
    }

    #[cfg(test)]
    fn sample(sampler: &mut super::sample::Sampler) -> Self {
        sampler.text().into_bytes().into()
    }
}

impl<'a> Nullable<'a> for Blob<'a> {
    fn read_nullable(reader: &mut Reader<'a>) -> Result<Option<Self>, WireError> {
        let Some(length) = reader.long_len()? else {
            return Ok(None);
        };
        Ok(Some(Cow::Borrowed(reader.take(length)?)))
    }

    fn write_nullable(value: Option<&Self>, writer: &mut Writer) {
        match value {
            Some(value) => value.write(writer),
            None => writer.long_len(None),
        }
    }
}

impl<'a, T: Wire<'a>> Wire<'a> for Vec<T> {
    fn read(reader: &mut Reader<'a>) -> Result<Self, WireError> {
        required(Self::read_nullable(reader)?, reader)
    }

    fn write(&self, writer: &mut Writer) {
        writer.long_len(Some(self.len()));
        self.iter().for_each(|element| element.write(writer));
    }

    fn min_size(layout: Layout) -> usize {
        if layout.flexible { 1 } else { 4 }
    }

    #[cfg(test)]
    fn sample(sampler: &mut super::sample::Sampler) -> Self {
        (0..sampler.count()).map(|_| T::sample(sampler)).collect()
    }
}

impl<'a, T: Wire<'a>> Nullable<'a> for Vec<T> {
    fn read_nullable(reader: &mut Reader<'a>) -> Result<Option<Self>, WireError> {
        let Some(count) = reader.array_len(T::min_size(reader.layout()))? else {
            return Ok(None);
        };
        reader.charge::<T>(count)?;
        let mut elements = Vec::with_capacity(count);
        for _ in 0..count {
            elements.push(T::read(reader)?);
        }
        Ok(Some(elements))
    }

    fn write_nullable(value: Option<&Self>, writer: &mut Writer) {
        match value {
            Some(value) => value.write(writer),
            None => writer.long_len(None),
        }
    }
}

/// A value that may not be null.
pub(super) fn required<T>(value: Option<T>, reader: &Reader<'_>) -> Result<T, WireError> {
    value.ok_or(WireError::UnexpectedNull {
        at: reader.position(),
    })
}
