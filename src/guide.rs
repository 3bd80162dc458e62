//! Guides.

/// A program with the main job, a list, a branch for errors, and a unit test of that branch.
#[doc = concat!("```no_run\n", include_str!("guide/first_program.rs"), "```")]
pub mod first_program {}

#[doc = include_str!("guide/testing.md")]
pub mod testing {}

#[doc = include_str!("guide/coming_from_python.md")]
pub mod coming_from_python {}
