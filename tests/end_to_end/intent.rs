//! Companies in the order of their intent, by the rules of the parameter tree.

use serde_json::{Value, json};
use time::format_description::well_known::Rfc3339;
use time::{Duration, OffsetDateTime};

use crate::collected::{batch, identify};
use crate::koala::{Home, Koala, track};

/// So many days ago, at the same hour.
fn days_ago(days: i64) -> String {
    (OffsetDateTime::now_utc() - Duration::days(days)).format(&Rfc3339).unwrap()
}

async fn does(koala: &Koala, email: &str, what: &[(&str, i64)]) {
    let event = |(n, (name, days)): (usize, &(&str, i64))| {
        json!({"type": "track", "event": name, "message_id": format!("{email}-{n}-{name}"), "sent_at": days_ago(*days),
               "properties": {"path": "/x"}})
    };
    let events: Vec<Value> = what.iter().enumerate().map(event).collect();
    batch(koala, json!({"email": email, "events": events})).await;
}

/// The companies with their points, the first first.
async fn ranked(koala: &Koala) -> Vec<(String, f64)> {
    let (_, listed) = koala.get("/api/companies").await;
    let one = |company: &Value| (company["key"].as_str().unwrap().to_owned(), company["intent"].as_f64().unwrap());
    listed["companies"].as_array().unwrap().iter().map(one).collect()
}

fn rule(home: &Home, name: &str, trigger: &str, score: f64, half_life_days: f64) {
    let rule = json!({"trigger": trigger, "score": score, "half_life_days": half_life_days});
    home.set_parameter(&format!("collector/intent/{name}.json"), &rule.to_string());
}

/// Only the rules of the test count.
fn without_presets(home: &Home) {
    for preset in ["activity", "demo", "docs", "pricing"] {
        home.set_parameter(&format!("collector/intent/{preset}.json"), r#"{"enabled":false}"#);
    }
}

/// Waits until every company has so many points.
async fn until_points(koala: &Koala, points: f64) {
    for _ in 0..200 {
        if ranked(koala).await.iter().all(|(_, of)| (of - points).abs() < 1e-9) {
            return;
        }
        tokio::time::sleep(std::time::Duration::from_millis(50)).await;
    }
    panic!("{points} points were not reached: {:?}", ranked(koala).await);
}

#[tokio::test]
async fn companies_rank_by_what_their_visitors_did_and_how_lately() {
    let home = Home::new();
    without_presets(&home);
    rule(&home, "pricing", r#"type = "track" and event = "Viewed Pricing""#, 8.0, 7.0);
    rule(&home, "careers", r#"contains(event, "Careers")"#, -2.0, 7.0);
    let koala = home.up(&[]);
    does(&koala, "a@old.com", &[("Viewed Pricing", 7), ("Viewed Pricing", 14)]).await;
    does(&koala, "a@busy.com", &[("Viewed Pricing", 0), ("Viewed Pricing", 0), ("Viewed Pricing", 0)]).await;
    does(&koala, "a@many.com", &[("Viewed Pricing", 0)]).await;
    does(&koala, "b@many.com", &[("Viewed Pricing", 0)]).await;
    does(&koala, "a@seeker.com", &[("Viewed Careers", 0)]).await;
    does(&koala, "a@reader.com", &[("Read Blog", 0)]).await;
    // Half of 8 after a half-life, a quarter after two; the same thing on one day counts once a visitor; two visitors twice.
    let expected = [("many.com", 16.0), ("busy.com", 8.0), ("old.com", 6.0), ("reader.com", 0.0), ("seeker.com", 0.0)];
    assert_eq!(ranked(&koala).await, expected.map(|(key, points)| (key.to_owned(), points)));

    let (_, many) = koala.get("/api/companies/many.com").await;
    let reason = &many["reasons"][0];
    assert_eq!((&reason["rule"], &reason["visitors"], &reason["points"]), (&json!("pricing"), &json!(2), &json!(16.0)));
    assert_eq!(many["activity"].as_array().unwrap().len(), 2);
}

#[tokio::test]
async fn a_rule_that_is_new_or_changed_counts_what_was_there_before() {
    let home = Home::new();
    without_presets(&home);
    rule(&home, "pricing", r#"event = "Viewed Pricing""#, 1.0, 7.0);
    let koala = home.up(&[]);
    for n in 0..120 {
        // More entries than are looked at in one piece.
        let mut what = vec![("Read Blog", 0); 20];
        what.extend([("Viewed Pricing", 0), ("Asked for Demo", 0)]);
        does(&koala, &format!("a@c{n}.com"), &what).await;
    }
    assert!(ranked(&koala).await.iter().all(|(_, points)| (points - 1.0).abs() < 1e-9));
    let until = async |points| until_points(&koala, points).await;
    rule(&home, "demo", r#"contains(event, "Demo")"#, 10.0, 7.0);
    until(11.0).await;
    rule(&home, "pricing", r#"event = "Viewed Pricing""#, 3.0, 7.0);
    until(13.0).await;
    rule(&home, "pricing", r#"event = "Viewed Nothing""#, 3.0, 7.0);
    until(10.0).await;
    std::fs::remove_dir_all(home.parameters().join("collector/intent")).unwrap();
    // The presets: any activity 1, a demo 10, prices 5.
    until(16.0).await;
    let (_, rules) = koala.get("/api/intent-rules").await;
    let names: Vec<_> = rules["intent_rules"].as_array().unwrap().iter().map(|rule| &rule["rule"]).collect();
    assert_eq!(names, ["activity", "demo", "docs", "pricing"]);
}

#[tokio::test]
async fn what_somebody_did_before_being_known_counts_for_the_company() {
    const VISITOR: &str = "6f1b8a52-8a1c-4a7e-9a51-2f3f4f1f0a01";
    const OTHER: &str = "6f1b8a52-8a1c-4a7e-9a51-2f3f4f1f0a02";
    let home = Home::new();
    without_presets(&home);
    rule(&home, "pages", r#"type = "page" and match(properties.path, "/pricing*")"#, 4.0, 7.0);
    rule(&home, "team", r#"type = "identify" and traits.plan = "team""#, 2.0, 7.0);
    let koala = home.up(&[]);
    let view = |id: &str| json!({"message_id": id, "sent_at": days_ago(0), "path": "/pricing/team"});
    batch(&koala, json!({"profile_id": VISITOR, "page_views": [view("p-1")]})).await;
    assert_eq!(ranked(&koala).await, []);
    let named = identify("i-1", &days_ago(0), &json!({"plan": "team"}));
    batch(&koala, json!({"profile_id": VISITOR, "email": "ada@acme.com", "identifies": [named]})).await;
    assert_eq!(ranked(&koala).await, [("acme.com".to_owned(), 6.0)]);
    // And another visitor of the same days who turns out to be the same person counts once.
    batch(&koala, json!({"profile_id": OTHER, "page_views": [view("p-2")]})).await;
    batch(&koala, json!({"profile_id": OTHER, "email": "ada@acme.com"})).await;
    assert_eq!(ranked(&koala).await, [("acme.com".to_owned(), 6.0)]);

    koala.ask_to_delete(json!({"emails": ["ada@acme.com"]})).await;
    assert_eq!(ranked(&koala).await, []);
}

#[tokio::test]
async fn a_bad_rule_is_named_and_stops_neither_intake_nor_another_rule() {
    let home = Home::new();
    without_presets(&home);
    home.set_parameter("collector/intent/prices.json", r#"{"trigger":"event >","score":5}"#);
    rule(&home, "demo", r#"contains(event, "Demo")"#, 10.0, 7.0);
    let koala = home.up(&[]);
    assert!(home.logged().contains("intent/prices: trigger: at character"), "{}", home.logged());
    assert_eq!(koala.post(&track("m-1", "ada@acme.com")).await.0, 200);
    does(&koala, "ada@acme.com", &[("Viewed Pricing", 0), ("Asked for Demo", 0)]).await;
    assert_eq!(ranked(&koala).await, [("acme.com".to_owned(), 10.0)]);
    // Once it is right it counts what was there before; when it is wrong again it serves on as it was.
    rule(&home, "prices", r#"event = "Viewed Pricing""#, 5.0, 7.0);
    until_points(&koala, 15.0).await;
    home.set_parameter("collector/intent/prices.json", "{");
    tokio::time::sleep(std::time::Duration::from_secs(3)).await;
    assert_eq!(ranked(&koala).await, [("acme.com".to_owned(), 15.0)]);
}
