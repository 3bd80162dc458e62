//! What works with each set of the crate's features, and the errors that name a missing one.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "in a test they are the failure")]

mod common;

use common::{document, emulator, nomic};

#[test]
fn the_main_job_needs_no_feature_on_this_machine() {
    let emulator = emulator();
    let nomic = nomic(&emulator);
    let job = nomic.parse(document(&nomic)).unwrap();
    assert!(nomic.wait(&job).unwrap().text().contains("Gulf Star"));
}

#[test]
fn compressed_responses_are_requested_if_they_can_be_decompressed() {
    let emulator = emulator();
    document(&nomic(&emulator));
    let request = emulator.requests().pop().unwrap();
    let accepted = request.headers.iter().find(|(name, _)| name.eq_ignore_ascii_case("accept-encoding"));
    let gzip = accepted.is_some_and(|(_, value)| value.contains("gzip"));
    assert_eq!(gzip, cfg!(feature = "gzip"), "{accepted:?}");
}

#[cfg(not(any(feature = "rustls", feature = "native-tls")))]
#[test]
fn without_tls_an_error_names_the_features_that_have_it() {
    use nomic_client::Nomic;

    let refused = |builder: nomic_client::Builder| {
        let text = builder.build().unwrap_err().to_string();
        assert!(text.contains("no TLS: turn on a feature of nomic-client, rustls or native-tls"), "{text}");
    };
    refused(Nomic::builder("acme", "npk_x"));
    refused(Nomic::builder("http://127.0.0.1:1", "npk_x").proxy("https://127.0.0.1:2"));
    refused(Nomic::builder("http://127.0.0.1:1", "npk_x").root_certificates("-----BEGIN CERTIFICATE-----"));
}
