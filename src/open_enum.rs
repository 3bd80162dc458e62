//! Open enums: a value that the server adds tomorrow must not break a program of today.

/// Declares an enum of known values that keeps the values it does not know.
macro_rules! open_enum {
    ($(#[$doc:meta])* pub enum $name:ident { $($(#[$variant_doc:meta])* $variant:ident = $text:literal,)* }) => {
        $(#[$doc])*
        ///
        /// Values are read in any letter case, with spaces, `_` and `-` alike. One that this version does not know is
        /// kept in [`Other`](Self::Other); compare it with `== "value"`.
        #[derive(Clone, Debug, PartialEq, Eq, Hash, serde::Serialize, serde::Deserialize)]
        #[serde(from = "String", into = "String")]
        #[non_exhaustive]
        pub enum $name {
            $(#[doc = concat!("`", $text, "`:")] $(#[$variant_doc])* $variant,)*
            /// Any other value: one that the server sent and this version does not know, or one that you send. Compare
            /// the whole with `== "value"` instead of matching the text in here: a later version may know the value and
            /// then has a variant for it.
            Other(String),
        }

        impl $name {
            /// The value as the service writes it; an unknown one as it came.
            pub fn as_str(&self) -> &str {
                match self {
                    $(Self::$variant => $text,)*
                    Self::Other(text) => text,
                }
            }
        }

        /// The empty [`Other`](Self::Other): no value at all.
        impl Default for $name {
            fn default() -> Self {
                Self::Other(String::new())
            }
        }

        impl From<String> for $name {
            fn from(text: String) -> Self {
                $(if $crate::open_enum::is_same(&text, $text) {
                    return Self::$variant;
                })*
                Self::Other(text)
            }
        }

        impl From<&str> for $name {
            fn from(text: &str) -> Self {
                Self::from(text.to_owned())
            }
        }

        impl From<$name> for String {
            fn from(value: $name) -> Self {
                value.as_str().to_owned()
            }
        }

        /// Compares as [`From<&str>`] reads: in any letter case.
        impl PartialEq<str> for $name {
            fn eq(&self, text: &str) -> bool {
                $crate::open_enum::is_same(self.as_str(), text)
            }
        }

        impl PartialEq<&str> for $name {
            fn eq(&self, text: &&str) -> bool {
                *self == **text
            }
        }

        impl std::fmt::Display for $name {
            fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                f.write_str(self.as_str())
            }
        }
    };
}
pub(crate) use open_enum;

/// Whether two values differ in letter case and separators at most.
pub(crate) fn is_same(a: &str, b: &str) -> bool {
    let plain = |byte: u8| match byte {
        b' ' | b'-' => b'_',
        byte => byte.to_ascii_lowercase(),
    };
    a.len() == b.len() && a.bytes().map(plain).eq(b.bytes().map(plain))
}

#[cfg(test)]
#[allow(unreachable_pub, unnameable_types, reason = "the macro makes public enums")]
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
    fn a_known_value_is_read_in_any_letter_case() {
        assert_eq!(Light::from("GREEN"), Light::Green);
        assert_eq!(Light::from("deep_amber"), Light::DeepAmber);
        assert_eq!(serde_json::to_string(&Light::DeepAmber).unwrap(), "\"Deep Amber\"");
    }

    #[test]
    fn an_unknown_value_is_kept() {
        let light: Light = serde_json::from_str("\"Ultra-Violet\"").unwrap();
        assert_eq!(light, Light::Other("Ultra-Violet".into()));
        assert_eq!(serde_json::to_string(&light).unwrap(), "\"Ultra-Violet\"");
        assert!(light == "ultra violet" && Light::default() == "");
    }
}
