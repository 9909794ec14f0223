//! Finds files of one crate that import each other in a circle. A reader of such files must know
//! all of them before understanding one.
//!
//! The finder reads source text: it drops comments, literals and items for tests, collects the
//! paths that begin inside the crate, follows re-exports to the file that defines the item, and
//! looks for files that reach each other. A module that re-exports an item of its own child does
//! not depend on it, and the crate root, which declares all files, is not part of any circle.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Write as _;
use std::path::Path;

/// Path of a module within its crate; empty for the crate root.
type Module = Vec<String>;

/// One import of a file, as written.
#[derive(Debug, Clone)]
struct Import {
    line: usize,
    path: Vec<String>,
    /// Name under which the item is visible afterwards; `None` for a path inside code, `*` for a
    /// glob.
    name: Option<String>,
    is_public: bool,
}

/// What one file contributes to its crate.
#[derive(Debug, Default)]
struct File {
    name: String,
    imports: Vec<Import>,
    /// Names of items and child modules that the file itself declares.
    defines: BTreeSet<String>,
}

/// Files of one crate by module path.
type Crate = BTreeMap<Module, File>;

/// A word or a single character of source text, with its line.
#[derive(Debug, Clone, PartialEq)]
struct Token {
    line: usize,
    text: String,
}

#[test]
fn no_files_of_a_crate_import_each_other_in_circles() {
    let mut report = String::new();
    let mut read = 0;
    for folder in std::fs::read_dir(super::root().join("crates")).unwrap() {
        let folder = folder.unwrap().path();
        let src = folder.join("src");
        if !src.is_dir() {
            continue;
        }
        let files: BTreeMap<_, _> = super::sources(&src)
            .into_iter()
            .map(|path| {
                let name = path.strip_prefix(&src).unwrap().to_str().unwrap().to_owned();
                (name, std::fs::read_to_string(&path).unwrap())
            })
            .collect();
        read += files.len();
        for circle in circles(&files) {
            let name = folder.file_name().unwrap().to_str().unwrap();
            write!(report, "\n{name}: {circle}").unwrap();
        }
    }
    assert!(read > 200, "only {read} files were read");
    assert!(report.is_empty(), "files import each other in circles:{report}");
}

/// Returns a description of every circle: the files, and the lines that import one from another.
fn circles(files: &BTreeMap<String, String>) -> Vec<String> {
    let parsed = parse_crate(files);
    let mut edges: BTreeMap<&Module, BTreeMap<Module, Vec<String>>> = BTreeMap::new();
    for (module, file) in &parsed {
        for import in &file.imports {
            let Some(target) = target(&parsed, module, import) else { continue };
            let line = format!("  {}:{} {}", file.name, import.line, import.path.join("::"));
            edges.entry(module).or_default().entry(target).or_default().push(line);
        }
    }
    let reach: BTreeMap<_, _> =
        parsed.keys().map(|module| (module, reachable(&edges, module))).collect();
    let mut found = Vec::new();
    let mut done = BTreeSet::new();
    for module in parsed.keys() {
        if done.contains(module) || !reach[module].contains(module) {
            continue;
        }
        let members: BTreeSet<&Module> =
            reach[module].iter().copied().filter(|other| reach[*other].contains(module)).collect();
        let names: Vec<_> = members.iter().map(|member| parsed[*member].name.as_str()).collect();
        let mut text = format!("{}\n", names.join(", "));
        for member in &members {
            let within = edges[*member].iter().filter(|(other, _)| members.contains(other));
            for line in within.flat_map(|(_, lines)| lines) {
                text.push_str(line);
                text.push('\n');
            }
        }
        found.push(text);
        done.extend(members);
    }
    found
}

/// Returns the modules that can be reached from `start` along at least one import.
fn reachable<'a>(
    edges: &'a BTreeMap<&'a Module, BTreeMap<Module, Vec<String>>>,
    start: &'a Module,
) -> BTreeSet<&'a Module> {
    let mut seen = BTreeSet::new();
    let mut open = vec![start];
    while let Some(module) = open.pop() {
        for next in edges.get(module).into_iter().flat_map(BTreeMap::keys) {
            if seen.insert(next) {
                open.push(next);
            }
        }
    }
    seen
}

/// Returns the module that an import depends on, unless that is none of this crate, the importing
/// file itself or the crate root, or the import only re-exports an item of a child.
fn target(files: &Crate, module: &Module, import: &Import) -> Option<Module> {
    let path = absolute(files, module, &import.path)?;
    let target = resolve(files, &path, &mut BTreeSet::new());
    let child = target.len() > module.len() && target.starts_with(module);
    let is_export = import.is_public && child;
    (!module.is_empty() && !target.is_empty() && target != *module && !is_export).then_some(target)
}

/// Returns a path from the crate root, or `None` if it leads to another crate.
fn absolute(files: &Crate, module: &Module, path: &[String]) -> Option<Vec<String>> {
    let supers = path.iter().take_while(|part| *part == "super").count();
    let first = path.first()?.as_str();
    let (base, rest) = match first {
        "crate" => (Vec::new(), &path[1..]),
        "super" => (module[..module.len().checked_sub(supers)?].to_vec(), &path[supers..]),
        "self" => {
            // `self::super::…` does not occur in formatted code.
            (module.clone(), &path[1..])
        }
        _ => {
            let mut child = module.clone();
            child.push(first.to_owned());
            files.contains_key(&child).then(|| (module.clone(), path))?
        }
    };
    Some(base.into_iter().chain(rest.iter().cloned()).collect())
}

/// Follows a path through modules and re-exports to the module that defines the item.
fn resolve(files: &Crate, path: &[String], seen: &mut BTreeSet<Vec<String>>) -> Module {
    let known = (0..=path.len()).rev().find(|length| files.contains_key(&path[..*length]));
    let length = known.unwrap_or_default();
    let (module, rest) = (path[..length].to_vec(), &path[length..]);
    let Some(name) = rest.first() else { return module };
    if !seen.insert(path.to_vec()) || files[&module].defines.contains(name) {
        return module;
    }
    for import in &files[&module].imports {
        let matches = match import.name.as_deref() {
            Some("*") => true,
            Some(visible) => visible == name,
            None => false,
        };
        if !matches {
            continue;
        }
        let Some(mut next) = absolute(files, &module, &import.path) else { continue };
        if import.name.as_deref() == Some("*") {
            next.push(name.clone());
            let there = resolve(files, &next, seen);
            if files[&there].defines.contains(name) {
                return there;
            }
        } else {
            next.extend_from_slice(&rest[1..]);
            return resolve(files, &next, seen);
        }
    }
    module
}

/// Parses all files of a crate, without modules that exist for tests only.
fn parse_crate(files: &BTreeMap<String, String>) -> Crate {
    let mut parsed = Crate::new();
    let mut for_tests = BTreeSet::new();
    for (name, text) in files {
        let Some(module) = module_of(name) else { continue };
        let tokens = tokens(&without_comments_and_literals(text));
        let (tokens, test_modules) = without_test_items(&tokens);
        for child in test_modules {
            for_tests.insert(module.iter().cloned().chain([child]).collect::<Module>());
        }
        let mut file = parse(&tokens);
        name.clone_into(&mut file.name);
        parsed.insert(module, file);
    }
    parsed.retain(|module, _| !for_tests.iter().any(|test| module.starts_with(test)));
    // A path that begins with a child's name is inside the crate, any other in another crate.
    for module in parsed.keys().cloned().collect::<Vec<_>>() {
        let imports = std::mem::take(&mut parsed.get_mut(&module).unwrap().imports);
        let inside = |import: &Import| absolute(&parsed, &module, &import.path).is_some();
        let imports = imports.into_iter().filter(inside).collect();
        parsed.get_mut(&module).unwrap().imports = imports;
    }
    parsed
}

/// Returns the module path of a file below `src`. A binary beside a library is another crate, which
/// has one file.
fn module_of(name: &str) -> Option<Module> {
    if name == "main.rs" {
        return None;
    }
    let mut module: Module = Path::new(name)
        .with_extension("")
        .iter()
        .map(|part| part.to_str().unwrap().into())
        .collect();
    if name == "lib.rs" || name.ends_with("/mod.rs") {
        module.pop();
    }
    Some(module)
}

/// Replaces comments, strings and characters by spaces; lines stay where they are.
fn without_comments_and_literals(text: &str) -> String {
    let chars: Vec<char> = text.chars().collect();
    let mut out = String::with_capacity(text.len());
    let mut at = 0;
    while at < chars.len() {
        let end = match chars[at] {
            '/' if chars.get(at + 1) == Some(&'/') => {
                at + chars[at..].iter().take_while(|c| **c != '\n').count()
            }
            '/' if chars.get(at + 1) == Some(&'*') => end_of_comment(&chars, at),
            '"' => end_of_string(&chars, at),
            'r' if !follows_word(&chars, at) => end_of_raw_string(&chars, at),
            '\'' => end_of_character(&chars, at),
            _ => at,
        };
        if end == at {
            out.push(chars[at]);
            at += 1;
            continue;
        }
        out.extend(chars[at..end].iter().map(|c| if *c == '\n' { '\n' } else { ' ' }));
        at = end;
    }
    out
}

fn follows_word(chars: &[char], at: usize) -> bool {
    // `br"…"` is a raw string too.
    let before = at.checked_sub(1).map(|before| chars[before]);
    before.is_some_and(|c| (c.is_alphanumeric() && c != 'b') || c == '_')
}

fn end_of_comment(chars: &[char], start: usize) -> usize {
    let (mut at, mut depth) = (start + 2, 1);
    while at < chars.len() && depth > 0 {
        match (chars[at], chars.get(at + 1)) {
            ('*', Some('/')) => (at, depth) = (at + 2, depth - 1),
            ('/', Some('*')) => (at, depth) = (at + 2, depth + 1),
            _ => at += 1,
        }
    }
    at
}

fn end_of_string(chars: &[char], start: usize) -> usize {
    let mut at = start + 1;
    while at < chars.len() && chars[at] != '"' {
        at += if chars[at] == '\\' { 2 } else { 1 };
    }
    (at + 1).min(chars.len())
}

/// Returns `start` if no raw string begins there.
fn end_of_raw_string(chars: &[char], start: usize) -> usize {
    let hashes = chars[start + 1..].iter().take_while(|c| **c == '#').count();
    let quote = start + 1 + hashes;
    if chars.get(quote) != Some(&'"') {
        return start;
    }
    let closes = |at: &usize| {
        chars[*at] == '"'
            && chars[at + 1..].iter().take(hashes).filter(|c| **c == '#').count() == hashes
    };
    (quote + 1..chars.len()).find(closes).map_or(chars.len(), |at| at + 1 + hashes)
}

/// Returns `start` for a lifetime, which has no closing quote.
fn end_of_character(chars: &[char], start: usize) -> usize {
    match (chars.get(start + 1), chars.get(start + 2)) {
        (Some('\\'), Some(_)) => {
            let rest = chars[start + 3..].iter().take_while(|c| **c != '\'').count();
            start + 3 + rest + 1
        }
        (Some(_), Some('\'')) => start + 3,
        _ => start,
    }
}

fn tokens(text: &str) -> Vec<Token> {
    let mut found = Vec::new();
    for (index, line) in text.lines().enumerate() {
        let mut word = String::new();
        for c in line.chars().chain([' ']) {
            if c.is_alphanumeric() || c == '_' {
                word.push(c);
                continue;
            }
            if !word.is_empty() {
                found.push(Token { line: index + 1, text: std::mem::take(&mut word) });
            }
            if !c.is_whitespace() {
                found.push(Token { line: index + 1, text: c.into() });
            }
        }
    }
    found
}

fn is(tokens: &[Token], at: usize, text: &str) -> bool {
    tokens.get(at).is_some_and(|token| token.text == text)
}

fn are(tokens: &[Token], at: usize, texts: &[&str]) -> bool {
    texts.iter().enumerate().all(|(index, text)| is(tokens, at + index, text))
}

/// Drops every item behind `#[cfg(test)]`, and returns the names of the modules among them.
fn without_test_items(tokens: &[Token]) -> (Vec<Token>, Vec<String>) {
    let (mut kept, mut modules) = (Vec::new(), Vec::new());
    let mut at = 0;
    while at < tokens.len() {
        if !are(tokens, at, &["#", "[", "cfg", "(", "test", ")", "]"]) {
            kept.push(tokens[at].clone());
            at += 1;
            continue;
        }
        at += 7;
        while are(tokens, at, &["#", "["]) {
            at = behind_brackets(tokens, at + 1);
        }
        let end = end_of_item(tokens, at);
        let declares = (at..end).find(|index| is(tokens, *index, "mod"));
        modules.extend(declares.map(|index| tokens[index + 1].text.clone()));
        at = end;
    }
    (kept, modules)
}

/// Returns the position behind an item: behind its semicolon or its body.
fn end_of_item(tokens: &[Token], start: usize) -> usize {
    let is_use = (start..tokens.len())
        .find(|at| !["pub", "(", "crate", "super", ")"].contains(&tokens[*at].text.as_str()))
        .is_some_and(|at| is(tokens, at, "use"));
    let mut at = start;
    while at < tokens.len() {
        match tokens[at].text.as_str() {
            ";" => return at + 1,
            "{" if !is_use => return behind_brackets(tokens, at),
            "(" | "[" | "{" => at = behind_brackets(tokens, at),
            _ => at += 1,
        }
    }
    at
}

/// Returns the position behind the bracket that closes the one at `start`.
fn behind_brackets(tokens: &[Token], start: usize) -> usize {
    let mut depth = 0_usize;
    for (at, token) in tokens.iter().enumerate().skip(start) {
        match token.text.as_str() {
            "(" | "[" | "{" => depth += 1,
            ")" | "]" | "}" => depth -= 1,
            _ => {}
        }
        if depth == 0 {
            return at + 1;
        }
    }
    tokens.len()
}

fn parse(tokens: &[Token]) -> File {
    let mut file = File::default();
    let keywords =
        ["fn", "struct", "enum", "union", "trait", "type", "const", "static", "mod", "macro_rules"];
    let mut at = 0;
    while at < tokens.len() {
        let text = tokens[at].text.as_str();
        let behind_path = at >= 2 && are(tokens, at - 2, &[":", ":"]);
        if text == "use" && !is(tokens, at + 1, "<") {
            let end = end_of_item(tokens, at);
            let is_public = at > 0 && (is(tokens, at - 1, "pub") || is(tokens, at - 1, ")"));
            use_tree(&tokens[at + 1..end - 1], &[], is_public, &mut file.imports);
            at = end;
            continue;
        }
        if keywords.contains(&text) {
            let name = at + 1 + usize::from(is(tokens, at + 1, "!"));
            file.defines.extend(tokens.get(name).map(|token| token.text.clone()));
        } else if !behind_path && are(tokens, at + 1, &[":", ":"]) && is_word(text) {
            let path = path_at(tokens, at);
            at += 3 * path.len() - 2;
            let line = tokens[at - 1].line;
            file.imports.push(Import { line, path, name: None, is_public: false });
            continue;
        }
        at += 1;
    }
    file
}

fn is_word(text: &str) -> bool {
    text.starts_with(|c: char| c.is_alphanumeric() || c == '_')
}

/// Returns the words joined by `::` from `start`.
fn path_at(tokens: &[Token], start: usize) -> Vec<String> {
    let mut path = vec![tokens[start].text.clone()];
    let mut at = start + 1;
    while are(tokens, at, &[":", ":"]) {
        let Some(next) = tokens.get(at + 2).filter(|token| is_word(&token.text)) else { break };
        path.push(next.text.clone());
        at += 3;
    }
    path
}

/// Adds every leaf of a use tree, without its closing semicolon.
fn use_tree(tokens: &[Token], prefix: &[String], is_public: bool, imports: &mut Vec<Import>) {
    let mut path = prefix.to_vec();
    let mut at = 0;
    while at < tokens.len() {
        let Token { line, text } = &tokens[at];
        match text.as_str() {
            ":" => {}
            "{" => {
                let inner = &tokens[at + 1..behind_brackets(tokens, at) - 1];
                for branch in branches(inner) {
                    use_tree(branch, &path, is_public, imports);
                }
                return;
            }
            "*" => {
                imports.push(Import { line: *line, path, name: Some("*".into()), is_public });
                return;
            }
            "as" => {
                let name = tokens.get(at + 1).map(|token| token.text.clone());
                imports.push(Import { line: *line, path, name, is_public });
                return;
            }
            // `a::{self, b}` imports `a` itself.
            "self" if !path.is_empty() => {}
            _ => path.push(text.clone()),
        }
        at += 1;
    }
    let (Some(name), Some(last)) = (path.last().cloned(), tokens.last()) else { return };
    imports.push(Import { line: last.line, path, name: Some(name), is_public });
}

/// Splits the inside of braces at its own commas.
fn branches(tokens: &[Token]) -> Vec<&[Token]> {
    let (mut found, mut start, mut at) = (Vec::new(), 0, 0);
    while at < tokens.len() {
        match tokens[at].text.as_str() {
            "{" => at = behind_brackets(tokens, at),
            "," => {
                found.push(&tokens[start..at]);
                at += 1;
                start = at;
            }
            _ => at += 1,
        }
    }
    found.push(&tokens[start..]);
    found.retain(|branch| !branch.is_empty());
    found
}

/// Describes the circles of an invented crate.
fn circles_of(files: &[(&str, &str)]) -> Vec<String> {
    circles(&files.iter().map(|(name, text)| ((*name).into(), (*text).into())).collect())
}

#[test]
fn two_files_that_import_each_other_are_found_with_their_lines() {
    let found = circles_of(&[
        ("lib.rs", "mod hen;\nmod egg;\nmod nest;"),
        ("hen.rs", "\nuse crate::{\n    egg::{self, Egg},\n};\npub struct Hen;"),
        ("egg.rs", "pub struct Egg;\nimpl Egg { fn hatch(self) -> super::hen::Hen { todo() } }"),
        ("nest.rs", "use crate::egg::Egg;"),
    ]);
    assert_eq!(
        found,
        [
            "egg.rs, hen.rs\n  egg.rs:2 super::hen::Hen\n  hen.rs:3 crate::egg\n  hen.rs:3 crate::egg::Egg\n"
        ]
    );
}

#[test]
fn longer_circles_and_circles_through_globs_and_new_names_are_found() {
    let found = circles_of(&[
        ("lib.rs", "mod a; mod b; mod c; mod d; pub use d::*;"),
        ("a.rs", "use crate::b::B as Other; pub fn a() {}"),
        ("b.rs", "use super::{c::C}; pub struct B;"),
        ("c.rs", "use crate::D; pub struct C;"),
        ("d.rs", "pub struct D; fn d() { crate::a::a() }"),
    ]);
    assert_eq!(found.len(), 1, "{found:?}");
    assert!(found[0].starts_with("a.rs, b.rs, c.rs, d.rs\n"), "{found:?}");
}

#[test]
fn a_parent_and_its_child_can_be_a_circle() {
    let found = circles_of(&[
        ("lib.rs", "mod a;"),
        ("a/mod.rs", "mod b; pub struct A; fn make() { b::make() }"),
        ("a/b.rs", "use super::A; pub fn make() {}"),
    ]);
    assert_eq!(found.len(), 1, "{found:?}");
}

#[test]
fn a_re_export_is_no_import() {
    let found = circles_of(&[
        ("lib.rs", "mod farm; pub use farm::Hen;"),
        (
            "farm/mod.rs",
            "mod hen; pub use hen::Hen; pub(crate) use self::hen::Feed; pub struct Field;",
        ),
        ("farm/hen.rs", "use super::Field; pub struct Hen; pub(crate) struct Feed;"),
        ("farm/egg.rs", "use crate::Hen; use super::Feed;"),
    ]);
    assert!(found.is_empty(), "{found:?}");
    // What is imported through a re-export is an import of the file that defines it.
    let found = circles_of(&[
        ("lib.rs", "mod hen; mod egg; pub use hen::Hen;"),
        ("hen.rs", "use crate::egg::Egg; pub struct Hen;"),
        ("egg.rs", "use crate::Hen; pub struct Egg;"),
    ]);
    assert_eq!(found.len(), 1, "{found:?}");
}

#[test]
fn comments_literals_and_tests_do_not_count() {
    let found = circles_of(&[
        ("lib.rs", "mod a; mod b;"),
        ("a.rs", "use crate::b::B; pub struct A;"),
        (
            "b.rs",
            r##"// use crate::a::A;
            /* use crate::a::A; /* nested */ use crate::a::A; */
            const TEXT: &str = "\" use crate::a::A;";
            const RAW: &str = r#"" crate::a::A "#;
            fn quote<'a>(c: char) -> bool { c == '"' || c == '\'' }
            pub struct B;
            #[cfg(test)]
            use crate::a::{A};
            #[cfg(test)]
            #[derive(Debug)]
            struct Fake { a: crate::a::A }
            #[cfg(test)]
            mod tests { use crate::a::A; fn f() { if true { crate::a::A; } } }
            #[cfg(test)]
            mod more;
            "##,
        ),
        ("b/more.rs", "use crate::a::A;"),
    ]);
    assert!(found.is_empty(), "{found:?}");
}
