//! The service's objects: which fields are known, how leniently each is read, and where all others are kept.

use std::fmt;
use std::marker::PhantomData;

use serde_core::de::{Error, MapAccess, Visitor};
use serde_json::Value;

/// Declares an object of the service, with its field for all others after `..`:
///
/// ```text
/// record! {
///     /// A project.
///     pub struct Project {
///         /// Its name in this crate and its type; how it is read, and its name in JSON.
///         pub id: ProjectId = required "id",
///         ..
///         /// What else the service said.
///         pub extra: Map<String, Value>,
///     }
/// }
/// ```
///
/// | how | what is absent | `null` | all else |
/// | --- | --- | --- | --- |
/// | `required` | is an error | as the type has it | as the type has it |
/// | `nullable` | is an error | is the default: an empty list, an empty text | as the type has it |
/// | `optional`, an `Option` | is `None` | is `None` | as the type has it |
/// | `or_empty` | is the default | is the default | as the type has it |
/// | `whole`, an `Option` | is `None` | is `None` | a whole number as `3`, `3.0` or `"3"`, or `None` |
/// | `real`, an `f64` | is zero | is zero | a number or the text of one, or zero |
///
/// A field that comes twice is what came last. All are written, in this order.
///
/// Without `..` it is what a program stores: a struct in all formats, all of whose fields are `required`.
macro_rules! record {
    (
        $(#[$about:meta])*
        $visible:vis struct $name:ident $(<$of:ident>)? {
            $($(#[$doc:meta])* $shown:vis $field:ident: $type:ty = $how:ident $word:literal,)*
            ..
            $(#[$others_doc:meta])* $others_shown:vis $others:ident: $others_type:ty,
        }
    ) => {
        $(#[$about])*
        #[derive(Clone, Debug, PartialEq)]
        $visible struct $name $(<$of>)? {
            $($(#[$doc])* $shown $field: $type,)*
            $(#[$others_doc])* $others_shown $others: $others_type,
        }

        impl<'de $(, $of: serde_core::Deserialize<'de>)?> $crate::record::Record<'de> for $name $(<$of>)? {
            const NAME: &'static str = concat!("struct ", stringify!($name));

            fn read<A: serde_core::de::MapAccess<'de>>(mut fields: A) -> Result<Self, A::Error> {
                $(let mut $field = None::<$type>;)*
                let mut $others = <$others_type>::new();
                while let Some(key) = fields.next_key_seed($crate::words::Text)? {
                    match &*key {
                        $($word => $field = Some($crate::record::read!($how, fields)),)*
                        _ => {
                            $others.insert(key.into_owned(), fields.next_value()?);
                        }
                    }
                }
                Ok(Self { $($field: $crate::record::found!($how, $field, $word),)* $others })
            }
        }

        impl<'de $(, $of: serde_core::Deserialize<'de>)?> serde_core::Deserialize<'de> for $name $(<$of>)? {
            fn deserialize<D: serde_core::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
                deserializer.deserialize_map($crate::record::Reader::default())
            }
        }

        impl $(<$of: serde_core::Serialize>)? serde_core::Serialize for $name $(<$of>)? {
            fn serialize<S: serde_core::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
                use serde_core::ser::SerializeMap;
                let known = [$($word),*].len();
                let mut fields = serializer.serialize_map(Some(known + self.$others.len()))?;
                $(fields.serialize_entry($word, &self.$field)?;)*
                for (word, value) in &self.$others {
                    fields.serialize_entry(word, value)?;
                }
                fields.end()
            }
        }
    };
    (
        $(#[$about:meta])*
        $visible:vis struct $name:ident {
            $($(#[$doc:meta])* $shown:vis $field:ident: $type:ty = required $word:literal,)*
        }
    ) => {
        $(#[$about])*
        #[derive(Clone, Debug, PartialEq)]
        $visible struct $name {
            $($(#[$doc])* $shown $field: $type,)*
        }

        impl<'de> serde_core::Deserialize<'de> for $name {
            fn deserialize<D: serde_core::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
                struct Fields;

                impl<'de> serde_core::de::Visitor<'de> for Fields {
                    type Value = $name;

                    fn expecting(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                        f.write_str(concat!("struct ", stringify!($name)))
                    }

                    fn visit_map<A: serde_core::de::MapAccess<'de>>(self, mut fields: A) -> Result<$name, A::Error> {
                        $(let mut $field = None::<$type>;)*
                        while let Some(key) = fields.next_key_seed($crate::words::Text)? {
                            match &*key {
                                $($word => $field = Some(fields.next_value()?),)*
                                _ => {
                                    fields.next_value::<serde_core::de::IgnoredAny>()?;
                                }
                            }
                        }
                        Ok($name { $($field: $crate::record::required($field, $word)?,)* })
                    }

                    fn visit_seq<A: serde_core::de::SeqAccess<'de>>(self, mut fields: A) -> Result<$name, A::Error> {
                        Ok($name { $($field: $crate::record::required(fields.next_element()?, $word)?,)* })
                    }
                }

                deserializer.deserialize_struct(stringify!($name), &[$($word),*], Fields)
            }
        }

        impl serde_core::Serialize for $name {
            fn serialize<S: serde_core::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
                use serde_core::ser::SerializeStruct;
                let mut fields = serializer.serialize_struct(stringify!($name), [$($word),*].len())?;
                $(fields.serialize_field($word, &self.$field)?;)*
                fields.end()
            }
        }
    };
}
pub(crate) use record;

/// Reads a field's value.
macro_rules! read {
    (required, $fields:ident) => {
        $fields.next_value()?
    };
    (optional, $fields:ident) => {
        $fields.next_value()?
    };
    (nullable, $fields:ident) => {
        $fields.next_value::<Option<_>>()?.unwrap_or_default()
    };
    (or_empty, $fields:ident) => {
        $fields.next_value::<Option<_>>()?.unwrap_or_default()
    };
    (whole, $fields:ident) => {
        $crate::record::whole(&$fields.next_value()?)
    };
    (real, $fields:ident) => {
        $crate::record::real(&$fields.next_value()?).unwrap_or_default()
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
    ($other:ident, $field:ident, $word:literal) => {
        $field.unwrap_or_default()
    };
}
pub(crate) use found;

pub(crate) fn required<T, E: Error>(field: Option<T>, word: &'static str) -> Result<T, E> {
    field.ok_or_else(|| E::missing_field(word))
}

/// A whole number that may come as one (`3`, `3.0`) or as its text.
pub(crate) fn whole<T: TryFrom<i128>>(value: &Value) -> Option<T> {
    let text = value.as_str().map(str::trim);
    let integer = match text {
        Some(text) => text.parse().ok(),
        None => value.as_u64().map(i128::from).or_else(|| value.as_i64().map(i128::from)),
    };
    // Up to there every whole number is a float.
    let float = || real(value).filter(|real| real.fract() == 0.0 && real.abs() <= 9_007_199_254_740_992.0);
    T::try_from(integer.or_else(|| float().map(|real| real as i128))?).ok()
}

/// A number that may come as one or as its text.
pub(crate) fn real(value: &Value) -> Option<f64> {
    match value {
        Value::String(text) => text.trim().parse().ok().filter(|real: &f64| real.is_finite()),
        value => value.as_f64(),
    }
}

/// What [`record!`] declares.
pub(crate) trait Record<'de>: Sized {
    /// What errors say was expected.
    const NAME: &'static str;

    fn read<A: MapAccess<'de>>(fields: A) -> Result<Self, A::Error>;
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
            ..
            extra: Map<String, Value>,
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
        assert!(serde_json::from_str::<Title>("7").unwrap_err().to_string().contains("expected struct Title"));
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
    fn what_is_stored_is_a_struct_in_any_format() {
        let title = Title { title: "A".to_owned() };
        assert_eq!(serde_json::to_string(&title).unwrap(), r#"{"title":"A"}"#);
        for stored in [r#"{"x": {"title": "no"}, "t\u0069tle": "A"}"#, r#"["A"]"#] {
            assert_eq!(serde_json::from_str::<Title>(stored).unwrap(), title);
        }
        for none in ["{}", "[]", r#"{"title":null}"#] {
            assert!(serde_json::from_str::<Title>(none).is_err(), "{none}");
        }
    }

    #[test]
    fn a_name_is_the_same_however_it_is_read() {
        let text = r#"{"t\u0069tle": "A", "views": [], "x\n": 1}"#;
        let sheet = read(text).unwrap();
        assert_eq!((sheet.title.as_str(), &sheet.extra["x\n"]), ("A", &json!(1)));
        assert_eq!(serde_json::from_reader::<_, Sheet<u8>>(text.as_bytes()).unwrap(), sheet);
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
