//! The command `fleet`: adds documents, works on them, and shows how far they are.

fn main() {}
