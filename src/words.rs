//! Open enums: a word that the service adds tomorrow must not break a program of today.

use std::borrow::Cow;
use std::fmt;

use serde_core::Deserializer;
use serde_core::de::{DeserializeSeed, Visitor};

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

            fn known(word: &str) -> Option<Self> {
                $(if $crate::words::same_word(word, $word) {
                    return Some(Self::$variant);
                })*
                None
            }
        }

        impl From<&str> for $name {
            fn from(word: &str) -> Self {
                Self::known(word).unwrap_or_else(|| Self::Other(word.to_owned()))
            }
        }

        impl From<String> for $name {
            fn from(word: String) -> Self {
                Self::known(&word).unwrap_or(Self::Other(word))
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

        impl serde_core::Serialize for $name {
            fn serialize<S: serde_core::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
                serializer.serialize_str(self.as_str())
            }
        }

        impl<'de> serde_core::Deserialize<'de> for $name {
            fn deserialize<D: serde_core::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
                deserializer.deserialize_str($crate::words::Text).map(|word| Self::from(&*word))
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

/// Reads a text, which is copied only if it has to be.
pub(crate) struct Text;

impl<'de> DeserializeSeed<'de> for Text {
    type Value = Cow<'de, str>;

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<Self::Value, D::Error> {
        deserializer.deserialize_str(self)
    }
}

impl<'de> Visitor<'de> for Text {
    type Value = Cow<'de, str>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a string")
    }

    fn visit_borrowed_str<E>(self, text: &'de str) -> Result<Self::Value, E> {
        Ok(Cow::Borrowed(text))
    }

    fn visit_str<E>(self, text: &str) -> Result<Self::Value, E> {
        Ok(Cow::Owned(text.to_owned()))
    }

    fn visit_string<E>(self, text: String) -> Result<Self::Value, E> {
        Ok(Cow::Owned(text))
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
}
