//! `audit verify FILE`: checks an exported log without the server that wrote it.

use std::io::{BufRead, BufReader, Read};
use std::path::Path;
use std::process::ExitCode;

use anyhow::{Context, bail};
use botarmy_domain::Entry;
use botarmy_domain::log::{HeadMark, Verification, Verifier};
use serde::Deserialize;

use crate::output::say;

/// The last line of an export: where the log ended when it was written.
#[derive(Deserialize)]
struct Trailer {
    head: HeadMark,
}

/// Checks a file and prints what was found; the exit code says whether it is valid.
///
/// # Errors
/// A file that cannot be read.
pub fn verify(file: &Path) -> anyhow::Result<ExitCode> {
    let reader: Box<dyn Read> = if file == Path::new("-") {
        Box::new(std::io::stdin())
    } else {
        let opened = std::fs::File::open(file);
        Box::new(opened.with_context(|| format!("{} cannot be opened", file.display()))?)
    };
    let found = check(BufReader::new(reader))?;
    say!("{}", serde_json::to_string_pretty(&found)?);
    Ok(if found.valid { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}

/// Checks an export line by line.
///
/// # Errors
/// When it cannot be read, or has no last line that says where the log ended.
pub fn check(reader: impl BufRead) -> anyhow::Result<Verification> {
    let mut verifier = Verifier::default();
    let mut trailer = None;
    for (number, line) in (1..).zip(reader.lines()) {
        let line = line.with_context(|| format!("line {number} cannot be read"))?;
        if line.trim().is_empty() {
            continue;
        }
        if trailer.is_some() {
            bail!("line {number}: there is something after the last line of the export");
        }
        if let Ok(entry) = serde_json::from_str::<Entry>(&line) {
            verifier.next(&entry);
        } else if let Ok(last) = serde_json::from_str::<Trailer>(&line) {
            trailer = Some(last.head);
        } else {
            verifier.unreadable();
        }
    }
    let Some(head) = trailer else {
        bail!("the export is cut off: its last line, which says where the log ends, is missing");
    };
    Ok(verifier.finish(&head))
}
