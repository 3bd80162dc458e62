//! The program of the guide's page of the same name, with its unit test.

include!("../src/guide/first_program.rs");
