//! The language messages are declared in: Kafka's message JSON, with Rust types.
//!
//! ```text
//! wire! {
//!     /// What the message asks for (its KIP).
//!     pub struct SomeRequest<'a> for SomeApi {           // `for`: a whole message, versions as in the API table
//!         /// "about" of the field
//!         topics: Vec<SomeTopic<'a>>, 0..;               // [0+]
//!         timeout_ms: i32 = 60_000, 1..=3;               // [1-3], default 60000 in other versions
//!         instance: Option<Str<'a>>, 2.., null 3..;      // [2+], nullable [3+]
//!     } tagged {
//!         cluster_id: Option<Str<'a>>, tag 0, 5..;       // tagged [5+]; left out when it has its default
//!     }
//!     /// A part of a message; `<'a>` where it has strings.
//!     pub struct SomeTopic<'a> { ... }
//! }
//! ```
//!
//! Field types: `bool`, `i8` to `i64`, `u16`, `u32`, `Uuid`, `Str`, `Blob`, `Records`, a declared struct, `Vec` or `List` of
//! them, `Option` of a string, bytes, records, array or struct. Fields are in the order of the JSON; tagged ones last.

/// Declares messages and their parts. See the module's text.
macro_rules! wire {
    ($(
        $(#[$meta:meta])*
        pub struct $name:ident $(<$lt:lifetime>)? $(for $api:ident)? {
            $( $(#[$fmeta:meta])* $field:ident : $ty:ty $(= $default:expr)?, $versions:expr $(, null $null:expr)?; )*
        } $(tagged {
            $( $(#[$tmeta:meta])* $tfield:ident : $tty:ty $(= $tdefault:expr)?, tag $tag:literal, $tversions:expr; )*
        })?
    )*) => { $(
        $(#[$meta])*
        #[derive(Clone, Debug, PartialEq)]
        pub struct $name $(<$lt>)? {
            $( $(#[$fmeta])* pub $field: $ty, )*
            $($( $(#[$tmeta])* pub $tfield: $tty, )*)?
        }

        impl $(<$lt>)? Default for $name $(<$lt>)? {
            fn default() -> Self {
                Self {
                    $( $field: $crate::wire::schema::wire!(@default $($default)?), )*
                    $($( $tfield: $crate::wire::schema::wire!(@default $($tdefault)?), )*)?
                }
            }
        }

        impl<'a> $crate::wire::Wire<'a> for $name $(<$lt>)? {
            #[allow(unused_mut, clippy::field_reassign_with_default)]
            fn read(reader: &mut $crate::wire::Reader<'a>) -> Result<Self, $crate::wire::WireError> {
                #[allow(unused_imports)]
                use $crate::wire::{types::within, Wire, WireError};
                let layout = reader.layout();
                let mut value = Self::default();
                $( if within($versions, layout.version) {
                    value.$field = Wire::read(reader)?;
                    $( if value.$field.is_none() && !within($null, layout.version) {
                        return Err(WireError::UnexpectedNull { at: reader.position() });
                    } )?
                } )*
                if layout.flexible {
                    reader.tagged_fields(|_reader, tag| match tag {
                        $($( $tag if within($tversions, layout.version) => {
                            value.$tfield = Wire::read(_reader)?;
                            Ok(true)
                        } )*)?
                        _ => Ok(false),
                    })?;
                }
                Ok(value)
            }

            fn write(&self, writer: &mut $crate::wire::Writer) {
                #[allow(unused_imports)]
                use $crate::wire::types::within;
                let layout = writer.layout();
                $( if within($versions, layout.version) {
                    $crate::wire::schema::wire!(@write $field, self.$field, layout, writer $(, $null)?);
                } )*
                if layout.flexible {
                    #[allow(unused_variables)]
                    let default = Self::default();
                    writer.uvarint(0 $($( + u32::from(
                        within($tversions, layout.version) && self.$tfield != default.$tfield
                    ) )*)?);
                    $($( if within($tversions, layout.version) && self.$tfield != default.$tfield {
                        writer.tagged_field($tag, |writer| $crate::wire::Wire::write(&self.$tfield, writer));
                    } )*)?
                }
            }

            fn min_size(layout: $crate::wire::Layout) -> usize {
                #[allow(unused_imports)]
                use $crate::wire::types::within;
                usize::from(layout.flexible)
                $( + if within($versions, layout.version) {
                    <$ty as $crate::wire::Wire<'a>>::min_size(layout)
                } else {
                    0
                } )*
            }

            #[cfg(test)]
            #[allow(unused_mut, clippy::field_reassign_with_default)]
            fn sample(sampler: &mut $crate::wire::sample::Sampler) -> Self {
                #[allow(unused_imports)]
                use $crate::wire::{types::within, Wire};
                let layout = sampler.layout();
                let mut value = Self::default();
                $( if within($versions, layout.version) {
                    value.$field = Wire::sample(sampler);
                    $( if !within($null, layout.version) && value.$field.is_none() {
                        value.$field = Some(Default::default());
                    } )?
                } )*
                $($( if layout.flexible && within($tversions, layout.version) && sampler.flag() {
                    value.$tfield = Wire::sample(sampler);
                } )*)?
                value
            }
        }

        /// A nullable struct is preceded by a byte: -1 for null, 1 for a value.
        impl<'a> $crate::wire::Nullable<'a> for $name $(<$lt>)? {
            fn read_nullable(reader: &mut $crate::wire::Reader<'a>) -> Result<Option<Self>, $crate::wire::WireError> {
                use $crate::wire::Wire;
                if i8::read(reader)? < 0 { Ok(None) } else { Self::read(reader).map(Some) }
            }

            fn write_nullable(value: Option<&Self>, writer: &mut $crate::wire::Writer) {
                use $crate::wire::Wire;
                match value {
                    Some(value) => {
                        1i8.write(writer);
                        value.write(writer);
                    }
                    None => (-1i8).write(writer),
                }
            }
        }

        $crate::wire::schema::wire!(@message ($($api)?) $name $(<$lt>)?);
    )* };
    (@message () $name:ty) => {};
    (@message ($api:ident) $name:ty) => {
        impl<'a> $crate::wire::Message<'a> for $name {
            const API: $crate::wire::ApiKey = $crate::wire::ApiKey::$api;
        }
    };
    (@default) => { Default::default() };
    (@default $default:expr) => { $default };
    // Error codes are counted on their way out.
    (@write error_code, $value:expr, $layout:ident, $writer:ident) => { $writer.error_code($value) };
    (@write partition_error_code, $value:expr, $layout:ident, $writer:ident) => { $writer.error_code($value) };
    (@write $field:ident, $value:expr, $layout:ident, $writer:ident) => { $crate::wire::Wire::write(&$value, $writer) };
    (@write $field:ident, $value:expr, $layout:ident, $writer:ident, $null:expr) => {
        if within($null, $layout.version) {
            $crate::wire::Wire::write(&$value, $writer);
        } else {
            $crate::wire::types::write_required(&$value, $writer);
        }
    };
}

pub(crate) use wire;
