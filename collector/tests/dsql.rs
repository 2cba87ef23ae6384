//! The statements of the engine for PostgreSQL beside what Aurora DSQL takes.

#![allow(clippy::unwrap_used, clippy::expect_used)]

use dsql_lint::lint_sql;
use koala_collector::store::filter::{CompanyFilter, Did, Filter, TraitFilter};
use koala_collector::store::postgres::{Conditions, all_of_migrations, all_statements};
use koala_collector::store::visitor_points::Rows;

/// What dsql-lint lets pass, and Aurora DSQL does not take
/// (<https://docs.aws.amazon.com/aurora-dsql/latest/userguide/working-with-postgresql-compatibility-unsupported-features.html>).
const NOT_TAKEN: [&str; 18] = [
    "merge",
    "copy",
    "skip locked",
    "advisory",
    "savepoint",
    "listen",
    "notify",
    "truncate",
    "for share",
    "for key share",
    "for no key update",
    "serial",
    "temp",
    "temporary",
    "vacuum",
    "trigger",
    "extension",
    "tablesample",
];

/// Every search that a filter makes.
fn searches() -> Vec<String> {
    let text = |has: bool| has.then(|| "ada".to_owned());
    let mut all = Vec::new();
    for bits in 0..4096_u32 {
        // One thing alone, each two of them, and all.
        if bits.count_ones() > 2 && bits != 4095 {
            continue;
        }
        let has = |bit: u32| bits & (1 << bit) != 0;
        let did = Did {
            event: text(has(2)),
            page: text(has(6)),
            path: text(has(7)),
            source: text(has(8)),
            rule: text(has(9)),
        };
        for value in [None, text(true)] {
            let filter = Filter {
                text: text(has(0)),
                known: has(1).then_some(has(0)),
                did: did.clone(),
                of_trait: has(3).then(|| TraitFilter { name: "plan".to_owned(), value: value.clone() }),
                since: has(4).then_some(1),
                before: has(5).then_some(2),
                user_id: text(has(10)),
                company: text(has(11)),
                first_seen_since: has(11).then_some(3),
                ..Filter::default()
            };
            let rows = [None, Some(Rows::These(vec![1])), Some(Rows::AllBut(vec![1]))];
            for conditions in rows.map(|rows| Conditions::of(&filter).among(rows)) {
                all.extend([conditions.page(0, 10), conditions.count(), conditions.behind(0, 10)]);
            }
        }
        let filter = CompanyFilter {
            text: text(has(0)),
            did,
            first_seen_since: has(4).then_some(1),
            excluded: has(1),
            ..CompanyFilter::default()
        };
        let conditions = Conditions::of_companies(&filter);
        all.extend([conditions.page_of_companies(0, 10), conditions.count_of_companies()]);
    }
    all
}

fn all() -> Vec<String> {
    let statements = all_statements().map(|statement| statement.0.to_owned());
    let of_transactions = [
        "BEGIN ISOLATION LEVEL REPEATABLE READ",
        "BEGIN ISOLATION LEVEL REPEATABLE READ READ ONLY",
        "COMMIT",
        "ROLLBACK",
    ];
    statements.chain(all_of_migrations()).chain(searches()).chain(of_transactions.map(str::to_owned)).collect()
}

#[test]
fn every_statement_is_one_that_aurora_dsql_takes() {
    let all = all();
    assert!(all.len() > 100, "{}", all.len());
    for sql in all {
        let found = lint_sql(&sql);
        assert!(found.is_empty(), "{sql}\n{found:#?}");
    }
}

#[test]
fn no_statement_has_what_the_linter_lets_pass_and_aurora_dsql_refuses() {
    for sql in all() {
        let words: Vec<String> =
            sql.to_lowercase().split(|of: char| !of.is_alphanumeric() && of != '_').map(str::to_owned).collect();
        let text = format!(" {} ", words.iter().filter(|word| !word.is_empty()).cloned().collect::<Vec<_>>().join(" "));
        for not_taken in NOT_TAKEN {
            assert!(!text.contains(&format!(" {not_taken} ")), "{not_taken}: {sql}");
        }
    }
}

/// The linter is no judge that lets everything pass.
#[test]
fn what_aurora_dsql_refuses_is_found() {
    for sql in [
        "CREATE TABLE a (id serial PRIMARY KEY)",
        "CREATE TABLE a (id bigint PRIMARY KEY, tags text[])",
        "CREATE INDEX a_b ON a (b)",
        "CREATE TEMP TABLE a (id bigint)",
        "TRUNCATE a",
        "SAVEPOINT a",
        "LISTEN a",
        "SELEC a FROM b",
    ] {
        assert!(!lint_sql(sql).is_empty(), "{sql}");
    }
}

/// Aurora DSQL takes at most 1 KiB of a key and 24 indexes of a table; what stands in keys is bounded by `keys`, and that is tested
/// beside it. Here: nothing else than what is bounded stands in one.
#[test]
fn every_text_in_a_key_is_one_that_is_bounded() {
    const BOUNDED: [&str; 24] = [
        "occasion_key",
        // That an alert's message has: 36 letters.
        "message_id",
        // One of five words.
        "state",
        "kind",
        "value",
        "name_key",
        "message_key",
        "account",
        "key",
        "company_key",
        "given",
        "into_key",
        "domain",
        "group_id",
        "counted_for",
        "name",
        "id",
        "identity_id",
        "owner_id",
        "visitor_id",
        "into_id",
        "deletion_id",
        // 32 bytes
        "hash",
        "at",
    ];
    const NUMBERS: [&str; 17] = [
        "next_at",
        "company_id",
        "topic_id",
        "source_id",
        "voter_id",
        "said_by",
        "excluded_for",
        "completed_at",
        "requested_at",
        "rank",
        "last_seen",
        "to_id",
        "rule_id",
        "day",
        "points",
        "version",
        "decision",
    ];
    for sql in all_of_migrations() {
        let sql = sql.replace('\n', " ");
        let mut keys: Vec<&str> = Vec::new();
        for mark in ["PRIMARY KEY (", "UNIQUE (", " ON "] {
            if let Some((_, rest)) = sql.split_once(mark) {
                keys.push(rest.split_once('(').filter(|_| mark == " ON ").map_or(rest, |(_, rest)| rest));
            }
        }
        for key in keys.into_iter().filter(|_| sql.starts_with("CREATE")) {
            let columns = key.split(')').next().unwrap_or_default();
            for column in columns.split(',').map(str::trim) {
                assert!(BOUNDED.contains(&column) || NUMBERS.contains(&column), "{column}: {sql}");
            }
        }
    }
}
