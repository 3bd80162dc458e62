//! The table of all operations: which request leads where, what it costs, and what it needs.

use crate::api::{Handler, Handler::*};
use crate::api::{agents, analytics, api_keys, audit_logs, codes, extract, files, parse, projects, users, workflows};
use crate::failure::{Failure, Issue};
use crate::http::percent_decode;

/// One operation of the API.
#[derive(Debug, Clone, Copy)]
pub struct Route {
    /// The contract's operationId, such as `launch_agent`.
    pub operation: &'static str,
    /// The method, such as `POST`.
    pub method: &'static str,
    /// The path as the contract writes it, such as `/agents/{id}/stop`.
    pub path: &'static str,
    /// The rate-limit tier, such as `heavy`.
    pub tier: &'static str,
    /// The granular scope that a key needs, such as `developer:agent`.
    pub scope: &'static str,
    /// The filters of a list that comes in pages, and so takes `limit` and `cursor` as well; None for all else.
    pub(crate) filters: Option<&'static [&'static str]>,
    pub(crate) handler: Handler,
}

impl Route {
    /// Whether this may stand in the query.
    fn takes(&self, parameter: &str) -> bool {
        self.filters.is_some_and(|filters| ["limit", "cursor"].contains(&parameter) || filters.contains(&parameter))
    }

    /// Refuses a query with parameters that the operation does not take, or has twice.
    pub(crate) fn check_query(&self, query: &[(String, String)]) -> Result<(), Failure> {
        let mut issues = Vec::new();
        for (place, (name, _)) in query.iter().enumerate() {
            let message = if !self.takes(name) {
                "Unknown query parameter"
            } else if query[..place].iter().any(|(before, _)| before == name) {
                "Expected at most once"
            } else {
                continue;
            };
            issues.push(Issue { path: vec![name.as_str().into()], message: message.to_owned() });
        }
        if issues.is_empty() { Ok(()) } else { Err(Failure::invalid(issues)) }
    }
}

const fn route(
    operation: &'static str,
    method: &'static str,
    path: &'static str,
    tier: &'static str,
    scope: &'static str,
    handler: Handler,
) -> Route {
    Route { operation, method, path, tier, scope, filters: None, handler }
}

/// A list that comes in pages.
const fn list(
    operation: &'static str,
    path: &'static str,
    tier: &'static str,
    scope: &'static str,
    filters: &'static [&'static str],
    handler: Handler,
) -> Route {
    Route { filters: Some(filters), ..route(operation, "GET", path, tier, scope, handler) }
}

#[rustfmt::skip]
static ROUTES: [Route; 26] = [
    route("upload_file", "POST", "/files/upload", "heavy", "developer:files", Upload),
    list("search_files", "/files/search", "standard", "developer:files", &["query", "integrationId"], Plain(files::search)),
    route("submit_parse", "POST", "/parse", "heavy", "developer:parse", Plain(parse::submit)),
    route("get_parse", "GET", "/parse/{taskId}", "standard", "developer:parse", Plain(parse::get)),
    route("submit_extract", "POST", "/extract", "heavy", "developer:parse", Plain(extract::submit)),
    route("get_extract", "GET", "/extract/{taskId}", "standard", "developer:parse", Plain(extract::get)),
    route("search_codes", "POST", "/codes/search", "search", "developer:agent", Plain(codes::search)),
    route("launch_agent", "POST", "/agents", "heavy", "developer:agent", Plain(agents::launch)),
    list("list_agents", "/agents", "standard", "developer:agent", &["status", "workflowId"], Plain(agents::list)),
    route("get_agent", "GET", "/agents/{id}", "standard", "developer:agent", Plain(agents::get)),
    route("delete_agent", "DELETE", "/agents/{id}", "write", "developer:agent", Plain(agents::delete)),
    route("follow_up_agent", "POST", "/agents/{id}/followup", "heavy", "developer:agent", Plain(agents::follow_up)),
    route("stop_agent", "POST", "/agents/{id}/stop", "write", "developer:agent", Plain(agents::stop)),
    route("get_agent_conversation", "GET", "/agents/{id}/conversation", "standard", "developer:agent", Plain(agents::conversation)),
    route("list_artifacts", "GET", "/agents/{id}/artifacts", "standard", "developer:agent", Plain(agents::artifacts)),
    route("get_artifact", "GET", "/agents/{id}/artifacts/{artifactId}", "standard", "developer:agent", Plain(agents::artifact)),
    list("list_workflows", "/workflows", "standard", "developer:agent", &[], Plain(workflows::list)),
    list("list_projects", "/projects", "standard", "developer:agent", &[], Plain(projects::list)),
    list("list_users", "/users", "standard", "admin:users:read", &["email"], Plain(users::list)),
    route("get_user", "GET", "/users/{id}", "standard", "admin:users:read", Plain(users::get)),
    route("disable_user", "POST", "/users/{id}/disable", "write", "admin:users:write", Plain(users::disable)),
    route("enable_user", "POST", "/users/{id}/enable", "write", "admin:users:write", Plain(users::enable)),
    list("list_api_keys", "/api-keys", "standard", "admin:api-keys:read", &["userId", "includeRevoked"], Plain(api_keys::list)),
    route("revoke_api_key", "POST", "/api-keys/{id}/revoke", "write", "admin:api-keys:write", Plain(api_keys::revoke)),
    list("list_audit_logs", "/audit-logs", "standard", "admin:audit:read", &["action", "since"], Plain(audit_logs::list)),
    list("list_user_analytics", "/analytics/users", "analytics", "admin:analytics:read", &["email"], Plain(analytics::list)),
];

/// All operations that the emulator serves.
#[must_use]
pub fn routes() -> &'static [Route] {
    &ROUTES
}

/// Where a request leads.
#[derive(Debug)]
pub(crate) enum Found {
    /// To this operation, with these values in its path.
    Route(&'static Route, Vec<String>),
    /// The path is known, with these methods only.
    WrongMethod(Vec<&'static str>),
    Nothing,
}

impl Found {
    pub(crate) fn route(&self) -> Option<&'static Route> {
        match self {
            Found::Route(route, _) => Some(route),
            _ => None,
        }
    }
}

/// Finds the operation for a method and a target, below `/api/v0` or the root.
pub(crate) fn find(method: &str, target: &str) -> Found {
    let path = target.split(['?', '#']).next().unwrap_or_default();
    let path = match path.strip_prefix("/api/v0") {
        Some(rest) if rest.starts_with('/') => rest,
        _ => path,
    };
    let mut allowed = Vec::new();
    for route in &ROUTES {
        let Some(values) = matches(route.path, path) else { continue };
        if route.method == method {
            return Found::Route(route, values);
        }
        allowed.push(route.method);
    }
    if allowed.is_empty() { Found::Nothing } else { Found::WrongMethod(allowed) }
}

fn matches(pattern: &str, path: &str) -> Option<Vec<String>> {
    let mut values = Vec::new();
    let mut segments = path.split('/');
    for expected in pattern.split('/') {
        let segment = segments.next()?;
        if expected.starts_with('{') {
            if segment.is_empty() {
                return None;
            }
            values.push(percent_decode(segment, false));
        } else if segment != expected {
            return None;
        }
    }
    segments.next().is_none().then_some(values)
}

/// The parameters of the query, decoded.
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
        match find(method, target) {
            Found::Route(route, values) => format!("{} {}", route.operation, values.join(",")),
            Found::WrongMethod(methods) => methods.join(","),
            Found::Nothing => "nothing".to_owned(),
        }
    }

    #[test]
    fn requests_lead_to_operations_under_both_prefixes() {
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
