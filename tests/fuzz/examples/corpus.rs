//! Carries the kept corpus of a property into a folder for libFuzzer (`unpack`) and back (`pack`); shows one input (`show`).

use std::error::Error;
use std::{env, fs};

fn main() -> Result<(), Box<dyn Error>> {
    let arguments: Vec<String> = env::args().skip(1).collect();
    match arguments.iter().map(String::as_str).collect::<Vec<_>>()[..] {
        ["unpack", property, folder] => {
            fs::create_dir_all(folder)?;
            for (number, input) in nomic_fuzz::kept(property)?.into_iter().enumerate() {
                fs::write(format!("{folder}/{number:04}"), input)?;
            }
        }
        ["pack", property, folder] => {
            let inputs: Result<Vec<_>, _> = fs::read_dir(folder)?.map(|entry| fs::read(entry?.path())).collect();
            nomic_fuzz::keep(property, &inputs?)?;
        }
        ["show", file] => println!("{}", nomic_fuzz::escaped(&fs::read(file)?)),
        _ => return Err("give: unpack PROPERTY FOLDER, pack PROPERTY FOLDER, or show FILE".into()),
    }
    Ok(())
}
