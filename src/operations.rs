//! The table of all operations of the API: name, method, path, rate-limit tier, scope and evidence.
//!
//! Use it to look up what a call needs, such as the scopes for a key, or the rate-limit tier of an operation that
//! [`Error::operation`](crate::Error::operation) names. You do not need it to make calls.
//!
//! ```
//! use nomic_client::operations::{self, Tier};
//!
//! let launch = operations::LAUNCH_AGENT;
//! assert_eq!((launch.scope, launch.tier, launch.tier.per_minute()), ("developer:agent", Tier::Heavy, 30));
//! assert!(operations::ALL.contains(&launch));
//! ```

use std::fmt;

/// An HTTP method. Only a `GET` is retried if the effect of the previous attempt is unknown.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Method {
    /// Reads.
    Get,
    /// Writes.
    Post,
    /// Writes.
    Put,
    /// Writes.
    Patch,
    /// Writes.
    Delete,
}

/// A rate-limit tier. The operations of a tier share a quota, which belongs to the owner of the key.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Tier {
    /// 300 requests a minute: reads, lists and polls.
    Standard,
    /// 60 requests a minute: stop, delete, disable, enable, revoke.
    Write,
    /// 30 requests a minute: uploads, parse and extract jobs, launches and follow-ups of agents.
    Heavy,
    /// 60 requests a minute: searches in building codes.
    Search,
    /// 30 requests a minute: analytics.
    Analytics,
}

impl Tier {
    /// All tiers.
    pub const ALL: &'static [Self] = &[Self::Standard, Self::Write, Self::Heavy, Self::Search, Self::Analytics];

    /// Requests per minute, according to Nomic's API pages. The server's rate-limit headers take precedence.
    pub const fn per_minute(self) -> u32 {
        match self {
            Self::Standard => 300,
            Self::Write | Self::Search => 60,
            Self::Heavy | Self::Analytics => 30,
        }
    }
}

/// How well an operation is known.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Evidence {
    /// Nomic's API pages show its method, path, parameters and shapes.
    Documented,
    /// Observed in the requests of a real client of the service.
    Observed,
    /// Documented to exist, but its path, body or response is an educated guess. If the path turns out to be another one, set
    /// it with [`Builder::operation_path`](crate::Builder::operation_path).
    Inferred,
}

/// Gives the variants of an enum their names.
macro_rules! names {
    ($($enum:ident { $($variant:ident = $name:literal),* })*) => {$(
        impl $enum {
            /// Its name, as `Display` writes it.
            pub const fn as_str(self) -> &'static str {
                match self {
                    $(Self::$variant => $name),*
                }
            }
        }

        impl fmt::Display for $enum {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str(self.as_str())
            }
        }
    )*};
}

names! {
    Method { Get = "GET", Post = "POST", Put = "PUT", Patch = "PATCH", Delete = "DELETE" }
    Tier { Standard = "standard", Write = "write", Heavy = "heavy", Search = "search", Analytics = "analytics" }
    Evidence { Documented = "documented", Observed = "observed", Inferred = "inferred" }
}

/// One operation of the API.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Operation {
    /// Its name, e.g. `launch_agent`, which errors and log records contain.
    pub name: &'static str,
    /// Its HTTP method.
    pub method: Method,
    /// Its path below the base URL, with `{…}` for ids.
    pub path: &'static str,
    /// Its rate-limit tier.
    pub tier: Tier,
    /// The granular scope that a key needs. The broad scopes `developer` and `admin` include the granular ones.
    pub scope: &'static str,
    /// How well it is known.
    pub evidence: Evidence,
}

/// Generates a constant and a row of the table for each operation.
macro_rules! operations {
    ($($constant:ident = $name:literal $method:ident $path:literal $tier:ident $scope:literal $evidence:ident;)*) => {
        $(
            #[doc = concat!("`", stringify!($method), " ", $path, "`")]
            pub const $constant: Operation = Operation {
            name: $name,
            method: Method::$method,
            path: $path,
            tier: Tier::$tier,
            scope: $scope,
            evidence: Evidence::$evidence,
            };
        )*

        /// All operations.
        ///
        /// | name | method | path | tier | scope | evidence |
        /// | --- | --- | --- | --- | --- | --- |
        $(#[doc = concat!(
            "| `", $name, "` | `", stringify!($method), "` | `", $path, "` | `", stringify!($tier), "` | `", $scope,
            "` | `", stringify!($evidence), "` |"
        )])*
        pub const ALL: &[Operation] = &[$($constant),*];
    };
}

operations! {
    UPLOAD_FILE = "upload_file" Post "/files/upload" Heavy "developer:files" Documented;
    SEARCH_FILES = "search_files" Get "/files/search" Standard "developer:files" Documented;
    SUBMIT_PARSE = "submit_parse" Post "/parse" Heavy "developer:parse" Documented;
    GET_PARSE = "get_parse" Get "/parse/{taskId}" Standard "developer:parse" Inferred;
    SUBMIT_EXTRACT = "submit_extract" Post "/extract" Heavy "developer:parse" Documented;
    GET_EXTRACT = "get_extract" Get "/extract/{taskId}" Standard "developer:parse" Inferred;
    SEARCH_CODES = "search_codes" Post "/codes/search" Search "developer:agent" Documented;
    LAUNCH_AGENT = "launch_agent" Post "/agents" Heavy "developer:agent" Documented;
    LIST_AGENTS = "list_agents" Get "/agents" Standard "developer:agent" Documented;
    GET_AGENT = "get_agent" Get "/agents/{id}" Standard "developer:agent" Documented;
    DELETE_AGENT = "delete_agent" Delete "/agents/{id}" Write "developer:agent" Inferred;
    FOLLOW_UP_AGENT = "follow_up_agent" Post "/agents/{id}/followup" Heavy "developer:agent" Inferred;
    STOP_AGENT = "stop_agent" Post "/agents/{id}/stop" Write "developer:agent" Inferred;
    GET_AGENT_CONVERSATION = "get_agent_conversation" Get "/agents/{id}/conversation" Standard "developer:agent" Observed;
    LIST_ARTIFACTS = "list_artifacts" Get "/agents/{id}/artifacts" Standard "developer:agent" Inferred;
    GET_ARTIFACT = "get_artifact" Get "/agents/{id}/artifacts/{artifactId}" Standard "developer:agent" Inferred;
    LIST_WORKFLOWS = "list_workflows" Get "/workflows" Standard "developer:agent" Inferred;
    LIST_PROJECTS = "list_projects" Get "/projects" Standard "developer:agent" Inferred;
    LIST_USERS = "list_users" Get "/users" Standard "admin:users:read" Documented;
    GET_USER = "get_user" Get "/users/{id}" Standard "admin:users:read" Documented;
    DISABLE_USER = "disable_user" Post "/users/{id}/disable" Write "admin:users:write" Inferred;
    ENABLE_USER = "enable_user" Post "/users/{id}/enable" Write "admin:users:write" Inferred;
    LIST_API_KEYS = "list_api_keys" Get "/api-keys" Standard "admin:api-keys:read" Documented;
    REVOKE_API_KEY = "revoke_api_key" Post "/api-keys/{id}/revoke" Write "admin:api-keys:write" Inferred;
    LIST_AUDIT_LOGS = "list_audit_logs" Get "/audit-logs" Standard "admin:audit:read" Documented;
    LIST_USER_ANALYTICS = "list_user_analytics" Get "/analytics/users" Analytics "admin:analytics:read" Documented;
}
