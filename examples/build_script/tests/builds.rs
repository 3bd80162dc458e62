//! The package is built with an instance, without one, and with nothing kept.

use std::path::{Path, PathBuf};
use std::process::{Command, Output};

use nomic_emulator::Emulator;

/// Builds and runs the program.
fn run(target: &Path, variables: &[(&str, &str)]) -> Output {
    let mut cargo = Command::new(env!("CARGO"));
    cargo.args([
        "run",
        "--locked",
        "--manifest-path",
        concat!(env!("CARGO_MANIFEST_DIR"), "/Cargo.toml"),
        "--target-dir",
    ]);
    cargo.arg(target);
    for variable in ["NOMIC_API_KEY", "NOMIC_DOMAIN", "NOMIC_BASE_URL", "NOMIC_REFRESH"] {
        cargo.env_remove(variable);
    }
    cargo.envs(variables.iter().copied()).output().unwrap()
}

#[test]
fn a_section_is_fetched_once_kept_for_when_there_is_no_network_and_missed_with_one_line() {
    // A target directory of its own, so that nothing is kept at first.
    let target = PathBuf::from(env!("CARGO_TARGET_TMPDIR")).join("builds");
    let clean = || {
        let mut cargo = Command::new(env!("CARGO"));
        cargo.args(["clean", "--manifest-path", concat!(env!("CARGO_MANIFEST_DIR"), "/Cargo.toml")]);
        cargo.args(["-p", "nomic-build-script", "--target-dir"]).arg(&target);
        assert!(cargo.output().unwrap().status.success());
    };
    clean();

    let without = run(&target, &[]);
    let text = String::from_utf8_lossy(&without.stderr);
    assert!(!without.status.success());
    assert!(text.contains("is not at hand: NOMIC_API_KEY is not set") && !text.contains("panicked"), "{text}");

    let emulator = Emulator::start().unwrap();
    let url = emulator.url().to_owned();
    let variables = [("NOMIC_API_KEY", emulator.key()), ("NOMIC_BASE_URL", &url)];
    let refused = run(&target, &[("NOMIC_API_KEY", "npk_wrong"), ("NOMIC_BASE_URL", &url)]);
    let text = String::from_utf8_lossy(&refused.stderr);
    assert!(!refused.status.success() && text.contains("search_codes: 401") && !text.contains("npk_wrong"), "{text}");

    let first = run(&target, &variables);
    let section = String::from_utf8_lossy(&first.stdout).into_owned();
    assert!(first.status.success() && section.to_lowercase().contains("sprinkler"), "{first:?}");
    assert_eq!(emulator.accepted("search_codes"), 1);
    let again = run(&target, &variables);
    assert_eq!(String::from_utf8_lossy(&again.stdout), section);
    assert_eq!(emulator.accepted("search_codes"), 1, "a second build asks nobody");
    let refresh = [variables[0], variables[1], ("NOMIC_REFRESH", "1")];
    assert!(run(&target, &refresh).status.success());
    assert_eq!(emulator.accepted("search_codes"), 2);

    let key = emulator.key().to_owned();
    drop(emulator);
    let offline = run(&target, &[("NOMIC_API_KEY", &key), ("NOMIC_BASE_URL", &url), ("NOMIC_REFRESH", "2")]);
    let text = String::from_utf8_lossy(&offline.stderr);
    assert!(offline.status.success() && text.contains("building with the section that was fetched before"), "{text}");
    assert_eq!(String::from_utf8_lossy(&offline.stdout), section);
}
