//! An array that stays in the frame. The hot requests (Produce, Fetch) use it in place of `Vec`, so that decoding them
//! allocates nothing: it is checked once when the message is decoded, and its elements are read again when iterated.

use std::fmt;

use super::types::required;
use super::{Layout, Nullable, Reader, Wire, WireError, Writer};

/// An array of elements, left in the frame it came in or, for those who encode, made from a `Vec`.
pub struct List<'a, T> {
    count: usize,
    elements: Elements<'a, T>,
}

enum Elements<'a, T> {
    /// At the first element, in a frame in which all of them were found well-formed.
    Frame(Reader<'a>),
    Owned(Vec<T>),
}

impl<'a, T: Wire<'a> + Clone> List<'a, T> {
    /// The number of elements.
    pub fn len(&self) -> usize {
        self.count
    }

    /// Whether there are none.
    pub fn is_empty(&self) -> bool {
        self.count == 0
    }

    /// The elements in order, each decoded when it is asked for.
    pub fn iter(&self) -> impl Iterator<Item = T> + '_ {
        let mut reader = match &self.elements {
            Elements::Frame(reader) => Some(reader.clone()),
            Elements::Owned(..) => None,
        };
        (0..self.count).map_while(move |index| match (&self.elements, &mut reader) {
            (Elements::Owned(elements), _) => elements.get(index).cloned(),
            (Elements::Frame(_), Some(reader)) => T::read(reader).ok(),
            (Elements::Frame(_), None) => None,
        })
    }
}

impl<'a, T: Wire<'a>> Wire<'a> for List<'a, T> {
    fn read(reader: &mut Reader<'a>) -> Result<Self, WireError> {
        required(Self::read_nullable(reader)?, reader)
    }

    fn write(&self, writer: &mut Writer) {
        writer.long_len(Some(self.count));
        match &self.elements {
            Elements::Owned(elements) => elements.iter().for_each(|element| element.write(writer)),
            Elements::Frame(reader) => {
                let mut reader = reader.clone();
                (0..self.count)
                    .map_while(|_| T::read(&mut reader).ok())
                    .for_each(|element| element.write(writer));
            }
        }
    }

    fn min_size(layout: Layout) -> usize {
        Vec::<T>::min_size(layout)
    }

    #[cfg(test)]
    fn sample(sampler: &mut super::sample::Sampler) -> Self {
        Vec::sample(sampler).into()
    }
}

impl<'a, T: Wire<'a>> Nullable<'a> for List<'a, T> {
    fn read_nullable(reader: &mut Reader<'a>) -> Result<Option<Self>, WireError> {
        let Some(count) = reader.array_len(T::min_size(reader.layout()))? else {
            return Ok(None);
        };
        let elements = Elements::Frame(reader.clone());
        for _ in 0..count {
            T::read(reader)?;
        }
        Ok(Some(Self { count, elements }))
    }

    fn write_nullable(value: Option<&Self>, writer: &mut Writer) {
        match value {
            Some(value) => value.write(writer),
            None => writer.long_len(None),
        }
    }
}

impl<T> From<Vec<T>> for List<'_, T> {
    fn from(elements: Vec<T>) -> Self {
        Self {
            count: elements.len(),
            elements: Elements::Owned(elements),
        }
    }
}

impl<T> Default for List<'_, T> {
    fn default() -> Self {
        Vec::new().into()
    }
}

impl<T: Clone> Clone for List<'_, T> {
    fn clone(&self) -> Self {
        let elements = match &self.elements {
            Elements::Frame(reader) => Elements::Frame(reader.clone()),
            Elements::Owned(elements) => Elements::Owned(elements.clone()),
        };
        Self {
            count: self.count,
            elements,
        }
    }
}

impl<'a, T: Wire<'a> + Clone + PartialEq> PartialEq for List<'a, T> {
    fn eq(&self, other: &Self) -> bool {
        self.count == other.count && self.iter().eq(other.iter())
    }
}

impl<'a, T: Wire<'a> + Clone + fmt::Debug> fmt::Debug for List<'a, T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_list().entries(self.iter()).finish()
    }
}
