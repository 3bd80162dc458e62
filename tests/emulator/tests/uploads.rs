//! Uploads, valid and malformed.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "a test fails by panicking")]

mod common;

use std::io::Write;
use std::net::Shutdown;

use common::{Client, field, file_part, quick};
use serde_json::json;

#[test]
fn a_file_is_stored_unchanged() {
    let emulator = quick();
    let mut client = Client::new(&emulator);
    // Bytes that look like a boundary.
    let mut content: Vec<u8> = (0..200_000_u32).map(|number| (number * 7 % 256) as u8).collect();
    content.extend_from_slice(b"\r\n--X\r\n--XY\r\n\r\n--");
    let head = file_part("a.bin", "application/octet-stream", "");
    let mut form = head.trim_end_matches("\r\n").as_bytes().to_vec();
    form.extend_from_slice(b"\r\n\r\n");
    form.extend_from_slice(&content);
    form.extend_from_slice(b"\r\n--XX--\r\n");
    let response = client.form(&form).expect(201);
    assert_eq!((&response["size"], &response["mimeType"]), (&json!(content.len()), &json!("application/octet-stream")));
    assert_eq!(
        (&response["name"], &response["parentId"], &response["fileType"]),
        (&json!("a.bin"), &json!(null), &json!("DOCUMENT"))
    );
    let stored = &emulator.uploads()[0];
    assert!(std::fs::read(&stored.path).unwrap() == content, "the bytes differ");
    assert_eq!((stored.size, stored.name.as_str(), stored.parts.len()), (content.len() as u64, "a.bin", 1));
    assert_eq!(emulator.accepted("upload_file"), 1);
}

#[test]
fn the_headers_of_the_parts_are_recorded_verbatim() {
    let emulator = quick();
    let mut client = Client::new(&emulator);
    let name = "a%22b%0D%0AX-Evil: 1é.pdf";
    let form = file_part(name, "application/pdf", "x") + &field("path", "r/q.pdf") + "--XX--\r\n";
    client.form(form.as_bytes()).expect(201);
    let upload = &emulator.uploads()[0];
    assert_eq!(upload.name, name);
    assert_eq!(upload.parts.len(), 2);
    assert_eq!(
        upload.parts[0].headers,
        [
            ("Content-Disposition".to_owned(), format!("form-data; name=\"file\"; filename=\"{name}\"")),
            ("Content-Type".to_owned(), "application/pdf".to_owned()),
        ]
    );
}

#[test]
fn folders_of_the_path_are_created_once() {
    let emulator = quick();
    let mut client = Client::new(&emulator);
    let first = client.upload("Project Alpha/reports/quarterly.txt", "one");
    let second = client.upload("Project Alpha/reports/quarterly.txt", "two");
    assert_eq!(first["id"], second["id"]);
    assert_ne!(first["fileVersionId"], second["fileVersionId"]);
    assert_eq!(first["name"], "quarterly.txt");
    let parent = first["parentId"].as_str().unwrap().to_owned();
    let form = field("parentId", &parent) + &file_part("notes.md", "text/markdown", "x") + "--XX--\r\n";
    assert_eq!(client.form(form.as_bytes()).expect(201)["parentId"], parent.as_str());
    let hits = client.get("/files/search?query=QUARTERLY").expect(200)["data"].take();
    assert_eq!(hits.as_array().unwrap().len(), 1);
    assert_eq!(hits[0]["path"], "Project%20Alpha/reports/quarterly.txt");
    let nowhere =
        field("parentId", "019abc12-3456-7890-abcd-ef1234567890") + &file_part("a", "b/c", "x") + "--XX--\r\n";
    assert_eq!(client.form(nowhere.as_bytes()).expect(404)["error"], "Parent folder not found");
}

#[test]
fn a_path_cannot_lead_through_a_file_or_to_a_folder() {
    let emulator = quick();
    let mut client = Client::new(&emulator);
    let first = client.upload("reports/quarterly.txt", "one");
    let form = |path: &str| file_part("a.txt", "text/plain", "x") + &field("path", path) + "--XX--\r\n";
    for path in ["reports/quarterly.txt/appendix.txt", "reports/quarterly.txt/b/c.txt", "reports"] {
        let refusal = client.form(form(path).as_bytes()).expect(400);
        assert_eq!(refusal["issues"][0]["path"], json!(["path"]), "{refusal}");
    }
    let beside = field("parentId", first["parentId"].as_str().unwrap()) + &form("new/appendix.txt");
    client.form(beside.as_bytes()).expect(201);
    let named = file_part("reports", "text/plain", "x") + "--XX--\r\n";
    assert_eq!(client.form(named.as_bytes()).expect(400)["issues"][0]["path"], json!(["file"]));
    assert_eq!(emulator.uploads().len(), 2);
    assert_eq!(client.get("/files/search?query=").expect(200)["data"].as_array().unwrap().len(), 2);
}

#[test]
fn a_file_is_created_at_the_end_of_its_upload() {
    let emulator = quick();
    let mut slow = Client::new(&emulator);
    let form = file_part("slow.txt", "text/plain", "x") + "--XX--\r\n";
    let more = format!("Content-Type: multipart/form-data; boundary=XX\r\nContent-Length: {}\r\n", form.len());
    slow.stream().write_all(slow.head("POST", "/files/upload", &more).as_bytes()).unwrap();
    while emulator.received("upload_file") == 0 {
        std::thread::yield_now();
    }
    // Times have a precision of milliseconds.
    std::thread::sleep(std::time::Duration::from_millis(3));
    let meanwhile = Client::new(&emulator).upload("fast.txt", "x");
    let response = slow.try_send(form.as_bytes()).unwrap().expect(201);
    assert!(response["createdAt"].as_str() >= meanwhile["createdAt"].as_str(), "{response} {meanwhile}");
}

#[test]
fn an_invalid_form_is_refused_and_not_stored() {
    let emulator = quick();
    let mut client = Client::new(&emulator);
    let file = file_part("a.txt", "text/plain", "x");
    let extra_header = file.replace("Content-Type:", "X-Evil: 1\r\nContent-Type:");
    let two_names = file.replace("filename=\"a.txt\"", "filename=\"a.txt\"; filename=\"b.txt\"");
    let no_name = file.replace("; filename=\"a.txt\"", "");
    for (form, message) in [
        (field("path", "a.txt"), "Required"),
        (file_part("a.txt", "text/plain", ""), "File is empty"),
        (file.clone() + &file, "Expected exactly one part"),
        (file.clone() + &field("path", "a") + &field("path", "b"), "Expected at most one part"),
        (file.clone() + &field("parentId", "root"), "Invalid uuid"),
        (file.clone() + &field("path", "a//b"), "Expected folders and a file name"),
        (file.clone() + &field("path", "../b"), "Expected folders and a file name"),
        (file.clone() + &field("colour", "red"), "Unexpected part 'colour'"),
        (extra_header, "Unexpected header 'X-Evil'"),
        (two_names, "Expected exactly one filename, received 2"),
        (no_name, "Expected exactly one filename, received 0"),
        (file_part("a.txt", "", "x"), "Invalid Content-Type"),
        (file_part("a.txt", "text", "x"), "Invalid Content-Type"),
        (file_part("a.txt", "text/plain; charset", "x"), "Invalid Content-Type"),
        (file_part("a.txt", "text/pl ain", "x"), "Invalid Content-Type"),
        (file_part("a\tb.txt", "text/plain", "x"), "control character"),
        (file_part("a\nb.txt", "text/plain", "x"), "control character"),
        (file_part("a\rb.txt", "text/plain", "x"), "control character"),
        (file_part("a\0b.txt", "text/plain", "x"), "control character"),
        (file_part("a\u{85}b.txt", "text/plain", "x"), "control character"),
        (file.clone() + &field("path", "a/\tb.txt"), "control character"),
    ] {
        let refusal = client.form((form + "--XX--\r\n").as_bytes()).expect(400);
        assert_eq!(refusal["code"], "validation_failed", "{refusal}");
        let messages = refusal["issues"].to_string();
        assert!(messages.contains(message), "{messages} should say {message}");
    }
    let mut no_text = (file.clone() + "--XX--\r\n").into_bytes();
    let at = no_text.windows(5).position(|bytes| bytes == b"a.txt").unwrap();
    no_text[at] = 0xff;
    let refusal = client.form(&no_text).expect(400);
    assert!(refusal["issues"].to_string().contains("Invalid UTF-8"), "{refusal}");
    let unfinished = client.form(file.as_bytes()).expect(400);
    assert_eq!(unfinished["code"], "bad_request");
    assert_eq!(emulator.accepted("upload_file"), 0);
    assert!(emulator.uploads().is_empty());
}

#[test]
fn a_content_length_is_required_and_limited() {
    let emulator = quick();
    let mut client = Client::new(&emulator);
    let kind = "Content-Type: multipart/form-data; boundary=XX\r\n";
    let request = client.head("POST", "/files/upload", &format!("{kind}Transfer-Encoding: chunked\r\n"));
    assert_eq!(client.try_send(request.as_bytes()).unwrap().status, 411);
    let mut client = Client::new(&emulator);
    let request = client.head("POST", "/files/upload", &format!("{kind}Content-Length: 600000000\r\n"));
    assert_eq!(client.try_send(request.as_bytes()).unwrap().expect(413)["code"], "payload_too_large");
    let mut client = Client::new(&emulator);
    let request = client.head("POST", "/files/upload", "Content-Type: text/plain\r\nContent-Length: 1\r\n") + "x";
    client.try_send(request.as_bytes()).unwrap().expect(400);
}

#[test]
fn an_incomplete_body_is_not_executed() {
    let emulator = quick();
    let mut client = Client::new(&emulator);
    let form = file_part("a.txt", "text/plain", "x") + "--XX--\r\n";
    let more = format!("Content-Type: multipart/form-data; boundary=XX\r\nContent-Length: {}\r\n", form.len() + 1);
    let request = client.head("POST", "/files/upload", &more) + &form;
    client.stream().write_all(request.as_bytes()).unwrap();
    client.stream().shutdown(Shutdown::Write).unwrap();
    assert!(client.read().is_err());
    assert_eq!((emulator.received("upload_file"), emulator.accepted("upload_file")), (1, 0));
}

#[test]
fn an_error_reaches_a_client_that_is_still_sending() {
    let emulator = quick();
    let mut client = Client::with_key(&emulator, "npk_wrong");
    let more = "Content-Type: multipart/form-data; boundary=XX\r\nContent-Length: 64000000\r\n";
    let head = client.head("POST", "/files/upload", more);
    client.stream().write_all(head.as_bytes()).unwrap();
    let block = vec![b'x'; 1_000_000];
    for _ in 0..64 {
        client.stream().write_all(&block).unwrap();
    }
    assert_eq!(client.read().unwrap().expect(401)["code"], "unauthorized");
}
