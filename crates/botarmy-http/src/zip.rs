//! A package's files as the bytes of a ZIP archive: the same files give the same bytes.

use std::io::{Cursor, Write};

use botarmy_domain::package::PackedFile;
use zip::write::SimpleFileOptions;
use zip::{CompressionMethod, DateTime, ZipWriter};

/// Returns a ZIP archive of these files, sorted by name, all dated 1980-01-01 (the first day of the
/// format) and readable by all users.
#[must_use]
pub fn zip_bytes(files: &[PackedFile]) -> Vec<u8> {
    let mut files: Vec<&PackedFile> = files.iter().collect();
    files.sort_unstable_by(|a, b| a.name.cmp(&b.name));
    let options = SimpleFileOptions::default()
        .compression_method(CompressionMethod::Deflated)
        .last_modified_time(DateTime::DEFAULT)
        .unix_permissions(0o644);
    let mut archive = ZipWriter::new(Cursor::new(Vec::new()));
    for file in files {
        archive
            .start_file(file.name.as_str(), options)
            .expect("a package's names are short and each is there once");
        archive.write_all(&file.bytes).expect("memory can be written to");
    }
    let mut bytes = archive.finish().expect("memory can be written to").into_inner();
    // Kept for later downloads, where its length is what counts.
    bytes.shrink_to_fit();
    bytes
}

#[cfg(test)]
mod tests {
    use std::io::Read;

    use botarmy_domain::Timestamp;
    use botarmy_domain::artifact::digest_bytes;

    use super::*;

    fn file(name: &str, content: &str) -> PackedFile {
        PackedFile {
            name: name.to_owned(),
            bytes: content.into(),
            digest: digest_bytes(content.as_bytes()),
            created_at: Timestamp::from_micros(1_800_000_000_000_000),
        }
    }

    #[test]
    fn the_same_files_give_the_same_bytes_in_any_order() {
        let (a, b) = (file("a.txt", "first"), file("source/größe.py", "second"));
        let bytes = zip_bytes(&[a.clone(), b.clone()]);
        assert_eq!(bytes, zip_bytes(&[b, a]));
        assert_eq!(bytes.capacity(), bytes.len(), "a kept archive takes what it counts for");
        let mut archive = zip::ZipArchive::new(Cursor::new(bytes)).unwrap();
        let mut content = String::new();
        archive.by_name("source/größe.py").unwrap().read_to_string(&mut content).unwrap();
        assert_eq!(content, "second");
        let first = archive.by_index(0).unwrap();
        assert_eq!((&*first.name().unwrap(), first.unix_mode()), ("a.txt", Some(0o100_644)));
        assert_eq!(first.last_modified(), Some(DateTime::DEFAULT));
    }

    #[test]
    fn no_files_are_an_empty_archive() {
        assert_eq!(zip::ZipArchive::new(Cursor::new(zip_bytes(&[]))).unwrap().len(), 0);
    }
}
