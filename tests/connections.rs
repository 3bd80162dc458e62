//! Connections: TLS with given roots, proxies, responses that are not HTTP, and which connections are reused.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "in a test they are the failure")]

mod common;
#[path = "common/raw_server.rs"]
mod raw_server;
#[path = "common/tls.rs"]
mod tls;

use std::io::{self, Read, Write};
use std::net::{Shutdown, SocketAddr, TcpListener, TcpStream};
#[cfg(target_os = "linux")]
use std::process::Command;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, mpsc};
use std::time::{Duration, Instant};

use common::program::{program_on, run};
use common::{builder, emulator};
use nomic_client::agents::Launch;
use nomic_client::files::Upload;
use nomic_client::{Effect, ErrorKind, Nomic};
use raw_server::{RawServer, read_head, read_request, response};
use tls::{AUTHORITY, SELF_SIGNED, SELF_SIGNED_AUTHORITY, SERVER};

/// Copies in both directions until one side closes.
fn splice(a: TcpStream, b: TcpStream) {
    let (mut a2, mut b2) = (a.try_clone().unwrap(), b.try_clone().unwrap());
    let there = std::thread::spawn(move || {
        let _ = io::copy(&mut a2, &mut b2);
        let _ = b2.shutdown(Shutdown::Both);
    });
    let (mut a, mut b) = (a, b);
    let _ = io::copy(&mut b, &mut a);
    let _ = a.shutdown(Shutdown::Both);
    there.join().unwrap();
}

/// A proxy that gives this answer to CONNECT, none if that is empty, and then passes on what comes to the target; and the
/// heads of the requests that it received.
fn proxy(answer: &'static str, target: Option<SocketAddr>) -> (SocketAddr, Arc<Mutex<Vec<String>>>) {
    let received = Arc::new(Mutex::new(Vec::new()));
    let heads = Arc::clone(&received);
    let server = RawServer::new(move |mut stream| {
        heads.lock().unwrap().push(read_head(&mut stream));
        if answer.is_empty() {
            std::thread::sleep(Duration::from_secs(20));
            return;
        }
        stream.write_all(answer.as_bytes()).unwrap();
        if let Some(target) = target {
            splice(stream, TcpStream::connect(target).unwrap());
        }
    });
    (server.address(), received)
}

#[test]
fn a_server_is_trusted_by_the_roots_that_are_given_and_by_no_others() {
    let emulator = emulator();
    let url = format!("{}/api/v0", tls::before(&emulator, SERVER).https_url());
    let nomic = Nomic::builder(&url, emulator.key()).root_certificates(AUTHORITY).build().unwrap();
    nomic.projects().next().unwrap().unwrap();
    let file = nomic.upload(Upload::from_bytes("a.bin", vec![7; 3 << 20])).unwrap();
    assert_eq!(file.size, Some(3 << 20));

    let without_root = Nomic::new(&url, emulator.key()).unwrap();
    let error = without_root.launch_agent(&Launch::prompt("Go.")).unwrap_err();
    let text = error.to_string();
    assert!(text.contains("certificate not trusted: ") && text.contains("certificate"), "{text}");
    assert!(error.is_unreachable() && !error.is_transient() && error.effect() == Effect::None, "{text}");
    assert!(!text.contains("tried"), "a retry does not help: {text}");
    let elsewhere = url.replace("localhost", "127.0.0.1");
    let nomic = Nomic::builder(elsewhere, emulator.key()).root_certificates(AUTHORITY).build().unwrap();
    let text = nomic.agent("a").unwrap_err().to_string();
    assert!(text.contains("certificate not trusted: ") && text.contains("certificate"), "{text}");
    assert_eq!(emulator.received("launch_agent"), 0);
}

#[test]
#[cfg_attr(not(any(feature = "rustls", feature = "native-tls")), ignore = "needs TLS")]
fn a_self_signed_certificate_is_trusted_as_its_own_root_unless_it_is_an_authority() {
    let emulator = emulator();
    let list = |certificate| {
        let url = format!("{}/api/v0", tls::before(&emulator, certificate).https_url());
        let nomic = Nomic::builder(url, emulator.key()).root_certificates(certificate).build().unwrap();
        nomic.projects().next().unwrap()
    };
    list(SELF_SIGNED).unwrap();
    if cfg!(not(feature = "native-tls")) {
        let text = list(SELF_SIGNED_AUTHORITY).unwrap_err().to_string();
        let words = ": certificate not trusted: the server's own certificate is that of an authority; \
                     make one with the basic constraint CA:FALSE for it";
        assert!(text.ends_with(words), "{text}");
    }
}

#[test]
// On Linux, a variable names the system's roots.
#[cfg(all(target_os = "linux", any(feature = "platform-verifier", feature = "native-tls")))]
fn a_server_is_trusted_by_the_roots_of_the_system() {
    let emulator = emulator();
    let url = format!("{}/api/v0", tls::before(&emulator, SERVER).https_url());
    let list_projects = |roots: &str| {
        let roots = format!("{}/tests/data/{roots}", env!("CARGO_MANIFEST_DIR"));
        let mut program = program_on(&emulator, "list_projects");
        run(program.env("NOMIC_BASE_URL", &url).env("SSL_CERT_FILE", &roots))
    };
    let trusted = list_projects("authority.pem");
    assert!(trusted.is_success(), "{}", trusted.combined());
    assert!(!list_projects("server.key").is_success(), "no roots, no trust");
}

#[test]
fn a_proxy_is_used_with_connect_and_its_errors_name_it() {
    let emulator = emulator();
    let through = |address: SocketAddr| {
        builder(&emulator).proxy(format!("http://me:secret@{address}")).connect_timeout(Duration::from_millis(500))
    };
    let (open, seen) = proxy("HTTP/1.1 200 OK\r\n\r\n", Some(emulator.address()));
    let nomic = through(open).build().unwrap();
    nomic.launch_agent(&Launch::prompt("Go.")).unwrap();
    let heads = seen.lock().unwrap().join("\n");
    assert!(heads.starts_with(&format!("CONNECT {} HTTP/1.1", emulator.address())), "{heads}");
    assert!(heads.contains("Proxy-Authorization: Basic bWU6c2VjcmV0") && !heads.contains(emulator.key()), "{heads}");

    let free = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
    for (address, words) in [
        (
            proxy("HTTP/1.1 407 Proxy Authentication Required\r\nContent-Length: 0\r\n\r\n", None).0,
            "proxy refused CONNECT",
        ),
        (proxy("", None).0, "no connection within the connect timeout"),
        (free, "connection refused"),
    ] {
        let nomic = through(address).attempts(1).build().unwrap();
        let error = nomic.launch_agent(&Launch::prompt("Go.")).unwrap_err();
        let text = error.to_string();
        assert!(
            text.starts_with(&format!(
                "launch_agent: cannot connect to {} through the proxy {address}: ",
                emulator.address()
            )),
            "{text}"
        );
        assert!(text.contains(words) && !text.contains("secret"), "{text}");
        assert!(error.is_unreachable() && error.effect() == Effect::None, "{text}");
    }
    assert_eq!(emulator.accepted("launch_agent"), 1);
}

#[test]
fn the_environment_names_the_proxy_and_the_hosts_without_one() {
    let emulator = emulator();
    let (open, seen) = proxy("HTTP/1.1 200 OK\r\n\r\n", Some(emulator.address()));
    let (open, socks) = (format!("http://{open}"), "socks5://127.0.0.1:1080");
    let projects = |variables: &[(&str, &str)]| {
        seen.lock().unwrap().clear();
        let output = run(program_on(&emulator, "proxy_from_env").envs(variables.iter().copied()));
        assert!(output.is_success(), "{}", output.combined());
        (output.stdout.trim_end().to_owned(), !seen.lock().unwrap().is_empty())
    };
    for name in ["HTTPS_PROXY", "https_proxy", "ALL_PROXY", "HTTP_PROXY"] {
        assert_eq!(projects(&[(name, &open)]), ("done".to_owned(), true), "{name}");
    }
    assert_eq!(projects(&[("ALL_PROXY", socks), ("HTTPS_PROXY", &open)]), ("done".to_owned(), true));
    assert_eq!(projects(&[("ALL_PROXY", socks), ("HTTP_PROXY", &open)]), ("done".to_owned(), true));
    let (printed, _) = projects(&[("ALL_PROXY", socks)]);
    assert_eq!(
        printed,
        "cannot build the client: the proxy in ALL_PROXY cannot be used: proxies of the kind \"socks5\" are not supported, only http and https"
    );
    for exception in ["nomic.invalid", "*.corp, .invalid", "10.0.0.0/8 Invalid", "nomic.invalid:80", "*"] {
        let (printed, used) = projects(&[("HTTPS_PROXY", &open), ("ALL_PROXY", socks), ("NO_PROXY", exception)]);
        assert!(printed.contains("cannot connect to nomic.invalid: unknown host") && !used, "{exception}: {printed}");
    }
    for exception in ["nomic.invalid:443", "omic.invalid", "10.0.0.0/8"] {
        let (printed, used) = projects(&[("HTTPS_PROXY", &open), ("NO_PROXY", exception)]);
        assert!(printed == "done" && used, "{exception}: {printed}");
    }
    for variables in [&[][..], &[("HTTP_PROXY", open.as_str()), ("REQUEST_METHOD", "GET")]] {
        let (printed, used) = projects(variables);
        assert!(printed.contains("cannot connect to nomic.invalid: unknown host") && !used, "{printed}");
    }
    // On Windows it is the same variable in lower case.
    let (_, used) = projects(&[("http_proxy", &open), ("REQUEST_METHOD", "GET")]);
    assert_eq!(used, !cfg!(windows));
}

#[test]
fn a_proxy_url_that_cannot_be_read_is_refused_with_its_variable() {
    let emulator = emulator();
    let (open, seen) = proxy("HTTP/1.1 200 OK\r\n\r\n", Some(emulator.address()));
    for (url, reason) in [
        (format!("http://me:p#ss@{open}"), "its URL has a `#`, `/` or `?` in its user name or password"),
        (format!("http://{open}a8"), "its URL has no valid host or port"),
        ("http://127.0.0.1:99999".to_owned(), "its URL has no valid host or port"),
    ] {
        // Neither it nor a proxy that another variable names is used.
        let mut program = program_on(&emulator, "proxy_from_env");
        let output = run(program.env("HTTPS_PROXY", &url).env("ALL_PROXY", format!("http://{open}")));
        let expected = format!("cannot build the client: the proxy in HTTPS_PROXY cannot be used: {reason}");
        assert!(output.stdout.starts_with(&expected), "{url}: {}", output.combined());
        assert!(!output.combined().contains("p#ss"), "{}", output.combined());

        let error = builder(&emulator).proxy(&url).build().unwrap_err();
        let expected = format!("cannot build the client: the proxy given to Builder::proxy cannot be used: {reason}");
        assert!(error.to_string().starts_with(&expected), "{error}");
        assert!(matches!(error.kind(), ErrorKind::Config(_)), "{error:?}");
    }
    assert!(seen.lock().unwrap().is_empty());
}

#[test]
fn the_credentials_of_a_proxy_are_percent_decoded() {
    let emulator = emulator();
    let (open, seen) = proxy("HTTP/1.1 200 OK\r\n\r\n", Some(emulator.address()));
    let nomic = builder(&emulator).proxy(format!("me:p%23ss@{open}")).build().unwrap();
    nomic.projects().next().unwrap().unwrap();
    // `me:p#ss` in Base64.
    let heads = seen.lock().unwrap().join("\n");
    assert!(heads.contains("Proxy-Authorization: Basic bWU6cCNzcw==\r\n"), "{heads}");
}

#[test]
#[cfg_attr(not(any(feature = "rustls", feature = "native-tls")), ignore = "needs TLS")]
fn tls_goes_through_a_proxy_that_sees_no_request() {
    let emulator = emulator();
    let server = tls::before(&emulator, SERVER);
    let (through, seen) = proxy("HTTP/1.1 200 OK\r\n\r\n", Some(server.address()));
    let url = format!("{}/api/v0", server.https_url());
    let builder = Nomic::builder(url, emulator.key()).root_certificates(AUTHORITY);
    let nomic = builder.proxy(format!("http://{through}")).build().unwrap();
    let file = nomic.upload(Upload::from_bytes("a.bin", vec![7; 3 << 20])).unwrap();
    assert_eq!(file.size, Some(3 << 20));
    let heads = seen.lock().unwrap().join("\n");
    assert!(heads.starts_with(&format!("CONNECT localhost:{} HTTP/1.1", server.address().port())), "{heads}");
    assert!(!heads.contains("Bearer") && !heads.contains(emulator.key()), "{heads}");
}

#[test]
fn a_tls_handshake_that_fails_behind_a_proxy_has_executed_nothing() {
    let emulator = emulator();
    let (address, _) = proxy("HTTP/1.1 200 OK\r\n\r\n", Some(emulator.address()));
    let url = emulator.url().replace("http://", "https://");
    let nomic = Nomic::builder(url, emulator.key()).proxy(format!("http://{address}")).build().unwrap();
    let error = nomic.launch_agent(&Launch::prompt("Go.")).unwrap_err();
    assert!(error.is_unreachable() && error.effect() == Effect::None, "{error}");
    assert_eq!(emulator.received("launch_agent"), 0);
}

#[test]
fn a_write_does_not_reuse_a_connection_that_was_idle_for_long() {
    let emulator = emulator();
    let nomic = builder(&emulator).build().unwrap();
    let launch = || nomic.launch_agent(&Launch::prompt("Go.")).unwrap();
    let list = || nomic.projects().next().unwrap().unwrap();
    launch();
    launch();
    list();
    assert_eq!(emulator.connections(), 1);
    // After two seconds, the server may be about to close an idle connection.
    std::thread::sleep(Duration::from_millis(2100));
    list();
    assert_eq!(emulator.connections(), 1, "a read reuses it: it can be repeated");
    launch();
    assert_eq!(emulator.connections(), 1, "the read has made it fresh");
    std::thread::sleep(Duration::from_millis(2100));
    launch();
    assert_eq!(emulator.connections(), 2, "a write makes a new one");
}

#[test]
fn a_connection_that_the_server_has_closed_is_not_reused() {
    let server = RawServer::new(|mut stream| {
        read_request(&mut stream);
        stream.write_all(response("201 Created", r#"{"id":"a","status":"running"}"#).as_bytes()).unwrap();
    });
    let nomic = Nomic::new(server.url(), "npk_x").unwrap();
    for _ in 0..3 {
        nomic.launch_agent(&Launch::prompt("Go.")).unwrap();
        std::thread::sleep(Duration::from_millis(50));
    }
    assert_eq!(server.connections(), 3);
}

#[test]
fn a_write_without_a_body_states_its_length() {
    let emulator = emulator();
    let nomic = builder(&emulator).build().unwrap();
    let agent = nomic.launch_agent(&Launch::prompt("Go.")).unwrap();
    let _ = nomic.stop_agent(&agent.id);
    let request = emulator.requests().pop().unwrap();
    assert_eq!((request.method.as_str(), request.header("content-length")), ("POST", Some("0")));
}

#[test]
fn a_server_that_does_not_speak_http_gets_one_request() {
    let many: String = (0..200).map(|number| format!("X-{number}: 1\r\n")).collect();
    let invalid = "the response is not valid HTTP: ";
    for (response, words) in [
        ("SSH-2.0-OpenSSH_9.9\r\n".to_owned(), "the server does not speak HTTP/1.1, but SSH"),
        ("\0\0\x12\x04\0\0\0\0\0\0\x03\0\0\0\x64\0\x04".to_owned(), "but HTTP/2 only"),
        ("\x15\x03\x01\0\x02\x02\x0a".to_owned(), "but TLS (is it https:// and not http://?)"),
        (format!("HTTP/1.1 200 OK\r\n{many}\r\n"), "not valid HTTP: too many headers"),
        (
            format!("HTTP/1.1 200 OK\r\nX-Long: {}\r\n\r\n", "x".repeat(100_000)),
            "the headers of the response are too large",
        ),
        ("HTTP/1.1 200 OK\r\nno header\r\n\r\n".to_owned(), invalid),
        ("HTTP/1.1 2x0 OK\r\n\r\n".to_owned(), invalid),
        ("HTTP/1.1 099 No\r\n\r\n".to_owned(), invalid),
        ("HTTP/1.1 200 OK\r\nContent-Length: 1\r\nContent-Length: 2\r\n\r\n".to_owned(), invalid),
        ("hello, who is there?\r\n".to_owned(), invalid),
    ] {
        let name = response[..response.len().min(40)].to_owned();
        // Some protocols begin with words of the server.
        for server_first in [false, true] {
            let bytes = response.clone();
            let server = RawServer::new(move |mut stream| {
                if !server_first {
                    let _ = stream.read(&mut [0; 4096]);
                }
                let _ = stream.write_all(bytes.as_bytes());
                while stream.read(&mut [0; 4096]).is_ok_and(|count| count > 0) {}
            });
            let nomic = Nomic::builder(server.url(), "npk_x").attempts(3).build().unwrap();
            let error = nomic.projects().next().unwrap().unwrap_err();
            let text = error.to_string();
            assert!(matches!(error.kind(), ErrorKind::Transport(_)) && !error.is_transient(), "{name:?}: {text}");
            assert!(!error.is_unreachable() && text.len() < 500, "{name:?}: {text}");
            assert!(
                text.contains(words) && !text.contains("http parse") && !text.contains("tried"),
                "{name:?}: {text}"
            );
            assert_eq!(server.connections(), 1, "{name:?}: {text}");
            let error = nomic.launch_agent(&Launch::prompt("Go.")).unwrap_err();
            assert_eq!((error.effect(), error.is_transient()), (Effect::Unknown, false), "{name:?}: {error}");
            assert_eq!(server.connections(), 2, "{name:?}: {error}");
        }
    }
}

#[test]
#[cfg_attr(any(not(feature = "rustls"), feature = "native-tls"), ignore = "needs rustls, which resumes sessions")]
fn connections_share_their_tls_sessions() {
    let config = tls::config(SERVER);
    let (sender, receiver) = mpsc::channel();
    let server = RawServer::new(move |stream| {
        let connection = rustls::ServerConnection::new(Arc::clone(&config)).unwrap();
        let mut tls = rustls::StreamOwned::new(connection, stream);
        let _ = tls.read(&mut [0; 4096]);
        sender.send(tls.conn.handshake_kind()).unwrap();
        tls.write_all(b"HTTP/1.1 200 OK\r\nConnection: close\r\nContent-Length: 11\r\n\r\n{\"data\":[]}").unwrap();
        tls.conn.send_close_notify();
        tls.flush().unwrap();
    });
    let nomic = Nomic::builder(server.https_url(), "npk_x").root_certificates(AUTHORITY).build().unwrap();
    let kinds: Vec<_> = (0..5)
        .map(|_| {
            assert!(nomic.projects().next().is_none());
            receiver.recv().unwrap()
        })
        .collect();
    let resumed = kinds.iter().filter(|kind| **kind == Some(rustls::HandshakeKind::Resumed)).count();
    assert_eq!(resumed, 4, "{kinds:?}");
}

#[test]
#[cfg_attr(not(target_os = "linux"), ignore = "counts threads by their ids, as Linux gives them")]
fn requests_start_no_threads() {
    let emulator = emulator();
    let url = format!("http://localhost:{}/api/v0", emulator.address().port());
    let output = run(program_on(&emulator, "count_threads").env("NOMIC_BASE_URL", url));
    assert!(output.is_success(), "{}", output.combined());
    let started: u64 = output.stdout.trim_end().parse().unwrap();
    assert!(started < 20, "{started} threads for 100 requests");
}

#[test]
#[cfg(target_os = "linux")]
fn a_process_without_threads_or_files_gets_transient_errors_and_its_wait_continues() {
    let emulator = emulator();
    let url = format!("http://localhost:{}/api/v0", emulator.address().port());
    // Threads run out of address space: the limit on their number does not bind root.
    for (resource, limits, words) in [
        ("threads", "ulimit -v 1048576", "cannot look up the host: no thread could be started ("),
        ("files", "ulimit -n 64", "Too many open files"),
    ] {
        let program = program_on(&emulator, "out_of_resources");
        let mut shell = Command::new("sh");
        shell.args(["-c", &format!("{limits}; exec \"$@\""), "sh"]).arg(program.get_program()).arg(resource);
        shell.env("NOMIC_BASE_URL", &url).env("NOMIC_API_KEY", emulator.key());
        shell.env("RUST_MIN_STACK", (128 << 20).to_string()).env("MALLOC_ARENA_MAX", "1").env("RUST_BACKTRACE", "0");
        let output = run(&mut shell);
        assert!(output.is_success(), "{resource}: {}", output.combined());
        let error = "transient: true, None: list_projects: cannot connect to localhost:";
        assert!(output.stdout.starts_with(error) && output.stdout.contains(words), "{}", output.combined());
        assert!(output.stdout.ends_with("\ndone\n") && output.stderr.is_empty(), "{}", output.combined());
    }
}

#[test]
#[cfg_attr(not(feature = "gzip"), ignore = "needs the feature gzip")]
fn a_response_without_a_body_is_a_success_whatever_encoding_it_announces() {
    let heads = [
        "204 No Content\r\n",
        "204 No Content\r\nContent-Length: 0\r\n",
        "204 No Content\r\nContent-Length: 17\r\n",
        "204 No Content\r\nTransfer-Encoding: chunked\r\n",
        "205 Reset Content\r\nContent-Length: 0\r\n",
        "200 OK\r\nContent-Length: 0\r\n",
    ];
    let server = RawServer::new(move |mut stream| {
        for head in heads {
            read_request(&mut stream);
            stream.write_all(format!("HTTP/1.1 {head}Content-Encoding: gzip\r\n\r\n").as_bytes()).unwrap();
        }
    });
    let nomic = Nomic::new(server.url(), "npk_x").unwrap();
    for head in heads {
        let stopped = nomic.stop_agent("a").unwrap_or_else(|error| panic!("{head:?}: {error}"));
        assert_eq!(stopped, None, "{head:?}");
    }
    assert_eq!(server.connections(), 1);
}

#[test]
#[cfg_attr(not(feature = "gzip"), ignore = "needs the feature gzip")]
fn the_body_of_a_205_is_not_waited_for() {
    let server = RawServer::sending("HTTP/1.1 205 Reset Content\r\nContent-Encoding: gzip\r\n\r\n");
    let nomic = Nomic::builder(server.url(), "npk_x").stall_timeout(Duration::from_secs(5)).build();
    let began = Instant::now();
    nomic.unwrap().delete_agent("a").unwrap();
    assert!(began.elapsed() < Duration::from_secs(2), "{:?}", began.elapsed());
}

#[test]
fn session_tickets_are_not_taken_for_an_early_response() {
    // The server sends its tickets, then waits before it reads, as behind a slow uplink.
    let config = tls::config(SERVER);
    let server = RawServer::new(move |stream| {
        let mut connection = rustls::ServerConnection::new(Arc::clone(&config)).unwrap();
        let mut stream = stream;
        connection.complete_io(&mut stream).unwrap();
        std::thread::sleep(Duration::from_millis(900));
        let mut tls = rustls::StreamOwned::new(connection, stream);
        let (mut taken, mut piece) = (0, vec![0; 1 << 16]);
        while taken < 16 << 20 {
            taken += tls.read(&mut piece).unwrap();
        }
        tls.write_all(response("201 Created", r#"{"id":"a","name":"a","fileVersionId":"b"}"#).as_bytes()).unwrap();
        tls.flush().unwrap();
        let _ = tls.read(&mut piece);
    });
    let (through, _) = proxy("HTTP/1.1 200 OK\r\n\r\n", Some(server.address()));
    for proxied in [false, true] {
        let builder = Nomic::builder(server.https_url(), "npk_x").root_certificates(AUTHORITY);
        let builder = if proxied { builder.proxy(format!("http://{through}")) } else { builder };
        let upload = Upload::from_reader("a.bin", io::repeat(0).take(16 << 20), 16 << 20);
        builder.build().unwrap().upload(upload).unwrap();
    }
}

#[test]
fn a_transient_proxy_error_does_not_end_a_wait() {
    let emulator = emulator();
    let target = emulator.address();
    let calls = AtomicUsize::new(0);
    let through = RawServer::new(move |mut stream| {
        read_head(&mut stream);
        if calls.fetch_add(1, Ordering::Relaxed) < 2 {
            let _ = stream.write_all(b"HTTP/1.1 503 Busy\r\n\r\n");
        } else {
            stream.write_all(b"HTTP/1.1 200 OK\r\n\r\n").unwrap();
            splice(stream, TcpStream::connect(target).unwrap());
        }
    });
    let direct = builder(&emulator).build().unwrap();
    let agent = direct.launch_agent(&Launch::prompt("Go.")).unwrap();
    let nomic = builder(&emulator).proxy(through.url()).attempts(1).build().unwrap();
    nomic.wait_with(&agent, &common::impatient(Duration::from_secs(20))).unwrap();
}

#[test]
fn a_panic_in_a_callback_does_not_slow_down_later_calls() {
    let emulator = emulator();
    let nomic = builder(&emulator).build().unwrap();
    nomic.upload(Upload::from_bytes("a.txt", "Level: 1")).unwrap();
    let hook = std::panic::take_hook();
    std::panic::set_hook(Box::new(|_| {}));
    for _ in 0..10 {
        let upload =
            || nomic.upload(Upload::from_bytes("a.txt", "Level: 1").progress(|_, _| panic!("in the callback")));
        std::panic::catch_unwind(upload).unwrap_err();
    }
    std::panic::set_hook(hook);
    let began = Instant::now();
    for _ in 0..10 {
        nomic.upload(Upload::from_bytes("a.txt", "Level: 1")).unwrap();
    }
    assert!(began.elapsed() < Duration::from_secs(2), "{:?}", began.elapsed());
}

#[test]
fn progress_and_reader_may_borrow() {
    let emulator = emulator();
    let nomic = builder(&emulator).build().unwrap();
    let bytes = b"Level: 1".to_vec();
    let mut seen = 0;
    let upload = Upload::from_reader("a.txt", bytes.as_slice(), 8).progress(|sent, _| seen = sent);
    nomic.upload(upload).unwrap();
    assert_eq!(seen, 8);
}
