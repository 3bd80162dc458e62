//! Open enums and lenient fields: what the service adds tomorrow must not break a program of today.

use std::fmt;

use serde::de::{IgnoredAny, MapAccess, SeqAccess, Visitor};
use serde::{Deserialize, Deserializer};

/// Declares an enum of known words that keeps the words it does not know.
///
/// Words are read in any letter case, with blanks, `_` and `-` alike; known ones are written as declared.
macro_rules! open_enum {
    ($(#[$doc:meta])* pub enum $name:ident { $($(#[$word_doc:meta])* $variant:ident = $word:literal,)* }) => {
        $(#[$doc])*
        ///
        /// Words are read in any letter case, with blanks, `_` and `-` alike. One that this version does not know is kept
        /// in [`Other`](Self::Other); compare it with `== "word"`.
        #[derive(Clone, Debug, PartialEq, Eq, Hash)]
        #[non_exhaustive]
        pub enum $name {
            $(#[doc = concat!("`", $word, "`:")] $(#[$word_doc])* $variant,)*
            /// Any other word: one that the service sent and this version does not know, or one that you send. Compare
            /// the whole with `== "word"` instead of matching the text in here: a later version may know the word, and
            /// then has a variant for it.
            Other(String),
        }

        impl $name {
            /// The word: the service's own spelling of a known one, or the unknown one as it came.
            #[must_use]
            pub fn as_str(&self) -> &str {
                match self {
                    $(Self::$variant => $word,)*
                    Self::Other(word) => word,
                }
            }
        }

        impl From<&str> for $name {
            fn from(word: &str) -> Self {
                Self::from(word.to_owned())
            }
        }

        impl From<String> for $name {
            fn from(word: String) -> Self {
                $(if $crate::words::same_word(&word, $word) {
                    return Self::$variant;
                })*
                Self::Other(word)
            }
        }

        /// Compares as [`From<&str>`] reads: in any letter case.
        impl PartialEq<str> for $name {
            fn eq(&self, word: &str) -> bool {
                $crate::words::same_word(self.as_str(), word)
            }
        }

        impl PartialEq<&str> for $name {
            fn eq(&self, word: &&str) -> bool {
                *self == **word
            }
        }

        impl std::fmt::Display for $name {
            fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                f.write_str(self.as_str())
            }
        }

        impl serde::Serialize for $name {
            fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
                serializer.serialize_str(self.as_str())
            }
        }

        impl<'de> serde::Deserialize<'de> for $name {
            fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
                String::deserialize(deserializer).map(Self::from)
            }
        }
    };
}
pub(crate) use open_enum;

/// Whether two words differ in letter case and separators at most.
pub(crate) fn same_word(a: &str, b: &str) -> bool {
    let plain = |c: u8| match c {
        b' ' | b'-' => b'_',
        c => c.to_ascii_lowercase(),
    };
    a.len() == b.len() && a.bytes().map(plain).eq(b.bytes().map(plain))
}

/// Reads `null` as the default: an empty list, an empty text, zero.
pub(crate) fn null_is_default<'de, D, T>(deserializer: D) -> Result<T, D::Error>
where
    D: Deserializer<'de>,
    T: Deserialize<'de> + Default,
{
    Ok(Option::deserialize(deserializer)?.unwrap_or_default())
}

/// Reads a whole number that may come as one (`3`, `3.0`) or as its text (`"3"`); what else comes is none.
pub(crate) fn whole<'de, D, T>(deserializer: D) -> Result<Option<T>, D::Error>
where
    D: Deserializer<'de>,
    T: TryFrom<i128>,
{
    Ok(deserializer.deserialize_any(AnyNumber)?.and_then(|number| match number {
        Amount::Whole(number) => T::try_from(number).ok(),
        // Up to there every whole number is one of these.
        Amount::Real(number) if number.fract() == 0.0 && number.abs() <= 9_007_199_254_740_992.0 => {
            T::try_from(number as i128).ok()
        }
        Amount::Real(_) => None,
    }))
}

/// Reads a number that may come as one or as its text; what else comes is zero.
pub(crate) fn real<'de, D: Deserializer<'de>>(deserializer: D) -> Result<f64, D::Error> {
    Ok(match deserializer.deserialize_any(AnyNumber)? {
        Some(Amount::Whole(number)) => number as f64,
        Some(Amount::Real(number)) => number,
        None => 0.0,
    })
}

enum Amount {
    Whole(i128),
    Real(f64),
}

/// Takes whatever comes.
struct AnyNumber;

impl<'de> Visitor<'de> for AnyNumber {
    type Value = Option<Amount>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a number")
    }

    fn visit_u64<E>(self, number: u64) -> Result<Self::Value, E> {
        Ok(Some(Amount::Whole(number.into())))
    }

    fn visit_i64<E>(self, number: i64) -> Result<Self::Value, E> {
        Ok(Some(Amount::Whole(number.into())))
    }

    fn visit_f64<E>(self, number: f64) -> Result<Self::Value, E> {
        Ok(Some(Amount::Real(number)))
    }

    fn visit_str<E>(self, text: &str) -> Result<Self::Value, E> {
        let text = text.trim();
        let whole = text.parse().ok().map(Amount::Whole);
        Ok(whole.or_else(|| text.parse().ok().filter(|number: &f64| number.is_finite()).map(Amount::Real)))
    }

    fn visit_bool<E>(self, _: bool) -> Result<Self::Value, E> {
        Ok(None)
    }

    fn visit_unit<E>(self) -> Result<Self::Value, E> {
        Ok(None)
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut items: A) -> Result<Self::Value, A::Error> {
        while items.next_element::<IgnoredAny>()?.is_some() {}
        Ok(None)
    }

    fn visit_map<A: MapAccess<'de>>(self, mut fields: A) -> Result<Self::Value, A::Error> {
        while fields.next_entry::<IgnoredAny, IgnoredAny>()?.is_some() {}
        Ok(None)
    }
}

#[cfg(test)]
#[allow(unreachable_pub, reason = "the macro makes public enums")]
mod tests {
    open_enum! {
        /// A light.
        pub enum Light {
            /// Go.
            Green = "green",
            /// Stop, soon.
            DeepAmber = "Deep Amber",
        }
    }

    #[test]
    fn a_known_word_is_read_in_any_case() {
        assert_eq!(Light::from("GREEN"), Light::Green);
        assert_eq!(Light::from("deep_amber"), Light::DeepAmber);
        assert_eq!(serde_json::to_string(&Light::DeepAmber).unwrap(), "\"Deep Amber\"");
    }

    #[test]
    fn an_unknown_word_is_kept() {
        let light: Light = serde_json::from_str("\"Ultra-Violet\"").unwrap();
        assert_eq!(light, Light::Other("Ultra-Violet".into()));
        assert_eq!(serde_json::to_string(&light).unwrap(), "\"Ultra-Violet\"");
    }

    #[derive(Debug, PartialEq, serde::Deserialize)]
    struct Sheet {
        #[serde(default, deserialize_with = "super::whole")]
        number: Option<u32>,
        #[serde(default, deserialize_with = "super::real")]
        scale: f64,
    }

    #[test]
    fn a_number_is_read_in_whatever_form_it_comes_and_nothing_else_does_harm() {
        let read = |number: &str| {
            let text = format!(r#"{{"number": {number}, "scale": {number}}}"#);
            let sheet: Sheet = serde_json::from_str(&text).unwrap();
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
        assert_eq!(serde_json::from_str::<Sheet>("{}").unwrap(), Sheet { number: None, scale: 0.0 });
    }
}
