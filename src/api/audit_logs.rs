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

/// 1000: the largest page, in entries. If none is asked for, the service gives 100.
pub const MAX_PAGE: u32 = 1000;

open_enum! {
    /// What was done. The three words are examples in Nomic's API pages; others are to be expected.
    pub enum Action {
        /// A user was disabled.
        UserDisabled = "user.disabled",
        /// A user was enabled again.
        UserEnabled = "user.enabled",
        /// An API key was revoked.
        ApiKeyRevoked = "api_key.revoked",
    }
}

/// One entry.
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
    /// To whom or what it was done, e.g. the user Bob Smith.
    #[serde(default, deserialize_with = "lenient::or_default")]
    pub targets: Vec<Party>,
    /// The way by which it was done, e.g. through the API.
    #[serde(default, deserialize_with = "lenient::or_default")]
    pub context: Option<Context>,
    /// What belongs to the action, e.g. `reason` and `revokedApiKeys` when a user was disabled.
    #[serde(default, deserialize_with = "lenient::or_default")]
    pub metadata: Map<String, Value>,
    /// Fields that this version does not know.
    #[serde(flatten)]
    pub extra: Map<String, Value>,
}

/// Who acted, or a target of the action.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
#[non_exhaustive]
pub struct Party {
    /// Its id.
    #[serde(deserialize_with = "lenient::id")]
    pub id: String,
    /// What it is, e.g. `user`.
    #[serde(rename = "type", default, deserialize_with = "lenient::or_default")]
    pub kind: String,
    /// Its name, e.g. `Alice Johnson`.
    #[serde(default, deserialize_with = "lenient::or_default")]
    pub name: Option<String>,
    /// More about it, by field name.
    #[serde(default, deserialize_with = "lenient::or_default")]
    pub metadata: Map<String, Value>,
    /// Fields that this version does not know.
    #[serde(flatten)]
    pub extra: Map<String, Value>,
}

/// The way by which something was done.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(default, rename_all = "camelCase")]
#[non_exhaustive]
pub struct Context {
    /// The service's word for the way, e.g. `api`.
    #[serde(deserialize_with = "lenient::or_default")]
    pub location: Option<String>,
    /// The program that was used, e.g. `curl/8.5.0`.
    #[serde(deserialize_with = "lenient::or_default")]
    pub user_agent: Option<String>,
    /// Fields that this version does not know.
    #[serde(flatten)]
    pub extra: Map<String, Value>,
}

/// Narrows the audit log.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct Filter {
    /// Only this action, e.g. [`Action::UserDisabled`].
    pub action: Option<Action>,
    /// Only what was done after this: a `SystemTime`, or RFC 3339 text, e.g. `2026-04-05T12:00:00Z`.
    pub since: Option<Timestamp>,
}

impl Filter {
    /// Only this action, e.g. [`Action::UserDisabled`].
    #[must_use]
    pub fn action(self, action: impl Into<Action>) -> Self {
        Self { action: Some(action.into()), ..self }
    }

    /// Only what was done after this: a `SystemTime`, or RFC 3339 text, e.g. `2026-04-05T12:00:00Z`. If it is not a
    /// timestamp, the first item of the list is an error, and nothing is sent.
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
