//! All that the API answers, without numbers that each store makes for itself.

use std::collections::BTreeMap;

use serde_json::{Value, json};

use crate::site::Site;

/// What each address answers.
pub type Answers = BTreeMap<String, Value>;

/// Filters of visitors and of companies.
const FILTERS: [&str; 16] = [
    "q=pricing",
    "q=person1",
    "q=Company%203",
    "q=%F0%9F%90%A8",
    "event=viewed",
    "page=title",
    "path=/docs/",
    "rule=pricing-page",
    "source=mail",
    "source=news",
    "new=week",
    "who=known",
    "trait=plan%3Dteam",
    "trait=company",
    "user_id=user-1",
    "company=company3.example",
];

/// Asks everything.
pub async fn all(site: &Site) -> Answers {
    let get = async |path: &str| {
        let (status, said) = site.api(path, None).await;
        assert_eq!(status, 200, "{path}: {said}");
        said
    };
    let read = async |path: String| serde_json::from_str::<Value>(&get(&path).await).expect("JSON");
    let mut names = Names::default();
    let (mut visitors, mut companies) = (Vec::new(), Vec::new());
    for of in ["visitors", "companies"] {
        for offset in (0..).step_by(1000) {
            let page = read(format!("/api/{of}?limit=1000&offset={offset}")).await;
            let page = page[of].as_array().unwrap().clone();
            if page.is_empty() {
                break;
            }
            if of == "visitors" { visitors.extend(page) } else { companies.extend(page) }
        }
    }
    for visitor in &visitors {
        let ids = ["user_ids", "emails", "anonymous_ids"].map(|name| visitor[name].to_string());
        names.visitors.insert(text(&visitor["id"]), format!("visitor {}", ids.join(" ")));
    }
    for company in &companies {
        let name = format!("company {} {} {}", company["domain"], company["group_ids"], company["name"]);
        names.companies.insert(text(&company["id"]), name);
    }
    let mut answers = Answers::new();
    let mut put = |path: String, answer: Value| {
        let is_of_visitor = path.starts_with("/api/visitors");
        let mut named = path;
        for (id, name) in names.of(is_of_visitor) {
            for (before, after) in
                [(format!("s/{id}?"), format!("s/{name}?")), (format!("s/{id}/"), format!("s/{name}/"))]
            {
                named = named.replace(&before, &after);
            }
        }
        let mut answer = names.put_in(answer, is_of_visitor);
        // Entries of an export stand by the ids that they are filed under, whose rows an engine numbers as it likes.
        if let (true, Some(entries)) =
            (named.ends_with("/export"), answer.get_mut("entries").and_then(Value::as_array_mut))
        {
            entries.sort_by_key(Value::to_string);
        }
        answers.insert(named, answer);
    };
    for visitor in &visitors {
        let id = text(&visitor["id"]);
        for path in [format!("/api/visitors/{id}?limit=1000"), format!("/api/visitors/{id}/export")] {
            put(path.clone(), read(path).await);
        }
    }
    for company in &companies {
        let path = format!("/api/companies/{}?limit=1000", text(&company["id"]));
        put(path.clone(), read(path).await);
    }
    put("/api/visitors".to_owned(), json!(visitors));
    put("/api/companies".to_owned(), json!(companies));
    put("/api/intent-rules".to_owned(), read("/api/intent-rules".to_owned()).await);
    for filter in FILTERS {
        for of in ["visitors", "companies"] {
            if of == "companies" && ["who", "trait", "user_id", "company"].iter().any(|it| filter.starts_with(it)) {
                continue;
            }
            put(format!("/api/{of}?{filter}"), read(format!("/api/{of}?limit=1000&{filter}")).await);
            put(format!("/api/{of}.csv?{filter}"), csv(&get(&format!("/api/{of}.csv?{filter}")).await));
        }
    }
    for of in ["visitors", "companies"] {
        put(format!("/api/{of}.csv"), csv(&get(&format!("/api/{of}.csv")).await));
    }
    answers
}

/// The lines of a CSV file, each cell by itself. They come in the order of the numbers.
fn csv(text: &str) -> Value {
    let mut lines: Vec<Vec<String>> = Vec::new();
    let mut reader = csv::ReaderBuilder::new().has_headers(false).from_reader(text.as_bytes());
    for line in reader.records() {
        lines.push(line.unwrap().iter().map(str::to_owned).collect());
    }
    json!({"csv": lines})
}

/// A number of a visitor or a company as an address has it.
fn text(id: &Value) -> String {
    id.as_str().map_or_else(|| id.to_string(), str::to_owned)
}

/// What stands for the numbers of visitors and of companies.
#[derive(Default)]
struct Names {
    visitors: BTreeMap<String, String>,
    companies: BTreeMap<String, String>,
}

impl Names {
    fn of(&self, is_of_visitor: bool) -> &BTreeMap<String, String> {
        if is_of_visitor { &self.visitors } else { &self.companies }
    }

    /// An answer with names in place of numbers. Fractions are as of the moment that they were asked for.
    fn put_in(&self, answer: Value, is_of_visitor: bool) -> Value {
        match answer {
            Value::Number(number) if number.is_f64() => json!(format!("{:.3}", number.as_f64().unwrap())),
            Value::Array(items) => items.into_iter().map(|it| self.put_in(it, is_of_visitor)).collect(),
            Value::Object(fields) if fields.len() == 1 && fields.contains_key("csv") => {
                let mut lines: Vec<Value> = fields["csv"].as_array().unwrap().clone();
                for cell in lines.iter_mut().filter_map(|line| line.get_mut(0)) {
                    if let Some(name) = self.of(is_of_visitor).get(&text(cell)) {
                        *cell = json!(name);
                    }
                }
                lines.sort_by_key(Value::to_string);
                Value::Array(lines)
            }
            Value::Object(fields) => {
                let named = fields.into_iter().map(|(name, value)| {
                    if let ("by", Value::Array(by)) = (name.as_str(), &value) {
                        let by =
                            by.iter().map(|id| self.visitors.get(&text(id)).map_or_else(|| id.clone(), |it| json!(it)));
                        return (name, by.collect());
                    }
                    let is_of_visitor = match name.as_str() {
                        "company" | "companies" | "company_id" => false,
                        "people" | "visitors" | "visitor" | "visitor_id" | "by" => true,
                        _ => is_of_visitor,
                    };
                    let number = ["id", "visitor", "visitor_id", "company_id"].contains(&name.as_str());
                    let known = self.of(is_of_visitor).get(&text(&value)).filter(|_| number);
                    let value = known.map_or_else(|| self.put_in(value, is_of_visitor), |known| json!(known));
                    (name, value)
                });
                Value::Object(named.collect())
            }
            other => other,
        }
    }
}

/// Says where two differ first.
pub fn assert_equal(one: &Answers, other: &Answers) {
    let addresses = |answers: &Answers| answers.keys().cloned().collect::<Vec<_>>();
    let (mine, theirs) = (addresses(one), addresses(other));
    let missing: Vec<_> = mine.iter().filter(|it| !other.contains_key(*it)).take(3).map(|it| (it, &one[it])).collect();
    let more: Vec<_> = theirs.iter().filter(|it| !one.contains_key(*it)).take(3).map(|it| (it, &other[it])).collect();
    assert!(missing.is_empty() && more.is_empty(), "only in one: {missing:#?}\nonly in the other: {more:#?}");
    let mut differ = Vec::new();
    for (path, answer) in one {
        if let Some(what) = difference(answer, &other[path], String::new()) {
            differ.push(format!("{path}\n    {what}"));
        }
    }
    assert!(
        differ.is_empty(),
        "{} of {} differ:\n{}",
        differ.len(),
        one.len(),
        differ[..differ.len().min(12)].join("\n")
    );
}

#[allow(clippy::needless_pass_by_value)] // it calls itself with what it has just made
fn difference(one: &Value, other: &Value, at: String) -> Option<String> {
    match (one, other) {
        (Value::Array(a), Value::Array(b)) if a.len() == b.len() => {
            a.iter().zip(b).enumerate().find_map(|(n, (a, b))| difference(a, b, format!("{at}/{n}")))
        }
        (Value::Object(a), Value::Object(b)) if a.keys().eq(b.keys()) => {
            a.iter().find_map(|(name, value)| difference(value, &b[name], format!("{at}/{name}")))
        }
        (a, b) if a == b => None,
        (a, b) => {
            let short = |value: &Value| value.to_string().chars().take(300).collect::<String>();
            Some(format!("{at}: {} | {}", short(a), short(b)))
        }
    }
}
