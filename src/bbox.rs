//! Where something stands on a page.

use serde_json::{Map, Value};

use crate::record::record;

record! {
    /// A box on a page, in fractions of the page from its upper left corner (0 to 1). An edge that the service left out
    /// reads as 0.
    #[derive(Default)]
    #[non_exhaustive]
    pub struct Bbox {
        /// The left edge, e.g. 0.1.
        pub left: f64 = real "left",
        /// The upper edge, e.g. 0.05.
        pub top: f64 = real "top",
        /// The width, e.g. 0.8.
        pub width: f64 = real "width",
        /// The height, e.g. 0.1.
        pub height: f64 = real "height",
        /// The page, counted from 1; `None` if the service did not say.
        pub page: Option<u32> = whole "page",
        ..
        /// What else the service said.
        pub extra: Map<String, Value>,
    }
}
