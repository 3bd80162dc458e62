//! Unpacks the corpus of a property into a directory for libFuzzer, and packs it again; `show` prints one input as a line.

use std::error::Error;
use std::{env, fs};

fn main() -> Result<(), Box<dyn Error>> {
    let arguments: Vec<String> = env::args().skip(1).collect();
    match arguments.iter().map(String::as_str).collect::<Vec<_>>()[..] {
        ["unpack", property, folder] => {
            fs::create_dir_all(folder)?;
            for (number, input) in nomic_fuzz::load(property)?.into_iter().enumerate() {
                fs::write(format!("{folder}/{number:04}"), input)?;
            }
        }
        ["pack", property, folder] => {
            let inputs: Result<Vec<_>, _> = fs::read_dir(folder)?.map(|entry| fs::read(entry?.path())).collect();
            nomic_fuzz::save(property, &inputs?)?;
        }
        ["show", file] => println!("{}", nomic_fuzz::escape(&fs::read(file)?)),
        _ => return Err("usage: corpus unpack PROPERTY FOLDER | pack PROPERTY FOLDER | show FILE".into()),
    }
    Ok(())
}
