//! Where something stands on a page.

use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

use crate::words::{real, whole};

/// A box on a page, in fractions of the page from its upper left corner (0 to 1). An edge that the service left out reads
/// as 0.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
#[non_exhaustive]
pub struct Bbox {
    /// The left edge, e.g. 0.1.
    #[serde(deserialize_with = "real")]
    pub left: f64,
    /// The upper edge, e.g. 0.05.
    #[serde(deserialize_with = "real")]
    pub top: f64,
    /// The width, e.g. 0.8.
    #[serde(deserialize_with = "real")]
    pub width: f64,
    /// The height, e.g. 0.1.
    #[serde(deserialize_with = "real")]
    pub height: f64,
    /// The page, counted from 1; `None` if the service did not say.
    #[serde(deserialize_with = "whole")]
    pub page: Option<u32>,
    /// What else the service said.
    #[serde(flatten)]
    pub extra: Map<String, Value>,
}
