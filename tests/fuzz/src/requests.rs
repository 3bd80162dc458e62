//! Requests: names, ids and base URLs from the caller, and cursors from the server.

use std::net::IpAddr;
use std::time::Duration;

use http::Uri;
use nomic_client::files::Upload;
use nomic_client::operations::{self, Operation};
use nomic_client::{Error, ErrorKind, Nomic, users};
use serde_json::json;

use crate::answers::call;
use crate::server::{Request, Server, response};
use crate::{KEY, builder, check, texts, within};

/// The deadline of a call.
const DEADLINE: Duration = Duration::from_secs(2);

/// A password that an input may have in a URL.
const PASSWORD: &str = "hunter2";

thread_local! {
    static NOMIC: Nomic = builder().deadline(DEADLINE).upload_deadline(DEADLINE).build().expect("a client of this machine");
}

/// A document's name, path, parent and media type; empty ones are not set. A first byte of 0 makes the document empty.
pub fn names(data: &[u8]) {
    let [first, data @ ..] = data else { return };
    let document = if *first == 0 { "" } else { "--\r\ndocument\r\n--" };
    let mut texts = texts(data);
    let mut next = || texts.next().unwrap_or_default();
    let (name, path, parent, media_type) = (next(), next(), next(), next());
    let mut upload = Upload::from_bytes(&name, document);
    if !path.is_empty() {
        upload = upload.destination(&path);
    }
    if !parent.is_empty() {
        upload = upload.parent(&*parent);
    }
    if !media_type.is_empty() {
        upload = upload.content_type(&media_type);
    }

    let file = json!({"id": "a", "name": "a", "fileVersionId": "a"});
    Server::local().respond_with([response(201, b"", file.to_string().as_bytes())]);
    let outcome = within(DEADLINE, || NOMIC.with(|nomic| nomic.upload(upload)));
    let requests = Server::local().requests();
    if let Err(error) = &outcome {
        check(error);
        assert!(
            matches!(error.kind(), ErrorKind::InvalidRequest(_)) && requests.is_empty(),
            "sent despite the error: {error}"
        );
        return;
    }
    let [request] = &requests[..] else { panic!("{} requests", requests.len()) };
    let mut expected = Vec::new();
    if !path.is_empty() {
        let path = path.strip_prefix('/').unwrap_or(&path);
        expected.push((r#"Content-Disposition: form-data; name="path""#.to_owned(), path));
    }
    if !parent.is_empty() {
        expected.push((r#"Content-Disposition: form-data; name="parentId""#.to_owned(), parent.as_str()));
    }
    let parts = parts(request);
    let (head, content) = parts.last().expect("at least one part");
    assert_eq!(content, document.as_bytes());
    let sent_type = head.strip_prefix(&format!("{}\r\nContent-Type: ", disposition(&name)));
    let sent_type = sent_type.unwrap_or_else(|| panic!("{name:?} became {head:?}"));
    assert!(
        media_type.is_empty() && sent_type.contains('/') || media_type == sent_type,
        "{media_type:?} became {sent_type:?}"
    );
    assert!(!sent_type.contains(char::is_control));
    let fields: Vec<_> =
        parts[..parts.len() - 1].iter().map(|(head, value)| (head.clone(), value.as_slice())).collect();
    let expected: Vec<_> = expected.into_iter().map(|(head, value)| (head, value.as_bytes())).collect();
    assert_eq!(fields, expected);
}

/// The `Content-Disposition` of the document's part. The WHATWG escapes quotes, CR and LF; the client escapes all other
/// control characters likewise, and adds the name as in RFC 5987 if it has a backslash.
fn disposition(name: &str) -> String {
    let escaped = |c: char| match c {
        '"' | '\0'..='\x1F' | '\x7F' => format!("%{:02X}", c as u32),
        plain => plain.to_string(),
    };
    let mut plain: String = name.chars().map(escaped).collect();
    let mut exact = String::new();
    if name.contains('\\') {
        let encoded = name.bytes().map(|byte| match byte {
            b'0'..=b'9' | b'a'..=b'z' | b'A'..=b'Z' => char::from(byte).to_string(),
            byte => format!("%{byte:02X}"),
        });
        exact = format!("; filename*=UTF-8''{}", encoded.collect::<String>());
        if plain.ends_with('\\') {
            plain.truncate(plain.len() - 1);
            plain.push_str("%5C");
        }
    }
    format!(r#"Content-Disposition: form-data; name="file"; filename="{plain}"{exact}"#)
}

/// Parses a multipart form strictly by RFC 2046. Returns head and content of each part.
fn parts(request: &Request) -> Vec<(String, Vec<u8>)> {
    let types = request.headers("content-type");
    let [kind] = types[..] else { panic!("{} media types", types.len()) };
    let boundary = kind.strip_prefix("multipart/form-data; boundary=").expect("a multipart form");
    let plain = |byte: u8| byte.is_ascii_alphanumeric() || byte == b'-';
    assert!((1..=70).contains(&boundary.len()) && boundary.bytes().all(plain), "{boundary:?}");
    let delimiter = format!("\r\n--{boundary}");
    // The line break before the first delimiter ends the head of the request.
    let body = [b"\r\n", request.body.as_slice()].concat();
    let mut rest = &body
        [find(&body, &delimiter).filter(|at| *at == 0).expect("the form starts with a delimiter") + delimiter.len()..];
    let mut parts = Vec::new();
    while rest != b"--\r\n" {
        rest = rest.strip_prefix(b"\r\n").expect("a line break after a delimiter");
        let head = find(rest, "\r\n\r\n").expect("the end of a head");
        let end = find(rest, &delimiter).expect("the end of a part");
        let text = String::from_utf8(rest[..head].to_vec()).expect("a head in UTF-8");
        parts.push((text, rest[head + 4..end].to_vec()));
        rest = &rest[end + delimiter.len()..];
    }
    parts
}

fn find(bytes: &[u8], part: &str) -> Option<usize> {
    bytes.windows(part.len()).position(|window| window == part.as_bytes())
}

/// The first byte selects an operation with ids in its path, or a custom request; the rest are the ids.
pub fn ids(data: &[u8]) {
    let [choice, data @ ..] = data else { return };
    let with_ids: Vec<&Operation> = operations::ALL.iter().filter(|one| one.path.contains('{')).collect();
    let mut texts = texts(data);
    let ids = [texts.next().unwrap_or_default(), texts.next().unwrap_or_default()];
    let Some(operation) = with_ids.get(usize::from(*choice) % (with_ids.len() + 1)) else {
        return custom_request(&ids[0], &ids[1]);
    };

    Server::local().respond_with([response(200, b"", b"{}")]);
    let outcome = within(DEADLINE, || NOMIC.with(|nomic| call(nomic, operation.name, [&ids[0], &ids[1]])));
    let requests = Server::local().requests();
    if let Err(error) = &outcome {
        check(error);
    }
    let simple = |id: &str| !id.is_empty() && id.len() <= 64 && id.bytes().all(|byte| byte.is_ascii_alphanumeric());
    let used = &ids[..operation.path.matches('{').count()];
    assert!(!requests.is_empty() || !used.iter().all(|id| simple(id)), "a simple id was rejected: {outcome:?}");
    assert!(!requests.is_empty() || outcome.is_err(), "nothing was sent, but the call succeeded");
    // Without a list of artifacts, they are those of the agent.
    let paths = match operation.name {
        "list_artifacts" => vec![operation.path, operations::GET_AGENT.path],
        _ => vec![operation.path; requests.len()],
    };
    for (request, path) in requests.into_iter().zip(paths) {
        let mut ids = used.iter();
        let expected = path.split('/').map(|segment| match segment.starts_with('{') {
            true => ids.next().expect("an id for each placeholder").as_str(),
            false => segment,
        });
        let segments: Vec<String> = request.target().split('/').map(decoded).collect();
        assert_eq!(segments, expected.collect::<Vec<_>>(), "{}", request.target());
        assert!(!segments.iter().any(|segment| segment == "." || segment == ".."), "the path leads elsewhere");
    }
}

/// A custom request with any path, segment and query parameter.
fn custom_request(path: &str, text: &str) {
    // The path is part of the error message: a key in it is printed.
    if path.contains(KEY) {
        return;
    }
    Server::local().respond_with([response(200, b"", b"null")]);
    let call = Nomic::call::<()>;
    let request = nomic_client::Request::get(path).segment(text).query(text, path);
    let outcome = within(DEADLINE, || NOMIC.with(|nomic| call(nomic, &request)));
    let requests = Server::local().requests();
    let [request] = &requests[..] else {
        assert!(matches!(outcome.as_ref().map_err(Error::kind), Err(ErrorKind::InvalidRequest(_))), "{outcome:?}");
        return check(&outcome.expect_err("nothing was sent"));
    };
    let (target, _) = request.target().split_once('?').expect("a query");
    let segments: Vec<String> = target.split('/').map(decoded).collect();
    let (last, prefix) = segments.split_last().expect("a segment");
    assert_eq!(last, text);
    assert_eq!(prefix.join("/").trim_matches('/'), path.trim_matches('/'), "{target}");
    assert!(
        !segments[1..].iter().any(|segment| matches!(segment.as_str(), "" | "." | "..")),
        "the path leads elsewhere"
    );
    assert_eq!(query(request.target()), [(text.to_owned(), path.to_owned())]);
}

/// A cursor from the server, in a listing with a filter; the first byte says whether the server repeats it.
pub fn cursors(data: &[u8]) {
    let [repeated, cursor @ ..] = data else { return };
    let (repeated, cursor) = (repeated & 1 == 1, String::from_utf8_lossy(cursor).into_owned());
    let page =
        |cursor: Option<&str>| response(200, b"", json!({"data": [], "nextCursor": cursor}).to_string().as_bytes());
    Server::local().respond_with([page(Some(&cursor)), page(Some(&cursor).filter(|_| repeated).map(String::as_str))]);
    let filter = users::Filter::default().email("a&b=c");
    let outcome = within(DEADLINE, || {
        NOMIC.with(|nomic| nomic.users_with(&filter).page_size(7).try_for_each(|user| user.map(drop)))
    });
    let requests = Server::local().requests();
    let queries: Vec<Vec<(String, String)>> = requests.iter().map(|request| query(request.target())).collect();
    let pair = |name: &str, value: &str| (name.to_owned(), value.to_owned());
    let mut expected = vec![vec![pair("email", "a&b=c"), pair("limit", "7")]];
    if let Err(error) = &outcome {
        check(error);
    }
    // A long cursor may exceed the maximum length of a URL.
    let too_long =
        matches!(outcome.as_ref().map_err(Error::kind), Err(ErrorKind::InvalidRequest(_))) && cursor.len() > 16 * 1024;
    if !cursor.is_empty() && !too_long {
        expected.push([expected[0].as_slice(), &[pair("cursor", &cursor)]].concat());
        assert_eq!(
            matches!(outcome.as_ref().map_err(Error::kind), Err(ErrorKind::RepeatedCursor { .. })),
            repeated,
            "{outcome:?}"
        );
        assert_eq!(outcome.is_err(), repeated, "{outcome:?}");
    }
    assert_eq!(queries, expected);
}

/// The query parameters of a request target.
fn query(target: &str) -> Vec<(String, String)> {
    let (_, query) = target.split_once('?').expect("a query");
    let pairs = query.split('&').map(|pair| pair.split_once('=').expect("a name and a value"));
    pairs.map(|(name, value)| (decoded(name), decoded(value))).collect()
}

/// Strict percent-decoding: only the unreserved characters of RFC 3986 may be unencoded.
fn decoded(text: &str) -> String {
    let mut bytes = Vec::new();
    let mut rest = text.bytes();
    while let Some(byte) = rest.next() {
        bytes.push(match byte {
            b'%' => {
                let digits: Vec<u8> = rest.by_ref().take(2).collect();
                let digits = std::str::from_utf8(&digits).expect("digits");
                u8::from_str_radix(digits, 16).unwrap_or_else(|_| panic!("%{digits} in {text}"))
            }
            b'-' | b'.' | b'_' | b'~' => byte,
            _ if byte.is_ascii_alphanumeric() => byte,
            _ => panic!("{:?} in {text}", char::from(byte)),
        });
    }
    String::from_utf8(bytes).unwrap_or_else(|_| panic!("invalid UTF-8 in {text}"))
}

/// The first byte selects what the text is: a base URL, a base URL that may be plain HTTP, the path of a base URL, or the
/// URL of a proxy.
pub fn base_urls(data: &[u8]) {
    let [choice, text @ ..] = data else { return };
    let text = String::from_utf8_lossy(text).into_owned();
    let server = Server::local().url();
    let builder = match choice % 4 {
        0 => Nomic::builder(&text, KEY),
        1 => Nomic::builder(&text, KEY).allow_plain_http(true),
        2 => Nomic::builder(format!("{server}/{text}"), KEY),
        _ => Nomic::builder("acme", KEY).proxy(&text),
    };
    let password = text.split_once(PASSWORD).is_some_and(|(_, rest)| rest.contains('@'));
    let check_redacted = |printed: String| {
        assert!(!printed.contains(KEY), "the key is printed: {printed}");
        assert!(!password || !printed.contains(PASSWORD), "a password is printed: {printed}");
    };
    check_redacted(format!("{builder:?}"));
    let nomic = match builder.attempts(1).deadline(DEADLINE).build() {
        Ok(nomic) => nomic,
        Err(error) => {
            check(&error);
            assert!(matches!(error.kind(), ErrorKind::Config(_)), "{error}");
            return check_redacted(error.to_string());
        }
    };
    let base = nomic.base_url();
    let url: Uri = base.parse().unwrap_or_else(|error| panic!("{base:?}: {error}"));
    let (host, authority) = (url.host().expect("a host"), url.authority().expect("an authority").as_str());
    let loopback = host == "localhost"
        || host.trim_matches(['[', ']']).parse::<IpAddr>().is_ok_and(|address| address.is_loopback());
    match url.scheme_str() {
        Some("https") => {}
        Some("http") => assert!(loopback || choice % 4 == 1, "the key would be sent unencrypted: {base}"),
        other => panic!("{other:?} in {base}"),
    }
    assert!(!authority.contains('@') && url.query().is_none() && !base.contains('#'), "{base}");
    assert!(!base.ends_with('/') && base.bytes().all(|byte| byte.is_ascii_graphic()), "{base}");
    assert!(!host.ends_with(".nomic.ai") || url.path() == "/api/v0", "{base}");
    check_redacted(format!("{nomic:?}"));
    // A normalized base URL stays the same when it is normalized again.
    let rebuilt = Nomic::builder(base, KEY).allow_plain_http(true).build();
    assert_eq!(rebuilt.map(|nomic| nomic.base_url().to_owned()).ok().as_deref(), Some(base));

    if base.starts_with(&server) {
        Server::local().respond_with([response(404, b"", b"")]);
        let outcome = within(DEADLINE, || nomic.user("a"));
        let requests = Server::local().requests();
        let targets: Vec<_> = requests.iter().map(Request::target).collect();
        assert_eq!(targets, [format!("{}/users/a", &base[server.len()..])], "{outcome:?}");
    }
}
