//! Helpers shared by the tests.
#![expect(clippy::unwrap_used, clippy::cast_possible_truncation, reason = "this is test code")]

use std::io::Read;

pub mod access;
pub mod browser;
pub mod cluster;
pub mod collector;
pub mod cookie_client;
pub mod dice;
pub mod documented;
pub mod event_stream;
pub mod external_programs;
pub mod follower;
pub mod metrics;
pub mod openid_provider;
pub mod pipeline;
pub mod prove;
pub mod providers;
pub mod receiver;
pub mod scripted_runner;
pub mod server;
pub mod services;
pub mod test_harness;
pub mod watcher;

/// Returns every file of a ZIP archive, by name.
///
/// # Panics
/// If it is not a ZIP archive.
pub fn unzip(reader: impl std::io::Read + std::io::Seek) -> Vec<(String, Vec<u8>)> {
    let mut archive = zip::ZipArchive::new(reader).unwrap();
    let mut files = Vec::new();
    for n in 0..archive.len() {
        let mut file = archive.by_index(n).unwrap();
        let mut content = Vec::new();
        file.read_to_end(&mut content).unwrap();
        files.push((file.name().unwrap().into_owned(), content));
    }
    files
}
