//! Files for spreadsheets, and what long reads cost the others.

use serde_json::json;
use tokio::io::AsyncWriteExt;

use crate::collected::{batch, identify};
use crate::koala::{Home, text, track};
use crate::page::fill;

#[tokio::test]
async fn companies_and_visitors_are_exported_as_csv_that_no_spreadsheet_runs() {
    let home = Home::new();
    let koala = home.up(&[]);
    let named = identify(
        "i-1",
        "2026-11-20T09:00:00Z",
        &json!({"name": "=HYPERLINK(\"x\")", "company": {"name": "Acme, \"Inc\"", "domain": "acme.com"}}),
    );
    batch(&koala, json!({"email": "ada@acme.com", "identifies": [named]})).await;
    let text = async |path: &str| text(&format!("{}{path}", koala.url)).await;
    let companies = text("/api/companies.csv").await;
    assert_eq!(
        companies,
        "\"key\",\"name\",\"domain\",\"intent\",\"strength\",\"strength_label\",\"trend\",\"visitors\",\"events\",\"last_seen\",\"top_reason\"\n\
         \"acme.com\",\"Acme, \"\"Inc\"\"\",\"acme.com\",\"0\",\"0\",\"Low\",\"Neutral\",\"1\",\"0\",\"2026-11-20T09:00:00.000Z\",\"\"\n"
    );
    let visitors = text("/api/visitors.csv").await;
    assert!(visitors.contains("\"'=HYPERLINK(\"\"x\"\")\",\"ada@acme.com\",\"\",\"acme.com\",\"0\","), "{visitors}");
}

#[tokio::test]
async fn a_csv_of_many_pages_has_every_row_once() {
    let home = Home::new();
    // The first start makes the file.
    drop(home.up(&[]));
    fill(&home, 1201, 1);
    let koala = home.up(&[]);
    for (path, rows) in
        [("/api/visitors.csv", 1201), ("/api/companies.csv", 121), ("/api/visitors.csv?who=anonymous", 0)]
    {
        let csv = text(&format!("{}{path}", koala.url)).await;
        let mut lines: Vec<&str> = csv.lines().skip(1).collect();
        lines.sort_unstable();
        lines.dedup();
        assert_eq!((csv.lines().count(), lines.len()), (rows + 1, rows), "{path}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn abandoned_reads_of_everything_hold_up_neither_deliveries_nor_pages() {
    let home = Home::new();
    drop(home.up(&[]));
    fill(&home, 20_000, 5);
    let koala = home.up(&[]);
    let address = koala.url.trim_start_matches("http://").to_owned();
    for n in 0..300 {
        let mut abandoned = tokio::net::TcpStream::connect(&address).await.unwrap();
        let path = ["/api/visitors.csv", "/api/visitors?q=no+such+person", "/api/visitors?since=2020-01-01"][n % 3];
        abandoned.write_all(format!("GET {path} HTTP/1.1\r\nhost: localhost\r\n\r\n").as_bytes()).await.unwrap();
    }
    let begun = std::time::Instant::now();
    koala.post(&track("m-beside", "grace@navy.org")).await;
    koala.until_queues(json!({"waiting": 0, "in_flight": 0})).await;
    assert_eq!(koala.get("/api/visitors?q=grace%40navy.org").await.1["total"], 1);
    assert!(begun.elapsed() < std::time::Duration::from_secs(5), "{:?}", begun.elapsed());
}
