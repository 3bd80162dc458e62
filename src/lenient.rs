//! Reading that expects a server to change: an optional field of an unexpected type never fails its object.
//!
//! Functions for `#[serde(deserialize_with = "…")]`. A value of an unexpected type is ignored and counted, so that
//! [`json::decode`](crate::json::decode) can log its path.

use std::cell::Cell;
use std::fmt::{self, Display};
use std::marker::PhantomData;

use serde::de::value::MapAccessDeserializer;
use serde::de::{DeserializeOwned, Error, MapAccess, SeqAccess, Visitor};
use serde::{Deserialize, Deserializer};
use serde_json::Value;

/// Any value; the default (`None`, an empty list, an empty text) for `null` and for a value of an unexpected type.
pub(crate) fn or_default<'de, T: Default + DeserializeOwned, D: Deserializer<'de>>(from: D) -> Result<T, D::Error> {
    match Value::deserialize(from)? {
        Value::Null => Ok(T::default()),
        value => T::deserialize(value).or_else(ignore),
    }
}

/// A list all of whose items have to be readable; `null` is an empty one.
pub(crate) fn list<'de, T: Deserialize<'de>, D: Deserializer<'de>>(from: D) -> Result<Vec<T>, D::Error> {
    Ok(Option::deserialize(from)?.unwrap_or_default())
}

/// An object whose every field is lenient. Unlike [`or_default`] it buffers nothing.
pub(crate) fn object<'de, T: Deserialize<'de>, D: Deserializer<'de>>(from: D) -> Result<Option<T>, D::Error> {
    match Found::deserialize(from)? {
        Found::Object(object) => Ok(Some(object)),
        Found::Other(Value::Null) => Ok(None),
        Found::List(_) | Found::Other(_) => ignore("invalid type, expected an object"),
    }
}

/// A list of such objects; items of another type are left out.
pub(crate) fn objects<'de, T: Deserialize<'de>, D: Deserializer<'de>>(from: D) -> Result<Vec<T>, D::Error> {
    match Found::deserialize(from)? {
        Found::List(objects) => Ok(objects),
        Found::Other(Value::Null) => Ok(Vec::new()),
        Found::Object(_) | Found::Other(_) => ignore("invalid type, expected a list"),
    }
}

/// An integer, as `3`, `3.0` or `"3"`.
pub(crate) fn integer<'de, T: TryFrom<i128>, D: Deserializer<'de>>(from: D) -> Result<Option<T>, D::Error> {
    let value = Value::deserialize(from)?;
    let exact = match &value {
        Value::Null => return Ok(None),
        Value::String(text) => text.trim().parse().ok(),
        value => value.as_u64().map(i128::from).or_else(|| value.as_i64().map(i128::from)),
    };
    // Up to 2^53 every integer is a float.
    let float = || float(&value).filter(|float| float.fract() == 0.0 && float.abs() <= 9_007_199_254_740_992.0);
    match exact.or_else(|| float().map(|float| float as i128)).and_then(|integer| T::try_from(integer).ok()) {
        Some(integer) => Ok(Some(integer)),
        None => ignore(format_args!("invalid value: {value}, expected an integer")),
    }
}

/// A number, as `0.5` or `"0.5"`; 0 for everything else.
pub(crate) fn float_or_zero<'de, D: Deserializer<'de>>(from: D) -> Result<f64, D::Error> {
    match Value::deserialize(from)? {
        Value::Null => Ok(0.0),
        value => match float(&value) {
            Some(float) => Ok(float),
            None => ignore(format_args!("invalid value: {value}, expected a number")),
        },
    }
}

fn float(value: &Value) -> Option<f64> {
    match value {
        Value::String(text) => text.trim().parse().ok().filter(|float: &f64| float.is_finite()),
        value => value.as_f64(),
    }
}

/// An id, as a string or an integer. An empty one identifies nothing.
pub(crate) fn id<'de, D: Deserializer<'de>>(from: D) -> Result<String, D::Error> {
    match Value::deserialize(from)? {
        Value::String(id) if !id.is_empty() => Ok(id),
        Value::Number(id) if !id.is_f64() => Ok(id.to_string()),
        other => Err(Error::custom(format_args!("invalid value: {other}, expected an id"))),
    }
}

/// What is found where an object or a list of objects is expected.
#[derive(Debug)]
pub(crate) enum Found<T> {
    Object(T),
    /// Its objects.
    List(Vec<T>),
    Other(Value),
}

impl<'de, T: Deserialize<'de>> Deserialize<'de> for Found<T> {
    fn deserialize<D: Deserializer<'de>>(from: D) -> Result<Self, D::Error> {
        from.deserialize_any(FoundVisitor(PhantomData))
    }
}

struct FoundVisitor<T>(PhantomData<T>);

impl<'de, T: Deserialize<'de>> Visitor<'de> for FoundVisitor<T> {
    type Value = Found<T>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("any value")
    }

    fn visit_map<A: MapAccess<'de>>(self, fields: A) -> Result<Found<T>, A::Error> {
        T::deserialize(MapAccessDeserializer::new(fields)).map(Found::Object)
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut items: A) -> Result<Found<T>, A::Error> {
        let mut objects = Vec::new();
        while let Some(item) = items.next_element()? {
            match item {
                Found::Object(object) => objects.push(object),
                Found::List(_) | Found::Other(_) => ignore("invalid type, expected an object")?,
            }
        }
        Ok(Found::List(objects))
    }

    fn visit_unit<E>(self) -> Result<Found<T>, E> {
        Ok(Found::Other(Value::Null))
    }

    fn visit_bool<E>(self, value: bool) -> Result<Found<T>, E> {
        Ok(Found::Other(value.into()))
    }

    fn visit_i64<E>(self, number: i64) -> Result<Found<T>, E> {
        Ok(Found::Other(number.into()))
    }

    fn visit_u64<E>(self, number: u64) -> Result<Found<T>, E> {
        Ok(Found::Other(number.into()))
    }

    fn visit_f64<E>(self, number: f64) -> Result<Found<T>, E> {
        Ok(Found::Other(number.into()))
    }

    fn visit_str<E>(self, text: &str) -> Result<Found<T>, E> {
        Ok(Found::Other(text.into()))
    }
}

thread_local! {
    /// How many values were ignored, and from which one on ignoring is an error.
    static IGNORED: Cell<(u32, u32)> = const { Cell::new((0, u32::MAX)) };
}

/// Ignores a value in favor of the default.
fn ignore<T: Default, E: Error>(reason: impl Display) -> Result<T, E> {
    let (count, fail_at) = IGNORED.get();
    IGNORED.set((count.saturating_add(1), fail_at));
    if count < fail_at { Ok(T::default()) } else { Err(E::custom(reason)) }
}

/// Runs `read` and counts the values that it ignores. From number `fail_at` on they are errors instead.
pub(crate) fn count_ignored<T>(fail_at: u32, read: impl FnOnce() -> T) -> (T, u32) {
    let outer = IGNORED.replace((0, fail_at));
    let value = read();
    (value, IGNORED.replace(outer).0)
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::{Map, json};

    #[derive(Debug, Default, PartialEq, Deserialize)]
    #[serde(default, rename_all = "camelCase")]
    struct Sheet {
        #[serde(deserialize_with = "or_default")]
        title: String,
        #[serde(deserialize_with = "or_default")]
        scale_name: Option<String>,
        #[serde(deserialize_with = "or_default")]
        notes: Vec<String>,
        #[serde(deserialize_with = "integer")]
        number: Option<u32>,
        #[serde(deserialize_with = "float_or_zero")]
        scale: f64,
        #[serde(deserialize_with = "object")]
        legend: Option<Box<Sheet>>,
        #[serde(deserialize_with = "objects")]
        views: Vec<Sheet>,
        #[serde(flatten)]
        extra: Map<String, Value>,
    }

    #[derive(Debug, Deserialize)]
    struct Row {
        #[serde(deserialize_with = "id")]
        id: String,
        #[serde(deserialize_with = "list")]
        cells: Vec<u8>,
    }

    const FIELDS: [&str; 7] = ["title", "scaleName", "notes", "number", "scale", "legend", "views"];

    fn read(value: Value) -> (Sheet, u32) {
        let text = value.to_string();
        let (sheet, ignored) = count_ignored(u32::MAX, || serde_json::from_str(&text));
        let (same, _) = count_ignored(u32::MAX, || serde_json::from_value(value));
        let sheet: Sheet = sheet.unwrap();
        assert_eq!(sheet, same.unwrap());
        (sheet, ignored)
    }

    #[test]
    fn fields_of_the_expected_type_are_read_and_unknown_ones_are_kept() {
        let view = json!({"title": "North", "number": "7", "scale": "0.5", "scaleName": null, "more": [1]});
        let (sheet, ignored) =
            read(json!({"title": "A1", "notes": ["n"], "number": 7.0, "scale": 1, "legend": {}, "views": [view]}));
        assert_eq!(ignored, 0);
        assert_eq!((sheet.title.as_str(), &sheet.notes[..], sheet.number), ("A1", &["n".to_owned()][..], Some(7)));
        assert_eq!((sheet.scale, sheet.legend.as_deref()), (1.0, Some(&Sheet::default())));
        let view = &sheet.views[0];
        assert_eq!((view.title.as_str(), view.number, view.scale), ("North", Some(7), 0.5));
        assert_eq!(view.extra["more"], json!([1]));
    }

    #[test]
    fn a_field_of_an_unexpected_type_is_ignored_and_null_is_nothing() {
        for value in [json!(true), json!(-1), json!(2.5), json!("words"), json!([[1]]), json!({"a": [1]}), json!(1e300)]
        {
            for field in FIELDS {
                let (sheet, ignored) = read(json!({field: value, "after": 1}));
                assert_eq!(sheet.extra["after"], 1, "{field}: {value}");
                if ignored > 0 {
                    let extra = sheet.extra.clone();
                    assert_eq!(sheet, Sheet { extra, ..Sheet::default() }, "{field}: {value}");
                }
            }
        }
        for field in FIELDS {
            assert_eq!(read(json!({field: null})), (Sheet::default(), 0), "{field}");
        }
        let (sheet, ignored) = read(json!({"views": [1, {"title": "a"}, null, "b", [{}], {"title": "c"}]}));
        assert_eq!((sheet.views.len(), ignored), (2, 4));
        assert_eq!(read(json!({"number": -1})).0.number, None, "beyond the type");
        assert_eq!(read(json!({"number": "1.0"})).0.number, Some(1));
        assert_eq!(read(json!({"number": 1e30})).0.number, None);
    }

    #[test]
    fn the_path_of_an_ignored_value_can_be_asked_for() {
        let text = r#"{"title": 7, "views": [{"scale": {}}]}"#;
        let failing = |at| count_ignored(at, || serde_json::from_str::<Sheet>(text)).0.unwrap_err().to_string();
        assert!(failing(0).starts_with("invalid type: integer `7`, expected a string"), "{}", failing(0));
        assert!(failing(1).starts_with("invalid value: {}, expected a number"), "{}", failing(1));
        assert_eq!(count_ignored(2, || serde_json::from_str::<Sheet>(text).is_ok()), (true, 2));
    }

    #[test]
    fn an_id_is_a_string_or_an_integer() {
        let read = |id: &str| serde_json::from_str::<Row>(&format!(r#"{{"id": {id}, "cells": null}}"#));
        assert_eq!(read(r#""a""#).unwrap().id, "a");
        assert_eq!(read("18446744073709551615").unwrap().id, "18446744073709551615");
        assert!(read("7").unwrap().cells.is_empty());
        for wrong in [r#""""#, "1.5", "null", "{}", "[]", "true"] {
            assert!(read(wrong).unwrap_err().to_string().contains("expected an id"), "{wrong}");
        }
        assert!(serde_json::from_str::<Row>(r#"{"id": 1, "cells": [1, "b"]}"#).is_err());
    }
}
