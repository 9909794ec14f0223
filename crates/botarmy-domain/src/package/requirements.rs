//! Third-party packages that Python sources need, found in their import lines.

use std::collections::{BTreeMap, BTreeSet};

/// Modules of the Python standard library, of all versions since 3.8.
const STANDARD: &str = "__future__ __main__ _thread abc aifc antigravity argparse array ast \
asynchat asyncio asyncore atexit audioop base64 bdb binascii bisect builtins bz2 cProfile \
calendar cgi cgitb chunk cmath cmd code codecs codeop collections colorsys compileall concurrent \
compression configparser contextlib contextvars copy copyreg crypt csv ctypes curses dataclasses \
datetime dbm decimal difflib dis distutils doctest email encodings ensurepip enum errno \
faulthandler fcntl filecmp fileinput fnmatch formatter fractions ftplib functools gc getopt \
getpass gettext glob graphlib grp gzip hashlib heapq hmac html http idlelib imaplib imghdr imp \
importlib inspect io ipaddress itertools json keyword lib2to3 linecache locale logging lzma \
mailbox mailcap marshal math mimetypes mmap modulefinder msilib msvcrt multiprocessing netrc nis \
nntplib nt ntpath numbers opcode operator optparse os ossaudiodev parser pathlib pdb pickle \
pickletools pipes pkgutil platform plistlib poplib posix posixpath pprint profile pstats pty pwd \
py_compile pyclbr pydoc queue quopri random re readline reprlib resource rlcompleter runpy sched \
secrets select selectors shelve shlex shutil signal site smtpd smtplib sndhdr socket socketserver \
spwd sqlite3 sre_compile sre_constants sre_parse ssl stat statistics string stringprep struct \
subprocess sunau symbol symtable sys sysconfig syslog tabnanny tarfile telnetlib tempfile termios \
test textwrap this threading time timeit tkinter token tokenize tomllib trace traceback \
tracemalloc tty turtle turtledemo types typing unicodedata unittest urllib uu uuid venv warnings \
wave weakref webbrowser winreg winsound wsgiref xdrlib xml xmlrpc zipapp zipfile zipimport zlib \
zoneinfo";

/// Modules whose package has a different name.
const RENAMED: [(&str, &str); 20] = [
    ("Crypto", "pycryptodome"),
    ("MySQLdb", "mysqlclient"),
    ("OpenSSL", "pyOpenSSL"),
    ("PIL", "Pillow"),
    ("attr", "attrs"),
    ("bs4", "beautifulsoup4"),
    ("cv2", "opencv-python"),
    ("dateutil", "python-dateutil"),
    ("docx", "python-docx"),
    ("dotenv", "python-dotenv"),
    ("fitz", "PyMuPDF"),
    ("git", "GitPython"),
    ("jose", "python-jose"),
    ("jwt", "PyJWT"),
    ("magic", "python-magic"),
    ("multipart", "python-multipart"),
    ("psycopg2", "psycopg2-binary"),
    ("serial", "pyserial"),
    ("sklearn", "scikit-learn"),
    ("yaml", "PyYAML"),
];

/// Returns the `requirements.txt` for these Python files, by path, each with the modules that it
/// imports; `None` if no third-party module is imported.
pub(super) fn requirements(python: &BTreeMap<&str, Vec<&str>>) -> Option<String> {
    let mut local: BTreeSet<&str> = BTreeSet::new();
    for path in python.keys() {
        let mut parts = path.split('/').rev();
        local.extend(parts.next().and_then(|file| file.strip_suffix(".py")));
        local.extend(parts);
    }
    let standard: BTreeSet<&str> = STANDARD.split_whitespace().collect();
    let needed: BTreeSet<&str> = python
        .values()
        .flatten()
        .filter(|module| !local.contains(*module) && !standard.contains(*module))
        .map(|module| {
            RENAMED.iter().find(|(name, _)| name == module).map_or(*module, |(_, package)| package)
        })
        .collect();
    if needed.is_empty() {
        return None;
    }
    Some(needed.into_iter().flat_map(|package| [package, "\n"]).collect())
}

/// Returns the top-level modules that a Python file imports, in order, without relative imports.
pub(super) fn imports(text: &str) -> Vec<&str> {
    let mut found = Vec::new();
    let mut inside: Option<&str> = None;
    for line in text.lines() {
        let line = line.trim();
        let was_inside = inside.is_some();
        inside = quotes_after(line, inside);
        if was_inside {
            continue;
        }
        for statement in line.split('#').next().unwrap_or_default().split(';') {
            let statement = statement.trim_start();
            if let Some(rest) = statement.strip_prefix("import ") {
                found.extend(rest.split(',').filter_map(module));
            } else if let Some(rest) = statement.strip_prefix("from ")
                && rest.contains(" import ")
            {
                found.extend(module(rest));
            }
        }
    }
    found
}

/// Returns the first part of a dotted name, if the text begins with one.
fn module(text: &str) -> Option<&str> {
    let text = text.trim_start();
    let end = text.find(|c: char| !c.is_ascii_alphanumeric() && c != '_').unwrap_or(text.len());
    let name = &text[..end];
    let after = text[end..].chars().next();
    let ends_well = after.is_none_or(|c| c == '.' || c == '\\' || c.is_whitespace());
    (!name.is_empty() && !name.starts_with(|c: char| c.is_ascii_digit()) && ends_well)
        .then_some(name)
}

/// Returns the triple quote that is open after this line.
fn quotes_after<'a>(line: &str, mut open: Option<&'a str>) -> Option<&'a str> {
    let mut rest = line;
    loop {
        match open {
            Some(quote) => match rest.find(quote) {
                Some(at) => (rest, open) = (&rest[at + 3..], None),
                None => return open,
            },
            None => {
                let next = ["\"\"\"", "'''"].into_iter().filter_map(|q| Some((rest.find(q)?, q)));
                let (at, quote) = next.min()?;
                if rest[..at].contains('#') {
                    return None;
                }
                (rest, open) = (&rest[at + 3..], Some(quote));
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn of(files: &[(&str, &str)]) -> Option<String> {
        let python = files.iter().filter(|(path, _)| path.ends_with(".py"));
        requirements(&python.map(|(path, text)| (*path, imports(text))).collect())
    }

    #[test]
    fn imports_from_outside_are_named_by_their_package_once_and_sorted() {
        let text = "import os, yaml\nfrom flask import Flask\nimport numpy.linalg as la; import cv2\n\
                    try:\n    import flask\nexcept ImportError:\n    pass\n";
        assert_eq!(
            of(&[("app.py", text)]).as_deref(),
            Some("PyYAML\nflask\nnumpy\nopencv-python\n")
        );
    }

    #[test]
    fn what_is_local_standard_relative_or_quoted_is_not_needed() {
        let text = "\"\"\"\nimport requests\n\"\"\"\nfrom . import x\nfrom .y import z\nimport json\n\
                    import helpers\nfrom pkg.sub import a\n# import pandas\nimporting = 1\n\
                    x = '''from a import b'''\nfrom here to there\n";
        assert_eq!(
            of(&[("main.py", text), ("helpers.py", ""), ("pkg/sub.py", ""), ("a.js", "import x")]),
            None
        );
    }
}
