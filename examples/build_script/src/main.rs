//! Prints the section that the build script fetched. It makes no requests.

const SECTION: &str = include_str!(concat!(env!("OUT_DIR"), "/section.txt"));

fn main() {
    println!("{SECTION}");
}
