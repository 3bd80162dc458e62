//! The tables of the example `contract_check` are those of the contract: fields, and likely paths.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "in a test they are the failure")]

#[path = "../../../examples/contract_check/documented.rs"]
mod documented;
#[path = "../../../examples/contract_check/likely_paths.rs"]
mod likely_paths;

use nomic_contract::Contract;

#[test]
fn the_contract_check_looks_for_the_fields_of_the_contract() {
    let contract = Contract::read().unwrap();
    let mut expected = Vec::new();
    for operation in contract.operations() {
        if let Some((_, schema, example)) = contract.examples(&operation).first() {
            expected.push((operation.name, contract.fields(schema, example)));
        }
    }
    let known: Vec<_> = documented::DOCUMENTED
        .iter()
        .map(|(name, fields)| (*name, fields.iter().map(|field| (*field).to_owned()).collect::<Vec<_>>()))
        .collect();
    assert!(expected == known, "the table has to be:\n{}", table(&expected));
}

#[test]
fn the_contract_check_looks_at_the_likely_paths_of_the_contract() {
    let contract = Contract::read().unwrap();
    let mut expected = Vec::new();
    for operation in contract.operations() {
        if let Some(paths) = operation.entry["x-likely-paths"].as_array() {
            assert_eq!(operation.method, "GET", "{}", operation.name);
            expected.push((operation.name, paths.iter().map(|path| path.as_str().unwrap()).collect::<Vec<_>>()));
        }
    }
    let mut known: Vec<_> = likely_paths::LIKELY_PATHS.iter().map(|(name, paths)| (*name, paths.to_vec())).collect();
    expected.sort_unstable();
    known.sort_unstable();
    assert_eq!(known, expected);
    // A path that an operation cannot have would be found by nobody.
    for (name, path) in known.iter().flat_map(|(name, paths)| paths.iter().map(move |path| (name, path))) {
        nomic_client::Nomic::builder("acme", "npk_x").operation_path(*name, *path).build().unwrap();
    }
}

/// The table in the example.
fn table(rows: &[(&str, Vec<String>)]) -> String {
    rows.iter().map(|(name, fields)| format!("    ({name:?}, &{fields:?}),\n")).collect()
}
