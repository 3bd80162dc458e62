//! Ids: one type for each kind of object, so that a file id is never used where a file version id belongs.

/// Declares transparent newtypes over `String`.
macro_rules! ids {
    ($($(#[$doc:meta])* $name:ident;)*) => {$(
        $(#[$doc])*
        #[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, serde::Serialize, serde::Deserialize)]
        #[serde(transparent)]
        pub struct $name(#[serde(deserialize_with = "crate::lenient::id")] String);

        impl $name {
            /// An id as the service wrote it; nothing is checked here.
            pub fn new(id: impl Into<String>) -> Self {
                Self(id.into())
            }

            /// The id as the service wrote it.
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

        impl From<&String> for $name {
            fn from(id: &String) -> Self {
                Self(id.clone())
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
    /// The id of one version of a file: what is parsed and extracted.
    FileVersionId;
    /// The id of a parse or extract job on the server.
    TaskId;
    /// The id of a background agent.
    AgentId;
    /// The id of an artifact that an agent made.
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
    fn an_id_is_a_bare_string_in_json_and_may_come_as_an_integer() {
        let id = FileId::from("019a");
        assert_eq!(serde_json::to_string(&id).unwrap(), "\"019a\"");
        assert_eq!(serde_json::from_str::<FileId>("\"019a\"").unwrap(), id);
        assert_eq!(serde_json::from_str::<FileId>("19").unwrap(), "19");
        assert!(serde_json::from_str::<FileId>("\"\"").is_err());
        assert_eq!(id.to_string(), "019a");
        assert!(id == "019a" && FileId::from(&id).as_str() == "019a");
    }
}
