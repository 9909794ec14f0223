//! A request before the person at the terminal: the question, and the line that answers it.

use std::io::BufRead;

use botarmy_terminal::text::{one_line, printable, wrap};

use crate::output::{say, write};

/// Request as it is put before a person.
#[derive(Debug, Clone)]
pub(crate) struct Question {
    /// Text of the question.
    pub(crate) text: String,
    /// Answers that an agent or a client suggested.
    pub(crate) options: Vec<String>,
    /// Sentence about the time by which it has to be answered.
    pub(crate) deadline: String,
}

/// Answer of a person.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Answer {
    /// Approval.
    Approve,
    /// Rejection, with the reason.
    Reject(String),
    /// Words that say what should be different, or a suggested answer.
    Amend(String),
}

/// Subject of a request, which the person can look at.
pub(crate) trait Subject {
    /// Prints what the request is about.
    async fn show(&self) -> anyhow::Result<()>;

    /// Prints a file of the source code that the request is about.
    async fn show_file(&self, path: &str) -> anyhow::Result<()>;
}

/// Returns the answers that were suggested, of all options. Those that only repeat the keys of the
/// prompt are left out.
pub(crate) fn suggested<'a>(options: impl IntoIterator<Item = &'a str>) -> Vec<String> {
    let is_key = |option: &&str| {
        ["approve", "reject", "amend"].iter().any(|key| option.eq_ignore_ascii_case(key))
    };
    options.into_iter().filter(|option| !is_key(option)).map(str::to_owned).collect()
}

/// Asks until there is an answer. Returns `None` when the input has ended.
pub(crate) async fn ask(
    question: &Question,
    subject: &impl Subject,
    width: Option<usize>,
) -> anyhow::Result<Option<Answer>> {
    let print = |text: &str| say!("{}", wrap(text, width));
    print(&format!("\n{}", printable(&question.text)));
    for (n, option) in question.options.iter().enumerate() {
        print(&format!("  {}) {}", n + 1, one_line(option, 400)));
    }
    print(&question.deadline);
    let choose = match question.options.len() {
        0 => String::new(),
        1 => "[1]  ".to_owned(),
        n => format!("[1-{n}]  "),
    };
    loop {
        write(format_args!("{choose}[a]pprove  [r]eject  a[m]end with text  [s]how > "));
        let Some(line) = read_line().await? else { return Ok(None) };
        let line = line.trim();
        if let Some(path) = line.strip_prefix("s ").or_else(|| line.strip_prefix("show ")) {
            subject.show_file(path.trim()).await?;
            continue;
        }
        if let Some(option) = chosen(&question.options, line) {
            return Ok(Some(Answer::Amend(option.to_owned())));
        }
        match line.to_lowercase().as_str() {
            "a" | "approve" | "y" | "yes" => return Ok(Some(Answer::Approve)),
            "r" | "reject" | "n" | "no" => match confirm_rejection().await? {
                None => return Ok(None),
                Some(None) => {}
                Some(Some(reason)) => return Ok(Some(Answer::Reject(reason))),
            },
            "m" | "amend" => {
                write(format_args!("What should be different? > "));
                let Some(text) = read_line().await? else { return Ok(None) };
                if !text.trim().is_empty() {
                    return Ok(Some(Answer::Amend(text.trim().to_owned())));
                }
            }
            "s" | "show" => subject.show().await?,
            _ => {}
        }
    }
}

/// Returns the option that a line chooses by its number.
fn chosen<'a>(options: &'a [String], line: &str) -> Option<&'a str> {
    let number: usize = line.parse().ok()?;
    options.get(number.checked_sub(1)?).map(String::as_str)
}

/// Asks why, and whether to reject: a rejection halts the project. Returns `Some(None)` for second
/// thoughts, and `None` when the input has ended.
async fn confirm_rejection() -> anyhow::Result<Option<Option<String>>> {
    write(format_args!("Why? A rejection halts the project. (empty: do not reject) > "));
    let Some(reason) = read_line().await? else { return Ok(None) };
    if reason.trim().is_empty() {
        return Ok(Some(None));
    }
    write(format_args!("Reject and halt the project? [y/N] > "));
    let Some(line) = read_line().await? else { return Ok(None) };
    let is_sure = matches!(line.trim().to_lowercase().as_str(), "y" | "yes");
    Ok(Some(is_sure.then(|| reason.trim().to_owned())))
}

/// A line from standard input; `None` at its end.
pub(crate) async fn read_line() -> anyhow::Result<Option<String>> {
    let read = tokio::task::spawn_blocking(|| {
        let mut line = String::new();
        std::io::stdin().lock().read_line(&mut line).map(|count| (count > 0).then_some(line))
    });
    Ok(read.await??)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_option_is_chosen_by_its_number() {
        let options = suggested(["Red", "approve", "Blue"]);
        assert_eq!(chosen(&options, "2"), Some("Blue"));
        for line in ["0", "3", "-1", "Red", ""] {
            assert_eq!(chosen(&options, line), None, "{line}");
        }
    }
}
