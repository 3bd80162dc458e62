//! Ids: one type for each kind of thing, so that a file id never stands where a file version id must.

/// Declares transparent newtypes over `String`.
macro_rules! ids {
    ($($(#[$doc:meta])* $name:ident;)*) => {$(
        $(#[$doc])*
        #[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
        pub struct $name(String);

        impl $name {
            /// Takes the id as the service wrote it; nothing is checked here.
            pub fn new(id: impl Into<String>) -> Self {
                Self(id.into())
            }

            /// The id as the service wrote it.
            #[must_use]
            pub fn as_str(&self) -> &str {
                &self.0
            }
        }

        impl From<&str> for $name {
            fn from(id: &str) -> Self {
                Self(id.to_owned())
            }
        }

        impl From<String> for $name {
            fn from(id: String) -> Self {
                Self(id)
            }
        }

        impl From<$name> for String {
            fn from(id: $name) -> Self {
                id.0
            }
        }

        impl std::str::FromStr for $name {
            type Err = std::convert::Infallible;

            fn from_str(id: &str) -> Result<Self, Self::Err> {
                Ok(Self::from(id))
            }
        }

        impl std::borrow::Borrow<str> for $name {
            fn borrow(&self) -> &str {
                &self.0
            }
        }

        impl PartialEq<str> for $name {
            fn eq(&self, id: &str) -> bool {
                self.0 == id
            }
        }

        impl PartialEq<&str> for $name {
            fn eq(&self, id: &&str) -> bool {
                self.0 == *id
            }
        }

        impl From<&$name> for $name {
            fn from(id: &$name) -> Self {
                id.clone()
            }
        }

        impl AsRef<str> for $name {
            fn as_ref(&self) -> &str {
                &self.0
            }
        }

        impl serde_core::Serialize for $name {
            fn serialize<S: serde_core::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
                serializer.serialize_str(&self.0)
            }
        }

        impl<'de> serde_core::Deserialize<'de> for $name {
            fn deserialize<D: serde_core::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
                String::deserialize(deserializer).map(Self)
            }
        }

        impl std::fmt::Display for $name {
            fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                f.write_str(&self.0)
            }
        }
    )*};
}

ids! {
    /// The id of a file or a folder, whatever its version.
    FileId;
    /// The id of one uploaded state of a file: what is parsed and extracted.
    FileVersionId;
    /// The id of a parse or extract job on the server.
    TaskId;
    /// The id of a background agent.
    AgentId;
    /// The id of something that an agent made.
    ArtifactId;
    /// The id of a workflow that an agent can run.
    WorkflowId;
    /// The id of a project.
    ProjectId;
    /// The id of a user of the organization.
    UserId;
    /// The id of an API key's record; never the key itself.
    ApiKeyId;
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_id_is_a_bare_string_in_json() {
        let id = FileId::from("019a");
        assert_eq!(serde_json::to_string(&id).unwrap(), "\"019a\"");
        assert_eq!(serde_json::from_str::<FileId>("\"019a\"").unwrap(), id);
        assert_eq!(id.to_string(), "019a");
        assert!(id == "019a" && "019a".parse() == Ok(id.clone()));
        let known = std::collections::HashMap::from([(id, 1)]);
        assert_eq!(known.get("019a"), Some(&1));
    }
}
