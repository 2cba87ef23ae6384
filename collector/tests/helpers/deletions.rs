//! A deletion to its end.

use koala_collector::store::Store;
use koala_collector::store::deletion::{Deletion, DeletionId, DeletionStatus, Forgotten, Retention};

/// Looks after a store until a deletion is completed, as a set without queues of its own.
pub async fn until_completed(store: &dyn Store, id: &DeletionId) -> Deletion {
    for _ in 0..1000 {
        while let Some(departed) = store.departed().await.unwrap() {
            let ids = departed.ids.len();
            store.forgotten(&departed.id, Forgotten { messages: 0, is_all: true, ids }).await.unwrap();
        }
        let deletion = store.deletion(id).await.unwrap().expect("a deletion");
        if deletion.status == DeletionStatus::Completed {
            return deletion;
        }
        if !store.sweep(Retention::of_days(36_500)).await.unwrap() {
            tokio::time::sleep(std::time::Duration::from_millis(20)).await;
        }
    }
    panic!("it is never completed");
}
