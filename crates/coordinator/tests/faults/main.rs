//! The coordinator as a process on a machine that fails it: killed between any two writes, on a disk that
//! is full, read-only, cut short or altered, among peers that stall. What is acknowledged must hold, and
//! what cannot go on must say what to do. The table in docs/faults.md names these tests.

#[path = "../common/mod.rs"]
mod common;

mod disks;
#[cfg(target_os = "linux")]
mod kills;
#[cfg(target_os = "linux")]
mod peers;
mod power;
#[cfg(target_os = "linux")]
mod traced;

use std::time::Duration;

/// Waits for something that has to come.
async fn until<T>(what: &str, mut look: impl AsyncFnMut() -> Option<T>) -> T {
    let found = async {
        loop {
            if let Some(found) = look().await {
                return found;
            }
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    };
    tokio::time::timeout(common::PATIENCE, found)
        .await
        .unwrap_or_else(|_| panic!("not in time: {what}"))
}
