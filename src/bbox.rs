//! Where something stands on a page.

use serde::{Deserialize, Serialize};

/// A box on a page, in fractions of the page from its upper left corner (0 to 1).
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
#[non_exhaustive]
pub struct Bbox {
    /// The left edge.
    pub left: f64,
    /// The upper edge.
    pub top: f64,
    /// The width.
    pub width: f64,
    /// The height.
    pub height: f64,
    /// The page, counted from 1; `None` if the service did not say.
    pub page: Option<u32>,
}
