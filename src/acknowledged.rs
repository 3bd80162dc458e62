//! What a server says to something that acts, read so leniently that a success never turns into an error.

use serde_core::de::DeserializeOwned;
use serde_json::Value;

use crate::json;

/// The answer to a request that acts, where the shape of the answer is a guess.
///
/// The action succeeded. `value` is `None` if the answer is empty or of another shape. An answer that is not JSON is an
/// error: it did not come from the API.
///
/// ```no_run
/// # let nomic = nomic_client::Nomic::from_env()?;
/// let stopped = nomic.stop_agent(&"019abc12".into())?; // without an error it was stopped
/// match &stopped.value {
///     Some(agent) => println!("{}", agent.status),
///     None => println!("the service said {:?}", stopped.raw),
/// }
/// # Ok::<(), nomic_client::Error>(())
/// ```
#[derive(Clone, Debug, PartialEq)]
#[non_exhaustive]
pub struct Acknowledged<T> {
    /// What the server said, if it is of the expected shape.
    pub value: Option<T>,
    /// What the server said, as it came; `None` if it said nothing.
    pub raw: Option<Value>,
}

impl<T: DeserializeOwned> Acknowledged<T> {
    /// Reads an answer's body, bare or inside `{data}`.
    pub(crate) fn read(body: &[u8]) -> Result<Self, json::Mismatch> {
        if body.iter().all(u8::is_ascii_whitespace) {
            return Ok(Self { value: None, raw: None });
        }
        let raw = json::decode(body)?;
        Ok(Self { value: json::decode_data(body).ok(), raw: Some(raw) })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde::Deserialize;

    #[derive(Debug, PartialEq, Deserialize)]
    struct Gone {
        id: String,
    }

    #[test]
    fn every_json_is_a_success_and_nothing_of_it_is_lost() {
        let read = |text: &str| Acknowledged::<Gone>::read(text.as_bytes()).unwrap();
        let gone = || Some(Gone { id: "a".to_owned() });
        assert_eq!(read(r#"{"id":"a","more":1}"#).value, gone());
        assert_eq!(read(r#"{"data":{"id":"a"}}"#).value, gone());
        assert_eq!(read(" \n"), Acknowledged { value: None, raw: None });
        assert!(Acknowledged::<Gone>::read(b"OK").unwrap_err().broken, "somebody else said it");
        assert_eq!(read("[1]").raw, Some(serde_json::json!([1])));
    }
}
