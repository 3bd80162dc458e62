//! The client.
mod base; mod call; mod error; mod ids; mod json; mod multipart; pub mod operations; mod pace; mod retry; mod words; mod wire;
