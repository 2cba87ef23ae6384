//! What was answered with 200 arrives, whatever happens to the collector and to the process.

use std::collections::{BTreeMap, HashSet};
use std::sync::Mutex;
use std::time::Duration;

use futures_util::{StreamExt, stream};
use serde_json::json;

use crate::collector::{Collector, Reply};
use crate::koala::{Home, KEY, Koala, track};

/// Posts events one by one, many at once, and sees each answered with 200. Ten events a visitor.
async fn post_all(koala: &Koala, ids: &[String]) {
    let posts = ids.iter().enumerate().map(|(n, id)| async move {
        let (status, answer) = koala.post(&track(id, &format!("visitor-{}@example.com", n / 10))).await;
        assert_eq!((status, &answer["accepted"]), (200, &json!(1)), "{answer}");
    });
    stream::iter(posts).buffer_unordered(32).collect::<Vec<()>>().await;
}

fn ids(count: usize) -> Vec<String> {
    (0..count).map(|n| format!("m-{n}")).collect()
}

fn assert_each_once(collector: &Collector, ids: &[String]) {
    let taken = collector.taken();
    assert_eq!(taken.keys().collect::<HashSet<_>>(), ids.iter().collect::<HashSet<_>>());
    let doubled: Vec<_> = taken.iter().filter(|(_, times)| **times > 1).collect();
    assert!(doubled.is_empty(), "{doubled:?}");
}

#[tokio::test]
async fn a_collector_that_is_down_for_twenty_seconds_costs_no_event() {
    let collector = Collector::start();
    let (address, url) = (collector.address, collector.url());
    drop(collector);
    let home = Home::new();
    let koala = home.up_with(&url);
    let ids = ids(1000);
    post_all(&koala, &ids).await;
    tokio::time::sleep(Duration::from_secs(20)).await;
    let collector = Collector::start_at(address);
    collector.until_taken(1000, Duration::from_mins(1)).await;
    koala.until_queues(json!({"waiting": 0, "in_flight": 0, "dead": 0})).await;
    assert_each_once(&collector, &ids);
}

#[tokio::test]
async fn a_kill_after_the_200_costs_no_event() {
    let collector = Collector::start();
    let (address, url) = (collector.address, collector.url());
    drop(collector);
    let home = Home::new();
    let koala = home.up_with(&url);
    let ids = ids(300);
    post_all(&koala, &ids).await;
    koala.kill();
    let collector = Collector::start_at(address);
    let koala = home.up_with(&url);
    collector.until_taken(300, Duration::from_secs(30)).await;
    koala.until_queues(json!({"waiting": 0, "in_flight": 0, "dead": 0})).await;
    assert_each_once(&collector, &ids);
}

#[tokio::test]
async fn ctrl_c_ends_it_cleanly_and_the_next_start_delivers_what_was_accepted() {
    let collector = Collector::start();
    collector.answer(|_| (503, ""));
    let home = Home::new();
    let koala = home.up_with(&collector.url());
    let ids = ids(20);
    post_all(&koala, &ids).await;
    assert_eq!(koala.interrupt(), 0);
    collector.answer(|_| (200, ""));
    let koala = home.up_with(&collector.url());
    collector.until_taken(20, Duration::from_secs(30)).await;
    koala.until_queues(json!({"waiting": 0, "in_flight": 0, "dead": 0})).await;
    assert_each_once(&collector, &ids);
}

/// An answer may take nine seconds, and its body another; a stop waits for as long, and then for what came of it to be recorded.
#[tokio::test(flavor = "multi_thread")]
async fn a_stop_waits_for_an_answer_that_comes_when_its_request_almost_gives_up() {
    let collector = Collector::start();
    collector.answer(|_| Reply::Slow(Duration::from_secs(8)));
    let home = Home::new();
    let koala = home.up_with(&collector.url());
    let ids = ids(50);
    post_all(&koala, &ids).await;
    collector.until_asked(5).await;
    assert_eq!(koala.end_by("TERM"), 0);
    collector.answer(|_| (200, ""));
    let koala = home.up_with(&collector.url());
    koala.until_queues(json!({"waiting": 0, "in_flight": 0, "dead": 0})).await;
    assert_each_once(&collector, &ids);
}

/// A collector that takes a request at once and answers after more than the nine seconds that an answer may take is asked
/// again: with a stop in between exactly as often as without one.
#[tokio::test(flavor = "multi_thread")]
async fn a_stop_doubles_nothing_that_would_not_be_doubled_without_it() {
    let run = async |stop: bool| {
        let collector = Collector::start();
        let met = Mutex::new(HashSet::new());
        // Each visitor's first request is answered too late.
        collector.answer(move |request| {
            let is_first = met.lock().unwrap().insert(request.body["email"].to_string());
            if is_first { Reply::Slow(Duration::from_secs(11)) } else { Reply::Answer(200, "") }
        });
        let home = Home::new();
        let mut koala = home.up_with(&collector.url());
        // Four visitors: a fifth would be taken for an outage. At once, so that each is one request.
        let ids = ids(40);
        let events = ids.iter().enumerate().map(|(n, id)| track(id, &format!("visitor-{}@example.com", n % 4)));
        assert_eq!(koala.post(&format!("[{}]", events.collect::<Vec<_>>().join(","))).await.0, 200);
        collector.until_asked(4).await;
        if stop {
            let stopped = tokio::task::spawn_blocking(move || koala.end_by("TERM"));
            assert_eq!(stopped.await.unwrap(), 0);
            koala = home.up_with(&collector.url());
        }
        koala.until_queues(json!({"waiting": 0, "in_flight": 0, "dead": 0})).await;
        let taken: BTreeMap<String, usize> = collector.taken().into_iter().collect();
        assert_eq!(taken.len(), ids.len());
        taken
    };
    let (with, without) = tokio::join!(run(true), run(false));
    assert_eq!(with, without);
}

#[tokio::test]
async fn a_second_set_on_the_same_file_does_not_start() {
    let home = Home::new();
    let _first = home.up(&[]);
    let (status, said) = home.cannot_start(&[]);
    assert_eq!(status, 2);
    assert!(said.contains("is locked by another koala process"), "{said}");
}

/// SQLite starts with what is left of it, without a word; what the index says of it after a kill does not fit any more.
#[tokio::test]
async fn a_log_that_is_cut_off_or_gone_after_a_kill_is_told_at_start_whichever_file_it_is_of() {
    let home = Home::new();
    let koala = home.up(&[]);
    post_all(&koala, &ids(30)).await;
    koala.until_queues(json!({"waiting": 0, "in_flight": 0, "dead": 0})).await;
    koala.kill();
    for file in [home.data(), home.queue_file()] {
        let log = std::path::PathBuf::from(format!("{}-wal", file.display()));
        let whole = std::fs::read(&log).unwrap();
        for left in [Some(whole.len() / 2), Some(0), None] {
            match left {
                Some(left) => std::fs::write(&log, &whole[..left]).unwrap(),
                None => std::fs::remove_file(&log).unwrap(),
            }
            let (status, said) = home.cannot_start(&[]);
            assert_eq!(status, 2, "{said}");
            let name = log.file_name().unwrap().to_string_lossy();
            assert!(said.contains(&format!("{name} lacks ")) && said.contains("pages that were committed"), "{said}");
            std::fs::write(&log, &whole).unwrap();
        }
    }
    let koala = home.up(&[]);
    assert_eq!(koala.queues().await["waiting"], 0);
    assert_eq!(koala.interrupt(), 0);
    drop(home.up(&[]));
}

#[tokio::test]
async fn what_the_collector_answered_with_200_is_there_after_a_kill_in_the_middle_of_more() {
    let home = Home::new();
    let koala = home.up(&[]);
    let path = format!("/web/projects/{KEY}/batch");
    let kept = Mutex::new(Vec::new());
    let posts = (0..2000).map(|n| {
        let entries: Vec<_> = (0..5).map(|at| json!({"event": "A", "message_id": format!("{n}-{at}")})).collect();
        let body = json!({"email": format!("visitor-{}@acme.com", n % 50), "events": entries}).to_string();
        let (koala, path, kept) = (&koala, &path, &kept);
        async move {
            if koala.try_post(path, &body).await == Some(200) {
                kept.lock().unwrap().push(n);
            }
        }
    });
    let posting = stream::iter(posts).buffer_unordered(16).collect::<Vec<()>>();
    let killing = async {
        while kept.lock().unwrap().len() < 200 {
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
        koala.kill_now();
    };
    tokio::join!(posting, killing);
    drop(koala);
    let kept = kept.into_inner().unwrap();
    assert!((200..2000).contains(&kept.len()), "the kill came too late: {}", kept.len());

    let koala = home.up(&[]);
    let (_, visitors) = koala.get("/api/visitors").await;
    let mut there = HashSet::new();
    for visitor in visitors["visitors"].as_array().unwrap() {
        let (_, shown) = koala.get(&format!("/api/visitors/{}?limit=1000", visitor["id"])).await;
        let ids =
            shown["timeline"].as_array().unwrap().iter().map(|entry| entry["message_id"].as_str().unwrap().to_owned());
        there.extend(ids);
    }
    for n in kept {
        assert!((0..5).all(|at| there.contains(&format!("{n}-{at}"))), "{n} was answered with 200 and is lost");
    }
}

#[tokio::test]
async fn files_that_are_removed_while_they_are_in_use_accept_nothing_more() {
    let home = Home::new();
    let koala = home.up(&[]);
    assert_eq!(koala.post(&track("m-1", "ada@example.com")).await.0, 200);
    std::fs::remove_dir_all(home.data().parent().unwrap()).unwrap();
    let (status, answer) = koala.post(&track("m-2", "ada@example.com")).await;
    assert_eq!((status, &answer["error"]["code"]), (503, &json!("queue_unavailable")), "{answer}");
    assert!(home.logged().contains("koala.queue.db was removed or replaced"), "{}", home.logged());
}

#[tokio::test]
async fn what_was_answered_just_before_a_stop_is_counted() {
    let home = Home::new();
    let koala = home.up(&[]);
    post_all(&koala, &ids(300)).await;
    assert_eq!(koala.end_by("TERM"), 0);
    let (_, counted) = home.up(&[]).get("/api/deliveries").await;
    assert_eq!(counted["received"]["accepted"], 300, "{counted}");
}
