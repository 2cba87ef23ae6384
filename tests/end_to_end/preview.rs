//! `koala preview` and `koala check`, as a person or a program uses them.

use std::io::Write;
use std::process::{Command, Output, Stdio};

use serde_json::{Value, json};

use crate::collector::Collector;
use crate::koala::{Home, KEY, TOKEN, root, vectors};

fn koala(arguments: &[&str]) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_koala"));
    command.current_dir(root()).args(arguments).env_remove("RUST_LOG").env_remove("KOALA_URL");
    command
}

fn said(output: &Output) -> (i32, String) {
    (output.status.code().unwrap(), String::from_utf8(output.stdout.clone()).unwrap())
}

fn preview_lines(lines: &str) -> Vec<Value> {
    let mut process = koala(&["preview", "--jsonl"]).stdin(Stdio::piped()).stdout(Stdio::piped()).spawn().unwrap();
    let mut stdin = process.stdin.take().unwrap();
    let lines = lines.to_owned();
    let writing = std::thread::spawn(move || stdin.write_all(lines.as_bytes()).unwrap());
    let (status, said) = said(&process.wait_with_output().unwrap());
    writing.join().unwrap();
    assert_eq!(status, 0);
    said.lines().map(|line| serde_json::from_str(line).unwrap()).collect()
}

#[test]
fn a_program_gets_an_answer_a_line_in_order() {
    let vectors: Vec<Value> = vectors("mapping.jsonl").into_iter().chain(vectors("trigger.jsonl")).collect();
    let questions: Vec<String> = vectors.iter().map(ToString::to_string).collect();
    let answers = preview_lines(&questions.join("\n"));
    assert_eq!(answers.len(), vectors.len());
    for (vector, answer) in vectors.iter().zip(&answers) {
        assert_eq!(answer["id"], vector["id"]);
        assert_eq!(answer.get("matches"), vector.get("matches"), "{vector}");
        assert_eq!(answer.get("absent"), vector.get("absent"), "{vector}");
        assert_eq!(answer["error"].is_string(), vector["error"] == true, "{vector}");
    }
}

#[test]
fn a_line_that_is_no_question_gets_an_error_and_the_next_is_answered() {
    let lines = "not json\n\n{\"id\":7,\"event\":{}}\n{\"id\":8,\"trigger\":\"type = \\\"a\\\"\",\"event\":5}\n{\"id\":9,\"mapping\":{\"@path\":\"$.a\"},\"event\":{}}\n";
    let answers = preview_lines(lines);
    assert!(answers[0]["error"].is_string() && answers[1]["error"].is_string() && answers[2]["error"].is_string());
    assert_eq!(answers[3], json!({"id": 9, "absent": true}));
}

#[test]
fn a_person_sees_which_mappings_match_the_request_and_what_is_skipped_or_rejected() {
    let preview = |file: &str| said(&koala(&["preview", file]).output().unwrap());
    let (status, shown) = preview("tests/events/track-server.json");
    assert_eq!(status, 0);
    for line in ["track-event → track-event: matches", "identify-visitor: does not match", "\"event\": \"Signed Up\""]
    {
        assert!(shown.contains(line), "{line} in {shown}");
    }
    assert!(!shown.contains('\u{1b}'), "no colour where there is no terminal");
    for (file, line) in [
        ("page", "page-view → page-view: matches"),
        ("group", "identify-account → identify-account: matches"),
        ("alias", "alias → identify-visitor: matches"),
        ("screen", "skipped   no enabled mapping takes it"),
    ] {
        let (_, shown) = preview(&format!("tests/events/{file}.json"));
        assert!(shown.contains(line), "{line} in {shown}");
    }
    let (status, shown) = preview("tests/events/bad/track-name-not-a-string.json");
    assert_eq!(status, 1);
    assert!(shown.contains("dead letter") && shown.contains("Event Name (`event`) must be a string"), "{shown}");
}

#[test]
fn a_program_reads_what_a_person_sees_a_line_for_each_event() {
    let files = ["tests/events/track-server.json", "tests/events/bad/track-name-not-a-string.json"];
    let (status, shown) = said(&koala(&["preview", "--json", files[0], files[1]]).output().unwrap());
    let lines: Vec<Value> = shown.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    assert_eq!((status, lines.len(), &lines[0]["file"]), (1, 2, &json!(files[0])), "{shown}");
    let verdicts = |line: &Value| {
        let mappings = line["preview"]["mappings"].as_array().unwrap();
        let verdict = |name: &str| mappings.iter().find(|it| it["mapping"] == name).unwrap()["verdict"].clone();
        ["identify-visitor", "track-event"].map(verdict)
    };
    assert_eq!(verdicts(&lines[0]), ["no_match", "delivers"]);
    assert_eq!(verdicts(&lines[1]), ["no_match", "dead_letter"]);
}

/// A page event becomes a Track Event, under two mappings at once.
#[tokio::test]
async fn an_event_may_match_several_mappings_and_each_delivers() {
    let collector = Collector::start();
    let home = Home::new();
    home.set_parameter(
        "mappings/viewed.json",
        r#"{"trigger":"type = \"page\"","action":"track-event","fields":{
            "event":{"@template":"Viewed {{name}} Page"},"email":{"@path":"$.properties.contact"},
            "context":{"from":{"@literal":"a mapping"}}}}"#,
    );
    home.set_parameter(
        "mappings/pages.json",
        r#"{"trigger":"type = \"page\" and match(properties.path, \"/pri*\")","action":"track-event","fields":{
            "event":{"@case":{"operator":"upper","value":{"@path":"$.name"}}},
            "properties":{"@excludeWhenNull":{"path":{"@path":"$.properties.path"},"gone":{"@path":"$.properties.gone"}}}}}"#,
    );
    home.set_parameter(
        "mappings/off.json",
        r#"{"trigger":"type = \"page\"","action":"identify-visitor","enabled":false}"#,
    );
    let koala = home.up_with(&collector.url());
    let page = json!({"type": "page", "name": "Pricing", "messageId": "p-1", "userId": "u",
                      "properties": {"path": "/pricing", "gone": null, "contact": "ada@example.com"}});
    assert_eq!(koala.post(&page.to_string()).await.1["accepted"], 1);
    collector.until_taken(2, std::time::Duration::from_secs(10)).await;
    let requests = collector.requests();
    let entry = |id: &str| {
        let request = requests.iter().find(|request| request.entries()[0]["message_id"] == id);
        request.unwrap_or_else(|| panic!("{id} in {requests:?}")).body.clone()
    };
    // `pages` comes first by name, and has the event's own message id.
    assert_eq!(entry("p-1")["events"][0]["event"], "PRICING");
    assert_eq!(entry("p-1")["events"][0]["properties"], json!({"path": "/pricing"}));
    let viewed = entry("p-1.viewed");
    assert_eq!(
        (&viewed["events"][0]["event"], &viewed["email"]),
        (&json!("Viewed Pricing Page"), &json!("ada@example.com"))
    );
    assert_eq!(viewed["events"][0]["context"], json!({"from": "a mapping", "source": "segment-webhook"}));
    assert_eq!(viewed["events"][0]["properties"], page["properties"]);
}

#[test]
fn check_names_every_problem_of_a_tree() {
    let home = Home::new();
    let check = |home: &Home, more: &[&str]| {
        said(&koala(&["check", "--parameters"]).arg(home.parameters()).args(more).output().unwrap())
    };
    let (status, shown) = check(&home, &[]);
    assert_eq!(status, 0);
    assert!(shown.contains("preset  page-view         type = \"page\" → page-view\n"), "{shown}");
    assert!(shown.ends_with("No problem: 5 mappings in force, 5 presets.\n"), "{shown}");
    home.set_parameter("public-api-key", "a key");
    home.set_parameter("public-api-kee", "a key");
    home.set_parameter(
        "mappings/one.json",
        r#"{"trigger":"bogus","action":"track-event","fields":{"event":{"@path":1},"x":1}}"#,
    );
    home.set_parameter("mappings/two.json", "{");
    let (status, shown) = check(&home, &[]);
    assert_eq!(status, 1);
    for line in [
        "public-api-key: has ' '",
        "public-api-kee: unknown parameter",
        "mappings/one: trigger: at character 1",
        "mappings/one: fields.x: is not a field of track-event",
        "mappings/one: fields.event.@path: should be a string",
        "mappings/two: EOF",
        "5 problems.",
    ] {
        assert!(shown.contains(line), "{line} in {shown}");
    }
    let problems: Value = serde_json::from_str(&check(&home, &["--json"]).1).unwrap();
    assert_eq!(problems["problems"].as_array().unwrap().len(), 5);
}

#[test]
fn check_warns_of_what_is_valid_and_may_not_be_meant_and_lists_what_is_in_force() {
    let home = Home::new();
    home.set_parameter(
        "mappings/checkout.json",
        r#"{"trigger":"type = \"track\" and match(event, \"*out*\")","action":"track-event",
            "fields":{"event":{"@template":"{{event}} {{name"},"email":{"@path":"$.propertes.email"}}}"#,
    );
    home.set_parameter("mappings/page-view.json", r#"{"enabled":false}"#);
    let output = koala(&["check", "--json", "--parameters"]).arg(home.parameters()).output().unwrap();
    let (status, shown) = said(&output);
    let shown: Value = serde_json::from_str(&shown).unwrap();
    assert_eq!((status, &shown["problems"]), (0, &json!([])));
    let warnings = shown["warnings"].to_string();
    for part in
        ["looks for a text with a `*`", "that no `}}` closes", "has `$.propertes.email`", "preset track-event still"]
    {
        assert!(warnings.contains(part), "{part} in {warnings}");
    }
    let listed: Vec<_> = shown["mappings"]
        .as_array()
        .unwrap()
        .iter()
        .map(|it| (&it["mapping"], &it["preset"], &it["enabled"]))
        .collect();
    assert!(listed.contains(&(&json!("checkout"), &json!(false), &json!(true))), "{listed:?}");
    assert!(listed.contains(&(&json!("track-event"), &json!(true), &json!(true))), "{listed:?}");
    assert!(listed.contains(&(&json!("page-view"), &json!(true), &json!(false))), "{listed:?}");
}

#[test]
fn check_reads_both_trees_and_says_where_a_parameter_has_moved() {
    let home = Home::new();
    let check = || said(&koala(&["check", "--parameters"]).arg(home.parameters()).output().unwrap());
    home.set_parameter("collector/intent/docs.json", r#"{"trigger":"type = \"track\""}"#);
    home.set_parameter("collector/page-token", TOKEN);
    let (status, shown) = check();
    assert_eq!(status, 0);
    assert!(shown.ends_with("No problem: 5 mappings in force, 5 presets.\n"), "{shown}");
    home.set_parameter("collector/intent/prices.json", r#"{"trigger":"event >"}"#);
    home.set_parameter("collector/intend/prices", "{}");
    home.set_parameter("collector/page-token", "a-token");
    home.set_parameter("intent/demo.json", r#"{"trigger":"type = \"track\""}"#);
    let (status, shown) = check();
    assert_eq!(status, 1);
    for line in [
        "collector/intent/prices: trigger: at character 8",
        "collector/intend/prices: unknown parameter",
        "collector/page-token: the token in line 1 is too short, 7 of at least 32 random bytes",
        "intent/demo: unknown parameter; it is read at collector/intent/demo now: move it there",
        "2 problems.",
    ] {
        assert!(shown.contains(line), "{line} in {shown}");
    }
    // Also said when the set starts.
    home.set_parameter("collector/page-token", TOKEN);
    let _koala = home.up(&[]);
    assert!(home.logged().contains("it is read at collector/intent/demo now"), "{}", home.logged());
}

#[tokio::test(flavor = "multi_thread")]
async fn check_asks_koala_whether_the_key_is_good() {
    let collector = Collector::start();
    let home = Home::new();
    let check = || {
        let mut command = koala(&["check", "--online", "--parameters"]);
        said(&command.arg(home.parameters()).env("KOALA_URL", collector.url()).output().unwrap())
    };
    assert_eq!(check().0, 0);
    let asked = &collector.requests()[0];
    assert_eq!((asked.method.as_str(), asked.path.as_str()), ("GET", &*format!("/web/projects/{KEY}/auth")));
    collector.answer(|_| (401, r#"{"error":"no such key"}"#));
    let (status, shown) = check();
    assert_eq!(status, 1);
    assert!(shown.contains("public-api-key: ") && shown.contains("is refused: 401"), "{shown}");
}
