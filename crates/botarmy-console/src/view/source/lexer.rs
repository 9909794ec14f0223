//! Divides source code into pieces with and without a colour. Reads each character once.

use super::grammar::{Grammar, Keys, Language, Quote};

/// Kind of a piece with a colour.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Class {
    Keyword,
    String,
    /// Also the name of something that has a value.
    Function,
    /// Number or another constant.
    Constant,
    Comment,
}

/// A piece of a text; without a class it is plain.
type Piece<'a> = (Option<Class>, &'a str);

/// Returns the pieces of a text in a language. Together they are the text.
pub(super) fn pieces<'a>(language: &str, text: &'a str) -> Vec<Piece<'a>> {
    let mut lexer = Lexer { text, at: 0, plain: 0, pieces: Vec::new() };
    match Language::named(language) {
        Language::Code(grammar) => lexer.code(grammar, text.len()),
        Language::Markup => lexer.markup(),
        Language::Plain => lexer.at = text.len(),
    }
    lexer.flush();
    lexer.pieces
}

struct Lexer<'a> {
    text: &'a str,
    /// Position up to which the text was read.
    at: usize,
    /// Beginning of the text without a class that is not among the pieces yet.
    plain: usize,
    pieces: Vec<Piece<'a>>,
}

impl<'a> Lexer<'a> {
    fn rest(&self) -> &'a str {
        &self.text[self.at..]
    }

    fn flush(&mut self) {
        if self.plain < self.at {
            self.pieces.push((None, &self.text[self.plain..self.at]));
        }
        self.plain = self.at;
    }

    /// Takes the next bytes as a piece with a class.
    fn take(&mut self, class: Class, length: usize) {
        self.flush();
        self.at += length;
        if length > 0 {
            self.pieces.push((Some(class), &self.text[self.plain..self.at]));
        }
        self.plain = self.at;
    }

    /// Takes the next character without a class.
    fn skip(&mut self) {
        self.at += self.rest().chars().next().map_or(0, char::len_utf8);
    }

    /// Divides source code up to this position.
    fn code(&mut self, grammar: &Grammar, end: usize) {
        let mut braces = 0_usize;
        let mut is_line_start = true;
        while self.at < end {
            let rest = &self.text[self.at..end];
            if let Some(length) = comment(grammar, rest) {
                self.take(Class::Comment, length);
                continue;
            }
            if let Some(length) = string(grammar, rest) {
                let is_key = grammar.keys == Keys::Json && is_before(&rest[length..], ':');
                self.take(if is_key { Class::Function } else { Class::String }, length);
                is_line_start = false;
                continue;
            }
            let c = rest.chars().next().unwrap_or_default();
            if is_line_start && grammar.keys == Keys::Toml && c == '[' {
                let end = rest.find([']', '\n']);
                if let Some(length) = end.filter(|at| rest[*at..].starts_with(']')) {
                    self.take(Class::Keyword, length + 1);
                    is_line_start = false;
                    continue;
                }
            }
            match c {
                '{' => braces += 1,
                '}' => braces = braces.saturating_sub(1),
                _ => {}
            }
            if let Some(length) = number(rest) {
                self.take(Class::Constant, length);
                is_line_start = false;
                continue;
            }
            let length = word(grammar, rest);
            if length == 0 {
                is_line_start = c == '\n'
                    || is_line_start
                        && (c.is_whitespace() || c == '-' && grammar.keys == Keys::Yaml);
                self.skip();
                continue;
            }
            let (name, after) = rest.split_at(length);
            let class = class_of(grammar, name, after, is_line_start, braces > 0);
            match class {
                Some(class) => self.take(class, length),
                None => self.at += length,
            }
            is_line_start = false;
        }
    }

    /// Divides HTML.
    fn markup(&mut self) {
        while self.at < self.text.len() {
            let rest = self.rest();
            if rest.starts_with("<!--") {
                let length = rest.find("-->").map_or(rest.len(), |at| at + 3);
                self.take(Class::Comment, length);
                continue;
            }
            let mut next = rest.chars().skip(1);
            let is_tag = rest.starts_with('<')
                && next.next().is_some_and(|c| c.is_ascii_alphabetic() || "/!?".contains(c));
            if is_tag {
                self.tag();
            } else {
                self.skip();
                let length = self.rest().find('<').unwrap_or(self.rest().len());
                self.at += length;
            }
        }
    }

    fn tag(&mut self) {
        self.at += 1;
        let is_start = !self.rest().starts_with('/');
        while self.rest().starts_with(['/', '!', '?']) {
            self.at += 1;
        }
        let length = name_length(self.rest());
        let name = &self.rest()[..length];
        self.take(Class::Keyword, length);
        loop {
            let rest = self.rest();
            match rest.chars().next() {
                None => return,
                Some('>') => {
                    self.at += 1;
                    break;
                }
                Some(mark @ ('"' | '\'')) => {
                    let length = rest[1..].find(mark).map_or(rest.len(), |at| at + 2);
                    self.take(Class::String, length);
                }
                Some(_) => match name_length(rest) {
                    0 => self.skip(),
                    length => self.take(Class::Function, length),
                },
            }
        }
        let inner = match name.to_ascii_lowercase().as_str() {
            "script" if is_start => Language::SCRIPT,
            "style" if is_start => Language::CSS,
            _ => return,
        };
        let end = self.at + find_end(self.rest(), name).unwrap_or(self.rest().len());
        self.code(inner, end);
    }
}

/// Returns the position of the end tag with this name.
fn find_end(text: &str, name: &str) -> Option<usize> {
    text.match_indices("</").map(|(at, _)| at).find(|at| {
        let after = text.as_bytes().get(at + 2..at + 2 + name.len());
        after.is_some_and(|after| after.eq_ignore_ascii_case(name.as_bytes()))
    })
}

/// Returns the length of the name of a tag or an attribute.
fn name_length(text: &str) -> usize {
    text.find(|c: char| c.is_whitespace() || "<>/=\"'".contains(c)).unwrap_or(text.len())
}

/// Returns the length of the comment with which a text begins.
fn comment(grammar: &Grammar, text: &str) -> Option<usize> {
    if grammar.line_comments.iter().any(|begin| text.starts_with(begin)) {
        return Some(text.find('\n').unwrap_or(text.len()));
    }
    let (begin, end) = grammar.block_comments.iter().find(|(begin, _)| text.starts_with(begin))?;
    let inner = &text[begin.len()..];
    Some(inner.find(end).map_or(text.len(), |at| begin.len() + at + end.len()))
}

/// Returns the length of the string with which a text begins. One without an end goes to the end of the
/// line, or of the text.
fn string(grammar: &Grammar, text: &str) -> Option<usize> {
    if grammar.has_lifetimes() && text.starts_with('\'') {
        return character(text);
    }
    let quote = grammar.strings.iter().find(|quote| text.starts_with(quote.mark))?;
    Some(quoted(quote, text))
}

fn quoted(quote: &Quote, text: &str) -> usize {
    let mut at = quote.mark.len();
    while let Some(c) = text[at..].chars().next() {
        if text[at..].starts_with(quote.mark) {
            return at + quote.mark.len();
        }
        if c == '\n' && !quote.spans_lines {
            return at;
        }
        at += c.len_utf8();
        if c == '\\' && quote.escapes {
            let escaped = text[at..].chars().next().filter(|c| quote.spans_lines || *c != '\n');
            at += escaped.map_or(0, char::len_utf8);
        }
    }
    at
}

/// Returns the length of a character in single marks; a mark without an end begins a name.
fn character(text: &str) -> Option<usize> {
    let mut chars = text.char_indices().skip(1);
    let (_, first) = chars.next()?;
    if first == '\\' {
        let rest = text.get(3..)?;
        let end = rest.find(['\'', '\n']).filter(|at| rest[*at..].starts_with('\''))?;
        return Some(3 + end + 1);
    }
    let (at, mark) = chars.next()?;
    (first != '\'' && mark == '\'').then_some(at + 1)
}

/// Returns the length of the number with which a text begins.
fn number(text: &str) -> Option<usize> {
    if !text.starts_with(|c: char| c.is_ascii_digit()) {
        return None;
    }
    let is_part = |c: char| c.is_ascii_alphanumeric() || "._%".contains(c);
    let length = text.find(|c| !is_part(c)).unwrap_or(text.len());
    // A point that ends a sentence or begins a method does not belong to it.
    Some(text[..length].trim_end_matches('.').len())
}

/// Returns the length of the word with which a text begins.
fn word(grammar: &Grammar, text: &str) -> usize {
    let is_css = grammar.keys == Keys::Css;
    let is_begin = |c: char| c.is_alphabetic() || "_$".contains(c) || is_css && "@#!-".contains(c);
    if !text.starts_with(is_begin) {
        return 0;
    }
    let is_part =
        |c: char| c.is_alphanumeric() || "_$".contains(c) || grammar.has_hyphens && c == '-';
    let mut chars = text.char_indices();
    chars.next();
    chars.find(|(_, c)| !is_part(*c)).map_or(text.len(), |(at, _)| at)
}

fn is_before(text: &str, mark: char) -> bool {
    text.trim_start_matches([' ', '\t']).starts_with(mark)
}

fn class_of(
    grammar: &Grammar,
    word: &str,
    after: &str,
    is_line_start: bool,
    is_in_braces: bool,
) -> Option<Class> {
    let is_key = match grammar.keys {
        Keys::None | Keys::Json => false,
        Keys::Yaml => is_line_start && is_before(after, ':'),
        Keys::Toml => is_line_start && is_before(after, '='),
        Keys::Css => {
            if word.starts_with('#') {
                return is_in_braces.then_some(Class::Constant);
            }
            is_in_braces && is_before(after, ':')
        }
    };
    if is_key {
        return Some(Class::Function);
    }
    if grammar.has_keyword(word) {
        return Some(Class::Keyword);
    }
    (grammar.keys == Keys::None && after.starts_with('(')).then_some(Class::Function)
}
