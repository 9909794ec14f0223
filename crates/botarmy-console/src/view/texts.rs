//! Texts that are put together from values, in one place, ready for translation. Those that never change
//! stand in the templates.

use botarmy_domain::{AgentType, ArtifactType, HitlKind, ProjectStatus};

/// Returns a number with its noun in the right form.
pub(crate) fn counted(count: usize, one: &str, many: &str) -> String {
    if count == 1 { format!("1 {one}") } else { format!("{count} {many}") }
}

/// Returns words with commas and `or` between them.
pub(crate) fn either(words: &[&str]) -> String {
    match words {
        [] => String::new(),
        [one] => (*one).to_owned(),
        [some @ .., last] => format!("{} or {last}", some.join(", ")),
    }
}

/// Returns the name of a type of artifact.
pub(crate) const fn artifact(kind: ArtifactType) -> &'static str {
    match kind {
        ArtifactType::UserInput => "Idea",
        ArtifactType::ProjectPlan => "Project plan",
        ArtifactType::SoftwareSpecification => "Software specification",
        ArtifactType::SystemArchitecture => "System architecture",
        ArtifactType::ImplementationPlan => "Implementation plan",
        ArtifactType::SourceCode => "Source code",
        ArtifactType::TestResults => "Test results",
        ArtifactType::DeploymentLog => "Deployment log",
        ArtifactType::DeploymentPackage => "Deployment package",
        ArtifactType::AgentOutput => "Agent output",
        ArtifactType::HitlResponse => "Answer",
    }
}

/// Returns the name of a type of artifact within a sentence.
pub(crate) fn artifact_in_sentence(kind: ArtifactType) -> String {
    artifact(kind).to_lowercase()
}

/// Returns the name of an agent type.
pub(crate) const fn agent(agent: AgentType) -> &'static str {
    agent.as_str()
}

/// Returns the name of a kind of request.
pub(crate) const fn kind(kind: HitlKind, is_budget: bool) -> &'static str {
    match kind {
        _ if is_budget => "Budget",
        HitlKind::Approval => "Approval",
        HitlKind::Question => "Question",
        HitlKind::Failure => "Failure",
    }
}

/// Returns the name of the state of a project.
pub(crate) const fn project_status(status: ProjectStatus) -> &'static str {
    match status {
        ProjectStatus::Active => "Active",
        ProjectStatus::Paused => "Paused",
        ProjectStatus::Completed => "Completed",
        ProjectStatus::Halted => "Halted",
        ProjectStatus::Failed => "Failed",
        ProjectStatus::Cancelled => "Cancelled",
    }
}

/// Returns a small number as the word for a place in a row.
pub(crate) fn ordinal(number: u32) -> String {
    const WORDS: [&str; 10] = [
        "first", "second", "third", "fourth", "fifth", "sixth", "seventh", "eighth", "ninth",
        "tenth",
    ];
    let word = number.checked_sub(1).and_then(|index| WORDS.get(index as usize));
    let suffix = match (number % 100, number % 10) {
        (11..=13, _) => "th",
        (_, 1) => "st",
        (_, 2) => "nd",
        (_, 3) => "rd",
        _ => "th",
    };
    word.map_or_else(|| format!("{number}{suffix}"), |word| (*word).to_owned())
}

/// Returns an amount of millionths of a US dollar: two decimals, or four where two would show nothing.
pub(crate) fn money(micro_usd: u64) -> String {
    let (dollars, rest) = (micro_usd / 1_000_000, micro_usd % 1_000_000);
    if dollars == 0 && rest > 0 && rest < 10_000 {
        return format!("$0.{:04}", rest / 100);
    }
    format!("${}.{:02}", grouped(dollars), rest / 10_000)
}

/// Reads an amount in dollars as millionths of them.
pub(crate) fn micro_usd(text: &str) -> Option<u64> {
    let text = text.trim().trim_start_matches('$');
    let (dollars, rest) = text.split_once('.').unwrap_or((text, ""));
    let dollars = ungrouped(dollars)?;
    let is_number = |text: &str| text.bytes().all(|byte| byte.is_ascii_digit());
    if rest.len() > 6
        || !is_number(&dollars)
        || !is_number(rest)
        || (dollars.is_empty() && rest.is_empty())
    {
        return None;
    }
    let dollars: u64 = if dollars.is_empty() { 0 } else { dollars.parse().ok()? };
    let rest: u64 = format!("{rest:0<6}").parse().ok()?;
    dollars.checked_mul(1_000_000)?.checked_add(rest)
}

/// Reads a whole number.
pub(crate) fn whole(text: &str) -> Option<u64> {
    let digits = ungrouped(text.trim())?;
    digits.bytes().all(|byte| byte.is_ascii_digit()).then(|| digits.parse().ok()).flatten()
}

/// Returns a number without the commas or spaces between its thousands. In many countries a comma stands
/// before the cents, which is not taken for the other.
fn ungrouped(text: &str) -> Option<String> {
    let text = text.replace(' ', ",");
    if text.contains(',') {
        let mut groups = text.split(',');
        let is_first = |group: &str| (1..=3).contains(&group.len());
        if !groups.next().is_some_and(is_first) || groups.any(|group| group.len() != 3) {
            return None;
        }
    }
    Some(text.replace(',', ""))
}

/// Returns a number with commas between its thousands.
pub(crate) fn grouped(number: u64) -> String {
    let digits = number.to_string();
    let mut text = String::with_capacity(digits.len() + digits.len() / 3);
    for (at, digit) in digits.chars().enumerate() {
        if at > 0 && (digits.len() - at).is_multiple_of(3) {
            text.push(',');
        }
        text.push(digit);
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_comma_stands_between_thousands_only() {
        for (text, micro_usd) in [
            ("2.50", Some(2_500_000)),
            ("$1,250", Some(1_250_000_000)),
            ("1,250,000.5", Some(1_250_000_500_000)),
            ("2,50", None),
            ("2,5000", None),
            (",500", None),
            ("1,,000", None),
            ("1000,000", None),
            ("1.000,50", None),
        ] {
            assert_eq!(super::micro_usd(text), micro_usd, "{text}");
        }
        for (text, number) in [
            ("1,250", Some(1_250)),
            (" 1 250 ", Some(1_250)),
            ("1250", Some(1_250)),
            ("1,5", None),
            ("1.5", None),
            ("+5", None),
            ("", None),
        ] {
            assert_eq!(whole(text), number, "{text}");
        }
    }

    #[test]
    fn one_is_not_many() {
        assert_eq!(counted(1, "file", "files"), "1 file");
        assert_eq!(counted(0, "file", "files"), "0 files");
    }

    #[test]
    fn amounts_are_grouped_and_small_ones_not_lost() {
        for (micro_usd, text) in
            [(0, "$0.00"), (1_200, "$0.0012"), (1_980_000, "$1.98"), (12_345_670_000, "$12,345.67")]
        {
            assert_eq!(money(micro_usd), text);
        }
        assert_eq!(grouped(1_000), "1,000");
        assert_eq!(grouped(999), "999");
    }

    #[test]
    fn an_amount_in_dollars_is_read_to_the_last_digit() {
        for (text, expected) in [
            ("2", Some(2_000_000)),
            ("$2.50", Some(2_500_000)),
            (".000001", Some(1)),
            ("1,000", Some(1_000_000_000)),
            ("", None),
            (".", None),
            ("-1", None),
            ("1.0000001", None),
            ("1e3", None),
            ("99999999999999999999", None),
        ] {
            assert_eq!(micro_usd(text), expected, "{text}");
        }
    }

    #[test]
    fn places_in_a_row_have_words() {
        assert_eq!([1, 2, 11, 21].map(ordinal), ["first", "second", "11th", "21st"]);
    }
}
