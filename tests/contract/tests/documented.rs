//! The field table of the `contract_check` example matches the contract.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "in a test they are the failure")]

#[path = "../../../examples/contract_check/documented.rs"]
mod documented;

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
    let actual: Vec<_> = documented::DOCUMENTED
        .iter()
        .map(|(name, fields)| (*name, fields.iter().map(|field| (*field).to_owned()).collect::<Vec<_>>()))
        .collect();
    assert!(expected == actual, "the table must be:\n{}", table(&expected));
}

/// The table as Rust source, to paste into the example.
fn table(rows: &[(&str, Vec<String>)]) -> String {
    rows.iter().map(|(name, fields)| format!("    ({name:?}, &{fields:?}),\n")).collect()
}
