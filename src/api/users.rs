//! Users: who is in the organization, and shutting somebody out.

use serde_core::{Deserialize, Deserializer, Serialize, Serializer};
use serde_json::{Map, Value, json};

use crate::acknowledged::Acknowledged;
use crate::call::Call;
use crate::error::Result;
use crate::ids::UserId;
use crate::listing::Listing;
use crate::nomic::Nomic;
use crate::operations::{DISABLE_USER, ENABLE_USER, GET_USER, LIST_USERS};
use crate::record::record;
use crate::timestamp::Timestamp;

record! {
    /// A user.
    #[non_exhaustive]
    pub struct User {
        /// The user's id.
        pub id: UserId = required "id",
        /// The address that the user signs in with, e.g. `alice@example.com`.
        pub email: String = required "email",
        /// The user's name, e.g. `Alice Johnson`.
        pub name: Option<String> = optional "name",
        /// Whether the user is shut out.
        pub disabled: Option<bool> = optional "disabled",
        /// When the user was added, e.g. `2026-01-15T09:30:00.000Z`.
        pub created_at: Option<Timestamp> = optional "createdAt",
        /// When the user was last changed.
        pub updated_at: Option<Timestamp> = optional "updatedAt",
        ..
        /// What else the service said.
        pub extra: Map<String, Value>,
    }
}

/// A user with counts.
#[derive(Clone, Debug, PartialEq)]
#[non_exhaustive]
pub struct UserDetails {
    /// What a list shows too. What the service says beyond all that stands in its `extra`.
    pub user: User,
    /// When the user was shut out; `None` if the user is not.
    pub disabled_at: Option<Timestamp>,
    /// How many API keys the user has, e.g. 3.
    pub api_key_count: Option<u64>,
    /// How many sessions of the user are open, e.g. 1.
    pub session_count: Option<u64>,
}

record! {
    /// The same as it comes: all fields beside one another.
    struct Flat {
        id: UserId = required "id",
        email: String = required "email",
        name: Option<String> = optional "name",
        disabled: Option<bool> = optional "disabled",
        created_at: Option<Timestamp> = optional "createdAt",
        updated_at: Option<Timestamp> = optional "updatedAt",
        disabled_at: Option<Timestamp> = optional "disabledAt",
        api_key_count: Option<u64> = whole "apiKeyCount",
        session_count: Option<u64> = whole "sessionCount",
        ..
        extra: Map<String, Value>,
    }
}

impl<'de> Deserialize<'de> for UserDetails {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let Flat {
            id,
            email,
            name,
            disabled,
            created_at,
            updated_at,
            disabled_at,
            api_key_count,
            session_count,
            extra,
        } = Flat::deserialize(deserializer)?;
        let user = User { id, email, name, disabled, created_at, updated_at, extra };
        Ok(Self { user, disabled_at, api_key_count, session_count })
    }
}

impl Serialize for UserDetails {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let Self { user, disabled_at, api_key_count, session_count } = self.clone();
        let User { id, email, name, disabled, created_at, updated_at, extra } = user;
        Flat { id, email, name, disabled, created_at, updated_at, disabled_at, api_key_count, session_count, extra }
            .serialize(serializer)
    }
}

record! {
    /// What the service says of a user who was disabled or enabled (inferred).
    #[non_exhaustive]
    pub struct UserState {
        /// The user's id.
        pub id: UserId = required "id",
        /// Whether the user is shut out now.
        pub disabled: Option<bool> = optional "disabled",
        /// When the user was shut out; `None` if the user is not.
        pub disabled_at: Option<Timestamp> = optional "disabledAt",
        /// How many API keys of the user were revoked at once, e.g. 2.
        pub revoked_api_keys: Option<u64> = whole "revokedApiKeys",
        ..
        /// What else the service said.
        pub extra: Map<String, Value>,
    }
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
        let call = Call::to(&DISABLE_USER, &[id.as_str()])?;
        self.acknowledge(&match reason {
            Some(reason) => call.json(&json!({ "reason": reason })),
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
