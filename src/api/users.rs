//! Users of the organization: listing, getting, disabling and enabling them.

use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

use crate::call::Call;
use crate::error::Result;
use crate::ids::UserId;
use crate::lenient;
use crate::listing::Listing;
use crate::nomic::Nomic;
use crate::operations::{DISABLE_USER, ENABLE_USER, GET_USER, LIST_USERS};
use crate::timestamp::Timestamp;

/// A user.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
#[non_exhaustive]
pub struct User {
    /// The user's id.
    pub id: UserId,
    /// The user's email address, for signing in, e.g. `alice@example.com`.
    #[serde(default, deserialize_with = "lenient::or_default")]
    pub email: String,
    /// The user's name, e.g. `Alice Johnson`.
    #[serde(default, deserialize_with = "lenient::or_default")]
    pub name: Option<String>,
    /// Whether the user is disabled.
    #[serde(default, deserialize_with = "lenient::or_default")]
    pub disabled: Option<bool>,
    /// When the user was added, e.g. `2026-01-15T09:30:00.000Z`.
    #[serde(default, deserialize_with = "lenient::or_default")]
    pub created_at: Option<Timestamp>,
    /// When the user was last changed.
    #[serde(default, deserialize_with = "lenient::or_default")]
    pub updated_at: Option<Timestamp>,
    /// When the user was disabled; `None` if the user is enabled. Only in responses of [`Nomic::user`].
    #[serde(default, deserialize_with = "lenient::or_default")]
    pub disabled_at: Option<Timestamp>,
    /// The number of the user's API keys, e.g. 3. Only in responses of [`Nomic::user`].
    #[serde(default, deserialize_with = "lenient::integer")]
    pub api_key_count: Option<u64>,
    /// The number of the user's open sessions, e.g. 1. Only in responses of [`Nomic::user`].
    #[serde(default, deserialize_with = "lenient::integer")]
    pub session_count: Option<u64>,
    /// The number of the user's API keys that were revoked, e.g. 2. Only in responses of [`Nomic::disable_user`] (inferred).
    #[serde(default, deserialize_with = "lenient::integer")]
    pub revoked_api_keys: Option<u64>,
    /// Fields that this version does not know.
    #[serde(flatten)]
    pub extra: Map<String, Value>,
}

/// A filter for a list of users.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct Filter {
    /// Only users whose email address contains this, e.g. `@example.com`.
    pub email: Option<String>,
}

impl Filter {
    /// Only users whose email address contains this, e.g. `@example.com`.
    #[must_use]
    pub fn email(self, part: impl Into<String>) -> Self {
        Self { email: Some(part.into()) }
    }
}

/// Options for disabling a user.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
#[non_exhaustive]
pub struct DisableOptions {
    /// The reason, which is recorded in the audit log, e.g. `left the company`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub reason: Option<String>,
}

impl DisableOptions {
    /// Sets the reason, which is recorded in the audit log, e.g. `left the company`.
    #[must_use]
    pub fn reason(self, reason: impl Into<String>) -> Self {
        Self { reason: Some(reason.into()) }
    }
}

impl Nomic {
    /// Lists the users of the organization.
    ///
    /// `GET /users` · scope `admin:users:read` · standard tier
    ///
    /// ```no_run
    /// # let nomic = nomic_client::Nomic::from_env()?;
    /// for user in nomic.users() {
    ///     println!("{}", user?.email);
    /// }
    /// # Ok::<(), nomic_client::Error>(())
    /// ```
    #[doc(alias = "list_users")]
    pub fn users(&self) -> Listing<User> {
        self.users_with(&Filter::default())
    }

    /// Lists users like [`users`](Self::users), with a filter.
    ///
    /// ```no_run
    /// # use nomic_client::{Nomic, users::Filter};
    /// # let nomic = Nomic::from_env()?;
    /// for user in nomic.users_with(&Filter::default().email("@example.com")) {
    ///     println!("{}", user?.email);
    /// }
    /// # Ok::<(), nomic_client::Error>(())
    /// ```
    pub fn users_with(&self, filter: &Filter) -> Listing<User> {
        let call = Call::to(&LIST_USERS, &[]).map(|call| call.query_if("email", filter.email.as_deref()));
        Listing::new(self, call, None)
    }

    /// Gets a user, including the numbers of API keys and sessions. 404 if the user is unknown.
    ///
    /// `GET /users/{id}` · scope `admin:users:read` · standard tier
    #[doc(alias = "get_user")]
    pub fn user(&self, id: impl Into<UserId>) -> Result<User> {
        self.fetch_data(&Call::to(&GET_USER, &[id.into().as_str()])?)
    }

    /// Disables a user. **Destructive**: the user's API keys are revoked, and [`enable_user`](Self::enable_user) does not
    /// restore them. 404 if the user is unknown. Returns `None` if the response does not contain the user. Never retried if
    /// its effect is unknown. The operation is documented to exist; its path, body and response are inferred.
    ///
    /// `POST /users/{id}/disable` · scope `admin:users:write` · write tier · inferred
    pub fn disable_user(&self, id: impl Into<UserId>) -> Result<Option<User>> {
        self.disable_user_with(id, &DisableOptions::default())
    }

    /// Disables a user like [`disable_user`](Self::disable_user), with options.
    pub fn disable_user_with(&self, id: impl Into<UserId>, options: &DisableOptions) -> Result<Option<User>> {
        let call = Call::to(&DISABLE_USER, &[id.into().as_str()])?;
        self.acknowledge(&if options.reason.is_some() { call.json(options) } else { call })
    }

    /// Enables a user again. Revoked keys stay revoked. 404 if the user is unknown. Returns `None` if the response does not
    /// contain the user. Never retried if its effect is unknown. The operation is documented to exist; its path and response
    /// are inferred.
    ///
    /// `POST /users/{id}/enable` · scope `admin:users:write` · write tier · inferred
    pub fn enable_user(&self, id: impl Into<UserId>) -> Result<Option<User>> {
        self.acknowledge(&Call::to(&ENABLE_USER, &[id.into().as_str()])?)
    }
}
