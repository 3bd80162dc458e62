//! API keys: listing and revoking them. The service never returns a whole key.

use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

use crate::call::Call;
use crate::error::Result;
use crate::ids::{ApiKeyId, UserId};
use crate::lenient;
use crate::listing::Listing;
use crate::nomic::Nomic;
use crate::operations::{LIST_API_KEYS, REVOKE_API_KEY};
use crate::timestamp::Timestamp;

/// An API key's record.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
#[non_exhaustive]
pub struct ApiKey {
    /// The record's id.
    pub id: ApiKeyId,
    /// The first characters of the key, e.g. `npk_abc12`.
    #[serde(default, deserialize_with = "lenient::or_default")]
    pub key_prefix: String,
    /// Its name, e.g. `CI/CD Pipeline`.
    #[serde(default, deserialize_with = "lenient::or_default")]
    pub name: Option<String>,
    /// Its scopes, e.g. `developer:parse`.
    #[serde(default, deserialize_with = "lenient::or_default")]
    pub scopes: Vec<String>,
    /// When it was created, e.g. `2026-02-01T10:00:00.000Z`.
    #[serde(default, deserialize_with = "lenient::or_default")]
    pub created_at: Option<Timestamp>,
    /// When it was last used; `None` if never.
    #[serde(default, deserialize_with = "lenient::or_default")]
    pub last_used_at: Option<Timestamp>,
    /// When it expires; `None` if never.
    #[serde(default, deserialize_with = "lenient::or_default")]
    pub expires_at: Option<Timestamp>,
    /// When it was revoked; `None` if it was not.
    #[serde(default, deserialize_with = "lenient::or_default")]
    pub revoked_at: Option<Timestamp>,
    /// The user that it belongs to.
    #[serde(default, deserialize_with = "lenient::or_default")]
    pub user: Option<KeyOwner>,
    /// Fields that this version does not know.
    #[serde(flatten)]
    pub extra: Map<String, Value>,
}

/// The user that a key belongs to.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(default, rename_all = "camelCase")]
#[non_exhaustive]
pub struct KeyOwner {
    /// The user's id.
    #[serde(deserialize_with = "lenient::or_default")]
    pub id: Option<UserId>,
    /// The user's email address, e.g. `alice@example.com`.
    #[serde(deserialize_with = "lenient::or_default")]
    pub email: Option<String>,
    /// Fields that this version does not know.
    #[serde(flatten)]
    pub extra: Map<String, Value>,
}

/// A filter for a list of API keys.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct Filter {
    /// Only keys of this user.
    pub user_id: Option<UserId>,
    /// Whether to include revoked keys.
    pub include_revoked: bool,
}

impl Filter {
    /// Only keys of this user.
    #[must_use]
    pub fn user_id(self, id: impl Into<UserId>) -> Self {
        Self { user_id: Some(id.into()), ..self }
    }

    /// Whether to include revoked keys. Defaults to `false`.
    #[must_use]
    pub fn include_revoked(self, include_revoked: bool) -> Self {
        Self { include_revoked, ..self }
    }
}

impl Nomic {
    /// Lists the API keys that are not revoked.
    ///
    /// `GET /api-keys` · scope `admin:api-keys:read` · standard tier
    ///
    /// ```no_run
    /// # let nomic = nomic_client::Nomic::from_env()?;
    /// for key in nomic.api_keys() {
    ///     let key = key?;
    ///     println!("{} {:?} last used {:?}", key.key_prefix, key.name, key.last_used_at);
    /// }
    /// # Ok::<(), nomic_client::Error>(())
    /// ```
    #[doc(alias = "list_api_keys")]
    pub fn api_keys(&self) -> Listing<ApiKey> {
        self.api_keys_with(&Filter::default())
    }

    /// Lists API keys like [`api_keys`](Self::api_keys), with a filter.
    pub fn api_keys_with(&self, filter: &Filter) -> Listing<ApiKey> {
        let call = Call::to(&LIST_API_KEYS, &[]).map(|call| {
            call.query_if("userId", filter.user_id.as_ref())
                .query_if("includeRevoked", filter.include_revoked.then_some("true"))
        });
        Listing::new(self, call, None)
    }

    /// Revokes an API key. **Destructive**: the key stops working immediately, and cannot be restored. Its record remains, and
    /// [`Filter::include_revoked`] lists it. 404 if the key is unknown. Returns `None` if the response does not contain the
    /// record. Never retried if its effect is unknown. The operation is documented to exist; its path and response are
    /// inferred.
    ///
    /// `POST /api-keys/{id}/revoke` · scope `admin:api-keys:write` · write tier · inferred
    pub fn revoke_api_key(&self, id: impl Into<ApiKeyId>) -> Result<Option<ApiKey>> {
        self.acknowledge(&Call::to(&REVOKE_API_KEY, &[id.into().as_str()])?)
    }
}
