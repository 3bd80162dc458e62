//! Guides.

#[doc = include_str!("guide/testing.md")]
pub mod testing {}

#[doc = include_str!("guide/coming_from_python.md")]
pub mod coming_from_python {}
