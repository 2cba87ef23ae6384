//! The set under test, whichever it is: `koala up`, or the three functions as Lambda runs them. The same tests hold for both.

use std::time::{Duration, Instant};

use serde_json::{Value, json};

use crate::collector::Collector;
use crate::koala::{Home, KEY, Koala, SECRET, WRITE_KEY, post_signed};
use crate::lambda::Functions;

/// Makes two tests of each name: one over `koala up`, one over the functions.
macro_rules! hold_for_both_sets {
    ($($test:ident),* $(,)?) => {
        mod koala_up {
            $(#[tokio::test(flavor = "multi_thread")] async fn $test() {
                super::$test(crate::set::Kind::KoalaUp).await;
            })*
        }
        mod functions {
            $(#[tokio::test(flavor = "multi_thread")] async fn $test() {
                super::$test(crate::set::Kind::Functions).await;
            })*
        }
    };
}
pub(crate) use hold_for_both_sets;

/// Which set a test is about.
#[derive(Debug, Clone, Copy)]
pub enum Kind {
    KoalaUp,
    Functions,
}

/// A running set. When it is dropped its log is searched for what no log may hold.
pub struct Set {
    home: Home,
    running: Running,
    koala_url: String,
    variables: Vec<(String, String)>,
}

enum Running {
    KoalaUp(Option<Koala>),
    Functions(Functions),
}

/// A dead letter, wherever it is kept.
#[derive(Debug)]
pub struct DeadLetter {
    pub reason: String,
    pub mapping: String,
    pub collector_answer: String,
}

impl Kind {
    /// A set that delivers to `collector`. A message that failed waits for a second the first time.
    pub fn start(self, collector: &Collector) -> Set {
        self.start_with(&collector.url(), &[])
    }

    /// A set with these environment variables.
    pub fn start_with(self, koala_url: &str, variables: &[(&str, &str)]) -> Set {
        let home = Home::new();
        let mut variables = variables.to_vec();
        if !variables.iter().any(|(name, _)| *name == "RETRY_FIRST_DELAY_SECONDS") {
            variables.push(("RETRY_FIRST_DELAY_SECONDS", "1"));
        }
        // The stand-in for SQS is slower than SQS.
        variables.push(("ANSWER_WITHIN_MILLISECONDS", "4000"));
        let variables: Vec<_> =
            variables.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect();
        let running = match self {
            Self::KoalaUp => Running::KoalaUp(Some(up(&home, koala_url, &variables))),
            Self::Functions => {
                let parameters = home.parameters();
                // Messages of a function that was killed reappear when this is over; on AWS that is after three minutes.
                let fixed = ["--visibility-timeout-seconds", "8", "--batching-window-seconds", "0.1", "--parameters"];
                let mut arguments: Vec<String> = fixed.map(str::to_owned).into();
                arguments.push(parameters.to_str().unwrap().to_owned());
                for (name, value) in &variables {
                    arguments.extend(["--set".to_owned(), format!("{name}={value}")]);
                }
                let arguments: Vec<&str> = arguments.iter().map(String::as_str).collect();
                Running::Functions(Functions::start_with(koala_url, &arguments))
            }
        };
        Set { home, running, koala_url: koala_url.to_owned(), variables }
    }
}

fn up(home: &Home, koala_url: &str, variables: &[(String, String)]) -> Koala {
    let mut environment = vec![("KOALA_URL", koala_url)];
    environment.extend(variables.iter().map(|(name, value)| (name.as_str(), value.as_str())));
    home.up(&environment)
}

impl Set {
    /// Where it takes events in.
    pub fn url(&self) -> &str {
        match &self.running {
            Running::KoalaUp(koala) => &koala.as_ref().unwrap().url,
            Running::Functions(functions) => &functions.url,
        }
    }

    /// The functions, where a test is about them alone.
    pub fn functions(&self) -> Option<&Functions> {
        if let Running::Functions(functions) = &self.running { Some(functions) } else { None }
    }

    /// Posts a body with a right signature.
    pub async fn post(&self, body: &str) -> (u16, Value) {
        post_signed(self.url(), body).await
    }

    /// Posts an array of events, and sees all of them accepted.
    pub async fn post_all(&self, events: &[String]) {
        for events in events.chunks(100) {
            let (status, answer) = self.post(&format!("[{}]", events.join(","))).await;
            assert_eq!((status, &answer["accepted"]), (200, &json!(events.len())), "{answer} {}", self.logged());
        }
    }

    pub async fn set_parameter(&self, name: &str, value: &str) {
        match &self.running {
            Running::KoalaUp(_) => self.home.set_parameter(name, value),
            Running::Functions(functions) => functions.set_parameter(name, value).await,
        }
    }

    /// The parameters cannot be read from now on.
    pub async fn lose_parameters(&self) {
        match &self.running {
            Running::KoalaUp(_) => {
                let folder = self.home.parameters();
                std::fs::rename(&folder, folder.with_extension("away")).unwrap();
            }
            Running::Functions(functions) => functions.faults(json!({"parameter_store": "down"})).await,
        }
    }

    /// Kills what delivers with `kill -9`; it is started again, as Lambda does and an operator would.
    pub async fn kill_delivery(&mut self) {
        match &mut self.running {
            Running::KoalaUp(koala) => {
                koala.take().unwrap().kill();
                *koala = Some(up(&self.home, &self.koala_url, &self.variables));
            }
            Running::Functions(functions) => functions.kill("track-event").await,
        }
    }

    pub fn logged(&self) -> String {
        match &self.running {
            Running::KoalaUp(_) => self.home.logged(),
            Running::Functions(functions) => functions.logged(),
        }
    }

    /// Waits until the log says this.
    pub async fn until_logged(&self, said: &str) {
        let begun = Instant::now();
        while !self.logged().contains(said) {
            assert!(begun.elapsed() < Duration::from_secs(20), "no {said:?} in {}", self.logged());
            tokio::time::sleep(Duration::from_millis(100)).await;
        }
    }

    /// How many messages wait for delivery or are in flight.
    pub async fn undelivered(&self) -> usize {
        match &self.running {
            Running::KoalaUp(koala) => {
                let counts = koala.as_ref().unwrap().queues().await;
                usize::try_from(counts["waiting"].as_u64().unwrap() + counts["in_flight"].as_u64().unwrap()).unwrap()
            }
            Running::Functions(functions) => functions.count("identify").await + functions.count("track").await,
        }
    }

    /// Waits until nothing is to be delivered any more; gives the dead letters.
    pub async fn until_settled(&self) -> Vec<DeadLetter> {
        let begun = Instant::now();
        while self.undelivered().await > 0 {
            let logged = || self.logged();
            assert!(begun.elapsed() < Duration::from_mins(1), "{} undelivered: {}", self.undelivered().await, logged());
            tokio::time::sleep(Duration::from_millis(100)).await;
        }
        self.dead_letters().await
    }

    async fn dead_letters(&self) -> Vec<DeadLetter> {
        let letter = |of: &dyn Fn(&str) -> Value| {
            let text = |name: &str| of(name).as_str().unwrap_or_default().to_owned();
            DeadLetter { reason: text("reason"), mapping: text("mapping"), collector_answer: text("collector_answer") }
        };
        match &self.running {
            Running::KoalaUp(koala) => {
                let letters = koala.as_ref().unwrap().get("/api/dead-letters").await.1;
                letters["dead_letters"].as_array().unwrap().iter().map(|of| letter(&|name| of[name].clone())).collect()
            }
            Running::Functions(functions) => {
                let mut messages = functions.messages("identify_dead_letters").await;
                messages.extend(functions.messages("track_dead_letters").await);
                let attribute = |message: &Value, name: &str| message["MessageAttributes"][name]["StringValue"].clone();
                messages.iter().map(|message| letter(&|name| attribute(message, name))).collect()
            }
        }
    }
}

impl Drop for Set {
    fn drop(&mut self) {
        if !std::thread::panicking() {
            let logged = self.logged();
            for secret in [SECRET, KEY, WRITE_KEY, "pk_rotated", "@example.com", "203.0.113."] {
                assert!(!logged.contains(secret), "{secret} is in the log: {logged}");
            }
        }
    }
}
