//! Uploads: names, sizes, memory, documents that change while they are sent, and early responses.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "in a test they are the failure")]

mod common;
#[path = "common/raw_server.rs"]
mod raw_server;

use std::fs::{File, OpenOptions};
use std::io::{self, Read, Write};
use std::net::{TcpListener, TcpStream};
use std::ops::ControlFlow;
use std::path::PathBuf;
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

#[cfg(target_os = "linux")]
use common::program::{program_on, run};
use common::temp_dir::TempDir;
use common::{builder, emulator, nomic};
use nomic_client::files::{MAX_UPLOAD, Upload};
use nomic_client::{Effect, ErrorKind, Nomic};
use nomic_emulator::{CannedResponse, Fault, FaultKind};
use raw_server::{RawServer, response};

const MIB: u64 = 1 << 20;

/// A file of zeros that takes no room on disk, removed when it is dropped.
struct Zeros {
    path: PathBuf,
    _folder: TempDir,
}

impl Zeros {
    fn new(name: &str, size: u64) -> Self {
        let folder = TempDir::new();
        let path = folder.join(name);
        File::create(&path).unwrap().set_len(size).unwrap();
        Self { path, _folder: folder }
    }
}

#[test]
fn a_hostile_file_name_arrives_as_one_name_in_one_part() {
    let emulator = emulator();
    let name = "a\"b\\c\r\nX-Evil: 1é.pdf";
    nomic(&emulator).upload(Upload::from_bytes(name, "text: 1").content_type("text/plain")).unwrap();
    let upload = emulator.uploads().pop().unwrap();
    assert_eq!(upload.name, "a%22b\\c%0D%0AX-Evil: 1é.pdf");
    assert_eq!(upload.parts.len(), 1);
    let headers: Vec<_> = upload.parts[0].headers.iter().map(|(name, _)| name.to_ascii_lowercase()).collect();
    assert_eq!(headers, ["content-disposition", "content-type"]);
    let disposition = &upload.parts[0].headers[0].1;
    assert_eq!(disposition.matches("filename=").count(), 1, "{disposition}");
}

#[test]
#[cfg(target_os = "linux")]
fn a_file_name_that_is_not_utf_8_is_refused_unless_the_upload_names_the_file() {
    use std::os::unix::ffi::OsStrExt;

    let emulator = emulator();
    let nomic = nomic(&emulator);
    let folder = TempDir::new();
    let path = folder.join(std::ffi::OsStr::from_bytes(b"caf\xe9.pdf"));
    std::fs::write(&path, "Level: 1").unwrap();
    for upload in [Upload::from_path(&path), Upload::from_path(&path).parent("0")] {
        let error = nomic.upload(upload).unwrap_err();
        assert!(matches!(error.kind(), ErrorKind::InvalidRequest(_)), "{error}");
        let words = "caf\u{fffd}.pdf is not UTF-8; give it another with Upload::name";
        assert!(error.to_string().ends_with(words), "{error}");
    }
    assert_eq!(emulator.connections(), 0);
    for upload in [Upload::from_path(&path).name("café.pdf"), Upload::from_path(&path).destination("menus/café.pdf")]
    {
        assert_eq!(nomic.upload(upload).unwrap().name, "café.pdf");
        assert_eq!(emulator.uploads().pop().unwrap().name, "café.pdf");
    }
}

#[test]
fn a_path_of_any_form_is_uploaded_under_its_file_name() {
    let emulator = emulator();
    let nomic = nomic(&emulator);
    let folder = TempDir::new();
    std::fs::create_dir(folder.join("sub")).unwrap();
    let path = folder.join("floor plan.txt");
    std::fs::write(&path, "Level: 1").unwrap();
    let mut forms = vec![
        path.clone(),
        folder.join("sub").join("..").join("floor plan.txt"),
        // On Windows it begins with `\\?\`.
        path.canonicalize().unwrap(),
    ];
    if cfg!(windows) {
        forms.push(path.to_str().unwrap().replace('\\', "/").into());
    }
    for form in forms {
        nomic.upload_file(&form).unwrap();
        assert_eq!(emulator.uploads().pop().unwrap().name, "floor plan.txt", "{}", form.display());
    }
}

#[test]
#[cfg(windows)]
fn a_file_that_another_program_has_locked_is_an_error_that_names_it() {
    use std::os::windows::fs::OpenOptionsExt;

    let emulator = emulator();
    let folder = TempDir::new();
    let path = folder.join("locked.txt");
    std::fs::write(&path, "Level: 1").unwrap();
    let lock = OpenOptions::new().read(true).share_mode(0).open(&path).unwrap();
    let error = nomic(&emulator).upload_file(&path).unwrap_err();
    assert!(matches!(error.kind(), ErrorKind::Document { .. }) && error.effect() == Effect::None, "{error:?}");
    let line = error.to_string();
    assert!(line.contains("locked.txt") && line.contains("(os error 32)") && !line.contains('\n'), "{line}");
    drop(lock);
    nomic(&emulator).upload_file(&path).unwrap();
}

#[test]
fn a_file_that_is_deleted_while_it_is_sent_arrives_whole() {
    let emulator = emulator();
    let document = Zeros::new("deleted.bin", 16 * MIB);
    let path = document.path.clone();
    let upload = Upload::from_path(&path).progress(move |_, _| {
        let _ = std::fs::remove_file(&path);
    });
    nomic(&emulator).upload(upload).unwrap();
    assert!(!document.path.exists());
    assert_eq!(emulator.uploads().pop().unwrap().size, 16 * MIB);
}

#[test]
fn an_upload_always_says_its_length_and_arrives_byte_for_byte() {
    let emulator = emulator();
    let nomic = nomic(&emulator);
    let bytes: Vec<u8> = (0..3 * MIB + 7).map(|at| (at * 31 % 251) as u8).collect();
    let reported = Arc::new(Mutex::new(Vec::new()));
    let reports = Arc::clone(&reported);
    let uploads = [
        Upload::from_bytes("a.bin", bytes.clone()),
        Upload::from_reader("a.bin", io::Cursor::new(bytes.clone()), bytes.len() as u64),
        Upload::from_reader_buffered("a.bin", io::Cursor::new(bytes.clone())),
        Upload::from_bytes("a.bin", bytes.clone())
            .destination("deep/er/a.bin")
            .progress(move |sent, total| reports.lock().unwrap().push((sent, total))),
    ];
    for upload in uploads {
        let file = nomic.upload(upload.content_type("application/x-thing")).unwrap();
        assert_eq!((file.size, file.mime_type.as_deref()), (Some(bytes.len() as u64), Some("application/x-thing")));
        let stored = emulator.uploads().pop().unwrap();
        assert!(std::fs::read(stored.path).unwrap() == bytes);
        let request = emulator.requests().pop().unwrap();
        assert!(
            request.header("content-length").is_some_and(|length| length.parse::<u64>().unwrap() > file.size.unwrap())
        );
        assert_eq!(request.header("transfer-encoding"), None);
        assert_eq!(request.header("expect"), None);
    }
    let reported = reported.lock().unwrap();
    assert!(reported.len() > 10 && reported.windows(2).all(|pair| pair[0].0 < pair[1].0), "{} steps", reported.len());
    assert_eq!(reported.last(), Some(&(bytes.len() as u64, bytes.len() as u64)));
}

#[test]
fn a_document_that_is_empty_or_too_large_opens_no_connection() {
    let emulator = emulator();
    let nomic = nomic(&emulator);
    let (empty, large) = (Zeros::new("empty.pdf", 0), Zeros::new("large.pdf", MAX_UPLOAD + 1));
    let error = nomic.upload_file(&empty.path).unwrap_err().to_string();
    assert!(error.starts_with("upload_file: not sent: ") && error.ends_with("is empty (0 bytes)"), "{error}");
    let error = nomic.upload_file(&large.path).unwrap_err().to_string();
    assert!(error.contains("has 524288001 bytes; the service accepts at most 524288000"), "{error}");
    let error = nomic.upload_file("no/such/file.pdf").unwrap_err();
    assert!(
        matches!(error.kind(), ErrorKind::Document { source, .. } if source.kind() == io::ErrorKind::NotFound),
        "{error}"
    );
    assert_eq!(emulator.connections(), 0);
}

#[test]
fn a_document_that_shrinks_or_grows_while_it_is_sent_is_an_error_and_no_hang() {
    let emulator = emulator();
    let nomic = builder(&emulator).stall_timeout(Duration::from_secs(5)).build().unwrap();
    for (new_size, words) in [(MIB, "shrank"), (5 * MIB, "grew")] {
        let file = Zeros::new(words, 4 * MIB);
        let path = file.path.clone();
        let mut changed = false;
        let upload = Upload::from_path(&file.path).progress(move |_, _| {
            if !std::mem::replace(&mut changed, true) {
                OpenOptions::new().write(true).open(&path).unwrap().set_len(new_size).unwrap();
            }
        });
        let error = nomic.upload(upload).unwrap_err();
        assert!(matches!(error.kind(), ErrorKind::Document { .. }), "{error}");
        assert!(error.to_string().ends_with(&format!("it {words} while it was sent")), "{error}");
        assert!(error.effect() == Effect::None);
    }
    assert_eq!(emulator.accepted("upload_file"), 0);
    // The client still works.
    nomic.upload(Upload::from_bytes("a.txt", "Level: 1")).unwrap();
}

#[test]
fn a_cancelled_upload_ends_at_once_and_stores_nothing() {
    let emulator = emulator();
    let nomic = nomic(&emulator);
    let size = 8 * MIB;
    // In the middle, and at the last byte of the document.
    for end in [MIB, size] {
        let mut reached = 0;
        let upload = Upload::from_bytes("a.bin", vec![7; size as usize]).on_progress(|sent, total| {
            assert!(reached < end && total == size, "called after it was cancelled");
            reached = sent;
            if sent >= end { ControlFlow::Break(()) } else { ControlFlow::Continue(()) }
        });
        let error = nomic.upload(upload).unwrap_err();
        assert_eq!(error.to_string(), "upload_file: cancelled before the upload completed; nothing was stored");
        assert!(
            matches!(error.kind(), ErrorKind::Cancelled) && error.effect() == Effect::None && !error.is_transient()
        );
        assert_eq!(error.operation(), Some("upload_file"));
    }
    assert_eq!(emulator.accepted("upload_file"), 0);
    nomic.upload(Upload::from_bytes("a.txt", "Level: 1").on_progress(|_, _| ControlFlow::Continue(()))).unwrap();
    assert_eq!(emulator.accepted("upload_file"), 1);
}

#[test]
fn an_error_of_the_reader_is_returned() {
    struct Failing;
    impl Read for Failing {
        fn read(&mut self, _: &mut [u8]) -> io::Result<usize> {
            Err(io::Error::other("the tape is torn"))
        }
    }
    let emulator = emulator();
    let error = nomic(&emulator).upload(Upload::from_reader("a.txt", Failing, 10)).unwrap_err();
    assert_eq!(error.to_string(), "upload_file: a.txt: the tape is torn");
    assert_eq!(emulator.accepted("upload_file"), 0);
}

#[test]
fn a_response_that_comes_before_the_whole_document_was_sent_reaches_the_caller() {
    let emulator = emulator();
    // Without pacing, no response makes the next upload wait.
    let nomic = builder(&emulator).attempts(1).pacing(false).build().unwrap();
    let document = Zeros::new("early.bin", 64 * MIB);
    let mut missed = Vec::new();
    for run in 0..100 {
        for status in [401, 413, 429] {
            emulator.fault(Fault::any(FaultKind::EarlyResponse { status, after_bytes: run * 64 * 1024, close: true }));
            match nomic.upload_file(&document.path) {
                Err(error)
                    if error.status() == Some(status)
                        && matches!(error.kind(), ErrorKind::Api(api) if !api.message.is_empty()) => {}
                other => missed.push(format!("{status} after {run}: {other:?}")),
            }
        }
    }
    assert!(missed.is_empty(), "{} of 300 missed, as {}", missed.len(), missed[0]);
    assert_eq!(emulator.accepted("upload_file"), 0);
}

#[test]
fn an_early_response_of_a_server_that_keeps_the_connection_arrives_after_the_stall_timeout() {
    let emulator = emulator();
    let nomic = builder(&emulator).stall_timeout(Duration::from_millis(300)).build().unwrap();
    emulator.fault(Fault::any(FaultKind::EarlyResponse { status: 413, after_bytes: 0, close: false }));
    let document = Zeros::new("unread.bin", 64 * MIB);
    let began = Instant::now();
    let error = nomic.upload_file(&document.path).unwrap_err();
    assert_eq!(error.status(), Some(413), "{error}");
    assert!(began.elapsed() < Duration::from_secs(5));
}

#[test]
fn after_an_early_response_the_document_is_read_no_further_and_its_connection_is_not_reused() {
    let server = RawServer::new(|mut stream| {
        let _ = stream.read(&mut [0; 1000]);
        stream.write_all(response("413 No", r#"{"error":"File too large"}"#).as_bytes()).unwrap();
        // It stays open, and reads what comes as the rest of the document.
        std::thread::sleep(Duration::from_secs(1));
        let _ = io::copy(&mut stream, &mut io::sink());
    });
    let nomic = Nomic::builder(server.url(), "npk_x")
        .pacing(false)
        .upload_deadline(Duration::from_secs(5))
        .attempts(1)
        .build()
        .unwrap();
    for run in 0..2 {
        let mut read = 0;
        let upload = Upload::from_reader("a.bin", io::repeat(0).take(64 * MIB), 64 * MIB);
        let error = nomic.upload(upload.progress(|sent, _| read = sent)).unwrap_err();
        assert_eq!(error.status(), Some(413), "{run}: {error}");
        assert!(read < 32 * MIB, "{run}: {read}");
    }
}

#[test]
fn a_throttled_upload_is_sent_again_from_its_beginning() {
    let emulator = emulator();
    let nomic = nomic(&emulator);
    let early = || {
        let body = r#"{"error":"Rate limit exceeded","code":"rate_limited"}"#;
        emulator.fault(Fault::on("upload_file", CannedResponse::json(429, body).header("Retry-After", "0.05")));
    };
    early();
    nomic.upload(Upload::from_bytes("a.txt", "Level: 1")).unwrap();
    assert_eq!((emulator.received("upload_file"), emulator.accepted("upload_file")), (2, 1));
    // A reader cannot be read again: the 429 is returned, with its delay.
    early();
    let reader = Upload::from_reader("b.txt", io::Cursor::new("Level: 2"), 8);
    let error = nomic.upload(reader).unwrap_err();
    assert!(error.is_rate_limited() && error.retry_after().is_some() && error.effect() == Effect::None, "{error}");
    assert_eq!(emulator.accepted("upload_file"), 1);
}

#[test]
fn a_progress_callback_may_use_the_client() {
    let emulator = emulator();
    let nomic = nomic(&emulator);
    let inner = nomic.clone();
    let mut asked = false;
    let upload = Upload::from_bytes("a.bin", vec![7; 2 << 20]).progress(move |_, _| {
        if !std::mem::replace(&mut asked, true) {
            inner.projects().next().unwrap().unwrap();
        }
    });
    nomic.upload(upload).unwrap();
    assert_eq!((emulator.accepted("upload_file"), emulator.accepted("list_projects")), (1, 1));
}

#[test]
#[cfg(target_os = "linux")]
fn memory_does_not_grow_with_the_document() {
    let emulator = emulator();
    let peak = |size: u64| {
        let document = Zeros::new(&format!("{size}.bin"), size);
        let output = run(program_on(&emulator, "upload_file").arg(&document.path));
        assert!(output.is_success(), "{}", output.combined());
        output.stdout.trim_end().parse::<u64>().unwrap()
    };
    let (small, large) = (peak(MIB), peak(MAX_UPLOAD));
    println!("peak resident memory: {small} KiB for 1 MiB, {large} KiB for 500 MiB");
    assert!(large.saturating_sub(small) < 8 * 1024, "{small} KiB for 1 MiB, {large} KiB for 500 MiB");
    assert_eq!(emulator.uploads().last().unwrap().size, MAX_UPLOAD);
}

#[test]
fn a_reader_is_read_to_its_stated_length_only() {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let mut peer = TcpStream::connect(listener.local_addr().unwrap()).unwrap();
    let (mut socket, _) = listener.accept().unwrap();
    // The socket stays open; the bytes after the document belong to something else.
    peer.write_all(b"Level: 1").unwrap();
    socket.set_read_timeout(Some(Duration::from_secs(2))).unwrap();
    let emulator = emulator();
    nomic(&emulator).upload(Upload::from_reader("a.txt", &socket, 8)).unwrap();
    peer.write_all(b"more").unwrap();
    let mut more = [0; 4];
    socket.read_exact(&mut more).unwrap();
    assert_eq!(&more, b"more");
}
