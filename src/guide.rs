//! Pages for those who come from somewhere else.

#[doc = include_str!("guide/coming_from_python.md")]
pub mod coming_from_python {}
