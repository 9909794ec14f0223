//! The use cases that change something, a file for each driving port: each collects what its decision
//! needs, decides, and commits once.

mod gates;
mod operations;
mod projects;
mod tasks;

use std::sync::Arc;

use botarmy_domain::{Error, StoreError};

/// Returns a row that a decision has just written.
fn written<T>(row: Option<&Arc<T>>) -> Result<Arc<T>, Error> {
    let lost = || StoreError::Corrupt {
        table: "ledger",
        row: std::any::type_name::<T>().to_owned(),
        detail: "a decision was committed without the row it writes".to_owned(),
    };
    Ok(row.cloned().ok_or_else(lost)?)
}
