//! Balance of scripts and style sheets: brackets, strings, comments, templates and regular
//! expressions. It is not a parser: it finds text that is cut off or mixed up and no other error.

/// The parts of a script or style sheet that the checks need.
#[derive(Debug, Default)]
pub(super) struct Balanced {
    /// Contents of string literals.
    pub(super) strings: Vec<String>,
    /// References of a style sheet, with their lines.
    pub(super) references: Vec<(usize, String)>,
}

/// A place that is not balanced.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Unbalanced {
    pub(super) line: usize,
    pub(super) text: String,
}

/// Checks a script.
pub(super) fn javascript(text: &str) -> Result<Balanced, Unbalanced> {
    let mut scanner = Scanner::new(text);
    let mut result = Balanced::default();
    // After a value a slash is a division, otherwise it begins a regular expression.
    let mut value_before = false;
    while let Some(c) = scanner.next() {
        match c {
            c if c.is_whitespace() => continue,
            '/' if scanner.peek() == Some('/') => {
                scanner.skip_while(|c| c != '\n');
                continue;
            }
            '/' if scanner.peek() == Some('*') => {
                scanner.comment()?;
                continue;
            }
            '/' if !value_before => {
                scanner.regular_expression()?;
                value_before = true;
            }
            '"' | '\'' => {
                result.strings.push(scanner.string(c)?);
                value_before = true;
            }
            '`' => value_before = scanner.template(&mut result.strings)?,
            '(' | '[' | '{' => {
                scanner.open(c);
                value_before = false;
            }
            '}' if scanner.top() == Some('`') => {
                scanner.open.pop();
                value_before = scanner.template(&mut result.strings)?;
            }
            ')' | ']' | '}' => {
                scanner.close(c)?;
                value_before = c != '}';
            }
            c if c.is_alphanumeric() || c == '_' || c == '$' => {
                let word = scanner.word(c);
                value_before = !KEYWORDS.contains(&word.as_str());
            }
            _ => value_before = false,
        }
    }
    scanner.finish()?;
    Ok(result)
}

/// Words after which a slash begins a regular expression.
const KEYWORDS: &[&str] = &[
    "return",
    "typeof",
    "case",
    "in",
    "of",
    "do",
    "else",
    "void",
    "delete",
    "throw",
    "new",
    "instanceof",
    "yield",
    "await",
];

/// Checks a style sheet.
pub(super) fn css(text: &str) -> Result<Balanced, Unbalanced> {
    let mut scanner = Scanner::new(text);
    let mut result = Balanced::default();
    let mut word = String::new();
    while let Some(c) = scanner.next() {
        match c {
            '/' if scanner.peek() == Some('*') => scanner.comment()?,
            '"' | '\'' => {
                let line = scanner.line;
                let string = scanner.string(c)?;
                if word == "@import" {
                    result.references.push((line, string));
                }
            }
            '(' if word.eq_ignore_ascii_case("url") => {
                let line = scanner.line;
                let address = scanner
                    .until(')')
                    .ok_or_else(|| Unbalanced { line, text: "url( is never closed".to_owned() })?;
                let address = address.trim().trim_matches(['"', '\'']).to_owned();
                result.references.push((line, address));
            }
            '(' | '[' | '{' => scanner.open(c),
            ')' | ']' | '}' => scanner.close(c)?,
            c if c.is_alphanumeric() || matches!(c, '_' | '-' | '@') => {
                word = scanner.word(c);
                continue;
            }
            c if c.is_whitespace() && word == "@import" => continue,
            _ => {}
        }
        word.clear();
    }
    scanner.finish()?;
    Ok(result)
}

struct Scanner<'a> {
    rest: std::iter::Peekable<std::str::Chars<'a>>,
    line: usize,
    /// Open brackets with their lines; a backtick stands for an expression within a template.
    open: Vec<(char, usize)>,
}

impl<'a> Scanner<'a> {
    fn new(text: &'a str) -> Self {
        Self { rest: text.chars().peekable(), line: 1, open: Vec::new() }
    }

    fn next(&mut self) -> Option<char> {
        let c = self.rest.next()?;
        if c == '\n' {
            self.line += 1;
        }
        Some(c)
    }

    fn peek(&mut self) -> Option<char> {
        self.rest.peek().copied()
    }

    fn top(&self) -> Option<char> {
        self.open.last().map(|(c, _)| *c)
    }

    fn open(&mut self, c: char) {
        self.open.push((c, self.line));
    }

    fn close(&mut self, c: char) -> Result<(), Unbalanced> {
        let expected = match c {
            ')' => '(',
            ']' => '[',
            _ => '{',
        };
        match self.open.pop() {
            Some((open, _)) if open == expected => Ok(()),
            Some((open, line)) => {
                self.fail(format!("`{c}` does not match `{open}` from line {line}"))
            }
            None => self.fail(format!("`{c}` closes nothing")),
        }
    }

    fn finish(&self) -> Result<(), Unbalanced> {
        match self.open.last() {
            None => Ok(()),
            Some((c, line)) => {
                Err(Unbalanced { line: *line, text: format!("`{c}` is never closed") })
            }
        }
    }

    fn fail<T>(&self, text: String) -> Result<T, Unbalanced> {
        Err(Unbalanced { line: self.line, text })
    }

    fn skip_while(&mut self, wanted: impl Fn(char) -> bool) {
        while self.peek().is_some_and(&wanted) {
            self.next();
        }
    }

    fn until(&mut self, end: char) -> Option<String> {
        let mut text = String::new();
        loop {
            match self.next()? {
                c if c == end => return Some(text),
                c => text.push(c),
            }
        }
    }

    fn word(&mut self, first: char) -> String {
        let mut word = String::from(first);
        while let Some(c) = self.peek().filter(|c| c.is_alphanumeric() || "_$-".contains(*c)) {
            // In a script the hyphen is an operator. The word may include what follows, because no
            // check needs that part.
            word.push(c);
            self.next();
        }
        word
    }

    fn comment(&mut self) -> Result<(), Unbalanced> {
        let line = self.line;
        self.next();
        let mut star = false;
        while let Some(c) = self.next() {
            if star && c == '/' {
                return Ok(());
            }
            star = c == '*';
        }
        Err(Unbalanced { line, text: "a comment is never closed".to_owned() })
    }

    fn string(&mut self, quote: char) -> Result<String, Unbalanced> {
        let line = self.line;
        let mut text = String::new();
        while let Some(c) = self.next() {
            match c {
                c if c == quote => return Ok(text),
                '\\' => {
                    if let Some(escaped) = self.next() {
                        text.push(escaped);
                    }
                }
                '\n' => break,
                c => text.push(c),
            }
        }
        Err(Unbalanced { line, text: format!("a text that begins with {quote} is never closed") })
    }

    /// Reads a template up to its end (`true`) or up to an expression in it (`false`).
    fn template(&mut self, strings: &mut Vec<String>) -> Result<bool, Unbalanced> {
        let line = self.line;
        let mut text = String::new();
        while let Some(c) = self.next() {
            match c {
                '`' => {
                    strings.push(text);
                    return Ok(true);
                }
                '\\' => {
                    self.next();
                }
                '$' if self.peek() == Some('{') => {
                    self.next();
                    self.open('`');
                    strings.push(text);
                    return Ok(false);
                }
                c => text.push(c),
            }
        }
        Err(Unbalanced { line, text: "a template is never closed".to_owned() })
    }

    fn regular_expression(&mut self) -> Result<(), Unbalanced> {
        let line = self.line;
        let mut class = false;
        while let Some(c) = self.next() {
            match c {
                '\\' => {
                    self.next();
                }
                '[' => class = true,
                ']' => class = false,
                '/' if !class => return Ok(()),
                '\n' => break,
                _ => {}
            }
        }
        Err(Unbalanced { line, text: "a regular expression is never closed".to_owned() })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn balanced_scripts_pass() {
        for text in [
            "f(\")\", ')', `)${g({a: `}`})}`); // (",
            "/* ( */ const a = b / c / d; const e = x.replace(/[/\"(]/g, '');",
            "return /\\/(/.test(x) ? a : b", // the bracket stands inside of the expression
            "const a = {\n  b: [1, 2],\n};\n",
            "`${a}${`${b}`}`",
            "'it\\'s'",
            "if (x) { y } /[(]/.test(z)",
            "",
        ] {
            javascript(text).unwrap_or_else(|error| panic!("{text}: {error:?}"));
        }
    }

    #[test]
    fn unbalanced_scripts_fail_with_their_line() {
        for (text, line, word) in [
            ("f(\n(1)", 1, "`(` is never closed"),
            ("a\n}", 2, "closes nothing"),
            ("(a]", 1, "does not match"),
            ("x = 'abc\n'", 1, "never closed"),
            ("/* a", 1, "comment"),
            ("`a ${b", 1, "never closed"),
            ("`a", 1, "template"),
            ("a = /x", 1, "regular expression"),
        ] {
            let error = javascript(text).unwrap_err();
            assert!(error.text.contains(word), "{text}: {error:?}");
            assert_eq!(error.line, line, "{text}");
        }
    }

    #[test]
    fn texts_in_a_script_are_collected() {
        assert_eq!(javascript("f('AC-1', `AC-2`)").unwrap().strings, ["AC-1", "AC-2"]);
    }

    #[test]
    fn style_sheets_are_balanced_and_name_what_they_refer_to() {
        let sheet = "@import \"a.css\";\na { b: url( 'c.png' ); content: \"}\"; } /* } */";
        let found = css(sheet).unwrap();
        assert_eq!(found.references, [(1, "a.css".to_owned()), (2, "c.png".to_owned())]);
        assert!(css("a { b: c; ").is_err());
        assert!(css("a { b: c; }}").is_err());
        assert!(css("a[b=\"c] {}").is_err());
        assert!(css("/* a").is_err());
    }
}
