//! The three functions with what AWS does around them, as processes of their own.
//!
//! `tests/functions.py` starts it all. `tests/run` installs what it needs and builds the functions first.

use std::fs;
use std::io::{BufRead, BufReader};
use std::process::{Child, ChildStdin, Command, Stdio};
use std::time::{Duration, Instant};

use koala_destination::http_client;
use serde_json::{Value, json};

use crate::koala::root;

/// The key in `local/parameters`.
pub const KEY: &str = "pk_local_0123456789";

pub struct Functions {
    /// Where Parameter Store and SQS are.
    pub endpoint: String,
    /// The root of the parameter tree.
    pub prefix: String,
    /// Where the HTTP API is.
    pub url: String,
    invoke: String,
    queues: Value,
    log: tempfile::NamedTempFile,
    http: reqwest::Client,
    process: Child,
    /// Closed when this is dropped, which ends the process and what it started.
    _stdin: ChildStdin,
}

impl Functions {
    pub fn start(koala_url: &str) -> Self {
        Self::start_with(koala_url, &[])
    }

    /// Starts it with further arguments of `tests/functions.py`.
    pub fn start_with(koala_url: &str, arguments: &[&str]) -> Self {
        let log = tempfile::NamedTempFile::new().unwrap();
        let mut process = Command::new(root().join("target/venv/bin/python"))
            .arg(root().join("tests/functions.py"))
            .args(["--invoke-port", "0", "--until-stdin-closes", "--koala-url", koala_url])
            .args(arguments)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(log.reopen().unwrap())
            .spawn()
            .expect("tests/environment installs target/venv");
        let mut ready = String::new();
        BufReader::new(process.stdout.take().unwrap()).read_line(&mut ready).unwrap();
        let said = || fs::read_to_string(log.path()).unwrap();
        let ready: Value = serde_json::from_str(&ready).unwrap_or_else(|_| panic!("not ready: {}", said()));
        let text = |name: &str| ready[name].as_str().unwrap().to_owned();
        Self {
            endpoint: text("endpoint"),
            prefix: text("prefix"),
            url: text("url"),
            invoke: text("invoke"),
            queues: ready["queues"].clone(),
            http: http_client::builder().unwrap().timeout(Duration::from_secs(30)).build().unwrap(),
            _stdin: process.stdin.take().unwrap(),
            process,
            log,
        }
    }

    /// `cargo lambda invoke <function> --data-file <file>`, as the README shows it.
    pub fn invoke(&self, function: &str, file: &str) -> Value {
        let port = self.invoke.rsplit(':').next().unwrap();
        let output = Command::new(root().join("target/venv/bin/cargo-lambda"))
            .current_dir(root())
            .args(["lambda", "invoke", function, "--data-file", file])
            .args(["--invoke-address", "127.0.0.1", "--invoke-port", port])
            .output()
            .unwrap();
        let (said, why) = (String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr));
        serde_json::from_str(&said).unwrap_or_else(|_| panic!("{function} {file}: {said} {why} {}", self.logged()))
    }

    /// The body of `dispatch`'s answer, with its status.
    pub fn dispatch(&self, file: &str) -> (i64, Value) {
        let answer = self.invoke("dispatch", file);
        let body = serde_json::from_str(answer["body"].as_str().unwrap()).unwrap();
        (answer["statusCode"].as_i64().unwrap(), body)
    }

    /// What the functions logged, and what AWS's stand-ins said.
    pub fn logged(&self) -> String {
        fs::read_to_string(self.log.path()).unwrap()
    }

    /// Kills a function's process with `kill -9`, as Lambda ends an environment.
    pub async fn kill(&self, function: &str) {
        self.tell("/functions", &json!({"kill": function})).await;
    }

    /// What Parameter Store and SQS get wrong from now on; `tests/aws/services.py` says what there is.
    pub async fn faults(&self, faults: Value) {
        self.tell("/faults", &faults).await;
    }

    async fn tell(&self, path: &str, what: &Value) {
        let url = format!("{}{path}", self.endpoint);
        self.http.post(url).body(what.to_string()).send().await.unwrap().error_for_status().unwrap();
    }

    /// Calls Parameter Store or SQS as its client would.
    pub async fn aws(&self, target: &str, request: &Value) -> Value {
        let service = if target.starts_with("AmazonSSM") { "ssm" } else { "sqs" };
        let authorization = format!(
            "AWS4-HMAC-SHA256 Credential=test/20260101/eu-west-1/{service}/aws4_request, SignedHeaders=host, Signature=0"
        );
        let response = self
            .http
            .post(&self.endpoint)
            .header(
                "content-type",
                if service == "ssm" { "application/x-amz-json-1.1" } else { "application/x-amz-json-1.0" },
            )
            .header("x-amz-target", target)
            .header("authorization", authorization)
            .body(request.to_string())
            .send()
            .await
            .unwrap();
        let (status, body) = (response.status(), response.text().await.unwrap());
        assert!(status.is_success(), "{target}: {status} {body}");
        serde_json::from_str(&body).unwrap()
    }

    pub async fn set_parameter(&self, name: &str, value: &str) {
        let name = format!("{}/{name}", self.prefix);
        let request = json!({"Name": name, "Value": value, "Type": "SecureString", "Overwrite": true});
        self.aws("AmazonSSM.PutParameter", &request).await;
    }

    /// The messages of a queue with their attributes, at most ten.
    pub async fn messages(&self, queue: &str) -> Vec<Value> {
        let request = json!({
            "QueueUrl": self.queues[queue], "MaxNumberOfMessages": 10, "VisibilityTimeout": 0, "MessageAttributeNames": ["All"],
        });
        let answer = self.aws("AmazonSQS.ReceiveMessage", &request).await;
        answer["Messages"].as_array().cloned().unwrap_or_default()
    }

    /// How many messages a queue has, whether they can be seen or not.
    pub async fn count(&self, queue: &str) -> usize {
        let request = json!({"QueueUrl": self.queues[queue], "AttributeNames": ["All"]});
        let answer = self.aws("AmazonSQS.GetQueueAttributes", &request).await;
        let count = |name: &str| answer["Attributes"][name].as_str().unwrap().parse::<usize>().unwrap();
        count("ApproximateNumberOfMessages") + count("ApproximateNumberOfMessagesNotVisible")
    }

    pub async fn queue_arn(&self, queue: &str) -> String {
        let request = json!({"QueueUrl": self.queues[queue], "AttributeNames": ["QueueArn"]});
        let answer = self.aws("AmazonSQS.GetQueueAttributes", &request).await;
        answer["Attributes"]["QueueArn"].as_str().unwrap().to_owned()
    }

    /// Waits until a queue has that many messages.
    pub async fn until_messages(&self, queue: &str, count: usize) -> Vec<Value> {
        let begun = Instant::now();
        loop {
            let messages = self.messages(queue).await;
            if messages.len() >= count {
                return messages;
            }
            assert!(begun.elapsed() < Duration::from_secs(20), "{queue}: {messages:?} {}", self.logged());
            tokio::time::sleep(Duration::from_millis(100)).await;
        }
    }
}

impl Drop for Functions {
    fn drop(&mut self) {
        // A TERM lets it end what it started; it may have ended.
        let _ = Command::new("kill").arg(self.process.id().to_string()).status();
        let _ = self.process.wait();
    }
}
