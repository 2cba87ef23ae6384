//! What was answered with 200 arrives, whatever happens to the collector and to the process.

use std::collections::HashSet;
use std::sync::Mutex;
use std::time::Duration;

use futures_util::{StreamExt, stream};
use serde_json::json;

use crate::collector::Collector;
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

#[tokio::test]
async fn a_second_set_on_the_same_file_does_not_start() {
    let home = Home::new();
    let _first = home.up(&[]);
    let (status, said) = home.cannot_start(&[]);
    assert_eq!(status, 2);
    assert!(said.contains("is locked by another koala process"), "{said}");
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
