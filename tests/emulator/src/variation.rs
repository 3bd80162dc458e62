//! Forms of responses that the API's documentation leaves open.

use std::sync::Mutex;

use serde_json::{Value, json};

use crate::api_version::{bare, change_objects, is_camel_case};
use crate::ids::is_uuid;
use crate::state::lock;

/// A form of responses that the documentation leaves open, so that a client should read it as well. All of them can be
/// combined, with each other and with every [`ApiVersion`](crate::ApiVersion).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum Variation {
    /// A follow-up or a stop of an agent is answered with `{"id": …}` only.
    IdOnly,
    /// A follow-up or a stop of an agent is answered with `{"data": {"id": …}}` only. Takes precedence over `IdOnly`.
    WrappedIdOnly,
    /// The list of an agent's artifacts is `{"artifacts": […]}`, without pages.
    NamedArtifacts,
    /// Optional fields are `null`, except those with the output of a job.
    Nulls,
    /// Integers are written as `7.0`.
    WholeFloats,
    /// Numbers are strings.
    NumbersAsStrings,
    /// Ids are integers, in responses and requests.
    NumericIds,
}

impl Variation {
    /// All variations.
    pub const ALL: &'static [Variation] = &[
        Variation::IdOnly,
        Variation::WrappedIdOnly,
        Variation::NamedArtifacts,
        Variation::Nulls,
        Variation::WholeFloats,
        Variation::NumbersAsStrings,
        Variation::NumericIds,
    ];

    /// The name on the command line, such as `id-only`.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Variation::IdOnly => "id-only",
            Variation::WrappedIdOnly => "wrapped-id-only",
            Variation::NamedArtifacts => "named-artifacts",
            Variation::Nulls => "nulls",
            Variation::WholeFloats => "whole-floats",
            Variation::NumbersAsStrings => "numbers-as-strings",
            Variation::NumericIds => "numeric-ids",
        }
    }
}

/// The variations of an emulator.
#[derive(Debug, Default)]
pub(crate) struct Variations {
    on: Vec<Variation>,
    /// The ids that were sent as integers, each at its index.
    ids: Mutex<Vec<String>>,
}

/// The integer of the first id. No other number in a request is that large.
const FIRST_ID: u64 = 7_000_000_000_000;

/// Whether a field is neither required nor needed by a job. Of the names with several words, few are.
fn is_optional(name: &str) -> bool {
    match name {
        "fileVersionId" | "taskId" | "nextCursor" | "keyPrefix" | "occurredAt" | "citationId" => false,
        "size" | "embed" | "bbox" | "summary" | "url" | "title" | "description" | "inputs" | "files" => true,
        "disabled" | "scopes" | "role" | "context" | "metadata" => true,
        _ => is_camel_case(name),
    }
}

impl Variations {
    pub(crate) fn new(on: Vec<Variation>) -> Variations {
        Variations { on, ids: Mutex::default() }
    }

    fn has(&self, variation: Variation) -> bool {
        self.on.contains(&variation)
    }

    /// Changes a response.
    pub(crate) fn apply(&self, operation: &str, mut body: Value) -> Value {
        if matches!(operation, "follow_up_agent" | "stop_agent") {
            let id = || json!({ "id": bare(body.clone())["id"] });
            if self.has(Variation::WrappedIdOnly) {
                body = json!({ "data": id() });
            } else if self.has(Variation::IdOnly) {
                body = id();
            }
        }
        if operation == "list_artifacts" && self.has(Variation::NamedArtifacts) {
            body = json!({ "artifacts": body["data"] });
        }
        change_objects(&mut body, &mut |fields| {
            fields.iter_mut().for_each(|(name, value)| self.change_field(name, value));
        });
        body
    }

    fn change_field(&self, name: &str, value: &mut Value) {
        if self.has(Variation::Nulls) && is_optional(name) {
            *value = Value::Null;
        }
        if self.has(Variation::WholeFloats) && (value.is_u64() || value.is_i64()) {
            *value = json!(value.as_f64());
        }
        if self.has(Variation::NumbersAsStrings) && value.is_number() {
            *value = json!(value.to_string());
        }
        let id = value.as_str().filter(|id| is_uuid(id) && (name == "id" || name.ends_with("Id")));
        if let Some(id) = id.filter(|_| self.has(Variation::NumericIds)) {
            *value = json!(self.number(id));
        }
    }

    /// The integer of an id.
    fn number(&self, id: &str) -> u64 {
        let mut ids = lock(&self.ids);
        let index = ids.iter().position(|known| known == id).unwrap_or_else(|| {
            ids.push(id.to_owned());
            ids.len() - 1
        });
        FIRST_ID + index as u64
    }

    /// The id that was sent as this integer, or else the text itself.
    pub(crate) fn original(&self, text: String) -> String {
        let index = text.parse::<u64>().ok().and_then(|number| number.checked_sub(FIRST_ID));
        index.and_then(|index| lock(&self.ids).get(index as usize).cloned()).unwrap_or(text)
    }

    /// The body of a request, with the ids that were sent as integers.
    pub(crate) fn original_body(&self, body: Vec<u8>) -> Vec<u8> {
        fn restore(variations: &Variations, value: &mut Value) {
            match value {
                Value::String(text) => *text = variations.original(std::mem::take(text)),
                Value::Array(items) => items.iter_mut().for_each(|item| restore(variations, item)),
                Value::Object(fields) => fields.values_mut().for_each(|value| restore(variations, value)),
                _ => {}
            }
        }
        if !self.has(Variation::NumericIds) {
            return body;
        }
        let Ok(mut value) = serde_json::from_slice(&body) else { return body };
        restore(self, &mut value);
        value.to_string().into_bytes()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn varied(on: &[Variation], operation: &str, body: Value) -> Value {
        Variations::new(on.to_vec()).apply(operation, body)
    }

    #[test]
    fn each_variation_changes_what_it_names() {
        use Variation::*;
        let agent = json!({ "data": { "id": "a", "status": "running", "projectId": "p" } });
        let page = json!({ "data": [{ "id": "b" }], "nextCursor": null });
        let file = json!({ "id": "c", "fileVersionId": "d", "size": 7, "createdAt": "today", "name": "e" });
        for (on, operation, body, expected) in [
            (IdOnly, "follow_up_agent", &agent, json!({ "id": "a" })),
            (WrappedIdOnly, "stop_agent", &agent, json!({ "data": { "id": "a" } })),
            (IdOnly, "get_agent", &agent, agent.clone()),
            (NamedArtifacts, "list_artifacts", &page, json!({ "artifacts": [{ "id": "b" }] })),
            (NamedArtifacts, "list_users", &page, page.clone()),
            (
                Nulls,
                "upload_file",
                &file,
                json!({ "id": "c", "fileVersionId": "d", "size": null, "createdAt": null, "name": "e" }),
            ),
            (WholeFloats, "upload_file", &json!({ "size": 7, "left": 0.5 }), json!({ "size": 7.0, "left": 0.5 })),
            (NumbersAsStrings, "upload_file", &json!({ "size": 7, "ok": true }), json!({ "size": "7", "ok": true })),
        ] {
            assert_eq!(varied(&[on], operation, body.clone()), expected, "{on:?}");
        }
        let all = varied(Variation::ALL, "upload_file", json!({ "size": 7, "page": 8, "id": "c" }));
        assert_eq!(all, json!({ "size": null, "page": "8.0", "id": "c" }));
    }

    #[test]
    fn what_comes_from_documents_does_not_vary() {
        let body = json!({ "status": "COMPLETED", "result": { "size": 7, "chunks": [{ "page": 7, "content": 7 }] } });
        let expected =
            json!({ "status": "COMPLETED", "result": { "size": 7, "chunks": [{ "page": "7", "content": "7" }] } });
        assert_eq!(varied(&[Variation::NumbersAsStrings], "get_parse", body), expected);
    }

    #[test]
    fn citations_vary_but_not_the_names_of_the_values() {
        let citation = json!({ "fileVersionId": "a", "page": 1 });
        let body = json!({ "citations": { "permitNumber": [citation] } });
        let expected = json!({ "citations": { "permitNumber": [{ "fileVersionId": "a", "page": "1" }] } });
        assert_eq!(varied(&[Variation::Nulls, Variation::NumbersAsStrings], "get_extract", body), expected);
    }

    #[test]
    fn an_id_that_was_sent_as_an_integer_is_known_in_requests() {
        let id = "019abc12-3456-7890-abcd-ef1234567890";
        let variations = Variations::new(vec![Variation::NumericIds]);
        let sent = variations.apply("upload_file", json!({ "id": id, "fileVersionId": id, "name": id }));
        assert_eq!(sent, json!({ "id": FIRST_ID, "fileVersionId": FIRST_ID, "name": id }));
        assert_eq!(variations.original(FIRST_ID.to_string()), id);
        assert_eq!(variations.original("7".to_owned()), "7");
        let body = variations.original_body(json!({ "fileIds": [FIRST_ID.to_string()] }).to_string().into_bytes());
        assert_eq!(body, json!({ "fileIds": [id] }).to_string().into_bytes());
    }
}
