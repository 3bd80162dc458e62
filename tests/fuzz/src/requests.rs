//! What a caller gives, and what a server gives to be sent back: names, ids, base URLs, cursors.

use std::net::IpAddr;
use std::time::Duration;

use http::Uri;
use nomic_client::files::Upload;
use nomic_client::operations::{self, Operation};
use nomic_client::{Error, ErrorKind, Nomic, users};
use serde_json::json;

use crate::answers::call;
use crate::server::{Request, Server, answer};
use crate::{KEY, builder, check, texts, within};

/// The time of a call.
const DEADLINE: Duration = Duration::from_secs(2);

/// A password that may stand in a URL.
const PASSWORD: &str = "hunter2";

thread_local! {
    static NOMIC: Nomic = builder().deadline(DEADLINE).upload_deadline(DEADLINE).build().expect("a client of this machine");
}

/// A document's name, path, parent and media type; those that are empty are not given. A first byte of 0 makes the
/// document empty.
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
    Server::here().answers([answer(201, b"", file.to_string().as_bytes())]);
    let outcome = within(DEADLINE, || NOMIC.with(|nomic| nomic.upload(upload)));
    let requests = Server::here().requests();
    if let Err(error) = &outcome {
        check(error);
        assert!(
            matches!(error.kind(), ErrorKind::InvalidRequest(_)) && requests.is_empty(),
            "sent all the same: {error}"
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
    let (head, content) = parts.last().expect("there is a part");
    assert_eq!(content, document.as_bytes());
    let own = head.strip_prefix(&format!("{}\r\nContent-Type: ", disposition(&name)));
    let own = own.unwrap_or_else(|| panic!("{name:?} became {head:?}"));
    assert!(media_type.is_empty() && own.contains('/') || media_type == own, "{media_type:?} became {own:?}");
    assert!(!own.contains(char::is_control));
    let fields: Vec<_> =
        parts[..parts.len() - 1].iter().map(|(head, value)| (head.clone(), value.as_slice())).collect();
    let expected: Vec<_> = expected.into_iter().map(|(head, value)| (head, value.as_bytes())).collect();
    assert_eq!(fields, expected);
}

/// The head of the document's part. WHATWG escapes the quote and the two line breaks; all other control characters are
/// escaped the same way here.
fn disposition(name: &str) -> String {
    let escaped = |c: char| match c {
        '"' | '\0'..='\x1F' | '\x7F' => format!("%{:02X}", c as u32),
        plain => plain.to_string(),
    };
    let name: String = name.chars().map(escaped).collect();
    format!(r#"Content-Disposition: form-data; name="file"; filename="{name}""#)
}

/// The heads and contents of a form's parts, read by the letter of RFC 2046.
fn parts(request: &Request) -> Vec<(String, Vec<u8>)> {
    let types = request.headers("content-type");
    let [kind] = types[..] else { panic!("{} media types", types.len()) };
    let boundary = kind.strip_prefix("multipart/form-data; boundary=").expect("it is a form");
    let plain = |byte: u8| byte.is_ascii_alphanumeric() || byte == b'-';
    assert!((1..=70).contains(&boundary.len()) && boundary.bytes().all(plain), "{boundary:?}");
    let delimiter = format!("\r\n--{boundary}");
    // The first delimiter's line break is that of the head.
    let body = [b"\r\n", request.body.as_slice()].concat();
    let mut rest = &body[find(&body, &delimiter).filter(|at| *at == 0).expect("it begins at once") + delimiter.len()..];
    let mut parts = Vec::new();
    while rest != b"--\r\n" {
        rest = rest.strip_prefix(b"\r\n").expect("a delimiter is a line");
        let head = find(rest, "\r\n\r\n").expect("a head ends");
        let end = find(rest, &delimiter).expect("a part ends");
        let text = String::from_utf8(rest[..head].to_vec()).expect("a head is text");
        parts.push((text, rest[head + 4..end].to_vec()));
        rest = &rest[end + delimiter.len()..];
    }
    parts
}

fn find(bytes: &[u8], part: &str) -> Option<usize> {
    bytes.windows(part.len()).position(|window| window == part.as_bytes())
}

/// The first byte chooses an operation with ids in its path, or a call of one's own; the rest are the ids.
pub fn ids(data: &[u8]) {
    let [choice, data @ ..] = data else { return };
    let with_ids: Vec<&Operation> = operations::ALL.iter().filter(|one| one.path.contains('{')).collect();
    let mut texts = texts(data);
    let ids = [texts.next().unwrap_or_default(), texts.next().unwrap_or_default()];
    let Some(operation) = with_ids.get(usize::from(*choice) % (with_ids.len() + 1)) else {
        return own_call(&ids[0], &ids[1]);
    };

    Server::here().answers([answer(200, b"", b"{}")]);
    let outcome = within(DEADLINE, || NOMIC.with(|nomic| call(nomic, operation.name, [&ids[0], &ids[1]])));
    let requests = Server::here().requests();
    if let Err(error) = &outcome {
        check(error);
    }
    let plain = |id: &str| !id.is_empty() && id.len() <= 64 && id.bytes().all(|byte| byte.is_ascii_alphanumeric());
    let used = &ids[..operation.path.matches('{').count()];
    assert!(!requests.is_empty() || !used.iter().all(|id| plain(id)), "a plain id was refused: {outcome:?}");
    assert!(!requests.is_empty() || outcome.is_err(), "nothing was sent, and nobody told");
    for request in requests {
        let mut ids = used.iter();
        let expected = operation.path.split('/').map(|segment| match segment.starts_with('{') {
            true => ids.next().expect("as many as there are").as_str(),
            false => segment,
        });
        let segments: Vec<String> = request.target().split('/').map(decoded).collect();
        assert_eq!(segments, expected.collect::<Vec<_>>(), "{}", request.target());
        assert!(!segments.iter().any(|segment| segment == "." || segment == ".."), "it leads elsewhere");
    }
}

/// A call of any path, with a segment and a parameter.
fn own_call(path: &str, text: &str) {
    // The path names the call: who writes the key into it shows it.
    if path.contains(KEY) {
        return;
    }
    Server::here().answers([answer(200, b"", b"null")]);
    let call = Nomic::call::<()>;
    let request = nomic_client::Request::get(path).segment(text).query(text, path);
    let outcome = within(DEADLINE, || NOMIC.with(|nomic| call(nomic, &request)));
    let requests = Server::here().requests();
    let [request] = &requests[..] else {
        assert!(matches!(outcome.as_ref().map_err(Error::kind), Err(ErrorKind::InvalidRequest(_))), "{outcome:?}");
        return check(&outcome.expect_err("nothing was sent"));
    };
    let (target, _) = request.target().split_once('?').expect("there is a query");
    let segments: Vec<String> = target.split('/').map(decoded).collect();
    let (last, own) = segments.split_last().expect("there is a segment");
    assert_eq!(last, text);
    assert_eq!(own.join("/").trim_matches('/'), path.trim_matches('/'), "{target}");
    assert!(!segments[1..].iter().any(|segment| matches!(segment.as_str(), "" | "." | "..")), "it leads elsewhere");
    assert_eq!(query(request.target()), [(text.to_owned(), path.to_owned())]);
}

/// A cursor as the server gives it, in a listing with a filter; the first byte says whether it comes again.
pub fn cursors(data: &[u8]) {
    let [again, cursor @ ..] = data else { return };
    let (again, cursor) = (again & 1 == 1, String::from_utf8_lossy(cursor).into_owned());
    let page =
        |cursor: Option<&str>| answer(200, b"", json!({"data": [], "nextCursor": cursor}).to_string().as_bytes());
    Server::here().answers([page(Some(&cursor)), page(Some(&cursor).filter(|_| again).map(String::as_str))]);
    let filter = users::Filter::default().email("a&b=c");
    let outcome = within(DEADLINE, || {
        NOMIC.with(|nomic| nomic.users_with(&filter).page_size(7).try_for_each(|user| user.map(drop)))
    });
    let requests = Server::here().requests();
    let asked: Vec<Vec<(String, String)>> = requests.iter().map(|request| query(request.target())).collect();
    let pair = |name: &str, value: &str| (name.to_owned(), value.to_owned());
    let mut expected = vec![vec![pair("email", "a&b=c"), pair("limit", "7")]];
    if let Err(error) = &outcome {
        check(error);
    }
    // No URL is long enough for every cursor.
    let too_long =
        matches!(outcome.as_ref().map_err(Error::kind), Err(ErrorKind::InvalidRequest(_))) && cursor.len() > 16 * 1024;
    if !cursor.is_empty() && !too_long {
        expected.push([expected[0].as_slice(), &[pair("cursor", &cursor)]].concat());
        assert_eq!(
            matches!(outcome.as_ref().map_err(Error::kind), Err(ErrorKind::RepeatedCursor { .. })),
            again,
            "{outcome:?}"
        );
        assert_eq!(outcome.is_err(), again, "{outcome:?}");
    }
    assert_eq!(asked, expected);
}

/// The parameters of a target's query.
fn query(target: &str) -> Vec<(String, String)> {
    let (_, query) = target.split_once('?').expect("there is a query");
    let pairs = query.split('&').map(|pair| pair.split_once('=').expect("a name and a value"));
    pairs.map(|(name, value)| (decoded(name), decoded(value))).collect()
}

/// Percent-decoding by the letter: only RFC 3986's unreserved characters stand as they are.
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
    String::from_utf8(bytes).unwrap_or_else(|_| panic!("no UTF-8 in {text}"))
}

/// The first byte says what the text is: a base URL, one that may be plain HTTP, the path of one, or a proxy's URL.
pub fn base_urls(data: &[u8]) {
    let [choice, text @ ..] = data else { return };
    let text = String::from_utf8_lossy(text).into_owned();
    let server = Server::here().url();
    let builder = match choice % 4 {
        0 => Nomic::builder(&text, KEY),
        1 => Nomic::builder(&text, KEY).allow_plain_http(true),
        2 => Nomic::builder(format!("{server}/{text}"), KEY),
        _ => Nomic::builder("acme", KEY).proxy(&text),
    };
    let password = text.split_once(PASSWORD).is_some_and(|(_, rest)| rest.contains('@'));
    let hidden = |shown: String| {
        assert!(!shown.contains(KEY), "the key is shown: {shown}");
        assert!(!password || !shown.contains(PASSWORD), "a password is shown: {shown}");
    };
    hidden(format!("{builder:?}"));
    let nomic = match builder.attempts(1).deadline(DEADLINE).build() {
        Ok(nomic) => nomic,
        Err(error) => {
            check(&error);
            assert!(matches!(error.kind(), ErrorKind::Config(_)), "{error}");
            return hidden(error.to_string());
        }
    };
    let base = nomic.base_url();
    let url: Uri = base.parse().unwrap_or_else(|error| panic!("{base:?}: {error}"));
    let (host, authority) = (url.host().expect("a host"), url.authority().expect("an authority").as_str());
    let loopback = host == "localhost"
        || host.trim_matches(['[', ']']).parse::<IpAddr>().is_ok_and(|address| address.is_loopback());
    match url.scheme_str() {
        Some("https") => {}
        Some("http") => assert!(loopback || choice % 4 == 1, "the key in clear: {base}"),
        other => panic!("{other:?} in {base}"),
    }
    assert!(!authority.contains('@') && url.query().is_none() && !base.contains('#'), "{base}");
    assert!(!base.ends_with('/') && base.bytes().all(|byte| byte.is_ascii_graphic()), "{base}");
    assert!(!host.ends_with(".nomic.ai") || url.path() == "/api/v0", "{base}");
    hidden(format!("{nomic:?}"));
    // A base is stable: what it was made into is taken as it is.
    let again = Nomic::builder(base, KEY).allow_plain_http(true).build();
    assert_eq!(again.map(|again| again.base_url().to_owned()).ok().as_deref(), Some(base));

    if base.starts_with(&server) {
        Server::here().answers([answer(404, b"", b"")]);
        let outcome = within(DEADLINE, || nomic.user("a"));
        let requests = Server::here().requests();
        let targets: Vec<_> = requests.iter().map(Request::target).collect();
        assert_eq!(targets, [format!("{}/users/a", &base[server.len()..])], "{outcome:?}");
    }
}
