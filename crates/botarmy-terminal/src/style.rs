//! The look of text: its width, and whether it has colours.

/// Width and colours of the output.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Look {
    /// Number of columns that a line may take.
    pub width: usize,
    /// Whether text is coloured.
    pub has_colour: bool,
}

/// Emphasis of a text.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Style {
    /// As it is.
    #[default]
    Plain,
    /// Headings, and what matters most.
    Strong,
    /// Italic.
    Slanted,
    /// Text of less importance.
    Dim,
    /// Success.
    Good,
    /// Something that waits for a person, or that may be wrong.
    Warning,
    /// Failure.
    Bad,
    /// Code and names.
    Code,
}

impl Style {
    /// Returns the parameter of SGR (ECMA-48, section 8.3.117).
    const fn code(self) -> &'static str {
        match self {
            Self::Plain => "0",
            Self::Strong => "1",
            Self::Slanted => "3",
            Self::Dim => "2",
            Self::Good => "32",
            Self::Warning => "33",
            Self::Bad => "31",
            Self::Code => "36",
        }
    }

    /// Returns the style for the status of a project, a task, a request, a step or an agent.
    #[must_use]
    pub fn of_status(status: &str) -> Self {
        match status {
            "completed" | "approved" | "done" | "released" => Self::Good,
            "failed" | "halted" | "rejected" | "error" | "expired" => Self::Bad,
            "waiting_for_hitl" | "waiting_for_person" | "pending" | "paused" | "amended" => {
                Self::Warning
            }
            "cancelled" | "skipped" => Self::Dim,
            "active" | "working" | "running" => Self::Code,
            _ => Self::Plain,
        }
    }
}

impl Look {
    /// Returns a text in a style.
    #[must_use]
    pub fn paint(&self, style: Style, text: &str) -> String {
        if !self.has_colour || style == Style::Plain || text.is_empty() {
            return text.to_owned();
        }
        format!("{}{text}{}", self.begin(style), self.end())
    }

    /// Returns the beginning of a style, for text that is put together of parts.
    pub(crate) fn begin(&self, style: Style) -> String {
        if self.has_colour { format!("\u{1b}[{}m", style.code()) } else { String::new() }
    }

    /// Returns the end of every style.
    pub(crate) const fn end(&self) -> &'static str {
        if self.has_colour { "\u{1b}[0m" } else { "" }
    }
}
