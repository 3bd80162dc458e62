//! The main job against the emulator: upload, parse, extract, agents, and a job that outlives its program.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "in a test they are the failure")]

mod common;
#[allow(dead_code, reason = "the generator's own main is not needed here")]
#[path = "emulator/examples/make_permit.rs"]
mod make_permit;

use std::collections::HashSet;
use std::time::Duration;

use common::forms::forms;
use common::program::{program_on, run};
use common::{document, emulator, impatient, nomic, permit_pdf};
use nomic_client::agents::{AgentStatus, ArtifactKind, Filter, Image, Launch, MessageKind, Prompt};
use nomic_client::files::Upload;
use nomic_client::job::{JobRef, Poll};
use nomic_client::parse::{BlockKind, OcrLanguage, ParseJob};
use nomic_client::{Error, ErrorKind, Nomic, extract, parse};
use nomic_emulator::{Emulator, Fault, FaultKind, Limits};
use serde::Deserialize;
use serde_json::json;

#[test]
fn the_sample_permit_is_the_one_that_its_generator_writes() {
    assert!(std::fs::read(permit_pdf()).unwrap() == make_permit::permit().0);
}

#[test]
fn a_pdf_is_parsed_into_its_own_text_with_pages_and_boxes() {
    let emulator = emulator();
    let nomic = nomic(&emulator);
    let file = nomic.upload_file(permit_pdf()).unwrap();
    assert_eq!((file.name.as_str(), file.mime_type.as_deref()), ("permit.pdf", Some("application/pdf")));
    assert_eq!(file.size, Some(std::fs::metadata(permit_pdf()).unwrap().len()));
    let options = parse::Options::default()
        .ocr_language(OcrLanguage::Latin)
        .table_summary(true)
        .figure_summary(false)
        .summary_word_limit(20)
        .embed_chunks(true);
    let job = nomic.parse_with(&file.file_version_id, &options).unwrap();
    let parsed = nomic.wait(&job).unwrap();
    assert_eq!(parsed.pages(), [1, 2, 3]);
    assert!(parsed.page_text(1).contains("PH-2026-0417"), "{}", parsed.page_text(1));
    assert!(!parsed.page_text(2).contains("PH-2026-0417"));
    assert!(parsed.text().contains("The permit lapses if no work has begun within 180 days."));
    assert!(parsed.headings().any(|block| block.content == "Door schedule"));
    assert!(parsed.tables().any(|block| block.content.contains("D103") && block.page() == Some(2)));
    assert!(parsed.blocks_of(&BlockKind::Title).count() > 0);
    for block in parsed.blocks() {
        let bbox = block.bbox.as_ref().expect("every block has a box");
        for edge in [bbox.left, bbox.top, bbox.left + bbox.width, bbox.top + bbox.height] {
            assert!((0.0..=1.0).contains(&edge), "{block:?}");
        }
    }
}

#[test]
fn values_are_extracted_into_a_type_with_citations() {
    #[derive(Debug, PartialEq, Deserialize)]
    #[serde(rename_all = "camelCase")]
    struct Permit {
        permit_number: String,
        number_of_storeys: u32,
        expiry_date: Option<String>,
    }
    let emulator = emulator();
    let nomic = nomic(&emulator);
    let file = nomic.upload_file(permit_pdf()).unwrap();
    let schema = json!({"type": "object", "properties": {
        "permitNumber": {"type": "string"},
        "numberOfStoreys": {"type": "integer"},
        "expiryDate": {"type": "string"},
    }});
    let files = [file.file_version_id.clone()];
    let job = nomic.extract_with(&files, &schema, &extract::Options::default().citations(true)).unwrap();
    let extracted = nomic.wait(&job).unwrap();
    let citation = &extracted.citations_of("permitNumber")[0];
    assert_eq!((citation.page, citation.file_version_id.as_ref()), (Some(1), Some(&file.file_version_id)));
    assert!(extracted.citations_of("expiryDate").is_empty());
    let mismatch = extracted.deserialize::<Vec<u8>>().unwrap_err();
    assert!(matches!(mismatch.kind(), ErrorKind::Decode(error) if error.path == "$" && !error.malformed));
    assert_eq!(
        extracted.deserialize::<Permit>().unwrap(),
        Permit { permit_number: "PH-2026-0417".into(), number_of_storeys: 4, expiry_date: None }
    );
    let job = nomic.extract(&files, &schema).unwrap();
    assert_eq!(nomic.wait(&nomic.extract_job(job.task_id)).unwrap().citations, None);
}

/// Uploads, parses, extracts, searches, runs an agent, follows up, and lists.
fn run_main_job(emulator: &Emulator, nomic: &Nomic) -> Result<(), Error> {
    let options = impatient(Duration::from_secs(20));
    let file = nomic.upload_file(permit_pdf())?;
    let parsed = nomic.wait_with(&nomic.parse(&file.file_version_id)?, &options)?;
    assert!(parsed.text().contains("PH-2026-0417"));
    let schema = json!({"type": "object", "properties": {"permitNumber": {"type": "string"}}});
    let citations = extract::Options::default().citations(true);
    let job = nomic.extract_with([&file.file_version_id], &schema, &citations)?;
    let extracted = nomic.wait_with(&job, &options)?;
    assert_eq!(extracted.value["permitNumber"], "PH-2026-0417");
    assert_eq!(extracted.citations_of("permitNumber").len(), 1);
    assert_eq!(nomic.search_files("permit").next().unwrap()?.id, file.id);

    let agent = nomic.launch_agent(&Launch::prompt("List the doors as a table.").files([&file.id]))?.id;
    assert_eq!(nomic.wait_with(&agent, &options)?.status, AgentStatus::Finished);
    nomic.follow_up_agent(&agent, "Now the conditions.")?;
    assert_eq!(nomic.wait_with(&agent, &options)?.status, AgentStatus::Finished);
    assert!(nomic.conversation(&agent)?.messages.len() >= 4);
    let artifacts = nomic.artifacts(&agent).collect::<Result<Vec<_>, _>>()?;
    assert!(!artifacts.is_empty());
    let mut contents = artifacts.iter().map(|artifact| nomic.artifact(&agent, &artifact.id));
    assert!(contents.any(|artifact| artifact.is_ok_and(|artifact| artifact.markdown().is_some())));

    emulator.fault(Fault::on("launch_agent", FaultKind::JobNeverEnds));
    let endless = nomic.launch_agent(&Launch::prompt("Count to infinity."))?.id;
    nomic.stop_agent(&endless)?;
    assert_eq!(nomic.agent(&endless)?.status, AgentStatus::Stopped);
    nomic.delete_agent(&endless)?;

    assert_eq!(nomic.agents().next().unwrap()?.id, agent);
    let waited: Vec<_> = nomic.wait_all_with([agent.clone()], &options).collect();
    assert!(waited.iter().all(|(_, result)| result.is_ok()), "{waited:?}");
    nomic.workflows().collect::<Result<Vec<_>, _>>()?;
    nomic.projects().collect::<Result<Vec<_>, _>>()?;
    let user = nomic.users().next().unwrap()?;
    assert_eq!(nomic.user(&user.id)?.email, user.email);
    assert_eq!(nomic.users().page_size(10).count(), 25);
    nomic.api_keys().collect::<Result<Vec<_>, _>>()?;
    nomic.audit_logs().page_size(50).collect::<Result<Vec<_>, _>>()?;
    nomic.user_analytics().collect::<Result<Vec<_>, _>>()?;
    Ok(())
}

#[test]
fn the_main_job_is_done_in_every_form_that_the_contract_leaves_open() {
    for form in forms() {
        println!("{}", form.name);
        let emulator = form.emulator();
        run_main_job(&emulator, &form.nomic(&emulator)).unwrap_or_else(|error| panic!("{}: {error}", form.name));
    }
}

#[test]
fn an_invalid_request_is_rejected_before_anything_is_sent() {
    let emulator = emulator();
    let nomic = nomic(&emulator);
    let refused = |result: Result<(), Error>| {
        assert!(matches!(result.as_ref().map_err(Error::kind), Err(ErrorKind::InvalidRequest(_))), "{result:?}")
    };
    refused(nomic.extract([""; 0], &json!({})).map(drop));
    refused(nomic.extract(["v"], &json!([])).map(drop));
    let options = parse::Options::default().summary_word_limit(9);
    refused(nomic.parse_with("v", &options).map(drop));
    refused(nomic.launch_agent(&Launch::default()).map(drop));
    refused(nomic.follow_up_agent("a", "").map(drop));
    refused(nomic.agent("..").map(drop));
    refused(nomic.artifacts("").next().unwrap().map(drop));
    refused(nomic.search_files("a").page_size(51).next().unwrap().map(drop));
    refused(nomic.agents().page_size(0).next().unwrap().map(drop));
    assert_eq!(emulator.connections(), 0);
}

#[test]
fn an_agent_works_on_files_takes_a_follow_up_and_can_be_stopped_and_deleted() {
    let emulator = Emulator::builder().limits(Limits::off()).job_time(Duration::from_millis(40)).start().unwrap();
    let nomic = nomic(&emulator);
    let options = impatient(Duration::from_secs(20));
    let file = nomic.upload_file(permit_pdf()).unwrap();
    let launch = Launch::prompt("List the doors as a table.").files([file.id]);
    let agent = nomic.launch_agent(&launch).unwrap();
    assert!(!agent.status.has_ended());
    let agent = nomic.wait_with(&agent, &options).unwrap();
    assert_eq!(agent.status, AgentStatus::Finished);

    let kinds: HashSet<_> = nomic.artifacts(&agent.id).map(|artifact| artifact.unwrap().kind.unwrap()).collect();
    assert!(kinds.contains(&ArtifactKind::Markdown) && kinds.contains(&ArtifactKind::Table));
    for artifact in nomic.artifacts(&agent.id) {
        let artifact = nomic.artifact(&agent.id, &artifact.unwrap().id).unwrap();
        match artifact.kind {
            Some(ArtifactKind::Markdown) => assert!(artifact.markdown().unwrap().contains("D104")),
            _ => {
                let mut csv = Vec::new();
                artifact.table().unwrap().write_csv(&mut csv).unwrap();
                assert!(String::from_utf8(csv).unwrap().contains("D104,"));
            }
        }
    }
    let conversation = nomic.conversation(&agent.id).unwrap();
    assert_eq!(conversation.messages[0].kind, Some(MessageKind::User));
    assert_eq!(conversation.messages[0].text.as_deref(), Some("List the doors as a table."));
    assert_eq!(conversation.messages[1].kind, Some(MessageKind::Assistant));

    nomic.follow_up_agent(&agent.id, "Now the conditions.").unwrap();
    let error = nomic.follow_up_agent(&agent.id, "And now?").unwrap_err();
    assert_eq!(error.status(), Some(409), "{error}");
    let agent = nomic.wait_with(&agent.id, &options).unwrap();
    assert!(nomic.conversation(&agent.id).unwrap().messages.len() > conversation.messages.len());

    assert_eq!(nomic.stop_agent(&agent.id).unwrap_err().status(), Some(409));
    nomic.delete_agent(&agent.id).unwrap();
    assert!(nomic.agent(&agent.id).unwrap_err().is_not_found());
    assert!(nomic.delete_agent(&agent.id).unwrap_err().is_not_found());

    emulator.fault(Fault::on("launch_agent", FaultKind::JobNeverEnds));
    let agent = nomic.launch_agent(&Launch::prompt("Count to infinity.")).unwrap();
    assert_eq!(nomic.stop_agent(&agent.id).unwrap().unwrap().status, AgentStatus::Stopped);
    assert_eq!(nomic.wait(&agent).unwrap().status, AgentStatus::Stopped);
}

#[test]
fn an_agent_runs_a_workflow_with_named_inputs_in_a_project() {
    // Long enough for a poll to see each status, on a slow machine too.
    let emulator = Emulator::builder().limits(Limits::off()).job_time(Duration::from_millis(200)).start().unwrap();
    let nomic = nomic(&emulator);
    let workflow = |name: &str| {
        let found = nomic.workflows().map(Result::unwrap).find(|workflow| workflow.name.as_deref() == Some(name));
        found.unwrap_or_else(|| panic!("no workflow {name}"))
    };
    let project = nomic.projects().next().unwrap().unwrap();
    let file = nomic.upload_file(permit_pdf()).unwrap();
    let review = workflow("Submittal review");
    assert_eq!(
        review.inputs.iter().map(|input| input.name.as_str()).collect::<Vec<_>>(),
        ["submittal", "specification"]
    );
    let launch = Launch::workflow(&review.id).project(&project.id);
    let launch = launch.input("submittal", [&file.id]).input("specification", [&file.id]);
    let agent = nomic.launch_agent(&launch).unwrap();
    assert_eq!((agent.workflow_id.as_ref(), agent.project_id.as_ref()), (Some(&review.id), Some(&project.id)));
    let options = impatient(Duration::from_secs(20));
    assert_eq!(nomic.wait_with(&agent, &options).unwrap().status, AgentStatus::Finished);

    let triage = nomic.launch_agent(&Launch::workflow(workflow("RFI triage").id)).unwrap();
    let seen: HashSet<String> = nomic
        .polls_with(&triage, &options)
        .filter_map(|poll| match poll.unwrap() {
            Poll::Pending { status, .. } => Some(status),
            _ => None,
        })
        .collect();
    assert!(seen.contains(AgentStatus::AwaitingTool.as_str()), "{seen:?}");

    let of_review = Filter::default().workflow_id(review.id);
    assert_eq!(nomic.agents_with(&of_review).map(|found| found.unwrap().id).collect::<Vec<_>>(), [agent.id]);
    let failed = Filter::default().status(AgentStatus::Failed);
    assert_eq!(nomic.agents_with(&failed).count(), 0);
}

#[test]
fn a_prompt_carries_images() {
    let emulator = emulator();
    let png = b"\x89PNG\r\n\x1a\n\0\0\0\rIHDR\0\0\0\x02\0\0\0\x03\x08\x02\0\0\0";
    let prompt = Prompt::new("What is in the picture?").image(Image::from_bytes(png).unwrap());
    nomic(&emulator).launch_agent(&Launch::prompt(prompt)).unwrap();
    let sent = emulator.requests().pop().unwrap();
    let body: serde_json::Value = serde_json::from_slice(&sent.body).unwrap();
    assert_eq!(body["prompt"]["images"][0]["dimension"], json!({"width": 2, "height": 3}));
}

#[test]
fn a_file_is_found_by_a_part_of_its_name() {
    let emulator = emulator();
    let nomic = nomic(&emulator);
    let upload = Upload::from_bytes("x.txt", "Level: 3").destination("Project Alpha/reports/quarterly.txt");
    let file = nomic.upload(upload).unwrap();
    assert_eq!(file.name, "quarterly.txt");
    let hit = nomic.search_files("UARTER").next().unwrap().unwrap();
    assert_eq!(hit.id, file.id);
    assert_eq!(hit.decoded_path().as_deref(), Some("Project Alpha/reports/quarterly.txt"));
    let folder = hit.parent_id.unwrap();
    let sibling = nomic.upload(Upload::from_bytes("sibling.txt", "Level: 4").parent(folder.clone())).unwrap();
    assert_eq!(sibling.parent_id, Some(folder));
}

#[test]
fn a_job_outlives_the_program_that_began_it() {
    let emulator = Emulator::builder().limits(Limits::off()).job_time(Duration::from_millis(300)).start().unwrap();
    let output = run(&mut program_on(&emulator, "abort_after_submit"));
    assert!(!output.is_success(), "the program aborts");
    let job: ParseJob = serde_json::from_str(&output.stdout).unwrap();
    let parsed = nomic(&emulator).wait_with(&job, &impatient(Duration::from_secs(20))).unwrap();
    assert!(parsed.text().contains("OG-2026-114"));
    assert_eq!(emulator.accepted("submit_parse"), 1);
}

#[test]
fn a_wait_that_ends_without_a_result_hands_the_job_back() {
    let emulator = emulator();
    let nomic = nomic(&emulator);
    let version = document(&nomic);
    emulator.fault(Fault::on("submit_parse", FaultKind::JobNeverEnds));
    let job = nomic.parse(&version).unwrap();
    let error = nomic.wait_with(&job, &impatient(Duration::from_millis(100))).unwrap_err();
    assert_eq!(error.job(), Some(&JobRef::Parse(job.task_id.clone())));
    assert!(error.is_timeout() && error.is_transient(), "{error}");
    let text = error.to_string();
    assert!(text.starts_with("get_parse: parse job ") && text.contains("(status BUILDING)"), "{text}");

    emulator.fault(Fault::on("submit_extract", FaultKind::JobFails("page 7 cannot be read".into())));
    let job = nomic.extract(&[version], &json!({"type": "object"})).unwrap();
    let error = nomic.wait(&job).unwrap_err();
    assert_eq!(error.job(), Some(&JobRef::Extract(job.task_id)));
    assert!(error.to_string().ends_with(": page 7 cannot be read"), "{error}");
    assert!(!error.is_timeout() && !error.is_transient());

    emulator.fault(Fault::on("launch_agent", FaultKind::JobFails("out of budget".into())));
    let agent = nomic.launch_agent(&Launch::prompt("Try.")).unwrap();
    let error = nomic.wait(&agent).unwrap_err();
    assert_eq!(error.job(), Some(&JobRef::Agent(agent.id)));

    let error = nomic.wait(&nomic.parse_job("no-such-job")).unwrap_err();
    assert!(error.is_not_found() && error.job().is_some(), "{error}");
}

#[test]
fn a_wait_for_a_server_that_was_never_reached_ends_early() {
    let nomic = nomic_client::Nomic::builder("http://127.0.0.1:9", "npk_x").attempts(1).build().unwrap();
    let job = nomic.parse_job("t");
    let error = nomic.wait_with(&job, &impatient(Duration::from_millis(200))).unwrap_err();
    assert!(error.is_unreachable() && error.job().is_some(), "{error}");
    assert!(!error.to_string().contains("it is still running"), "no poll was answered: {error}");
}

#[test]
fn a_timeout_after_a_failed_poll_says_both() {
    let emulator = emulator();
    let nomic = common::builder(&emulator).attempts(1).build().unwrap();
    emulator.fault(Fault::on("submit_parse", FaultKind::JobNeverEnds));
    let job = nomic.parse(document(&nomic)).unwrap();
    emulator.fault(Fault::on("get_parse", FaultKind::Html(502)).skip(2).forever());
    let error = nomic.wait_with(&job, &impatient(Duration::from_millis(150))).unwrap_err();
    let text = error.to_string();
    assert!(error.is_timeout() && error.status() == Some(502), "{text}");
    assert!(
        text.contains("(status BUILDING); it is still running, wait for it again; last error: get_parse: 502"),
        "{text}"
    );
}

#[test]
fn a_job_is_polled_once_without_waiting() {
    let emulator = emulator();
    let nomic = nomic(&emulator);
    emulator.fault(Fault::on("submit_parse", FaultKind::JobNeverEnds));
    let job = nomic.parse(document(&nomic)).unwrap();
    assert!(matches!(nomic.poll(&job).unwrap(), Poll::Pending { status, .. } if status == "BUILDING"));
    let job = nomic.parse(document(&nomic)).unwrap();
    assert!(matches!(nomic.poll(&job).unwrap(), Poll::Done(parsed) if parsed.text().contains("OG-2026-114")));
    emulator.fault(Fault::on("submit_parse", FaultKind::JobFails("no".into())));
    let job = nomic.parse(document(&nomic)).unwrap();
    assert!(matches!(nomic.poll(&job).unwrap(), Poll::Failed { message, .. } if message == "no"));
    assert!(nomic.wait(&job).unwrap_err().is_job_failed());
    // `Polls` can be sent to another thread.
    let polls = nomic.polls_with(&job, &impatient(Duration::from_secs(5)));
    assert_eq!(std::thread::spawn(move || polls.count()).join().unwrap(), 1);
}

#[test]
fn the_final_poll_is_sent_at_the_timeout() {
    let emulator = emulator();
    let nomic = nomic(&emulator);
    emulator.fault(Fault::on("submit_parse", FaultKind::JobNeverEnds));
    let job = nomic.parse(document(&nomic)).unwrap();
    let options = impatient(Duration::from_millis(300)).initial_interval(Duration::from_secs(60));
    let began = std::time::Instant::now();
    nomic.wait_with(&job, &options).unwrap_err();
    let took = began.elapsed();
    assert!(took >= Duration::from_millis(300) && took < Duration::from_millis(600), "{took:?}");
    assert_eq!(emulator.received("get_parse"), 2, "at once, and at the end");
}

#[test]
fn transient_poll_errors_do_not_end_a_wait() {
    let emulator = emulator();
    let nomic = common::builder(&emulator).attempts(1).build().unwrap();
    let job = nomic.parse(document(&nomic)).unwrap();
    for kind in [
        FaultKind::ResetBefore,
        FaultKind::Html(502),
        FaultKind::CloseInBody,
        FaultKind::Api { status: 500, error: "oops".into(), code: None },
        FaultKind::RateLimited { retry_after: Some("0.01".into()) },
        FaultKind::RateLimited { retry_after: None },
        FaultKind::Html(522),
        FaultKind::Api { status: 503, error: "later".into(), code: None },
    ] {
        emulator.fault(Fault::on("get_parse", kind));
    }
    assert!(nomic.wait_with(&job, &impatient(Duration::from_secs(20))).unwrap().text().contains("Gulf Star"));
    assert_eq!(emulator.received("get_parse"), 9);
}

#[test]
fn statuses_in_upper_case_and_unknown_ones_do_not_end_a_wait() {
    let emulator = Emulator::builder().limits(Limits::off()).job_time(Duration::from_millis(60)).start().unwrap();
    let nomic = nomic(&emulator);
    let options = impatient(Duration::from_secs(20));
    emulator.fault(Fault::any(FaultKind::UpperCaseStatus).forever());
    let agent = nomic.launch_agent(&Launch::prompt("Go.")).unwrap();
    assert_eq!(agent.status, AgentStatus::Waiting);
    assert_eq!(nomic.wait_with(&agent, &options).unwrap().status, AgentStatus::Finished);
    emulator.clear_faults();
    for kind in [FaultKind::Future, FaultKind::Bare, FaultKind::Wrapped] {
        emulator.clear_faults();
        emulator.fault(Fault::any(kind).forever());
        let agent = nomic.launch_agent(&Launch::prompt("Go.")).unwrap();
        assert_eq!(nomic.wait_with(&agent, &options).unwrap().status, AgentStatus::Finished);
        let job = nomic.parse(document(&nomic)).unwrap();
        assert!(nomic.wait_with(&job, &options).unwrap().text().contains("OG-2026-114"));
    }
}

/// Every number of an extracted value, of a block's unknown field and of any other call is the server's: doubles to the
/// last bit, also those that are whole.
#[test]
fn numbers_come_through_to_the_last_bit() {
    let emulator = emulator();
    let nomic = nomic(&emulator);
    // Mantissas and exponents of all kinds, as text with the 17 digits that identify a double.
    let mut seed = 1_u64;
    let mut random = || {
        seed = seed.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        seed
    };
    let mut texts: Vec<String> = std::iter::repeat_with(|| f64::from_bits(random()))
        .filter(|number| number.is_finite())
        .map(|number| format!("{number:.16e}"))
        .take(2000)
        .collect();
    texts.extend((0..200).map(|_| format!("{}.0", random() >> 11)));
    texts.extend(["0.9215686321258545", "8128821037267345.0", "-0.0", "1.0"].map(str::to_owned));
    let sent: Vec<u64> = texts.iter().map(|text| text.parse::<f64>().unwrap().to_bits()).collect();
    let numbers = format!("[{},18446744073709551615,18446744073709551616]", texts.join(","));
    let answer = |body: String| emulator.fault(Fault::any(FaultKind::json(200, body)));
    let check = |numbers: &serde_json::Value| {
        let numbers = numbers.as_array().unwrap();
        let (integers, doubles) = (&numbers[sent.len()..], &numbers[..sent.len()]);
        assert!(
            doubles
                .iter()
                .zip(&sent)
                .all(|(number, bits)| number.is_f64() && number.as_f64().unwrap().to_bits() == *bits)
        );
        assert_eq!(integers, [json!(u64::MAX), json!(18_446_744_073_709_551_616.0)], "beyond 64 bits it is a double");
    };

    answer(format!(r#"{{"status":"COMPLETED","result":{{"numbers":{numbers}}}}}"#));
    let extracted = nomic.wait(&nomic.extract_job("a")).unwrap();
    check(&extracted.value["numbers"]);
    #[derive(Deserialize)]
    struct Own {
        numbers: Vec<f64>,
    }
    let own: Own = extracted.deserialize().unwrap();
    assert!(own.numbers.iter().zip(&sent).all(|(number, bits)| number.to_bits() == *bits));

    answer(format!(
        r#"{{"status":"COMPLETED","result":{{"chunks":[{{"content":"","blocks":[{{"content":"","numbers":{numbers}}}]}}]}}}}"#
    ));
    let parsed = nomic.wait(&nomic.parse_job("a")).unwrap();
    check(&parsed.chunks[0].blocks[0].extra["numbers"]);

    answer(numbers);
    check(&nomic.call(&nomic_client::Request::get("/numbers")).unwrap());
}
