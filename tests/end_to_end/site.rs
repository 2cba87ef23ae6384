//! A site and its server with Segment's own clients, in a real browser: each person is one visitor, and their company is ranked.

use std::collections::BTreeSet;

use serde_json::{Value, json};

use crate::clients;
use crate::koala::{Home, Koala, WRITE_KEY};

type Texts = BTreeSet<String>;

fn texts(value: &Value) -> Texts {
    value.as_array().unwrap().iter().map(|it| it.as_str().unwrap().to_owned()).collect()
}

/// The names of a visitor's entries of a kind, each as often as it is there.
fn names(visitor: &Value, kind: &str) -> Vec<String> {
    let timeline = visitor["timeline"].as_array().unwrap().iter().filter(|entry| entry["kind"] == kind);
    let mut names: Vec<String> = timeline.map(|entry| entry["name"].as_str().unwrap().to_owned()).collect();
    names.sort();
    names
}

fn sorted(value: &Value) -> Vec<String> {
    let mut names: Vec<String> = value.as_array().unwrap().iter().map(|it| it.as_str().unwrap().to_owned()).collect();
    names.sort();
    names
}

async fn visitors(koala: &Koala) -> Vec<Value> {
    let (_, listed) = koala.get("/api/visitors?limit=1000").await;
    let mut visitors = Vec::new();
    for visitor in listed["visitors"].as_array().unwrap() {
        visitors.push(koala.get(&format!("/api/visitors/{}?limit=1000", visitor["id"])).await.1);
    }
    visitors
}

/// Two devices of one, one browser of two, and a server that knows user ids alone.
#[tokio::test(flavor = "multi_thread")]
async fn seven_people_of_a_real_site_are_seven_visitors_each_with_all_of_it() {
    let home = Home::new();
    let koala = home.up(&[]);
    let said = clients::run("site.cjs", [&koala.url, WRITE_KEY]).await;
    let people: Vec<Value> = said.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    assert_eq!(people.len(), 7, "{said}");
    koala.until_queues(json!({"waiting": 0, "in_flight": 0, "dead": 0, "rejected": 0})).await;

    let visitors = visitors(&koala).await;
    assert_eq!(visitors.len(), 7, "{visitors:#?}");
    for person in &people {
        let own: Vec<&Value> = visitors
            .iter()
            .filter(|visitor| texts(&visitor["user_ids"]).contains(person["user_id"].as_str().unwrap()))
            .collect();
        let [visitor] = own[..] else { panic!("{person} is {} visitors", own.len()) };
        assert_eq!(visitor["user_ids"], json!([person["user_id"]]), "{person}");
        assert_eq!(visitor["emails"], json!([person["email"]]), "{person}");
        assert_eq!(texts(&visitor["anonymous_ids"]), texts(&person["anonymous_ids"]), "{person}");
        assert_eq!(names(visitor, "page_view"), sorted(&person["pages"]), "{person} {visitor:#}");
        assert_eq!(names(visitor, "event"), sorted(&person["events"]), "{person} {visitor:#}");
    }
    let devices = |name: &str| people.iter().find(|it| it["name"] == name).unwrap()["anonymous_ids"].clone();
    assert_eq!(texts(&devices("ada")).len(), 2, "two browsers");

    let (_, ranked) = koala.get("/api/companies?limit=1000").await;
    let ranked: Texts =
        ranked["companies"].as_array().unwrap().iter().map(|it| it["key"].as_str().unwrap().to_owned()).collect();
    assert_eq!(ranked, people.iter().map(|person| person["company"].as_str().unwrap().to_owned()).collect());
    for person in &people {
        let (_, company) = koala.get(&format!("/api/companies/{}", person["company"].as_str().unwrap())).await;
        assert_eq!(company["people"].as_array().unwrap().len(), 1, "{company:#}");
        assert_eq!(company["people"][0]["emails"], json!([person["email"]]), "{company:#}");
    }
}
