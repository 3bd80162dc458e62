//! The response to a write, read so leniently that a success never turns into an error.

use serde::de::DeserializeOwned;
use serde_json::Value;

use crate::json;

/// The response to a write whose shape is inferred.
///
/// The write succeeded. `value` is `None` if the response is empty or of another shape. A response that is not JSON is an
/// error: it is not the API's.
///
/// ```no_run
/// # let nomic = nomic_client::Nomic::from_env()?;
/// let stopped = nomic.stop_agent(&"019abc12".into())?; // without an error, it is stopped
/// match &stopped.value {
///     Some(agent) => println!("{}", agent.status),
///     None => println!("the response was {:?}", stopped.raw),
/// }
/// # Ok::<(), nomic_client::Error>(())
/// ```
#[derive(Clone, Debug, PartialEq)]
#[non_exhaustive]
pub struct Acknowledged<T> {
    /// The response, if it is of the expected shape.
    pub value: Option<T>,
    /// The response as it came; `None` if it is empty.
    pub raw: Option<Value>,
}

impl<T: DeserializeOwned> Acknowledged<T> {
    /// Reads a body, bare or inside `data`.
    pub(crate) fn read(body: &[u8]) -> Result<Self, json::DecodeFailure> {
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
    fn any_json_is_a_success_and_nothing_of_it_is_lost() {
        let read = |text: &str| Acknowledged::<Gone>::read(text.as_bytes()).unwrap();
        let gone = || Some(Gone { id: "a".to_owned() });
        assert_eq!(read(r#"{"id":"a","more":1}"#).value, gone());
        assert_eq!(read(r#"{"data":{"id":"a"}}"#).value, gone());
        assert_eq!(read(" \n"), Acknowledged { value: None, raw: None });
        assert!(Acknowledged::<Gone>::read(b"OK").unwrap_err().malformed, "not the API's");
        assert_eq!(read("[1]").raw, Some(serde_json::json!([1])));
    }
}
