//! Languages, as far as their words, strings and comments need it.

/// Way in which a language is divided into pieces.
#[derive(Debug, Clone, Copy)]
pub(super) enum Language {
    /// A language with words, strings and comments.
    Code(&'static Grammar),
    /// HTML, XML and their relatives.
    Markup,
    /// Not divided.
    Plain,
}

/// Words, strings and comments of a language.
#[derive(Debug)]
pub(super) struct Grammar {
    /// Beginnings of comments that end with the line.
    pub(super) line_comments: &'static [&'static str],
    /// Beginnings and ends of other comments.
    pub(super) block_comments: &'static [(&'static str, &'static str)],
    /// Marks around strings; longer ones first.
    pub(super) strings: &'static [Quote],
    pub(super) keywords: &'static [&'static str],
    /// Whether keywords may be written with capital letters.
    pub(super) ignores_case: bool,
    /// Place of names that have a value.
    pub(super) keys: Keys,
    /// Whether a word may have a hyphen.
    pub(super) has_hyphens: bool,
}

/// A mark at both ends of a string.
#[derive(Debug)]
pub(super) struct Quote {
    pub(super) mark: &'static str,
    /// Whether a backslash keeps the next character from ending it.
    pub(super) escapes: bool,
    /// Whether it may have line ends in it.
    pub(super) spans_lines: bool,
}

/// Place of names that have a value.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Keys {
    /// There are none.
    None,
    /// Strings before a colon.
    Json,
    /// Words at the beginning of a line, before a colon.
    Yaml,
    /// Words at the beginning of a line, before an equals sign, and sections in brackets.
    Toml,
    /// Words in braces, before a colon.
    Css,
}

const fn quote(mark: &'static str, escapes: bool, spans_lines: bool) -> Quote {
    Quote { mark, escapes, spans_lines }
}

const C_COMMENTS: &[(&str, &str)] = &[("/*", "*/")];
const SIMPLE: &[Quote] = &[quote("\"", true, false), quote("'", true, false)];

const NOTHING: Grammar = Grammar {
    line_comments: &[],
    block_comments: &[],
    strings: SIMPLE,
    keywords: &[],
    ignores_case: false,
    keys: Keys::None,
    has_hyphens: false,
};

static SCRIPT: Grammar = Grammar {
    line_comments: &["//"],
    block_comments: C_COMMENTS,
    strings: &[quote("\"", true, false), quote("'", true, false), quote("`", true, true)],
    keywords: &[
        "abstract",
        "any",
        "as",
        "async",
        "await",
        "boolean",
        "break",
        "case",
        "catch",
        "class",
        "const",
        "continue",
        "debugger",
        "declare",
        "default",
        "delete",
        "do",
        "else",
        "enum",
        "export",
        "extends",
        "false",
        "finally",
        "for",
        "from",
        "function",
        "get",
        "if",
        "implements",
        "import",
        "in",
        "instanceof",
        "interface",
        "let",
        "new",
        "null",
        "number",
        "of",
        "private",
        "protected",
        "public",
        "readonly",
        "return",
        "set",
        "static",
        "string",
        "super",
        "switch",
        "this",
        "throw",
        "true",
        "try",
        "type",
        "typeof",
        "undefined",
        "var",
        "void",
        "while",
        "with",
        "yield",
    ],
    ..NOTHING
};

static PYTHON: Grammar = Grammar {
    line_comments: &["#"],
    strings: &[
        quote("\"\"\"", true, true),
        quote("'''", true, true),
        quote("\"", true, false),
        quote("'", true, false),
    ],
    keywords: &[
        "False", "None", "True", "and", "as", "assert", "async", "await", "break", "case", "class",
        "continue", "def", "del", "elif", "else", "except", "finally", "for", "from", "global",
        "if", "import", "in", "is", "lambda", "match", "nonlocal", "not", "or", "pass", "raise",
        "return", "self", "try", "while", "with", "yield",
    ],
    ..NOTHING
};

static RUST: Grammar = Grammar {
    line_comments: &["//"],
    block_comments: C_COMMENTS,
    strings: &[quote("\"", true, true)],
    keywords: &[
        "Self", "as", "async", "await", "break", "const", "continue", "crate", "dyn", "else",
        "enum", "extern", "false", "fn", "for", "if", "impl", "in", "let", "loop", "match", "mod",
        "move", "mut", "pub", "ref", "return", "self", "static", "struct", "super", "trait",
        "true", "type", "unsafe", "use", "where", "while",
    ],
    ..NOTHING
};

/// C and its many relatives.
static FAMILY: Grammar = Grammar {
    line_comments: &["//"],
    block_comments: C_COMMENTS,
    strings: &[quote("\"", true, false), quote("'", true, false), quote("`", false, true)],
    keywords: &[
        "abstract",
        "auto",
        "bool",
        "boolean",
        "break",
        "byte",
        "case",
        "catch",
        "chan",
        "char",
        "class",
        "const",
        "continue",
        "data",
        "def",
        "default",
        "defer",
        "do",
        "double",
        "echo",
        "else",
        "enum",
        "extends",
        "extern",
        "false",
        "final",
        "finally",
        "float",
        "for",
        "foreach",
        "fun",
        "func",
        "function",
        "go",
        "goto",
        "guard",
        "if",
        "implements",
        "import",
        "in",
        "include",
        "inline",
        "int",
        "interface",
        "internal",
        "is",
        "let",
        "long",
        "map",
        "namespace",
        "new",
        "nil",
        "null",
        "nullptr",
        "object",
        "operator",
        "override",
        "package",
        "private",
        "protected",
        "public",
        "range",
        "register",
        "return",
        "sealed",
        "select",
        "self",
        "short",
        "signed",
        "sizeof",
        "static",
        "string",
        "struct",
        "super",
        "switch",
        "template",
        "this",
        "throw",
        "throws",
        "trait",
        "true",
        "try",
        "type",
        "typedef",
        "typename",
        "union",
        "unsigned",
        "use",
        "using",
        "val",
        "var",
        "virtual",
        "void",
        "volatile",
        "when",
        "while",
        "yield",
    ],
    ..NOTHING
};

static SHELL: Grammar = Grammar {
    line_comments: &["#"],
    strings: &[quote("\"", true, true), quote("'", false, true)],
    keywords: &[
        "ADD",
        "CMD",
        "COPY",
        "ENTRYPOINT",
        "ENV",
        "EXPOSE",
        "FROM",
        "RUN",
        "USER",
        "WORKDIR",
        "case",
        "do",
        "done",
        "elif",
        "else",
        "esac",
        "exit",
        "export",
        "fi",
        "for",
        "function",
        "if",
        "in",
        "local",
        "readonly",
        "return",
        "set",
        "shift",
        "then",
        "until",
        "while",
    ],
    has_hyphens: true,
    ..NOTHING
};

static RUBY: Grammar = Grammar {
    line_comments: &["#"],
    keywords: &[
        "BEGIN", "END", "alias", "and", "begin", "break", "case", "class", "def", "do", "else",
        "elsif", "end", "ensure", "false", "for", "if", "in", "module", "next", "nil", "not", "or",
        "redo", "require", "rescue", "retry", "return", "self", "super", "then", "true", "undef",
        "unless", "until", "when", "while", "yield",
    ],
    ..NOTHING
};

static SQL: Grammar = Grammar {
    line_comments: &["--"],
    block_comments: C_COMMENTS,
    strings: &[quote("'", false, true), quote("\"", false, false)],
    keywords: &[
        "add",
        "all",
        "alter",
        "and",
        "as",
        "asc",
        "begin",
        "between",
        "by",
        "cascade",
        "case",
        "check",
        "commit",
        "constraint",
        "create",
        "cross",
        "database",
        "default",
        "delete",
        "desc",
        "distinct",
        "drop",
        "else",
        "end",
        "exists",
        "false",
        "foreign",
        "from",
        "full",
        "grant",
        "group",
        "having",
        "if",
        "in",
        "index",
        "inner",
        "insert",
        "into",
        "is",
        "join",
        "key",
        "left",
        "like",
        "limit",
        "not",
        "null",
        "offset",
        "on",
        "or",
        "order",
        "outer",
        "primary",
        "references",
        "returning",
        "right",
        "rollback",
        "select",
        "set",
        "table",
        "then",
        "transaction",
        "true",
        "union",
        "unique",
        "update",
        "using",
        "values",
        "view",
        "when",
        "where",
        "with",
    ],
    ignores_case: true,
    ..NOTHING
};

static CSS: Grammar = Grammar {
    block_comments: C_COMMENTS,
    keywords: &[
        "@charset",
        "@container",
        "@font-face",
        "@import",
        "@keyframes",
        "@layer",
        "@media",
        "@page",
        "@property",
        "@supports",
        "@view-transition",
        "!important",
    ],
    keys: Keys::Css,
    has_hyphens: true,
    ..NOTHING
};

const VALUES: &[&str] = &["false", "no", "null", "true", "yes"];

static JSON: Grammar = Grammar {
    line_comments: &["//"],
    block_comments: C_COMMENTS,
    strings: &[quote("\"", true, false)],
    keywords: VALUES,
    keys: Keys::Json,
    ..NOTHING
};

static YAML: Grammar = Grammar {
    line_comments: &["#"],
    keywords: VALUES,
    keys: Keys::Yaml,
    has_hyphens: true,
    ..NOTHING
};

static TOML: Grammar = Grammar {
    line_comments: &["#", ";"],
    strings: &[
        quote("\"\"\"", true, true),
        quote("'''", false, true),
        quote("\"", true, false),
        quote("'", false, false),
    ],
    keywords: VALUES,
    keys: Keys::Toml,
    has_hyphens: true,
    ..NOTHING
};

impl Language {
    /// Returns the language with this name: the ending of a file, or a name as in Markdown.
    pub(super) fn named(name: &str) -> Self {
        let grammar = match name.to_ascii_lowercase().as_str() {
            "js" | "mjs" | "cjs" | "jsx" | "ts" | "tsx" | "mts" | "javascript" | "typescript" => {
                &SCRIPT
            }
            "py" | "pyi" | "python" | "python3" => &PYTHON,
            "rs" | "rust" => &RUST,
            "c" | "h" | "cc" | "cpp" | "hpp" | "c++" | "cs" | "csharp" | "go" | "golang"
            | "java" | "kt" | "kotlin" | "php" | "scala" | "swift" | "dart" | "groovy" => &FAMILY,
            "sh" | "bash" | "zsh" | "shell" | "console" | "dockerfile" | "makefile" => &SHELL,
            "rb" | "ruby" => &RUBY,
            "sql" => &SQL,
            "css" | "scss" | "less" => &CSS,
            "json" | "jsonc" | "webmanifest" => &JSON,
            "yaml" | "yml" => &YAML,
            "toml" | "ini" | "cfg" | "conf" | "properties" => &TOML,
            "html" | "htm" | "xhtml" | "xml" | "svg" | "vue" | "svelte" => return Self::Markup,
            _ => return Self::Plain,
        };
        Self::Code(grammar)
    }

    /// Language of scripts in HTML.
    pub(super) const SCRIPT: &'static Grammar = &SCRIPT;
    /// Language of style sheets in HTML.
    pub(super) const CSS: &'static Grammar = &CSS;
}

impl Grammar {
    /// Returns whether a word is a keyword.
    pub(super) fn has_keyword(&self, word: &str) -> bool {
        if self.ignores_case {
            return self.keywords.iter().any(|known| known.eq_ignore_ascii_case(word));
        }
        self.keywords.contains(&word)
    }

    /// Whether its strings in single marks are single characters, and other single marks name something.
    pub(super) fn has_lifetimes(&self) -> bool {
        std::ptr::eq(self, &raw const RUST)
    }
}
