//! Positions on a page.

use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

use crate::lenient;

/// A position on a page, in fractions of the page (0 to 1) from its upper left corner. In a spreadsheet, `left` and `top` are
/// a column and a row, and `width` and `height` numbers of columns and rows: they may exceed 1. Values that the service left
/// out are 0.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(default, rename_all = "camelCase")]
#[non_exhaustive]
pub struct Bbox {
    /// The left edge, e.g. 0.1.
    #[serde(deserialize_with = "lenient::float_or_zero")]
    pub left: f64,
    /// The upper edge, e.g. 0.05.
    #[serde(deserialize_with = "lenient::float_or_zero")]
    pub top: f64,
    /// The width, e.g. 0.8.
    #[serde(deserialize_with = "lenient::float_or_zero")]
    pub width: f64,
    /// The height, e.g. 0.1.
    #[serde(deserialize_with = "lenient::float_or_zero")]
    pub height: f64,
    /// The page or sheet, counted from 1; `None` if the service did not say.
    #[serde(deserialize_with = "lenient::integer")]
    pub page: Option<u32>,
    /// Fields that this version does not know.
    #[serde(flatten)]
    pub extra: Map<String, Value>,
}
