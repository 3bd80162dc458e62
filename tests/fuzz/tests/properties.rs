//! The properties under generated inputs of roughly the expected shape, with a fixed seed. Needs no fuzzer.

use std::fmt;

use nomic_fuzz::{Property, SEPARATOR, answers, base_urls, cursors, escape, headers, ids, names, wire};
use proptest::collection::vec;
use proptest::prelude::*;
use proptest::sample::select;
use proptest::string::string_regex;
use proptest::test_runner::{Config, RngSeed, TestRunner};

/// Text that is likely to contain special characters.
const ODD: &str = "[ -~]{0,40}|\\PC{0,20}|[\"'%\\\\/:;=&?#@.\r\n\t\0\u{7f}\u{85}\u{2028}\u{feff}aé]{0,20}";

/// JSON that combines the API's field names with values of every type.
const VALUE: &str =
    "null|true|-?[0-9]{1,20}|[0-9]{1,3}\\.[0-9]{1,3}e-?[0-9]{1,2}|\"[a-zA-Z0-9: \\.-]{0,20}\"|\\[\\]|\\{\\}";
const FIELD: &str = "id|status|data|error|code|issues|path|message|nextCursor|taskId|result|chunks|blocks|bbox|page|citations\
    |artifacts|content|columns|rows|messages|type|email|name|fileVersionId|createdAt|results|[a-z]{1,5}";

/// An input, printed as a line of the corpus.
struct Input(Vec<u8>);

impl fmt::Debug for Input {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&escape(&self.0))
    }
}

fn run(cases: u32, property: Property, inputs: impl Strategy<Value = Vec<u8>>) {
    let config = Config { cases, failure_persistence: None, rng_seed: RngSeed::Fixed(4), ..Config::default() };
    let result = TestRunner::new(config).run(&inputs.prop_map(Input), |input| {
        property(&input.0);
        Ok(())
    });
    result.unwrap_or_else(|failure| panic!("{failure}"));
}

/// Texts that match a regular expression.
fn matching(pattern: &str) -> impl Strategy<Value = String> + use<> {
    string_regex(pattern).expect("a pattern")
}

/// Inputs that consist of a first byte and texts.
fn texts(
    first: impl Strategy<Value = u8>,
    texts: impl Strategy<Value = Vec<String>>,
) -> impl Strategy<Value = Vec<u8>> {
    (first, texts).prop_map(|(first, texts)| {
        let texts: Vec<&[u8]> = texts.iter().map(String::as_bytes).collect();
        [&[first], texts.join(&SEPARATOR).as_slice()].concat()
    })
}

fn json() -> impl Strategy<Value = String> {
    VALUE.prop_recursive(4, 24, 4, |inner| {
        prop_oneof![
            vec((FIELD, inner.clone()), 0..5).prop_map(|fields| {
                let fields: Vec<_> = fields.into_iter().map(|(name, value)| format!("{name:?}:{value}")).collect();
                format!("{{{}}}", fields.join(","))
            }),
            vec(inner, 0..4).prop_map(|items| format!("[{}]", items.join(","))),
        ]
    })
}

#[test]
fn no_answer_harms() {
    let body = prop_oneof![4 => json().prop_map(String::into_bytes), 1 => vec(any::<u8>(), 0..200)];
    let inputs = (any::<(u8, u8)>(), body);
    run(3000, answers, inputs.prop_map(|((operation, status), body)| [&[operation, status], &*body].concat()));
}

#[test]
fn no_bytes_on_the_wire_harm() {
    let line = prop_oneof![
        "Content-Length: [0-9]{1,20}|Transfer-Encoding: chunked|Content-Encoding: gzip|Connection: [a-z-]{5,10}",
        "[A-Za-z-]{1,10}: [ -~]{0,20}|[ -~]{0,20}|[0-9a-fA-F]{1,17}|Location: [ -~]{0,20}",
    ];
    let head = ("(HTTP/1\\.[01] )?[0-9]{1,4}( [a-zA-Z ]{0,8})?", vec(line, 0..6), "(\r\n|\n)", vec(any::<u8>(), 0..60));
    let bytes = head.prop_map(|(status, lines, end, body)| {
        let lines: String = lines.into_iter().map(|line| line + &end).collect();
        [format!("{status}{end}{lines}{end}").as_bytes(), &*body].concat()
    });
    run(500, wire, (any::<u8>(), bytes).prop_map(|(operation, bytes)| [&[operation], &*bytes].concat()));
}

#[test]
fn no_rate_limit_header_keeps_a_call_or_lets_it_go_too_early() {
    let value = "[0-9]{0,22}|-?[0-9]{1,3}\\.[0-9]{1,9}|[0-9]e[0-9]{1,3}|inf|NaN|[ -~]{0,12}|0\\.0[0-9]\
        |(Sun|Monday), [0-9]{1,2}[ -](Nov|Feb)[ -][0-9]{2,4} [0-9]{2}:[0-9]{2}:[0-9]{2} GMT";
    run(300, headers, texts(any::<u8>(), vec(value, 4)));
}

#[test]
fn any_upload_name_stays_within_its_quotes() {
    run(400, names, texts(select(vec![0, 1, 1, 1]), vec(matching(ODD), 1..5)));
}

#[test]
fn every_id_is_one_segment_or_rejected() {
    let id = matching(&format!("{ODD}|[a-z0-9]{{1,64}}|\\.{{0,3}}|(%2e){{1,2}}|a{{500,520}}"));
    run(800, ids, texts(any::<u8>(), vec(id, 2)));
}

#[test]
fn every_cursor_is_sent_back_unchanged() {
    let cursor = prop_oneof![8 => matching(&format!("{ODD}|[a-zA-Z0-9+/=]{{1,300}}")), 1 => Just("é".repeat(12_000))];
    run(400, cursors, texts(any::<u8>(), vec(cursor, 1)));
}

#[test]
fn every_base_url_is_safe_or_rejected() {
    let url = matching(&format!(
        "(https?://|ftp://|//|)([a-z0-9.-]{{1,12}}(:[ -~]{{0,5}})?@|)(acme|localhost|127\\.0\\.0\\.1|\\[::1\\]|acme\\.nomic\\.ai|{ODD})\
         (:[0-9]{{1,6}}|)(/[ -~]{{0,10}}|/api/v0/?|)(\\?[ -~]{{0,5}}|#a|)|{ODD}"
    ));
    run(1500, base_urls, texts(any::<u8>(), vec(url, 1)));
}
