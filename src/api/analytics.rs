//! Analytics: the usage and the spend limit of each user.

use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

use crate::call::Call;
use crate::ids::UserId;
use crate::lenient;
use crate::listing::{Listing, Page};
use crate::nomic::Nomic;
use crate::open_enum::open_enum;
use crate::operations::LIST_USER_ANALYTICS;
use crate::timestamp::Timestamp;

/// Maximum page size: 1000 users. The service's default is 100.
pub const MAX_PAGE: u32 = 1000;

open_enum! {
    /// How a user's costs compare with the spend cap. The value is an example in Nomic's API pages; expect others.
    pub enum SpendStatus {
        /// Below the cap.
        WithinLimit = "within_limit",
    }
}

/// The usage of a user.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
#[non_exhaustive]
pub struct UserAnalytics {
    /// The user's id.
    pub id: UserId,
    /// The user's email address, e.g. `alice@example.com`.
    #[serde(default, deserialize_with = "lenient::or_default")]
    pub email: String,
    /// The user's name, e.g. `Alice Johnson`.
    #[serde(default, deserialize_with = "lenient::or_default")]
    pub name: Option<String>,
    /// Whether the user is disabled.
    #[serde(default, deserialize_with = "lenient::or_default")]
    pub disabled: Option<bool>,
    /// The user's role, e.g. `admin`.
    #[serde(default, deserialize_with = "lenient::or_default")]
    pub role: Option<String>,
    /// When the user joined.
    #[serde(default, deserialize_with = "lenient::or_default")]
    pub joined_at: Option<Timestamp>,
    /// When the user was last active; `None` if never.
    #[serde(default, deserialize_with = "lenient::or_default")]
    pub last_active_at: Option<Timestamp>,
    /// The cost of the user's AI usage, in cents, e.g. 1200. The currency and the period are not documented.
    #[serde(default, deserialize_with = "lenient::integer")]
    pub ai_usage_cents: Option<i64>,
    /// The user's spend cap, in the same cents, e.g. 2000; `None` if the user has no separate cap.
    #[serde(default, deserialize_with = "lenient::integer")]
    pub spend_cap_cents: Option<i64>,
    /// How the cost compares with the cap, e.g. `within_limit`.
    #[serde(default, deserialize_with = "lenient::or_default")]
    pub spend_status: Option<SpendStatus>,
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

/// Settings of the organization.
impl Page<UserAnalytics> {
    /// Whether the organization has spend limits; `None` if the response does not include it.
    pub fn spend_limits_enabled(&self) -> Option<bool> {
        self.extra.get("spendLimitsEnabled")?.as_bool()
    }

    /// The spend cap of users without a separate cap, in cents of an undocumented currency and period, e.g. 5000. `None` if
    /// there is no cap, or if the response does not include it.
    pub fn default_spend_cap_cents(&self) -> Option<i64> {
        self.extra.get("defaultSpendCapCents")?.as_i64()
    }
}

impl Nomic {
    /// Lists the usage and the spend limit of each user. A page has at most 1000 users ([`MAX_PAGE`]), and two settings of
    /// the organization: [`spend_limits_enabled`](Page::spend_limits_enabled) and
    /// [`default_spend_cap_cents`](Page::default_spend_cap_cents).
    ///
    /// `GET /analytics/users` · scope `admin:analytics:read` · analytics tier
    ///
    /// ```no_run
    /// # let nomic = nomic_client::Nomic::from_env()?;
    /// for page in nomic.user_analytics().pages() {
    ///     let page = page?;
    ///     println!("limits {:?}, {:?} cents by default", page.spend_limits_enabled(), page.default_spend_cap_cents());
    ///     for user in page.data {
    ///         println!("{}: {:?} cents", user.email, user.ai_usage_cents);
    ///     }
    /// }
    /// # Ok::<(), nomic_client::Error>(())
    /// ```
    #[doc(alias = "list_user_analytics")]
    pub fn user_analytics(&self) -> Listing<UserAnalytics> {
        self.user_analytics_with(&Filter::default())
    }

    /// Lists users like [`user_analytics`](Self::user_analytics), with a filter.
    pub fn user_analytics_with(&self, filter: &Filter) -> Listing<UserAnalytics> {
        let call = Call::to(&LIST_USER_ANALYTICS, &[]).map(|call| call.query_if("email", filter.email.as_deref()));
        Listing::new(self, call, Some(MAX_PAGE))
    }
}
