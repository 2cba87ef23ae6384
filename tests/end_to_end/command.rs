//! The commands, as a person types them.

use std::fs;
use std::io::{BufRead, BufReader, Write};
use std::process::{Command, Output, Stdio};
use std::time::Duration;

use koala_destination::segment::SharedSecret;
use serde_json::{Value, json};
use time::OffsetDateTime;
use time::format_description::well_known::Rfc3339;

use crate::clients;
use crate::collector::{Collector, Reply};
use crate::koala::{Home, Koala, SECRET, TOKEN, root, text};

/// Runs `koala` in the repository's root.
fn koala(arguments: &[&str]) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_koala"));
    command.current_dir(root()).args(arguments).env_remove("RUST_LOG").env_remove("KOALA_URL");
    command
}

fn send(to: &Koala, arguments: &[&str], input: &str) -> (i32, String) {
    let url = format!("{}/v1/segment", to.url);
    let mut command = koala(&["send", "--url", &url, "--secret", SECRET]);
    let mut process = command.args(arguments).stdin(Stdio::piped()).stdout(Stdio::piped()).spawn().unwrap();
    process.stdin.take().unwrap().write_all(input.as_bytes()).unwrap();
    said(process.wait_with_output().unwrap())
}

fn said(output: Output) -> (i32, String) {
    (output.status.code().unwrap(), String::from_utf8(output.stdout).unwrap())
}

#[tokio::test]
async fn koala_demo_tells_one_persons_story_and_loses_nothing_while_the_collector_is_away() {
    let data = tempfile::tempdir().unwrap();
    let data = data.path().join("demo.db");
    let output = koala(&["demo", "--once", "--data"]).arg(&data).output().unwrap();
    let (status, said) = said(output);
    assert_eq!(status, 0, "{said}");
    for shown in [
        "113 accepted, 3 skipped (crawlers), 0 rejected",
        "10 messages wait in their queues",
        "has them all: 0 wait, 0 dead letters",
        "One of the visitors: Ada Lovelace",
        "phone",
        "Subscription Started",
        "→ one visitor: u-ada, ada@analytical.example, 2 devices",
        "The company: Analytical Engines",
        "20 visitors in all. The page: http://127.0.0.1:",
    ] {
        assert!(said.contains(shown), "{shown} in {said}");
    }
}

/// Its page is of one set, which took in what the story sent.
#[tokio::test]
async fn the_page_of_koala_demo_tells_what_came_in_and_what_was_delivered() {
    let data = tempfile::tempdir().unwrap();
    let mut process =
        koala(&["demo", "--data"]).arg(data.path().join("demo.db")).stdout(Stdio::piped()).spawn().unwrap();
    let mut lines = BufReader::new(process.stdout.take().unwrap()).lines().map(Result::unwrap);
    let page = lines.find_map(|line| line.split_once("The page: ").map(|(_, url)| url.to_owned())).unwrap();
    lines.find(|line| line.contains("until Ctrl-C")).unwrap();
    let read = async |path: &str| serde_json::from_str::<Value>(&text(&format!("{page}{path}")).await).unwrap();
    let (install, deliveries) = (read("api/install").await, read("api/deliveries").await);
    process.kill().unwrap();
    process.wait().unwrap();
    let page_views = json!({"source": "analytics.js", "type": "page", "outcome": "accepted", "count": 100});
    let mut received = install["install"]["received"].as_array().unwrap().clone();
    for one in &mut received {
        one.as_object_mut().unwrap().remove("last_at");
    }
    assert!(received.contains(&page_views), "{install}");
    assert_eq!(deliveries["received"], json!({"accepted": 123, "skipped": 3, "rejected": 0}));
    assert_eq!(deliveries["mappings"]["page-view"]["delivered"], 100);
}

/// `… | head -1` where `head` is done before the command says anything.
#[tokio::test]
async fn a_command_whose_output_nobody_reads_ends_quietly() {
    let home = Home::new();
    let up = home.up(&[]);
    let folder = tempfile::tempdir().unwrap();
    let demo = folder.path().join("demo.db").display().to_string();
    let url = format!("{}/v1/segment", up.url);
    let commands: [&[&str]; 9] = [
        &["--help"],
        &["up", "--help"],
        &["--version"],
        &["check", "--parameters", "local/parameters"],
        &["preview", "tests/events/track-server.json"],
        &["preview", "--json", "tests/events"],
        &["send", "--json", "--url", &url, "--secret", SECRET, "tests/events"],
        &["demo", "--once", "--data", &demo],
        &["send", "no-such-file.json"],
    ];
    for arguments in commands {
        let (reader, writer) = std::io::pipe().unwrap();
        drop(reader);
        let output = koala(arguments).stdout(writer).stderr(Stdio::piped()).output().unwrap();
        let said = String::from_utf8_lossy(&output.stderr).into_owned();
        let status = output.status.code();
        let expected: &[i32] = if arguments.contains(&"no-such-file.json") { &[2] } else { &[0, 141] };
        assert!(status.is_some_and(|status| expected.contains(&status)), "{arguments:?}: {status:?} {said}");
        assert!(!said.contains("panicked") && !said.contains("Broken pipe"), "{arguments:?}: {said}");
    }
}

#[tokio::test]
async fn the_curl_line_that_koala_up_prints_is_taken_and_its_visitor_listed() {
    let home = Home::new();
    let koala = home.up(&[]);
    let line = koala.said.last().unwrap().trim();
    let answer = Command::new("sh").args(["-c", line]).stderr(Stdio::null()).output().unwrap();
    let answer: Value = serde_json::from_slice(&answer.stdout).unwrap();
    assert_eq!(answer, json!({"accepted": 1, "skipped": 0, "rejected": []}));
    koala.until_queues(json!({"waiting": 0, "in_flight": 0})).await;
    let (_, listed) = koala.get("/api/visitors").await;
    assert_eq!((&listed["total"], &listed["visitors"][0]["emails"]), (&json!(1), &json!(["ada@example.com"])));
    let id = listed["visitors"][0]["id"].to_string();
    let (_, visitor) = koala.get(&format!("/api/visitors/{id}")).await;
    assert_eq!(visitor["timeline"][0]["name"], "Signed Up");
    assert_eq!(visitor["timeline"][0]["entry"]["properties"]["plan"], "Team");
    assert_eq!(koala.get("/api/visitors/999").await.0, 404);
}

#[tokio::test]
async fn the_curl_line_that_is_printed_signs_when_it_is_run_and_holds_neither_signature_nor_secret() {
    let home = Home::new();
    home.set_parameter("webhook-secret", " a secret with 'quotes' \nanother\n");
    let koala = home.up(&[]);
    let line = koala.said.last().unwrap().trim().to_owned();
    let event = line.rsplit_once("-d '").unwrap().1.trim_end_matches('\'');
    let signature = SharedSecret::parse("a secret with 'quotes'").unwrap().sign(event.as_bytes()).to_string();
    assert!(!line.contains(&signature) && !line.contains("a secret"), "{line}");
    let run = || Command::new("sh").args(["-c", &line]).stderr(Stdio::null()).output().unwrap().stdout;
    assert_eq!(serde_json::from_slice::<Value>(&run()).unwrap()["accepted"], 1);
    drop(koala);

    std::fs::remove_file(home.parameters().join("webhook-secret")).unwrap();
    home.set_parameter("bearer-token", "a-bearer\n");
    let koala = home.up(&[]);
    let line = koala.said.last().unwrap().trim().to_owned();
    let answer = Command::new("sh").args(["-c", &line]).stderr(Stdio::null()).output().unwrap().stdout;
    assert!(!line.contains("a-bearer"), "{line}");
    assert_eq!(serde_json::from_slice::<Value>(&answer).unwrap()["accepted"], 1);
}

#[tokio::test]
async fn a_hangup_ends_the_set_as_a_sigterm_does() {
    // Started with `nohup`, tests and set outlive their terminal.
    let ignored = std::fs::read_to_string("/proc/self/status").unwrap();
    let ignored = ignored.lines().find_map(|line| line.strip_prefix("SigIgn:")).unwrap().trim().to_owned();
    let is_hangup_ignored = u64::from_str_radix(&ignored, 16).unwrap() & 1 == 1;
    for signal in if is_hangup_ignored { &["TERM"][..] } else { &["TERM", "HUP"] } {
        let home = Home::new();
        let koala = home.up(&[]);
        assert_eq!(koala.end_by(signal), 0, "{signal}");
        assert!(home.logged().contains("are kept in"), "{signal}: {}", home.logged());
    }
}

#[tokio::test]
async fn koala_send_sends_files_folders_lines_and_arrays() {
    let collector = Collector::start();
    let home = Home::new();
    let koala = home.up_with(&collector.url());
    let (status, said) = send(&koala, &["tests/events"], "");
    assert_eq!(status, 0, "{said}");
    assert!(
        said.contains("15 events in 15 requests") && said.contains("11 accepted, 4 skipped, 0 rejected, 0 refused"),
        "{said}"
    );
    collector.until_taken(11, Duration::from_secs(10)).await;

    let lines = "{\"type\":\"track\",\"event\":\"A\",\"userId\":\"u\",\"messageId\":\"line-1\"}\n{\"type\":\"track\",\"event\":\"B\",\"userId\":\"u\",\"messageId\":\"line-2\"}\n";
    let (status, said) = send(&koala, &["--json", "--batch", "10", "-"], lines);
    assert_eq!(status, 0, "{said}");
    let printed: Vec<Value> = said.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    assert_eq!((printed.len(), &printed[0]["accepted"], &printed[1]["requests"]), (2, &json!(2), &json!(1)));
    collector.until_taken(13, Duration::from_secs(10)).await;
}

#[tokio::test]
async fn koala_send_says_by_its_exit_status_how_it_went() {
    let home = Home::new();
    let up = home.up(&[]);
    let (status, said) = send(&up, &["tests/events/bad/batch-with-one-bad-event.json", "--batch", "3"], "");
    assert_eq!(status, 1, "{said}");
    assert!(said.contains("event 1: an event is an object, this is a string"), "{said}");
    let wrong =
        koala(&["send", "--url", &format!("{}/v1/segment", up.url), "--secret", "wrong", "tests/events/page.json"])
            .output()
            .unwrap();
    assert_eq!(wrong.status.code(), Some(2));
    drop(up);
    let nobody = koala(&["send", "--url", "http://127.0.0.1:9/v1/segment", "tests/events/page.json"]).output().unwrap();
    assert_eq!(nobody.status.code(), Some(2));
    let missing = koala(&["send", "no-such-file.json"]).output().unwrap();
    assert_eq!(missing.status.code(), Some(2));
    assert!(String::from_utf8_lossy(&missing.stderr).contains("no-such-file.json"));
}

/// The rules of Koala's API, held by the embedded collector.
#[tokio::test]
async fn the_embedded_collector_refuses_with_a_reason_what_koala_would_not_keep() {
    let home = Home::new();
    let koala = home.up(&[]);
    let agent = [("user-agent", "a-test/1.0")];
    let batch = "/web/projects/pk_vector/batch";
    let event = json!({"email": "a@example.com", "events": [{"event": "A", "message_id": "m-1"}]}).to_string();
    assert_eq!(koala.request("POST", batch, &event, &agent).await, (200, json!({"ok": true})));
    assert_eq!(koala.request("POST", batch, &event, &agent).await.0, 200);
    let visitors = koala.get("/api/visitors").await.1;
    assert_eq!(visitors["visitors"][0]["events"], 1, "the same message id is kept once");

    let many = json!({"email": "a@example.com", "identifies": vec![json!({"traits": {}}); 31]}).to_string();
    // A key that is not known is no fault of the entries: the sender reads its key again, and sends again.
    for (path, body, headers, expected, reason) in [
        (batch, "{}", &agent[..], 400, "profile_id or email is required"),
        (batch, r#"{"profile_id":"7"}"#, &agent, 400, "profile_id must be a UUID"),
        (batch, &many, &agent, 400, "identifies has 31 entries"),
        (batch, &event, &[], 400, "User-Agent header is missing"),
        ("/web/projects/pk_other/batch", &event, &agent, 401, "public API key"),
    ] {
        let (status, answer) = koala.request("POST", path, body, headers).await;
        assert_eq!(status, expected, "{reason}");
        assert!(answer["error"].as_str().unwrap().contains(reason), "{answer}");
    }
    assert_eq!(koala.get("/web/projects/pk_vector/auth").await.0, 200);
    assert_eq!(koala.get("/web/projects/pk_other/auth").await.0, 401);
}

/// What `koala invoke` says of a Lambda event below `tests/events/lambda`, with its exit status.
fn invoke(function: &str, fixture: &str, arguments: &[&str]) -> (i32, Value) {
    let fixture = format!("tests/events/lambda/{fixture}");
    let mut command = koala(&["invoke", "--json", function, &fixture]);
    let (status, said) = said(command.args(arguments).output().unwrap());
    (status, serde_json::from_str(&said).unwrap())
}

#[test]
fn koala_invoke_runs_dispatch_on_a_request_of_api_gateway_and_prints_what_it_answers_and_queues() {
    let (status, report) = invoke("dispatch", "dispatch-track.json", &[]);
    assert_eq!((status, &report["answer"]["status"]), (0, &json!(200)));
    assert_eq!(report["answer"]["body"], json!({"accepted": 1, "skipped": 0, "rejected": []}));
    let queued = report["queued"].as_array().unwrap();
    assert_eq!((queued.len(), &queued[0]["queue"]), (1, &json!("track-event")));
    let message = &queued[0]["message"];
    assert_eq!(
        (&message["mapping"], &message["request_id"]),
        (&json!("track-event"), &json!("dispatch-track-request"))
    );
    assert_eq!(message["event"]["messageId"], "track-server-1");

    let (status, report) = invoke("dispatch", "dispatch-unsigned.json", &[]);
    assert_eq!((status, &report["answer"]["status"], &report["queued"]), (1, &json!(401), &json!([])));
}

#[test]
fn koala_invoke_runs_track_event_on_a_batch_of_sqs_and_prints_what_it_sends() {
    let (status, report) = invoke("track-event", "track-event-batch.json", &[]);
    // The third of its messages is none of dispatch's.
    assert_eq!((status, &report["answer"]), (1, &json!({"batchItemFailures": []})));
    let dead = report["dead_letters"].as_array().unwrap();
    assert_eq!((dead.len(), &dead[0]["message_id"]), (1, &json!("00000000-0000-4000-8000-000000000003")));
    // Two requests: the address is of the event's properties in one, of the visitor's traits in the other.
    let sent = report["sent"].as_array().unwrap();
    for request in sent {
        assert_eq!((&request["route"], &request["body"]["email"]), (&json!("batch"), &json!("ada@analytical.example")));
    }
    let events = sent.iter().flat_map(|request| request["body"]["events"].as_array().unwrap());
    let ids: Vec<_> = events.map(|event| &event["message_id"]).collect();
    assert_eq!(ids, ["track-server-1", "track-order-1"]);
    assert_eq!(invoke("track-event", "track-event-page-view.json", &[]).0, 0);
}

#[tokio::test(flavor = "multi_thread")]
async fn koala_invoke_runs_identify_visitor_and_really_sends_where_it_is_told_to() {
    let (status, report) = invoke("identify-visitor", "identify-visitor-account.json", &[]);
    assert_eq!((status, &report["sent"][0]["body"]["groups"][0]["group_id"]), (0, &json!("g-analytical")));

    let collector = Collector::start();
    let to_collector = ["--koala-url", &collector.url()];
    // The second of its messages has traits that are none.
    let (status, report) = invoke("identify-visitor", "identify-visitor-batch.json", &to_collector);
    assert_eq!((status, report["dead_letters"].as_array().map(Vec::len)), (1, Some(1)), "{report}");
    assert_eq!(collector.taken().keys().collect::<Vec<_>>(), ["identify-server-1"]);

    collector.answer(|_| Reply::Answer(400, r#"{"error":"Koala ingest suspended"}"#));
    let (status, report) = invoke("identify-visitor", "identify-visitor-batch.json", &to_collector);
    let failed = json!([{"itemIdentifier": "00000000-0000-4000-8000-000000000001"}]);
    assert_eq!((status, &report["answer"]["batchItemFailures"]), (1, &failed), "{report}");
    assert_eq!(report["retried"][0]["message_id"], failed[0]["itemIdentifier"]);
    assert!(report["sent"][0]["error"].is_string(), "{report}");
}

#[test]
fn koala_invoke_says_by_its_exit_status_that_a_file_is_no_event_of_the_function() {
    for (function, fixture, problem) in [
        ("dispatch", "tests/events/lambda/track-event-batch.json", "is not a request of API Gateway"),
        ("track-event", "tests/events/lambda/dispatch-track.json", "is not a batch of SQS: it has no Records"),
        ("track-event", "tests/events/no-such-file.json", "no-such-file.json"),
        ("track-event", "README.md", "README.md is not JSON"),
    ] {
        let output = koala(&["invoke", function, fixture]).output().unwrap();
        let said = String::from_utf8_lossy(&output.stderr).into_owned();
        assert!(output.status.code() == Some(2) && said.contains(problem), "{function} {fixture}: {said}");
    }
    let help = koala(&["invoke", "--help"]).output().unwrap();
    assert!(
        String::from_utf8_lossy(&help.stdout).contains("koala invoke dispatch tests/events/lambda/dispatch-track.json")
    );
}

/// A set that was sent two weeks of visits.
async fn two_weeks(home: &Home) -> Koala {
    let koala = home.up(&[]);
    let (status, said) = send(&koala, &["--now", "tests/events/two-weeks"], "");
    assert!(status == 0 && said.contains("123 accepted, 3 skipped"), "{said}");
    koala.until_queues(json!({"waiting": 0, "in_flight": 0, "dead": 0})).await;
    koala
}

/// What the README shows a picture of. Who they are is what the script that made them up says, not what any rule finds.
#[tokio::test(flavor = "multi_thread")]
async fn two_weeks_of_visits_are_of_the_people_who_made_them_and_make_a_page_worth_looking_at() {
    let home = Home::new();
    let koala = two_weeks(&home).await;
    let (_, listed) = koala.get("/api/visitors?limit=1000").await;
    let visitors = listed["visitors"].as_array().unwrap();
    let people = fs::read_to_string(root().join("tests/vectors/two-weeks.json")).unwrap();
    let people: Vec<Value> = serde_json::from_str(&people).unwrap();
    assert_eq!(visitors.len(), people.len());
    let sorted = |value: &Value| {
        let mut texts: Vec<String> =
            value.as_array().unwrap().iter().map(|it| it.as_str().unwrap().to_owned()).collect();
        texts.sort();
        texts
    };
    for person in &people {
        let ids = |of: &Value| ["user_ids", "emails", "anonymous_ids"].map(|kind| sorted(&of[kind]));
        let found = visitors.iter().find(|visitor| ids(visitor) == ids(person));
        let visitor = found.unwrap_or_else(|| panic!("{person} is not among {visitors:?}"));
        let (_, shown) = koala.get(&format!("/api/visitors/{}?limit=1000", visitor["id"])).await;
        let timeline = shown["timeline"].as_array().unwrap().iter().map(|entry| entry["message_id"].clone());
        assert_eq!(sorted(&timeline.collect()), sorted(&person["message_ids"]), "{person}");
    }

    let (_, companies) = koala.get("/api/companies").await;
    let companies = companies["companies"].as_array().unwrap();
    let rank = |domain: &str| companies.iter().position(|company| company["domain"] == domain);
    for domain in ["analytical.example", "apollo.example"] {
        assert!(rank(domain).is_some_and(|at| at < 2), "{companies:?}");
    }
    let newest = companies.iter().filter_map(|it| it["last_seen"].as_str()).max();
    let newest = OffsetDateTime::parse(newest.unwrap(), &Rfc3339).unwrap();
    assert!((OffsetDateTime::now_utc() - newest).whole_seconds() < 60, "{newest}");
}

/// As a browser shows it, in both colour schemes.
#[tokio::test(flavor = "multi_thread")]
async fn a_picture_of_two_weeks_of_visits_is_taken_in_a_browser() {
    let home = Home::new();
    let koala = two_weeks(&home).await;
    clients::run("picture.cjs", [&koala.url, "analytical.example"]).await;
}

#[tokio::test]
async fn dead_letters_of_a_set_with_a_token_are_sent_again_with_it() {
    let home = Home::new();
    let koala = home.up(&[("KOALA_TOKEN", TOKEN)]);
    let redrive = |token: Option<&str>| {
        let mut command = self::koala(&["redrive", "--url", &koala.url, "--data"]);
        command.arg(home.data()).env_remove("KOALA_TOKEN");
        if let Some(token) = token {
            command.args(["--token", token]);
        }
        let output = command.output().unwrap();
        (output.status.code().unwrap(), String::from_utf8_lossy(&output.stderr).into_owned())
    };
    let (status, said) = redrive(None);
    assert!(status == 2 && said.contains("requires a token; pass --token or set KOALA_TOKEN"), "{said}");
    assert_eq!(redrive(Some(TOKEN)).0, 0);
}
