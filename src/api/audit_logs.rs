//! The audit log: who did what, newest first.

use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

use crate::call::Call;
use crate::error::Error;
use crate::lenient;
use crate::listing::Listing;
use crate::nomic::Nomic;
use crate::open_enum::open_enum;
use crate::operations::LIST_AUDIT_LOGS;
use crate::timestamp::Timestamp;

/// Maximum page size: 1000 entries. The service's default is 100.
pub const MAX_PAGE: u32 = 1000;

open_enum! {
    /// The type of an action. The three values are examples in Nomic's API pages; expect others.
    pub enum Action {
        /// A user was disabled.
        UserDisabled = "user.disabled",
        /// A user was enabled again.
        UserEnabled = "user.enabled",
        /// An API key was revoked.
        ApiKeyRevoked = "api_key.revoked",
    }
}

/// An entry of the audit log.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
#[non_exhaustive]
pub struct AuditEntry {
    /// Its id.
    #[serde(deserialize_with = "lenient::id")]
    pub id: String,
    /// What was done, e.g. `user.disabled`.
    #[serde(default, deserialize_with = "lenient::or_default")]
    pub action: Action,
    /// When it was done, e.g. `2026-04-05T12:00:00.000Z`.
    #[serde(default, deserialize_with = "lenient::or_default")]
    pub occurred_at: Timestamp,
    /// Who did it, e.g. the user Alice Johnson.
    #[serde(default, deserialize_with = "lenient::or_default")]
    pub actor: Option<Party>,
    /// The targets of the action, e.g. the user Bob Smith.
    #[serde(default, deserialize_with = "lenient::or_default")]
    pub targets: Vec<Party>,
    /// How it was done, e.g. through the API.
    #[serde(default, deserialize_with = "lenient::or_default")]
    pub context: Option<Context>,
    /// Details of the action, e.g. `reason` and `revokedApiKeys` if a user was disabled.
    #[serde(default, deserialize_with = "lenient::or_default")]
    pub metadata: Map<String, Value>,
    /// Fields that this version does not know.
    #[serde(flatten)]
    pub extra: Map<String, Value>,
}

/// The actor or a target of an action.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
#[non_exhaustive]
pub struct Party {
    /// Its id.
    #[serde(deserialize_with = "lenient::id")]
    pub id: String,
    /// Its type, e.g. `user`.
    #[serde(rename = "type", default, deserialize_with = "lenient::or_default")]
    pub kind: String,
    /// Its name, e.g. `Alice Johnson`.
    #[serde(default, deserialize_with = "lenient::or_default")]
    pub name: Option<String>,
    /// Further fields, by name.
    #[serde(default, deserialize_with = "lenient::or_default")]
    pub metadata: Map<String, Value>,
    /// Fields that this version does not know.
    #[serde(flatten)]
    pub extra: Map<String, Value>,
}

/// How an action was done.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(default, rename_all = "camelCase")]
#[non_exhaustive]
pub struct Context {
    /// The interface that was used, e.g. `api`.
    #[serde(deserialize_with = "lenient::or_default")]
    pub location: Option<String>,
    /// The program that was used, e.g. `curl/8.5.0`.
    #[serde(deserialize_with = "lenient::or_default")]
    pub user_agent: Option<String>,
    /// Fields that this version does not know.
    #[serde(flatten)]
    pub extra: Map<String, Value>,
}

/// A filter for the audit log.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct Filter {
    /// Only this action, e.g. [`Action::UserDisabled`].
    pub action: Option<Action>,
    /// Only actions after this time: a `SystemTime`, or RFC 3339 text, e.g. `2026-04-05T12:00:00Z`.
    pub since: Option<Timestamp>,
}

impl Filter {
    /// Only this action, e.g. [`Action::UserDisabled`].
    #[must_use]
    pub fn action(self, action: impl Into<Action>) -> Self {
        Self { action: Some(action.into()), ..self }
    }

    /// Only actions after this time: a `SystemTime`, or RFC 3339 text, e.g. `2026-04-05T12:00:00Z`. If the text is not a
    /// timestamp, nothing is sent, and the first item of the list is an error.
    #[must_use]
    pub fn since(self, since: impl Into<Timestamp>) -> Self {
        Self { since: Some(since.into()), ..self }
    }
}

impl Nomic {
    /// Lists the audit log, newest first. A page has at most 1000 entries ([`MAX_PAGE`]).
    ///
    /// `GET /audit-logs` · scope `admin:audit:read` · standard tier
    #[doc(alias = "list_audit_logs")]
    pub fn audit_logs(&self) -> Listing<AuditEntry> {
        self.audit_logs_with(&Filter::default())
    }

    /// Lists the audit log like [`audit_logs`](Self::audit_logs), with a filter.
    ///
    /// ```no_run
    /// # use nomic_client::{Nomic, audit_logs::Filter};
    /// # let nomic = Nomic::from_env()?;
    /// let last_hour = std::time::SystemTime::now() - std::time::Duration::from_secs(3600);
    /// for entry in nomic.audit_logs_with(&Filter::default().since(last_hour)) {
    ///     let entry = entry?;
    ///     println!("{} {}", entry.occurred_at, entry.action);
    /// }
    /// # Ok::<(), nomic_client::Error>(())
    /// ```
    pub fn audit_logs_with(&self, filter: &Filter) -> Listing<AuditEntry> {
        let call = match filter.since.as_ref().map(Timestamp::system_time) {
            Some(Err(error)) => Err(Error::invalid_request(LIST_AUDIT_LOGS.name, format!("since: {error}"))),
            _ => Call::to(&LIST_AUDIT_LOGS, &[])
                .map(|call| call.query_if("action", filter.action.as_ref()).query_if("since", filter.since.as_ref())),
        };
        Listing::new(self, call, Some(MAX_PAGE))
    }
}
