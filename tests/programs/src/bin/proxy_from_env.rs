//! Lists the projects of a host that does not exist, through the proxy that the environment names. Prints `done` or the
//! error.

use nomic_client::Nomic;

fn main() -> Result<(), std::env::VarError> {
    let key = std::env::var("NOMIC_API_KEY")?;
    let builder = Nomic::builder("http://nomic.invalid/api/v0", key).allow_plain_http(true).proxy_from_env();
    let nomic = builder.attempts(1).build();
    match nomic.and_then(|nomic| nomic.projects().try_for_each(|project| project.map(drop))) {
        Ok(()) => println!("done"),
        Err(error) => println!("{error}"),
    }
    Ok(())
}
