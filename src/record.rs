//! The service's objects: which fields are known, how leniently each is read, and where all others are kept.

use std::borrow::Cow;
use std::fmt;
use std::marker::PhantomData;

use serde_core::de::{DeserializeSeed, Error, IgnoredAny, MapAccess, SeqAccess, Visitor};
use serde_core::ser::SerializeMap;
use serde_core::{Deserialize, Deserializer, Serializer};
use serde_json::Value;

/// Declares an object of the service: `field: Type = how "word"`, where `word` is the field's name in JSON. How it is read:
///
/// | how | if it is absent | if it is `null` | else |
/// | --- | --- | --- | --- |
/// | `required` | an error | as its type has it | as its type has it |
/// | `nullable` | an error | the default: an empty list, an empty text | as its type has it |
/// | `optional`, of an `Option` | `None` | `None` | as its type has it |
/// | `or_empty` | the default | the default | as its type has it |
/// | `whole`, of an `Option` | `None` | `None` | a whole number as `3`, `3.0` or `"3"`; `None` if it is none |
/// | `real`, an `f64` | zero | zero | a number, or the text of one; zero if it is none |
/// | `rest`, without a word, the last | | | a map of all fields that are not named; without it they are ignored |
///
/// A field that comes twice is what came last. All are written, in this order; what is not there as `null`.
macro_rules! record {
    (
        $(#[$about:meta])*
        $visible:vis struct $name:ident $(<$of:ident>)? {
            $($(#[$doc:meta])* $shown:vis $field:ident: $type:ty = $how:ident $($word:literal)?,)*
        }
    ) => {
        $(#[$about])*
        #[derive(Clone, Debug, PartialEq)]
        $visible struct $name $(<$of>)? {
            $($(#[$doc])* $shown $field: $type,)*
        }

        impl<'de $(, $of: serde_core::Deserialize<'de>)?> $crate::record::Record<'de> for $name $(<$of>)? {
            const NAME: &'static str = concat!("struct ", stringify!($name));

            fn read<A: serde_core::de::MapAccess<'de>>(mut fields: A) -> Result<Self, A::Error> {
                $(let mut $field = $crate::record::unread!($how $type);)*
                while let Some(key) = fields.next_key_seed($crate::record::Key)? {
                    #[allow(unreachable_patterns, reason = "with a rest, all others are taken already")]
                    match &*key {
                        $($crate::record::named!($how $($word)?) => {
                            $crate::record::read!($how, $field, fields, key);
                        })*
                        _ => {
                            fields.next_value::<serde_core::de::IgnoredAny>()?;
                        }
                    }
                }
                Ok(Self { $($field: $crate::record::found!($how, $field $(, $word)?),)* })
            }
        }

        impl<'de $(, $of: serde_core::Deserialize<'de>)?> serde_core::Deserialize<'de> for $name $(<$of>)? {
            fn deserialize<D: serde_core::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
                deserializer.deserialize_map($crate::record::Reader::default())
            }
        }

        impl $(<$of: serde_core::Serialize>)? $crate::record::Written for $name $(<$of>)? {
            fn length(&self) -> usize {
                let mut length = 0;
                $(length += $crate::record::length!($how, &self.$field);)*
                length
            }

            fn write<M: serde_core::ser::SerializeMap>(&self, fields: &mut M) -> Result<(), M::Error> {
                $($crate::record::put!($how, fields, &self.$field $(, $word)?);)*
                Ok(())
            }
        }

        impl $(<$of: serde_core::Serialize>)? serde_core::Serialize for $name $(<$of>)? {
            fn serialize<S: serde_core::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
                $crate::record::write_all(self, serializer)
            }
        }
    };
}
pub(crate) use record;

/// What a field is until it was read.
macro_rules! unread {
    (required $type:ty) => {
        None::<$type>
    };
    (nullable $type:ty) => {
        None::<$type>
    };
    ($other:ident $type:ty) => {
        <$type>::default()
    };
}
pub(crate) use unread;

/// The pattern of a field's name.
macro_rules! named {
    (rest) => {
        _
    };
    ($how:ident $word:literal) => {
        $word
    };
}
pub(crate) use named;

/// Reads a field's value.
macro_rules! read {
    (required, $field:ident, $fields:ident, $key:ident) => {
        $field = Some($fields.next_value()?)
    };
    (nullable, $field:ident, $fields:ident, $key:ident) => {
        $field = Some($fields.next_value::<Option<_>>()?.unwrap_or_default())
    };
    (optional, $field:ident, $fields:ident, $key:ident) => {
        $field = $fields.next_value()?
    };
    (or_empty, $field:ident, $fields:ident, $key:ident) => {
        $field = $fields.next_value::<Option<_>>()?.unwrap_or_default()
    };
    (whole, $field:ident, $fields:ident, $key:ident) => {
        $field = $fields.next_value::<$crate::record::Number>()?.whole()
    };
    (real, $field:ident, $fields:ident, $key:ident) => {
        $field = $fields.next_value::<$crate::record::Number>()?.real().unwrap_or_default()
    };
    (rest, $field:ident, $fields:ident, $key:ident) => {
        $field.insert($key.into_owned(), $fields.next_value()?)
    };
}
pub(crate) use read;

/// A field after all were read.
macro_rules! found {
    (required, $field:ident, $word:literal) => {
        $crate::record::required($field, $word)?
    };
    (nullable, $field:ident, $word:literal) => {
        $crate::record::required($field, $word)?
    };
    ($other:ident, $field:ident $(, $word:literal)?) => {
        $field
    };
}
pub(crate) use found;

/// How many fields it is when it is written.
macro_rules! length {
    (rest, $value:expr) => {
        $value.len()
    };
    ($other:ident, $value:expr) => {
        1
    };
}
pub(crate) use length;

/// Writes a field.
macro_rules! put {
    (rest, $fields:ident, $value:expr) => {
        for (word, value) in $value {
            $fields.serialize_entry(word, value)?;
        }
    };
    ($other:ident, $fields:ident, $value:expr, $word:literal) => {
        $fields.serialize_entry($word, $value)?
    };
}
pub(crate) use put;

/// How what [`record!`] declares is read.
pub(crate) trait Record<'de>: Sized {
    /// What errors say was expected.
    const NAME: &'static str;

    fn read<A: MapAccess<'de>>(fields: A) -> Result<Self, A::Error>;
}

/// How it is written.
pub(crate) trait Written {
    /// How many fields it has.
    fn length(&self) -> usize;

    fn write<M: SerializeMap>(&self, fields: &mut M) -> Result<(), M::Error>;
}

pub(crate) fn write_all<S: Serializer>(record: &impl Written, serializer: S) -> Result<S::Ok, S::Error> {
    let mut fields = serializer.serialize_map(Some(record.length()))?;
    record.write(&mut fields)?;
    fields.end()
}

/// Reads a record.
pub(crate) struct Reader<R>(PhantomData<R>);

impl<R> Default for Reader<R> {
    fn default() -> Self {
        Self(PhantomData)
    }
}

impl<'de, R: Record<'de>> Visitor<'de> for Reader<R> {
    type Value = R;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(R::NAME)
    }

    fn visit_map<A: MapAccess<'de>>(self, fields: A) -> Result<R, A::Error> {
        R::read(fields)
    }
}

pub(crate) fn required<T, E: Error>(field: Option<T>, word: &'static str) -> Result<T, E> {
    field.ok_or_else(|| E::missing_field(word))
}

/// Reads the name of a field, which is copied only if it has to be.
pub(crate) struct Key;

impl<'de> DeserializeSeed<'de> for Key {
    type Value = Cow<'de, str>;

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<Self::Value, D::Error> {
        deserializer.deserialize_str(self)
    }
}

impl<'de> Visitor<'de> for Key {
    type Value = Cow<'de, str>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("the name of a field")
    }

    fn visit_borrowed_str<E>(self, name: &'de str) -> Result<Self::Value, E> {
        Ok(Cow::Borrowed(name))
    }

    fn visit_str<E>(self, name: &str) -> Result<Self::Value, E> {
        Ok(Cow::Owned(name.to_owned()))
    }

    fn visit_string<E>(self, name: String) -> Result<Self::Value, E> {
        Ok(Cow::Owned(name))
    }
}

/// A number that may come as one or as its text; or whatever else comes instead.
#[derive(Clone, Copy)]
pub(crate) enum Number {
    Whole(i128),
    Real(f64),
    Other,
}

impl Number {
    /// The whole number that it is (`3`, `3.0`), if it is one of this type.
    pub(crate) fn whole<T: TryFrom<i128>>(self) -> Option<T> {
        T::try_from(self.integer()?).ok()
    }

    fn integer(self) -> Option<i128> {
        match self {
            Self::Whole(number) => Some(number),
            // Up to there every whole number is one of these.
            Self::Real(number) if number.fract() == 0.0 && number.abs() <= 9_007_199_254_740_992.0 => {
                Some(number as i128)
            }
            _ => None,
        }
    }

    pub(crate) fn real(self) -> Option<f64> {
        match self {
            Self::Whole(number) => Some(number as f64),
            Self::Real(number) => Some(number),
            Self::Other => None,
        }
    }

    fn from_text(text: &str) -> Self {
        let text = text.trim();
        match (text.parse(), text.parse::<f64>()) {
            (Ok(number), _) => Self::Whole(number),
            (_, Ok(number)) if number.is_finite() => Self::Real(number),
            _ => Self::Other,
        }
    }
}

impl From<Value> for Number {
    fn from(value: Value) -> Self {
        Self::deserialize(value).unwrap_or(Self::Other)
    }
}

impl<'de> Deserialize<'de> for Number {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(AnyNumber)
    }
}

/// Takes whatever comes.
struct AnyNumber;

impl<'de> Visitor<'de> for AnyNumber {
    type Value = Number;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a number")
    }

    fn visit_u64<E>(self, number: u64) -> Result<Number, E> {
        Ok(Number::Whole(number.into()))
    }

    fn visit_i64<E>(self, number: i64) -> Result<Number, E> {
        Ok(Number::Whole(number.into()))
    }

    fn visit_f64<E>(self, number: f64) -> Result<Number, E> {
        Ok(Number::Real(number))
    }

    fn visit_str<E>(self, text: &str) -> Result<Number, E> {
        Ok(Number::from_text(text))
    }

    fn visit_bool<E>(self, _: bool) -> Result<Number, E> {
        Ok(Number::Other)
    }

    fn visit_unit<E>(self) -> Result<Number, E> {
        Ok(Number::Other)
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut items: A) -> Result<Number, A::Error> {
        while items.next_element::<IgnoredAny>()?.is_some() {}
        Ok(Number::Other)
    }

    fn visit_map<A: MapAccess<'de>>(self, mut fields: A) -> Result<Number, A::Error> {
        while fields.next_entry::<IgnoredAny, IgnoredAny>()?.is_some() {}
        Ok(Number::Other)
    }
}

#[cfg(test)]
mod tests {
    use serde_json::{Map, Value, json};

    record! {
        /// A sheet.
        #[derive(Default)]
        struct Sheet<T> {
            /// Its title.
            title: String = required "title",
            views: Vec<T> = nullable "views",
            scale_name: Option<String> = optional "scaleName",
            notes: Vec<String> = or_empty "notes",
            number: Option<u32> = whole "number",
            scale: f64 = real "scale",
            extra: Map<String, Value> = rest,
        }
    }

    record! {
        struct Title {
            title: String = required "title",
        }
    }

    fn read(text: &str) -> Result<Sheet<u8>, String> {
        serde_json::from_str(text).map_err(|error| error.to_string())
    }

    #[test]
    fn what_is_known_is_read_and_all_else_is_kept() {
        let text = r#"{"title": "A1", "z": [1], "views": [1, 2], "scaleName": "large", "notes": ["n"], "number": 7,
                       "scale": 0.5, "scale_name": "no field", "y": {"title": 1}, "": null}"#;
        let sheet = read(text).unwrap();
        assert_eq!(
            (sheet.title.as_str(), &sheet.views[..], sheet.scale_name.as_deref()),
            ("A1", &[1, 2][..], Some("large"))
        );
        assert_eq!((&sheet.notes[..], sheet.number, sheet.scale), (&["n".to_owned()][..], Some(7), 0.5));
        let extra = json!({"z": [1], "scale_name": "no field", "y": {"title": 1}, "": null});
        assert_eq!(Value::Object(sheet.extra.clone()), extra);
        // Written, it is the same value; and read from a value, the same object.
        let value = serde_json::to_value(&sheet).unwrap();
        assert_eq!(value, serde_json::from_str::<Value>(text).unwrap());
        assert_eq!(serde_json::from_value::<Sheet<u8>>(value.clone()).unwrap(), sheet);
        assert_eq!(<Sheet<u8> as serde_core::Deserialize>::deserialize(&value).unwrap(), sheet);
    }

    #[test]
    fn what_is_absent_or_null_is_nothing_or_an_error() {
        let empty = Sheet { title: "A".to_owned(), ..Sheet::default() };
        assert_eq!(read(r#"{"title": "A", "views": []}"#).unwrap(), empty);
        let nulls = r#"{"title": "A", "views": null, "scaleName": null, "notes": null, "number": null, "scale": null}"#;
        assert_eq!(read(nulls).unwrap(), empty);
        assert!(read(r#"{"views": []}"#).unwrap_err().starts_with("missing field `title`"));
        assert!(read(r#"{"title": "A"}"#).unwrap_err().starts_with("missing field `views`"));
        assert!(
            read(r#"{"title": null, "views": []}"#).unwrap_err().starts_with("invalid type: null, expected a string")
        );
        assert!(read("[1]").unwrap_err().starts_with("invalid type: sequence, expected struct Sheet"));
        assert_eq!(
            serde_json::to_string(&empty).unwrap(),
            r#"{"title":"A","views":[],"scaleName":null,"notes":[],"number":null,"scale":0.0}"#
        );
    }

    #[test]
    fn a_field_that_comes_twice_is_what_came_last() {
        let sheet = read(r#"{"title": "A", "views": [1], "x": 1, "title": "B", "views": [2, 3], "x": 2}"#).unwrap();
        assert_eq!((sheet.title.as_str(), &sheet.views[..], &sheet.extra["x"]), ("B", &[2, 3][..], &json!(2)));
    }

    #[test]
    fn names_are_the_same_however_they_are_written_and_none_is_kept_without_a_rest() {
        let title: Title = serde_json::from_str(r#"{"x": {"title": "no"}, "t\u0069tle": "A"}"#).unwrap();
        assert_eq!(title, Title { title: "A".to_owned() });
        let from_reader: Title = serde_json::from_reader(&br#"{"title": "A", "x\n": []}"#[..]).unwrap();
        assert_eq!(from_reader, title);
        assert_eq!(serde_json::to_string(&title).unwrap(), r#"{"title":"A"}"#);
    }

    #[test]
    fn a_number_is_read_in_whatever_form_it_comes_and_nothing_else_does_harm() {
        let read = |number: &str| {
            let text = format!(r#"{{"title": "", "views": [], "number": {number}, "scale": {number}}}"#);
            let sheet = read(&text).unwrap();
            (sheet.number, sheet.scale)
        };
        for three in ["3", "3.0", "\"3\"", "\" 3 \"", "\"3.0\"", "3e0"] {
            assert_eq!(read(three), (Some(3), 3.0), "{three}");
        }
        assert_eq!(read("2.5"), (None, 2.5));
        assert_eq!(read("-1"), (None, -1.0));
        assert_eq!(read("4294967296"), (None, 4_294_967_296.0));
        assert_eq!(read("1e300"), (None, 1e300));
        for none in ["null", "true", "\"two\"", "\"NaN\"", "[1, {\"a\": 2}]", "{\"a\": [3]}", "\"\""] {
            assert_eq!(read(none), (None, 0.0), "{none}");
        }
    }
}
