//! The use cases that change something, a file for each driving port: each collects what its decision
//! needs, decides, and commits once.

pub(crate) mod gates;
mod operations;
mod projects;
mod tasks;

use botarmy_domain::{Error, StoreError};

/// Returns what follows from a decision that has just been committed.
pub(crate) fn written<T>(row: Option<T>) -> Result<T, Error> {
    let lost = || StoreError::Corrupt {
        table: "ledger",
        row: std::any::type_name::<T>().to_owned(),
        detail: "a decision was committed without the rows it writes".to_owned(),
    };
    Ok(row.ok_or_else(lost)?)
}
