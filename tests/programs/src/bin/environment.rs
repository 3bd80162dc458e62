//! Prints the client that the environment describes, or the error.

use nomic_client::{Builder, Nomic};

fn main() {
    let nomic = Nomic::from_env();
    let built = Builder::from_env().and_then(Builder::build);
    assert_eq!(format!("{nomic:?}"), format!("{built:?}"));
    match nomic {
        Ok(nomic) => println!("{nomic:?}"),
        Err(error) => println!("{error}"),
    }
}
