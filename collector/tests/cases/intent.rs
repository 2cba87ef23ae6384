//! Companies in the order of their intent.

use koala_collector::intent::{Count, IntentRule, StrengthLabel, Trend};
use koala_collector::store::Store;
use koala_collector::store::filter::{CompanyFilter, Filter};
use koala_collector::store::visitor::Visitor;
use koala_destination::clock::{self, MILLISECONDS_OF_A_DAY};
use serde_json::{Value, json};

use super::{ADA, ingest};

fn rule(name: &str, trigger: &str, score: f64, half_life_days: f64) -> IntentRule {
    let rule = json!({"trigger": trigger, "score": score, "half_life_days": half_life_days});
    IntentRule::parse(name, &rule.to_string()).expect("a rule").expect("one that is on")
}

fn pricing() -> IntentRule {
    rule("pricing", r#"type = "track" and event = "Viewed Pricing""#, 8.0, 7.0)
}

async fn does(store: &dyn Store, email: &str, what: &[(&str, i64)]) {
    let event = |(n, (name, days)): (usize, &(&str, i64))| {
        let at = clock::from_milliseconds(clock::now_milliseconds() - days * MILLISECONDS_OF_A_DAY);
        json!({"type": "track", "event": name, "message_id": format!("{email}-{n}-{name}"), "sent_at": at})
    };
    let events: Vec<Value> = what.iter().enumerate().map(event).collect();
    ingest(store, &json!({"email": email, "events": events})).await;
}

/// The companies with their points, the first first.
async fn ranked(store: &dyn Store) -> Vec<(String, f64)> {
    let (companies, _) = store.list_companies(CompanyFilter::default(), 0, 1000).await.expect("companies");
    companies.into_iter().map(|company| (company.key, company.intent)).collect()
}

fn points<const N: usize>(expected: [(&str, f64); N]) -> [(String, f64); N] {
    expected.map(|(key, points)| (key.to_owned(), points))
}

async fn look_back(store: &dyn Store) {
    while store.look_back().await.expect("a piece") {}
    assert!((store.looked_back().await.unwrap() - 1.0).abs() < f64::EPSILON);
}

pub async fn companies_rank_by_what_their_visitors_did_and_how_lately(store: &dyn Store) {
    store.follow_intent_rules(&[pricing(), rule("careers", r#"contains(event, "Careers")"#, -2.0, 7.0)]).await.unwrap();
    does(store, "a@old.com", &[("Viewed Pricing", 7), ("Viewed Pricing", 14)]).await;
    does(store, "a@many.com", &[("Viewed Pricing", 0)]).await;
    does(store, "b@many.com", &[("Viewed Pricing", 0)]).await;
    does(store, "a@seeker.com", &[("Viewed Careers", 0)]).await;
    does(store, "a@reader.com", &[("Read Blog", 0)]).await;
    // Half of 8 after a half-life, a quarter after two.
    let expected = [("many.com", 16.0), ("old.com", 6.0), ("reader.com", 0.0), ("seeker.com", 0.0)];
    assert_eq!(ranked(store).await, points(expected));
    let (second, total) = store.list_companies(CompanyFilter::default(), 1, 2).await.unwrap();
    assert_eq!((second[0].key.as_str(), second.len(), total), ("old.com", 2, 4));
}

pub async fn a_day_counts_once_a_visitor(store: &dyn Store) {
    store.follow_intent_rules(&[pricing()]).await.unwrap();
    does(store, "a@busy.com", &[("Viewed Pricing", 0), ("Viewed Pricing", 0), ("Viewed Pricing", 0)]).await;
    assert_eq!(ranked(store).await, points([("busy.com", 8.0)]));
}

pub async fn a_new_rule_counts_what_was_there_before(store: &dyn Store) {
    store.follow_intent_rules(&[]).await.unwrap();
    // More entries than are looked at in one piece.
    for n in 0..110 {
        let mut what = vec![("Read Blog", 0); 20];
        what.push(("Viewed Pricing", 0));
        does(store, &format!("a@company-{n}.com"), &what).await;
    }
    store.follow_intent_rules(&[pricing()]).await.unwrap();
    look_back(store).await;
    let ranked = ranked(store).await;
    assert!(ranked.len() == 110 && ranked.iter().all(|(_, points)| (points - 8.0).abs() < 1e-9), "{ranked:?}");
}

pub async fn a_rule_that_is_gone_counts_no_longer(store: &dyn Store) {
    let demo = rule("demo", r#"contains(event, "Demo")"#, 10.0, 7.0);
    store.follow_intent_rules(&[pricing(), demo.clone()]).await.unwrap();
    does(store, "a@acme.com", &[("Viewed Pricing", 0), ("Asked for Demo", 0)]).await;
    assert_eq!(ranked(store).await, points([("acme.com", 18.0)]));
    store.follow_intent_rules(std::slice::from_ref(&demo)).await.unwrap();
    assert_eq!(ranked(store).await, points([("acme.com", 10.0)]));
    assert_eq!(&*store.intent_rules().await.unwrap(), &[demo]);
}

pub async fn reasons_say_which_rule_gave_what(store: &dyn Store) {
    store.follow_intent_rules(&[pricing(), rule("blog", r#"event = "Read Blog""#, 1.0, 7.0)]).await.unwrap();
    does(store, "a@acme.com", &[("Read Blog", 0), ("Viewed Pricing", 7)]).await;
    does(store, "b@acme.com", &[("Viewed Pricing", 0)]).await;
    let reasons = store.show_company("acme.com", 10).await.unwrap().expect("a company").reasons;
    let shown: Vec<_> = reasons.iter().map(|reason| (reason.rule.as_str(), reason.points, reason.visitors)).collect();
    assert_eq!(shown, [("pricing", 12.0, 2), ("blog", 1.0, 1)]);
    assert_eq!(reasons[0].last_day[..10], clock::now()[..10]);
}

/// Five points for a day with which three entries in two days are full.
fn counting() -> IntentRule {
    let rule = r#"{"trigger":"event = \"Looks\"","score":5,"half_life_days":7,"at_least":3,"within_days":2}"#;
    IntentRule::parse("keen", rule).expect("a rule").expect("one that is on")
}

async fn points_of(store: &dyn Store, email: &str) -> f64 {
    let (visitors, _) = store.list_visitors(Filter::default(), 0, 100).await.unwrap();
    visitors.iter().find(|it| it.emails == [email]).expect("a visitor").intent.points
}

pub async fn a_rule_that_counts_takes_the_days_on_which_there_were_enough(store: &dyn Store) {
    store.follow_intent_rules(&[counting()]).await.unwrap();
    // Three in two days; then two, which are not enough, with what was before.
    does(store, "a@enough.com", &[("Looks", 1), ("Looks", 1), ("Looks", 0)]).await;
    does(store, "a@few.com", &[("Looks", 2), ("Looks", 0), ("Looks", 0)]).await;
    // The same again says nothing more.
    does(store, "a@few.com", &[("Looks", 2), ("Looks", 0), ("Looks", 0)]).await;
    let expected = [("enough.com", 5.0), ("few.com", 0.0)];
    assert_eq!(ranked(store).await, points(expected));
    assert!((points_of(store, "a@enough.com").await - 5.0).abs() < 1e-9);
    assert!(points_of(store, "a@few.com").await.abs() < 1e-9);
    // Of two ids of one visitor together.
    let looks = json!({"type": "track", "event": "Looks", "message_id": "other", "sent_at": clock::now()});
    ingest(store, &json!({"profile_id": ADA, "events": [looks]})).await;
    ingest(store, &json!({"profile_id": ADA, "email": "a@few.com"})).await;
    // Of equals the one that was seen last is first.
    assert_eq!(ranked(store).await, points([("few.com", 5.0), ("enough.com", 5.0)]));
    let reasons = store.show_company("few.com", 10).await.unwrap().expect("a company").reasons;
    assert_eq!(reasons.iter().map(|it| (it.rule.as_str(), it.visitors)).collect::<Vec<_>>(), [("keen", 1)]);
    // Two are enough as soon as the rule says so.
    let two = counting().count.map(|count| Count { at_least: 2, ..count });
    store.follow_intent_rules(&[IntentRule { count: two, ..counting() }]).await.unwrap();
    look_back(store).await;
    let [(_, enough), (_, few)] = &ranked(store).await[..] else { panic!("two companies") };
    // A day of yesterday with two of them, which has less than its points left, and today.
    assert!((enough - 5.0 - 5.0 * 0.5_f64.powf(1.0 / 7.0)).abs() < 0.01 && (few - 5.0).abs() < 1e-9, "{enough} {few}");
}

pub async fn a_new_rule_that_counts_counts_each_entry_once(store: &dyn Store) {
    store.follow_intent_rules(&[]).await.unwrap();
    does(store, "a@two.com", &[("Looks", 0), ("Looks", 0)]).await;
    does(store, "a@three.com", &[("Looks", 0), ("Looks", 0)]).await;
    store.follow_intent_rules(&[counting()]).await.unwrap();
    // One comes in before it was looked back, and one that is told twice.
    let looks = json!({"type": "track", "event": "Looks", "message_id": "third", "sent_at": clock::now()});
    for _ in 0..2 {
        ingest(store, &json!({"email": "a@three.com", "events": [looks]})).await;
    }
    look_back(store).await;
    assert_eq!(ranked(store).await, points([("three.com", 5.0), ("two.com", 0.0)]));
}

pub async fn strength_and_trend_are_those_of_the_points_now_and_a_week_ago(store: &dyn Store) {
    store.follow_intent_rules(&[pricing()]).await.unwrap();
    // Half-lives of a week. A week ago `rising` had 0 points and has 16, `steady` had 8 and has 4 and 8, `cooling` had 16 and has 8.
    does(store, "a@rising.com", &[("Viewed Pricing", 0)]).await;
    does(store, "b@rising.com", &[("Viewed Pricing", 0)]).await;
    does(store, "a@steady.com", &[("Viewed Pricing", 7), ("Viewed Pricing", 0)]).await;
    does(store, "a@cooling.com", &[("Viewed Pricing", 7)]).await;
    does(store, "b@cooling.com", &[("Viewed Pricing", 7)]).await;
    let (companies, _) = store.list_companies(CompanyFilter::default(), 0, 10).await.unwrap();
    let shown: Vec<_> = companies
        .iter()
        .map(|it| (it.key.as_str(), it.strength.value(), it.strength_label.as_str(), it.trend.as_str()))
        .collect();
    // round(100 × (1 − 2^(−points / 20)))
    let expected = [
        ("rising.com", 43, "Medium", "Surging"),
        ("steady.com", 34, "Medium", "Heating"),
        ("cooling.com", 24, "Low", "Cooling"),
    ];
    assert_eq!(shown, expected);
    let one = store.show_company("cooling.com", 10).await.unwrap().expect("a company").company;
    assert_eq!((one.strength.value(), one.trend.as_str()), (24, "Cooling"));
    let found = async |filter: CompanyFilter| {
        let (companies, total) = store.list_companies(filter, 0, 10).await.unwrap();
        assert_eq!(companies.len() as u64, total);
        companies.into_iter().map(|company| company.key).collect::<Vec<_>>()
    };
    let (visitors, _) = store.list_visitors(Filter::default(), 0, 10).await.unwrap();
    let of = |email: &str| {
        let intent = visitors.iter().find(|it| it.emails == [email]).expect("a visitor").intent;
        (intent.points, intent.strength.value(), intent.strength_label.as_str(), intent.trend.as_str())
    };
    assert_eq!(of("a@rising.com"), (8.0, 24, "Low", "Surging"));
    assert_eq!(of("a@cooling.com"), (4.0, 13, "Low", "Cooling"));
    let surging = CompanyFilter { trend: Trend::parse("surging"), ..CompanyFilter::default() };
    assert_eq!(found(surging).await, ["rising.com"]);
    let medium = CompanyFilter { strength: StrengthLabel::parse("medium"), ..CompanyFilter::default() };
    assert_eq!(found(medium).await, ["rising.com", "steady.com"]);
}

/// Points of the rules `pricing` (8, half-lives of a week) and `keen` (5, from three entries within two days on).
pub async fn visitors_are_found_by_strength_and_trend(store: &dyn Store) {
    store.follow_intent_rules(&[pricing(), counting()]).await.unwrap();
    let view = ("Viewed Pricing", 0);
    let week_ago = ("Viewed Pricing", 7);
    // 8 and 5 now: strength 36.
    does(store, "medium@a.com", &[view, ("Looks", 0), ("Looks", 0), ("Looks", 0)]).await;
    // 4 and 8 now, 8 a week ago: 34.
    does(store, "steady@a.com", &[view, week_ago]).await;
    // 8 now: 24.
    does(store, "new@b.com", &[view]).await;
    // 4 now, 8 a week ago: 13.
    does(store, "cooling@b.com", &[week_ago]).await;
    // Too few for the rule that counts; nothing that a rule takes; so long ago that it is next to nothing.
    does(store, "few@b.com", &[("Looks", 0), ("Looks", 0)]).await;
    does(store, "none@gmail.com", &[("Other", 0)]).await;
    does(store, "long-ago@gmail.com", &[("Viewed Pricing", 399)]).await;
    let filter = |strength: &str, trend: &str| Filter {
        strength: StrengthLabel::parse(strength),
        trend: Trend::parse(trend),
        ..Filter::default()
    };
    let of_b = Filter { company: Some("b.com".to_owned()), ..filter("low", "") };
    let all = ["cooling", "few", "long-ago", "medium", "new", "none", "steady"];
    for (filter, found) in [
        (filter("medium", ""), &["medium", "steady"][..]),
        (filter("low", ""), &["cooling", "few", "long-ago", "new", "none"]),
        (filter("high", ""), &[]),
        (filter("", "surging"), &["medium", "new"]),
        (filter("", "heating"), &["steady"]),
        (filter("", "cooling"), &["cooling"]),
        (filter("", "neutral"), &["few", "long-ago", "none"]),
        (filter("low", "surging"), &["new"]),
        (filter("medium", "neutral"), &[]),
        (filter("", ""), &all),
        (Filter { text: Some("long".to_owned()), ..filter("low", "neutral") }, &["long-ago"]),
        (of_b, &["cooling", "few", "new"]),
    ] {
        let (visitors, total) = store.list_visitors(filter.clone(), 0, 100).await.unwrap();
        assert_eq!(names(&visitors), found, "{filter:?}");
        assert_eq!(total, found.len() as u64, "{filter:?}");
        for visitor in &visitors {
            let intent = visitor.intent;
            assert!(filter.strength.is_none_or(|it| it == intent.strength_label), "{filter:?} {intent:?}");
            assert!(filter.trend.is_none_or(|it| it == intent.trend), "{filter:?} {intent:?}");
        }
        // Page by page, of the list and of a file: each once.
        let (mut listed, mut filed, mut last) = (Vec::new(), Vec::new(), None);
        for offset in (0..=found.len()).step_by(2) {
            let offset = u32::try_from(offset).unwrap();
            let (page, of_all) = store.list_visitors(filter.clone(), offset, 2).await.unwrap();
            assert_eq!(of_all, total, "{filter:?}");
            listed.extend(page);
            let page = store.export_visitors(&filter, last.as_ref(), 2).await.unwrap();
            last = page.last().map(|visitor| visitor.id.clone()).or(last);
            filed.extend(page);
        }
        let order = |all: &[Visitor]| all.iter().map(|one| one.id.clone()).collect::<Vec<_>>();
        assert_eq!(order(&listed), order(&visitors), "{filter:?}");
        assert_eq!((names(&filed), filed.len()), (names(&visitors), found.len()), "{filter:?}");
    }
    // Two who become one have the points of both, and a day of both counts once.
    let looks = json!({"type": "track", "event": "Looks", "message_id": "of-device", "sent_at": clock::now()});
    let again = json!({"type": "track", "event": "Viewed Pricing", "message_id": "again", "sent_at": clock::now()});
    ingest(store, &json!({"profile_id": ADA, "events": [looks, again]})).await;
    ingest(store, &json!({"profile_id": ADA, "email": "few@b.com"})).await;
    let (visitors, _) = store.list_visitors(filter("medium", "surging"), 0, 10).await.unwrap();
    assert_eq!(names(&visitors), ["few", "medium"]);
    assert!(visitors.iter().all(|visitor| (visitor.intent.points - 13.0).abs() < 1e-9));
    // Under other rules they have other points.
    store.follow_intent_rules(&[]).await.unwrap();
    let (visitors, _) = store.list_visitors(filter("medium", ""), 0, 10).await.unwrap();
    assert_eq!(names(&visitors), Vec::<String>::new());
    assert_eq!(store.list_visitors(filter("low", "neutral"), 0, 0).await.unwrap().1, 7);
}

/// What stands before the signs of their addresses.
fn names(visitors: &[Visitor]) -> Vec<String> {
    let name = |visitor: &Visitor| visitor.emails[0].split('@').next().unwrap_or_default().to_owned();
    let mut names: Vec<String> = visitors.iter().map(name).collect();
    names.sort();
    names
}

pub async fn two_who_become_one_count_once(store: &dyn Store) {
    store.follow_intent_rules(&[pricing()]).await.unwrap();
    let now = clock::now();
    let view = |id: &str| json!({"type": "track", "event": "Viewed Pricing", "message_id": id, "sent_at": now});
    ingest(store, &json!({"profile_id": ADA, "events": [view("e-1")]})).await;
    ingest(store, &json!({"email": "ada@acme.com", "events": [view("e-2")]})).await;
    assert_eq!(ranked(store).await, points([("acme.com", 8.0)]));
    ingest(store, &json!({"profile_id": ADA, "email": "ada@acme.com"})).await;
    assert_eq!(ranked(store).await, points([("acme.com", 8.0)]));
}
