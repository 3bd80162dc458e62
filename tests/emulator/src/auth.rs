//! Authentication and authorization: API keys and their scopes.

use crate::clock::Moment;
use crate::failure::Failure;
use crate::operations::Operation;
use crate::state::{World, lock};

/// Returns the index of the key's owner, if the key is valid and has the scope of the operation.
pub(crate) fn authorize(
    world: &World,
    authorization: Option<&str>,
    operation: &Operation,
    now: Moment,
) -> Result<usize, Failure> {
    let secret = authorization
        .and_then(|value| value.split_once(' '))
        .filter(|(scheme, _)| scheme.eq_ignore_ascii_case("bearer"))
        .map(|(_, secret)| secret.trim());
    let secret = secret.ok_or_else(|| Failure::new(401, "Missing API key"))?;
    let mut accounts = lock(&world.accounts);
    let key = accounts.authenticate(secret, now).map_err(|error| Failure::new(401, error))?;
    if key.scopes.iter().any(|scope| covers(scope, operation.scope)) {
        Ok(key.owner)
    } else {
        Err(Failure::new(403, format!("Missing required scope: {}", operation.scope)))
    }
}

/// Whether a scope includes another: `developer` covers `developer:files`.
fn covers(held: &str, needed: &str) -> bool {
    needed.strip_prefix(held).is_some_and(|rest| rest.is_empty() || rest.starts_with(':'))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_scope_covers_itself_and_the_scopes_below_it() {
        for (held, needed, expected) in [
            ("developer", "developer:files", true),
            ("developer:files", "developer:files", true),
            ("admin", "admin:users:read", true),
            ("admin:users", "admin:users:read", true),
            ("admin:users:read", "admin:users:write", false),
            ("developer:files", "developer", false),
            ("dev", "developer:files", false),
            ("admin", "developer:files", false),
            ("", "developer:files", false),
        ] {
            assert_eq!(covers(held, needed), expected, "{held} {needed}");
        }
    }
}
