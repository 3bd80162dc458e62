//! The operations of the API: method, path, rate-limit tier, scope and handler of each.

use std::collections::{BTreeSet, HashMap};

use crate::api::{Handler, Handler::*};
use crate::api::{agents, analytics, api_keys, audit_logs, catalog, codes, extract, files, parse, tasks, users};
use crate::failure::{Failure, Issue};
use crate::http::percent_decode;

/// An operation of the API.
#[derive(Debug, Clone, Copy)]
#[non_exhaustive]
pub struct Operation {
    /// The operation's name (the `operationId` of the OpenAPI document), such as `launch_agent`.
    pub name: &'static str,
    /// The HTTP method, such as `POST`.
    pub method: &'static str,
    /// The path template, such as `/agents/{id}/stop`.
    pub path: &'static str,
    /// The rate-limit tier, such as `heavy`.
    pub tier: &'static str,
    /// The scope that the API key needs, such as `developer:agent`.
    pub scope: &'static str,
    /// The filters of a paginated list, which also takes `limit` and `cursor`. None for all other operations.
    pub(crate) filters: Option<&'static [&'static str]>,
    pub(crate) handler: Handler,
}

impl Operation {
    /// Whether the operation has this query parameter.
    fn takes(&self, parameter: &str) -> bool {
        self.filters.is_some_and(|filters| ["limit", "cursor"].contains(&parameter) || filters.contains(&parameter))
    }

    /// Refuses unknown and repeated query parameters.
    pub(crate) fn check_query(&self, query: &[(String, String)]) -> Result<(), Failure> {
        let mut issues = Vec::new();
        for (index, (name, _)) in query.iter().enumerate() {
            let message = if !self.takes(name) {
                "Unknown query parameter"
            } else if query[..index].iter().any(|(before, _)| before == name) {
                "Expected at most once"
            } else {
                continue;
            };
            issues.push(Issue { path: vec![name.as_str().into()], message: message.to_owned() });
        }
        if issues.is_empty() { Ok(()) } else { Err(Failure::invalid(issues)) }
    }
}

const fn operation(
    name: &'static str,
    method: &'static str,
    path: &'static str,
    tier: &'static str,
    scope: &'static str,
    filters: Option<&'static [&'static str]>,
    handler: Handler,
) -> Operation {
    Operation { name, method, path, tier, scope, filters, handler }
}

#[rustfmt::skip]
static OPERATIONS: [Operation; 26] = [
    operation("upload_file", "POST", "/files/upload", "heavy", "developer:files", None, Upload),
    operation("search_files", "GET", "/files/search", "standard", "developer:files", Some(&["query", "integrationId"]), Plain(files::search)),
    operation("submit_parse", "POST", "/parse", "heavy", "developer:parse", None, Plain(parse::submit)),
    operation("get_parse", "GET", "/parse/{taskId}", "standard", "developer:parse", None, Plain(tasks::get)),
    operation("submit_extract", "POST", "/extract", "heavy", "developer:parse", None, Plain(extract::submit)),
    operation("get_extract", "GET", "/extract/{taskId}", "standard", "developer:parse", None, Plain(tasks::get)),
    operation("search_codes", "POST", "/codes/search", "search", "developer:agent", None, Plain(codes::search)),
    operation("launch_agent", "POST", "/agents", "heavy", "developer:agent", None, Plain(agents::launch)),
    operation("list_agents", "GET", "/agents", "standard", "developer:agent", Some(&["status", "workflowId"]), Plain(agents::list)),
    operation("get_agent", "GET", "/agents/{id}", "standard", "developer:agent", None, Plain(agents::get)),
    operation("delete_agent", "DELETE", "/agents/{id}", "write", "developer:agent", None, Plain(agents::delete)),
    operation("follow_up_agent", "POST", "/agents/{id}/followup", "heavy", "developer:agent", None, Plain(agents::follow_up)),
    operation("stop_agent", "POST", "/agents/{id}/stop", "write", "developer:agent", None, Plain(agents::stop)),
    operation("get_agent_conversation", "GET", "/agents/{id}/conversation", "standard", "developer:agent", None, Plain(agents::conversation)),
    operation("list_artifacts", "GET", "/agents/{id}/artifacts", "standard", "developer:agent", None, Plain(agents::artifacts)),
    operation("get_artifact", "GET", "/agents/{id}/artifacts/{artifactId}", "standard", "developer:agent", None, Plain(agents::artifact)),
    operation("list_workflows", "GET", "/workflows", "standard", "developer:agent", Some(&[]), Plain(catalog::workflows)),
    operation("list_projects", "GET", "/projects", "standard", "developer:agent", Some(&[]), Plain(catalog::projects)),
    operation("list_users", "GET", "/users", "standard", "admin:users:read", Some(&["email"]), Plain(users::list)),
    operation("get_user", "GET", "/users/{id}", "standard", "admin:users:read", None, Plain(users::get)),
    operation("disable_user", "POST", "/users/{id}/disable", "write", "admin:users:write", None, Plain(users::disable)),
    operation("enable_user", "POST", "/users/{id}/enable", "write", "admin:users:write", None, Plain(users::enable)),
    operation("list_api_keys", "GET", "/api-keys", "standard", "admin:api-keys:read", Some(&["userId", "includeRevoked"]), Plain(api_keys::list)),
    operation("revoke_api_key", "POST", "/api-keys/{id}/revoke", "write", "admin:api-keys:write", None, Plain(api_keys::revoke)),
    operation("list_audit_logs", "GET", "/audit-logs", "standard", "admin:audit:read", Some(&["action", "since"]), Plain(audit_logs::list)),
    operation("list_user_analytics", "GET", "/analytics/users", "analytics", "admin:analytics:read", Some(&["email"]), Plain(analytics::list)),
];

/// Returns all operations that the emulator serves.
///
/// ```
/// let launch = nomic_emulator::operations().iter().find(|operation| operation.name == "launch_agent");
/// assert_eq!(launch.map(|launch| (launch.method, launch.path)), Some(("POST", "/agents")));
/// ```
#[must_use]
pub fn operations() -> &'static [Operation] {
    &OPERATIONS
}

/// The name of an operation. A test that misspells one must not pass because nothing happens.
#[track_caller]
pub(crate) fn known_operation(name: &str) -> &'static str {
    known("operation", name, OPERATIONS.iter().map(|operation| operation.name))
}

/// The name of a rate-limit tier.
#[track_caller]
pub(crate) fn known_tier(name: &str) -> &'static str {
    known("tier", name, OPERATIONS.iter().map(|operation| operation.tier))
}

#[track_caller]
#[expect(clippy::panic, reason = "a misspelled name is a mistake in the test, and documented under `# Panics`")]
fn known(what: &str, name: &str, names: impl Iterator<Item = &'static str> + Clone) -> &'static str {
    if let Some(known) = names.clone().find(|known| *known == name) {
        return known;
    }
    let names: BTreeSet<&str> = names.collect();
    panic!("unknown {what} {name:?}; expected one of {names:?}")
}

/// The operation for a method and a path.
#[derive(Debug)]
pub(crate) enum Found {
    /// An operation, and the values of its path parameters.
    Operation(&'static Operation, Vec<String>),
    /// The path exists, but only with these methods.
    WrongMethod(Vec<&'static str>),
    Nothing,
}

impl Found {
    pub(crate) fn operation(&self) -> Option<&'static Operation> {
        match self {
            Found::Operation(operation, _) => Some(operation),
            _ => None,
        }
    }
}

/// Finds the operations for requests.
#[derive(Debug, Clone, Default)]
pub(crate) struct Routes {
    /// The path templates of operations that are not at their documented path, by name.
    moved: HashMap<&'static str, String>,
}

impl Routes {
    /// Moves operations to other paths. An error says which of them cannot move.
    pub(crate) fn moved(moves: &[(String, String)]) -> Result<Routes, String> {
        let mut routes = Routes::default();
        moves.iter().try_for_each(|(name, path)| routes.move_operation(name, path)).map(|()| routes)
    }

    fn move_operation(&mut self, name: &str, path: &str) -> Result<(), String> {
        let operation = OPERATIONS.iter().find(|operation| operation.name == name);
        let operation = operation.ok_or_else(|| format!("unknown operation {name:?}"))?;
        let placeholders = |path: &str| {
            let mut found: Vec<String> =
                path.split('/').filter(|part| part.starts_with('{')).map(str::to_owned).collect();
            found.sort_unstable();
            found
        };
        if !path.starts_with('/') || placeholders(path) != placeholders(operation.path) {
            let own = operation.path;
            return Err(format!("{name} cannot move to {path:?}: expected a path with the placeholders of {own}"));
        }
        self.moved.insert(operation.name, path.to_owned());
        Ok(())
    }

    /// Whether the two names are those of one operation, or of two that moved to the same path.
    pub(crate) fn share_path(&self, one: &str, other: &str) -> bool {
        one == other || self.moved.get(one).is_some_and(|path| self.moved.get(other) == Some(path))
    }

    /// The path template of an operation.
    fn path<'a>(&'a self, operation: &'a Operation) -> &'a str {
        self.moved.get(operation.name).map_or(operation.path, String::as_str)
    }

    /// Finds the operation for a method and a target, under `/api/v0` or `/`.
    pub(crate) fn find(&self, method: &str, target: &str) -> Found {
        let path = target.split(['?', '#']).next().unwrap_or_default();
        let path = match path.strip_prefix("/api/v0") {
            Some(rest) if rest.starts_with('/') => rest,
            _ => path,
        };
        let mut allowed = Vec::new();
        for operation in &OPERATIONS {
            let Some(values) = matches(operation.path, self.path(operation), path) else { continue };
            if operation.method == method {
                return Found::Operation(operation, values);
            }
            allowed.push(operation.method);
        }
        let was_here = |operation: &Operation| {
            operation.method == method && matches(operation.path, operation.path, path).is_some()
        };
        if allowed.is_empty() || OPERATIONS.iter().any(was_here) { Found::Nothing } else { Found::WrongMethod(allowed) }
    }
}

/// The values of the placeholders of a path, in their order in the operation's own path.
fn matches(own: &str, pattern: &str, path: &str) -> Option<Vec<String>> {
    let mut values = HashMap::new();
    let mut segments = path.split('/');
    for expected in pattern.split('/') {
        let segment = segments.next()?;
        if expected.starts_with('{') {
            if segment.is_empty() {
                return None;
            }
            values.insert(expected, percent_decode(segment, false));
        } else if segment != expected {
            return None;
        }
    }
    let values = own.split('/').filter_map(|placeholder| values.remove(placeholder)).collect();
    segments.next().is_none().then_some(values)
}

/// The decoded query parameters.
pub(crate) fn query(target: &str) -> Vec<(String, String)> {
    let Some((_, query)) = target.split_once('?') else { return Vec::new() };
    let query = query.split('#').next().unwrap_or_default();
    let pairs = query.split('&').filter(|pair| !pair.is_empty());
    pairs
        .map(|pair| {
            let (name, value) = pair.split_once('=').unwrap_or((pair, ""));
            (percent_decode(name, true), percent_decode(value, true))
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn found(method: &str, target: &str) -> String {
        found_by(&Routes::default(), method, target)
    }

    fn moved(moves: &[(&str, &str)]) -> Result<Routes, String> {
        let moves: Vec<_> = moves.iter().map(|(name, path)| ((*name).to_owned(), (*path).to_owned())).collect();
        Routes::moved(&moves)
    }

    fn found_by(routes: &Routes, method: &str, target: &str) -> String {
        match routes.find(method, target) {
            Found::Operation(operation, values) => format!("{} {}", operation.name, values.join(",")),
            Found::WrongMethod(methods) => methods.join(","),
            Found::Nothing => "nothing".to_owned(),
        }
    }

    #[test]
    #[should_panic(expected = r#"unknown operation "lunch_agent"; expected one of {"delete_agent", "#)]
    fn an_unknown_operation_is_refused_with_the_names_of_all() {
        known_operation("lunch_agent");
    }

    #[test]
    #[should_panic(expected = r#"unknown tier "hevy"; expected one of {"analytics", "heavy", "#)]
    fn an_unknown_tier_is_refused_with_the_names_of_all() {
        known_tier("hevy");
    }

    #[test]
    fn a_moved_operation_is_found_at_its_new_path_only() {
        let routes = moved(&[
            ("get_parse", "/tasks/{taskId}"),
            ("get_agent", "/agents/{id}/state"),
            ("get_artifact", "/artifacts/{artifactId}/of/{id}"),
        ]);
        let routes = routes.unwrap();
        for (method, target, expected) in [
            ("GET", "/tasks/7", "get_parse 7"),
            ("GET", "/parse/7", "nothing"),
            ("GET", "/agents/7/state", "get_agent 7"),
            ("GET", "/agents/7", "nothing"),
            ("DELETE", "/agents/7", "delete_agent 7"),
            ("PUT", "/agents/7", "DELETE"),
            ("GET", "/artifacts/8/of/7", "get_artifact 7,8"),
            ("GET", "/extract/7", "get_extract 7"),
        ] {
            assert_eq!(found_by(&routes, method, target), expected, "{method} {target}");
        }
    }

    #[test]
    fn an_operation_does_not_move_to_a_path_without_its_ids() {
        for (name, path, words) in [
            ("get_parse", "/tasks", "expected a path with the placeholders of /parse/{taskId}"),
            ("get_parse", "tasks/{taskId}", "expected a path with the placeholders of /parse/{taskId}"),
            ("get_pars", "/tasks/{taskId}", "unknown operation \"get_pars\""),
        ] {
            let error = moved(&[(name, path)]).unwrap_err();
            assert!(error.contains(words), "{error}");
        }
    }

    #[test]
    fn operations_are_found_under_both_prefixes() {
        for (method, target, expected) in [
            ("GET", "/users", "list_users "),
            ("GET", "/api/v0/users?limit=1", "list_users "),
            ("GET", "/users/a%2Fb", "get_user a/b"),
            ("GET", "/users/%252e", "get_user %2e"),
            ("DELETE", "/agents/1", "delete_agent 1"),
            ("PUT", "/agents/1", "GET,DELETE"),
            ("get", "/users", "GET"),
            ("GET", "/users/", "nothing"),
            ("POST", "/agents//stop", "nothing"),
            ("GET", "/api/v0", "nothing"),
            ("GET", "/api/v0users", "nothing"),
            ("GET", "users", "nothing"),
        ] {
            assert_eq!(found(method, target), expected, "{method} {target}");
        }
    }
}
