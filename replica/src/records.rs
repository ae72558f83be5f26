//! Kafka's primitives as the records of internal topics are made of them: big-endian numbers, strings, bytes and arrays with
//! fixed-width lengths, or *compact* ones (varint of length plus one) and tagged fields where a version is flexible (KIP-482).
//!
//! Promises: whatever the bytes, reading never panics and never allocates more than a small factor of what is left of the
//! input. What is written is read back the same.

use uuid::Uuid;

/// Most elements that are set aside for an array before its elements have been seen.
const PREALLOCATE_MAX: usize = 1024;

/// Longest string, in bytes, whose length fits in two bytes.
pub const STR_BYTES_MAX: usize = i16::MAX as usize;

/// Why a record can't be read.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum RecordError {
    /// A field reaches beyond the end.
    #[error("the record ends within a field")]
    Truncated,
    /// A length below zero, or null where null is not allowed.
    #[error("a length is negative or null where a value must be")]
    Length,
    /// A varint of more than five bytes.
    #[error("a varint is too long")]
    Varint,
    /// A string that is not UTF-8.
    #[error("a string is not UTF-8")]
    Utf8,
    /// Bytes are left after the last field.
    #[error("the record has bytes after its last field")]
    Trailing,
    /// A version that this reader does not know.
    #[error("version {0} is not known")]
    Version(i16),
}

/// Result of reading.
pub type Read<T> = Result<T, RecordError>;

/// Reads fields in order. `flexible` says how strings, bytes, arrays and tagged fields are laid out.
#[derive(Clone, Debug)]
pub struct RecordReader<'a> {
    rest: &'a [u8],
    flexible: bool,
}

impl<'a> RecordReader<'a> {
    /// A reader of a key or value, with fixed-width lengths until [`flexible`](Self::flexible) says otherwise.
    #[must_use]
    pub const fn new(bytes: &'a [u8]) -> Self {
        Self {
            rest: bytes,
            flexible: false,
        }
    }

    /// From here on lengths are compact, and structs end with tagged fields.
    pub const fn flexible(&mut self, flexible: bool) {
        self.flexible = flexible;
    }

    /// What was not read yet.
    #[must_use]
    pub const fn rest(&self) -> &'a [u8] {
        self.rest
    }

    fn take(&mut self, length: usize) -> Read<&'a [u8]> {
        let (taken, rest) = self.rest.split_at_checked(length).ok_or(RecordError::Truncated)?;
        self.rest = rest;
        Ok(taken)
    }

    fn array_of<const N: usize>(&mut self) -> Read<[u8; N]> {
        let (taken, rest) = self.rest.split_first_chunk().ok_or(RecordError::Truncated)?;
        self.rest = rest;
        Ok(*taken)
    }

    /// A byte; true unless it is 0.
    ///
    /// # Errors
    /// The input ends, as for all readers of fields.
    pub fn bool(&mut self) -> Read<bool> {
        Ok(self.i8()? != 0)
    }

    /// One byte, signed.
    ///
    /// # Errors
    /// The input ends.
    pub fn i8(&mut self) -> Read<i8> {
        Ok(i8::from_be_bytes(self.array_of()?))
    }

    /// Two bytes, signed.
    ///
    /// # Errors
    /// The input ends.
    pub fn i16(&mut self) -> Read<i16> {
        Ok(i16::from_be_bytes(self.array_of()?))
    }

    /// Four bytes, signed.
    ///
    /// # Errors
    /// The input ends.
    pub fn i32(&mut self) -> Read<i32> {
        Ok(i32::from_be_bytes(self.array_of()?))
    }

    /// Eight bytes, signed.
    ///
    /// # Errors
    /// The input ends.
    pub fn i64(&mut self) -> Read<i64> {
        Ok(i64::from_be_bytes(self.array_of()?))
    }

    /// Sixteen bytes.
    ///
    /// # Errors
    /// The input ends.
    pub fn uuid(&mut self) -> Read<Uuid> {
        Ok(Uuid::from_bytes(self.array_of()?))
    }

    /// An unsigned varint of at most 32 bits.
    ///
    /// # Errors
    /// The input ends, or the number has more than five bytes.
    pub fn uvarint(&mut self) -> Read<u32> {
        let mut value = 0u32;
        for shift in (0..35).step_by(7) {
            let [byte] = self.array_of()?;
            // What is beyond 32 bits is dropped, as Kafka does.
            value |= u32::from(byte & 0x7f) << shift;
            if byte & 0x80 == 0 {
                return Ok(value);
            }
        }
        Err(RecordError::Varint)
    }

    /// A length or count in the layout of the version, `None` for null.
    fn compact_length(&mut self) -> Read<Option<usize>> {
        Ok((self.uvarint()? as usize).checked_sub(1))
    }

    fn fixed_length(length: i64) -> Read<Option<usize>> {
        match length {
            -1 => Ok(None),
            length => usize::try_from(length).map(Some).map_err(|_| RecordError::Length),
        }
    }

    /// A string that may be null.
    ///
    /// # Errors
    /// The input ends, a negative length, or not UTF-8.
    pub fn nullable_str(&mut self) -> Read<Option<&'a str>> {
        let length = if self.flexible {
            self.compact_length()?
        } else {
            Self::fixed_length(self.i16()?.into())?
        };
        length
            .map(|length| std::str::from_utf8(self.take(length)?).map_err(|_| RecordError::Utf8))
            .transpose()
    }

    /// A string.
    ///
    /// # Errors
    /// As [`nullable_str`](Self::nullable_str), and null.
    pub fn str(&mut self) -> Read<&'a str> {
        self.nullable_str()?.ok_or(RecordError::Length)
    }

    /// A string of its own.
    ///
    /// # Errors
    /// As [`str`](Self::str).
    pub fn string(&mut self) -> Read<String> {
        self.str().map(str::to_owned)
    }

    /// Bytes that may be null.
    ///
    /// # Errors
    /// The input ends, or a negative length.
    pub fn nullable_bytes(&mut self) -> Read<Option<&'a [u8]>> {
        let length = if self.flexible {
            self.compact_length()?
        } else {
            Self::fixed_length(self.i32()?.into())?
        };
        length.map(|length| self.take(length)).transpose()
    }

    /// Bytes.
    ///
    /// # Errors
    /// As [`nullable_bytes`](Self::nullable_bytes), and null.
    pub fn bytes(&mut self) -> Read<&'a [u8]> {
        self.nullable_bytes()?.ok_or(RecordError::Length)
    }

    /// An array that may be null, each element read by `element`, which must consume at least a byte.
    ///
    /// # Errors
    /// The input ends, a negative count, a count that the rest of the input can't hold, or an error of an element.
    pub fn nullable_array<T>(
        &mut self,
        mut element: impl FnMut(&mut Self) -> Read<T>,
    ) -> Read<Option<Vec<T>>> {
        let count = if self.flexible {
            self.compact_length()?
        } else {
            Self::fixed_length(self.i32()?.into())?
        };
        let Some(count) = count else { return Ok(None) };
        if count > self.rest.len() {
            return Err(RecordError::Truncated);
        }
        let mut elements = Vec::with_capacity(count.min(PREALLOCATE_MAX));
        for _ in 0..count {
            elements.push(element(self)?);
        }
        Ok(Some(elements))
    }

    /// An array.
    ///
    /// # Errors
    /// As [`nullable_array`](Self::nullable_array), and null.
    pub fn array<T>(&mut self, element: impl FnMut(&mut Self) -> Read<T>) -> Read<Vec<T>> {
        self.nullable_array(element)?.ok_or(RecordError::Length)
    }

    /// Tagged fields that end a struct of a flexible version: `known` gets each tag with a reader of its bytes, and leaves
    /// alone those it does not know. Nothing is read where the version is not flexible.
    ///
    /// # Errors
    /// The input ends, or an error of `known`.
    pub fn tagged(&mut self, mut known: impl FnMut(u32, &mut Self) -> Read<()>) -> Read<()> {
        if !self.flexible {
            return Ok(());
        }
        for _ in 0..self.uvarint()? {
            let tag = self.uvarint()?;
            let size = self.uvarint()? as usize;
            let mut field = Self {
                rest: self.take(size)?,
                flexible: true,
            };
            known(tag, &mut field)?;
        }
        Ok(())
    }

    /// Tagged fields of which none is known.
    ///
    /// # Errors
    /// The input ends.
    pub fn skip_tagged(&mut self) -> Read<()> {
        self.tagged(|_, _| Ok(()))
    }

    /// Asserts that nothing is left.
    ///
    /// # Errors
    /// Bytes are left.
    pub const fn end(&self) -> Read<()> {
        if self.rest.is_empty() {
            Ok(())
        } else {
            Err(RecordError::Trailing)
        }
    }
}

/// Writes fields in order, in the layout that [`RecordReader`] reads.
#[derive(Clone, Debug, Default)]
pub struct RecordWriter {
    bytes: Vec<u8>,
    flexible: bool,
}

impl RecordWriter {
    /// A writer that begins with the version, as keys and values do, with fixed-width lengths.
    #[must_use]
    pub fn fixed(version: i16) -> Self {
        Self {
            bytes: version.to_be_bytes().to_vec(),
            flexible: false,
        }
    }

    /// A writer that begins with the version, with compact lengths and tagged fields.
    #[must_use]
    pub fn flexible(version: i16) -> Self {
        Self {
            bytes: version.to_be_bytes().to_vec(),
            flexible: true,
        }
    }

    /// What was written.
    #[must_use]
    pub fn finish(self) -> Vec<u8> {
        self.bytes
    }

    /// A byte, 0 or 1.
    pub fn bool(&mut self, value: bool) -> &mut Self {
        self.i8(i8::from(value))
    }

    /// One byte, signed.
    pub fn i8(&mut self, value: i8) -> &mut Self {
        self.raw(&value.to_be_bytes())
    }

    /// Two bytes, signed.
    pub fn i16(&mut self, value: i16) -> &mut Self {
        self.raw(&value.to_be_bytes())
    }

    /// Four bytes, signed.
    pub fn i32(&mut self, value: i32) -> &mut Self {
        self.raw(&value.to_be_bytes())
    }

    /// Eight bytes, signed.
    pub fn i64(&mut self, value: i64) -> &mut Self {
        self.raw(&value.to_be_bytes())
    }

    /// Sixteen bytes.
    pub fn uuid(&mut self, value: Uuid) -> &mut Self {
        self.raw(value.as_bytes())
    }

    fn raw(&mut self, bytes: &[u8]) -> &mut Self {
        self.bytes.extend_from_slice(bytes);
        self
    }

    /// An unsigned varint.
    pub fn uvarint(&mut self, mut value: u32) -> &mut Self {
        while value >= 0x80 {
            self.bytes.push(value as u8 | 0x80);
            value >>= 7;
        }
        self.bytes.push(value as u8);
        self
    }

    fn count(&mut self, count: Option<usize>) -> &mut Self {
        if self.flexible {
            let count = count.map_or(0, |count| count + 1);
            self.uvarint(u32::try_from(count).expect("a record is smaller than 4 GiB"))
        } else {
            let count = count.map_or(-1, |count| {
                i32::try_from(count).expect("a record is smaller than 2 GiB")
            });
            self.i32(count)
        }
    }

    /// A string that may be null, of at most [`STR_BYTES_MAX`] where lengths are of fixed width. Requests bring no longer ones, since
    /// their reader refuses them, and whatever else writes one is wrong: cut, the key of a record would be that of something else.
    pub fn nullable_str(&mut self, value: Option<&str>) -> &mut Self {
        if self.flexible {
            return self.nullable_bytes(value.map(str::as_bytes));
        }
        let Some(value) = value else { return self.i16(-1) };
        debug_assert!(
            value.len() <= STR_BYTES_MAX,
            "a string of {} bytes is longer than its length field can tell",
            value.len()
        );
        // A record that can't be read would be worse.
        let mut length = value.len().min(STR_BYTES_MAX);
        while !value.is_char_boundary(length) {
            length -= 1;
        }
        let value = &value[..length];
        self.i16(value.len() as i16).raw(value.as_bytes())
    }

    /// A string.
    pub fn str(&mut self, value: &str) -> &mut Self {
        self.nullable_str(Some(value))
    }

    /// Bytes that may be null.
    pub fn nullable_bytes(&mut self, value: Option<&[u8]>) -> &mut Self {
        self.count(value.map(<[u8]>::len)).raw(value.unwrap_or_default())
    }

    /// Bytes.
    pub fn bytes(&mut self, value: &[u8]) -> &mut Self {
        self.nullable_bytes(Some(value))
    }

    /// An array, each element written by `element`.
    pub fn array<T>(
        &mut self,
        elements: impl IntoIterator<Item = T, IntoIter: ExactSizeIterator>,
        mut element: impl FnMut(&mut Self, T),
    ) -> &mut Self {
        let elements = elements.into_iter();
        self.count(Some(elements.len()));
        for value in elements {
            element(self, value);
        }
        self
    }

    /// A null array.
    pub fn null_array(&mut self) -> &mut Self {
        self.count(None)
    }

    /// The tagged fields that end a struct: each tag in ascending order with its bytes, as a writer made by
    /// [`field`](Self::field) has them. Writes nothing where the version is not flexible.
    pub fn tagged(&mut self, fields: &[(u32, Vec<u8>)]) -> &mut Self {
        if !self.flexible {
            return self;
        }
        self.uvarint(fields.len() as u32);
        for (tag, bytes) in fields {
            let size = u32::try_from(bytes.len()).expect("a record is smaller than 4 GiB");
            self.uvarint(*tag).uvarint(size).raw(bytes);
        }
        self
    }

    /// A writer for the bytes of a tagged field: compact, without a version.
    #[must_use]
    pub const fn field() -> Self {
        Self {
            bytes: Vec::new(),
            flexible: true,
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn write(mut writer: RecordWriter, text: &str, bytes: Option<&[u8]>, numbers: &[i64]) -> Vec<u8> {
        let mut field = RecordWriter::field();
        field.nullable_str(Some(text));
        writer
            .str(text)
            .nullable_str(None)
            .nullable_bytes(bytes)
            .array(numbers, |writer, number| {
                writer.i64(*number).tagged(&[]);
            })
            .null_array()
            .uuid(Uuid::from_u128(7))
            .bool(true)
            .tagged(&[(3, field.finish())]);
        writer.finish()
    }

    type Fields = (String, Option<Vec<u8>>, Vec<i64>, Option<String>);

    fn read(bytes: &[u8], flexible: bool) -> Read<Fields> {
        let mut reader = RecordReader::new(bytes);
        reader.i16()?;
        reader.flexible(flexible);
        let text = reader.string()?;
        assert!(reader.nullable_str()?.is_none() || !flexible);
        let data = reader.nullable_bytes()?.map(<[u8]>::to_vec);
        let numbers = reader.array(|reader| {
            let number = reader.i64()?;
            reader.skip_tagged()?;
            Ok(number)
        })?;
        let _: Option<Vec<i8>> = reader.nullable_array(RecordReader::i8)?;
        reader.uuid()?;
        reader.bool()?;
        let mut tagged = None;
        reader.tagged(|tag, field| {
            if tag == 3 {
                tagged = field.nullable_str()?.map(str::to_owned);
            }
            Ok(())
        })?;
        reader.end()?;
        Ok((text, data, numbers, tagged))
    }

    proptest! {
        #[test]
        fn what_is_written_is_read(
            text in ".{0,40}",
            bytes in proptest::option::of(proptest::collection::vec(any::<u8>(), 0..300)),
            numbers in proptest::collection::vec(any::<i64>(), 0..20),
        ) {
            for flexible in [false, true] {
                let writer = if flexible { RecordWriter::flexible(4) } else { RecordWriter::fixed(1) };
                let written = write(writer, &text, bytes.as_deref(), &numbers);
                let tagged = flexible.then(|| text.clone());
                prop_assert_eq!(read(&written, flexible), Ok((text.clone(), bytes.clone(), numbers.clone(), tagged)));
                for cut in 0..written.len() {
                    prop_assert!(read(&written[..cut], flexible).is_err());
                }
            }
        }

        #[test]
        fn any_bytes_are_read_or_refused(bytes in proptest::collection::vec(any::<u8>(), 0..200), flexible: bool) {
            let mut reader = RecordReader::new(&bytes);
            reader.flexible(flexible);
            while !reader.rest().is_empty() {
                let _ = reader.clone().nullable_str();
                let _ = reader.clone().nullable_bytes();
                let _ = reader.clone().nullable_array(RecordReader::i8);
                let _ = reader.clone().skip_tagged();
                let _ = reader.clone().uvarint();
                let _ = reader.i8();
            }
        }
    }

    #[test]
    fn the_longest_string_is_written_whole() {
        let text = "e".repeat(STR_BYTES_MAX);
        let mut writer = RecordWriter::fixed(0);
        writer.str(&text);
        let bytes = writer.finish();
        let mut reader = RecordReader::new(&bytes[2..]);
        assert_eq!(reader.str(), Ok(&*text));
        assert_eq!(reader.end(), Ok(()));
        // With a length of its own there is no such bound.
        let longer = text + "e";
        let mut writer = RecordWriter::flexible(0);
        writer.str(&longer);
        let bytes = writer.finish();
        let mut reader = RecordReader::new(&bytes[2..]);
        reader.flexible(true);
        assert_eq!(reader.str(), Ok(&*longer));
    }

    #[test]
    #[cfg(debug_assertions)]
    #[should_panic(expected = "longer than its length field can tell")]
    fn a_longer_string_is_not_cut() {
        RecordWriter::fixed(0).str(&"e".repeat(STR_BYTES_MAX + 1));
    }
}
