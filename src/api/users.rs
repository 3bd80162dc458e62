//! Users: who is in the organization, and shutting somebody out.

use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

use crate::acknowledged::Acknowledged;
use crate::call::Call;
use crate::error::Result;
use crate::ids::UserId;
use crate::listing::Listing;
use crate::nomic::Nomic;
use crate::operations::{DISABLE_USER, ENABLE_USER, GET_USER, LIST_USERS};
use crate::timestamp::Timestamp;
use crate::words::whole;

/// A user.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
#[non_exhaustive]
pub struct User {
    /// The user's id.
    pub id: UserId,
    /// The address that the user signs in with, e.g. `alice@example.com`.
    pub email: String,
    /// The user's name, e.g. `Alice Johnson`.
    #[serde(default)]
    pub name: Option<String>,
    /// Whether the user is shut out.
    #[serde(default)]
    pub disabled: Option<bool>,
    /// When the user was added, e.g. `2026-01-15T09:30:00.000Z`.
    #[serde(default)]
    pub created_at: Option<Timestamp>,
    /// When the user was last changed.
    #[serde(default)]
    pub updated_at: Option<Timestamp>,
    /// What else the service said.
    #[serde(flatten)]
    pub extra: Map<String, Value>,
}

/// A user with counts.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
#[non_exhaustive]
pub struct UserDetails {
    /// What a list shows too. What the service says beyond all that stands in its `extra`.
    #[serde(flatten)]
    pub user: User,
    /// When the user was shut out; `None` if the user is not.
    #[serde(default)]
    pub disabled_at: Option<Timestamp>,
    /// How many API keys the user has, e.g. 3.
    #[serde(default, deserialize_with = "whole")]
    pub api_key_count: Option<u64>,
    /// How many sessions of the user are open, e.g. 1.
    #[serde(default, deserialize_with = "whole")]
    pub session_count: Option<u64>,
}

/// What the service says of a user who was disabled or enabled (inferred).
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
#[non_exhaustive]
pub struct UserState {
    /// The user's id.
    pub id: UserId,
    /// Whether the user is shut out now.
    #[serde(default)]
    pub disabled: Option<bool>,
    /// When the user was shut out; `None` if the user is not.
    #[serde(default)]
    pub disabled_at: Option<Timestamp>,
    /// How many API keys of the user were revoked at once, e.g. 2.
    #[serde(default, deserialize_with = "whole")]
    pub revoked_api_keys: Option<u64>,
    /// What else the service said.
    #[serde(flatten)]
    pub extra: Map<String, Value>,
}

/// What narrows a list of users.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Filter {
    /// Only users with this in their address, e.g. `@example.com`.
    pub email: Option<String>,
}

impl Filter {
    /// Only users with this in their address.
    pub fn email(part: impl Into<String>) -> Self {
        Self { email: Some(part.into()) }
    }
}

impl Nomic {
    /// Lists the users of the organization.
    ///
    /// `GET /users` · scope `admin:users:read` · standard tier
    ///
    /// ```no_run
    /// # use nomic_client::{Nomic, users::Filter};
    /// # let nomic = Nomic::from_env()?;
    /// for user in nomic.users(&Filter::email("@example.com")) {
    ///     println!("{}", user?.email);
    /// }
    /// # Ok::<(), nomic_client::Error>(())
    /// ```
    #[doc(alias = "list_users")]
    pub fn users(&self, filter: &Filter) -> Listing<User> {
        let call = Call::to(&LIST_USERS, &[]).map(|call| call.query_if("email", filter.email.as_deref()));
        Listing::new(self, call, None)
    }

    /// Gets a user, with counts.
    ///
    /// `GET /users/{id}` · scope `admin:users:read` · standard tier
    ///
    /// # Errors
    ///
    /// 404 if the user is not known.
    #[doc(alias = "get_user")]
    pub fn user(&self, id: &UserId) -> Result<UserDetails> {
        self.fetch_data(&Call::to(&GET_USER, &[id.as_str()])?)
    }

    /// Shuts a user out, for a reason that the audit log keeps. **Destructive**: the user's API keys are revoked, and
    /// [`enable_user`](Self::enable_user) does not bring them back. Documented to exist; path, body and answer are
    /// inferred. Never repeated on a doubtful outcome.
    ///
    /// `POST /users/{id}/disable` · scope `admin:users:write` · write tier · inferred
    ///
    /// # Errors
    ///
    /// 404 if the user is not known.
    pub fn disable_user(&self, id: &UserId, reason: Option<&str>) -> Result<Acknowledged<UserState>> {
        #[derive(Serialize)]
        struct Body<'a> {
            reason: &'a str,
        }
        let call = Call::to(&DISABLE_USER, &[id.as_str()])?;
        self.acknowledge(&match reason {
            Some(reason) => call.json(&Body { reason }),
            None => call,
        })
    }

    /// Lets a user in again. Keys that were revoked stay so. Documented to exist; path and answer are inferred. Never
    /// repeated on a doubtful outcome.
    ///
    /// `POST /users/{id}/enable` · scope `admin:users:write` · write tier · inferred
    ///
    /// # Errors
    ///
    /// 404 if the user is not known.
    pub fn enable_user(&self, id: &UserId) -> Result<Acknowledged<UserState>> {
        self.acknowledge(&Call::to(&ENABLE_USER, &[id.as_str()])?)
    }
}
