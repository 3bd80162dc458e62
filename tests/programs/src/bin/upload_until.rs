//! Uploads the file that its first argument names, within the milliseconds of its second; prints the outcome.

use std::time::{Duration, Instant};

use nomic_client::Builder;

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let mut arguments = std::env::args_os().skip(1);
    let path = arguments.next().ok_or("name a file")?;
    let deadline = arguments.next().ok_or("name a deadline")?.into_string().map_err(|_| "not a number")?.parse()?;
    let nomic = Builder::from_env()?.upload_deadline(Duration::from_millis(deadline)).build()?;
    let began = Instant::now();
    let outcome = nomic.upload_file(path);
    println!("{}", began.elapsed().as_millis());
    match outcome {
        Ok(_) => println!("uploaded"),
        Err(error) => println!("{error}\n{:?}, timeout: {}", error.effect(), error.is_timeout()),
    }
    Ok(())
}
