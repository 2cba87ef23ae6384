//! The set as one of the programs of a machine: its files, and a proxy before it.

use std::os::unix::fs::PermissionsExt;

use serde_json::json;

use crate::collected::{ADA, batch, event, only_visitor};
use crate::koala::{Home, WRITE_KEY};

#[tokio::test]
async fn the_data_file_is_its_owner_s_alone_also_one_that_was_not() {
    let home = Home::new();
    let permissions = |suffix: &str| {
        let mut file = home.data().into_os_string();
        file.push(suffix);
        std::fs::metadata(file).unwrap().permissions().mode() & 0o777
    };
    let koala = home.up(&[]);
    batch(&koala, json!({"profile_id": ADA, "events": [event("e-1", "2026-11-20T09:00:00Z")]})).await;
    assert_eq!(["", "-wal", "-shm", ".lock"].map(permissions), [0o600; 4]);
    drop(koala);
    for suffix in ["", ".lock"] {
        let mut file = home.data().into_os_string();
        file.push(suffix);
        std::fs::set_permissions(file, std::fs::Permissions::from_mode(0o644)).unwrap();
    }
    let _koala = home.up(&[]);
    assert_eq!(["", ".lock"].map(permissions), [0o600; 2]);
}

#[tokio::test]
async fn behind_a_proxy_that_is_trusted_each_visitor_has_the_address_that_the_proxy_saw() {
    for (trusts, expected) in [("true", "203.0.113.7"), ("false", "127.0.0.1")] {
        let home = Home::new();
        let koala = home.up(&[("KOALA_TRUST_FORWARDED_FOR", trusts), ("KEEP_IP", "true")]);
        let event = json!({"type": "track", "event": "A", "userId": "u-1", "writeKey": WRITE_KEY,
                           "properties": {"email": "ada@acme.com"}});
        let forwarded = [("x-forwarded-for", "6.6.6.6, 203.0.113.7"), ("content-type", "application/json")];
        assert_eq!(koala.request("POST", "/v1/track", &event.to_string(), &forwarded).await.0, 200);
        koala.until_queues(json!({"waiting": 0, "in_flight": 0})).await;
        let (_, visitor) = koala.get(&format!("/api/visitors/{}", only_visitor(&koala).await["id"])).await;
        assert_eq!(visitor["timeline"][0]["entry"]["context"]["ip"], expected, "{visitor}");
    }
}
