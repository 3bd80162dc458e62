//! Users and their API keys.

use std::collections::HashMap;

use crate::clock::Moment;
use crate::seed;

/// A user of the organization.
#[derive(Debug, Clone)]
pub(crate) struct User {
    pub(crate) id: String,
    pub(crate) email: String,
    pub(crate) name: String,
    pub(crate) role: &'static str,
    pub(crate) created: Moment,
    pub(crate) updated: Moment,
    pub(crate) disabled: Option<Moment>,
    pub(crate) last_active: Option<Moment>,
    pub(crate) sessions: u64,
    pub(crate) usage_cents: u64,
    pub(crate) cap_cents: Option<u64>,
}

/// An API key. Its secret is only in the index.
#[derive(Debug, Clone)]
pub(crate) struct ApiKey {
    pub(crate) id: String,
    pub(crate) prefix: String,
    pub(crate) name: String,
    pub(crate) scopes: Vec<String>,
    pub(crate) owner: usize,
    pub(crate) created: Moment,
    pub(crate) last_used: Option<Moment>,
    pub(crate) expires: Option<Moment>,
    pub(crate) revoked: Option<Moment>,
}

/// All users and API keys, identified by their index.
#[derive(Debug)]
pub(crate) struct Accounts {
    pub(crate) users: Vec<User>,
    pub(crate) keys: Vec<ApiKey>,
    user_by_id: HashMap<String, usize>,
    key_by_id: HashMap<String, usize>,
    key_by_secret: HashMap<String, usize>,
}

impl Accounts {
    pub(crate) fn seeded(users: usize) -> Accounts {
        let users: Vec<User> = (0..users.max(1)).map(seed::user).collect();
        let keys: Vec<ApiKey> = (0..users.len()).flat_map(seed::api_keys).collect();
        Accounts {
            user_by_id: users.iter().enumerate().map(|(at, user)| (user.id.clone(), at)).collect(),
            key_by_id: keys.iter().enumerate().map(|(at, key)| (key.id.clone(), at)).collect(),
            key_by_secret: HashMap::new(),
            users,
            keys,
        }
    }

    pub(crate) fn user(&self, index: usize) -> Option<&User> {
        self.users.get(index)
    }

    pub(crate) fn find_user(&self, id: &str) -> Option<usize> {
        self.user_by_id.get(id).copied()
    }

    pub(crate) fn find_key(&self, id: &str) -> Option<usize> {
        self.key_by_id.get(id).copied()
    }

    /// The number of keys of a user that are not revoked.
    pub(crate) fn active_keys(&self, owner: usize) -> usize {
        let keys = self.keys.iter();
        keys.filter(|key| key.owner == owner && key.revoked.is_none()).count()
    }

    /// Adds a key with this secret.
    pub(crate) fn add_key(&mut self, secret: String, key: ApiKey) {
        self.key_by_id.insert(key.id.clone(), self.keys.len());
        self.key_by_secret.insert(secret, self.keys.len());
        self.keys.push(key);
    }

    /// The index of the key with this secret, valid or not.
    pub(crate) fn find_secret(&self, secret: &str) -> Option<usize> {
        self.key_by_secret.get(secret).copied()
    }

    /// Returns the valid key with this secret, and records its use. The error says why it is not valid.
    pub(crate) fn authenticate(&mut self, secret: &str, now: Moment) -> Result<&ApiKey, &'static str> {
        let key = self.find_secret(secret).and_then(|index| self.keys.get_mut(index));
        let key = key.ok_or("Invalid API key")?;
        let owner = self.users.get_mut(key.owner).ok_or("Invalid API key")?;
        if owner.disabled.is_some() {
            return Err("User is disabled");
        }
        if key.revoked.is_some() {
            return Err("API key has been revoked");
        }
        if key.expires.is_some_and(|expires| expires <= now) {
            return Err("API key has expired");
        }
        key.last_used = Some(now);
        owner.last_active = Some(now);
        Ok(key)
    }

    /// Revokes a key. Returns when it was revoked, and whether it was not revoked before.
    pub(crate) fn revoke(&mut self, index: usize, now: Moment) -> Option<(Moment, bool)> {
        let key = self.keys.get_mut(index)?;
        let before = key.revoked;
        Some((*key.revoked.get_or_insert(now), before.is_none()))
    }

    /// Disables a user and revokes all their keys. Returns their number, or None if the user was already disabled.
    pub(crate) fn disable(&mut self, index: usize, now: Moment) -> Option<usize> {
        let user = self.users.get_mut(index).filter(|user| user.disabled.is_none())?;
        user.disabled = Some(now);
        user.updated = now;
        user.sessions = 0;
        let keys = self.keys.iter_mut();
        let active = keys.filter(|key| key.owner == index && key.revoked.is_none());
        Some(active.map(|key| key.revoked = Some(now)).count())
    }

    /// Enables a user. The keys stay revoked. Returns whether the user was disabled.
    pub(crate) fn enable(&mut self, index: usize, now: Moment) -> bool {
        let user = self.users.get_mut(index).filter(|user| user.disabled.is_some());
        if let Some(user) = user {
            user.disabled = None;
            user.updated = now;
            return true;
        }
        false
    }
}
