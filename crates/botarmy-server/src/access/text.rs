//! Grants, times and tables as the command line reads and writes them.

use std::time::Duration;

use botarmy_domain::ports::Lifetime;
use botarmy_domain::{Grant, GrantTarget, ProjectId, Role, Timestamp};
use clap::Args;

/// Roles on targets, as options.
#[derive(Debug, Clone, Default, Args)]
pub(crate) struct GrantOptions {
    /// A role: viewer, operator, reviewer, worker or admin. May be given several times.
    #[arg(long = "role", value_name = "ROLE")]
    pub(crate) roles: Vec<Role>,
    /// A project for which the roles hold [default: all projects]. May be given several times.
    #[arg(long = "project", value_name = "ID")]
    pub(crate) projects: Vec<ProjectId>,
    /// The roles hold for the projects that the principal creates.
    #[arg(long, conflicts_with = "projects")]
    pub(crate) own: bool,
}

impl GrantOptions {
    /// Returns each role on each target.
    pub(crate) fn grants(&self) -> Vec<Grant> {
        let mut grants: Vec<Grant> = Vec::new();
        for role in self.roles.iter().copied() {
            if self.own {
                grants.push(Grant::on_own(role));
            } else if self.projects.is_empty() {
                grants.push(Grant::on_all(role));
            } else {
                grants.extend(self.projects.iter().map(|id| Grant::on_project(role, *id)));
            }
        }
        grants.sort();
        grants.dedup();
        grants
    }
}

/// Returns grants in words.
pub(super) fn grants_text(grants: &[Grant]) -> String {
    if grants.is_empty() {
        return "no role".to_owned();
    }
    let texts = grants.iter().map(|grant| match grant.target {
        GrantTarget::All => format!("{} on all projects", grant.role),
        GrantTarget::Own => format!("{} on its own projects", grant.role),
        GrantTarget::Project(id) => format!("{} on {id}", grant.role),
    });
    texts.collect::<Vec<_>>().join(", ")
}

/// Reads a duration such as `90d`, `24h`, `30m` or `0`.
pub(super) fn duration(text: &str) -> Result<Duration, String> {
    let wrong = || format!("{text:?} is no duration; write a number and s, m, h or d, such as 90d");
    if text == "0" {
        return Ok(Duration::ZERO);
    }
    let unit = match text.chars().last() {
        Some('s') => 1,
        Some('m') => 60,
        Some('h') => 3600,
        Some('d') => 24 * 3600,
        _ => return Err(wrong()),
    };
    let number = &text[..text.len() - 1];
    let is_plain = !number.is_empty() && number.bytes().all(|byte| byte.is_ascii_digit());
    let seconds = number.parse().ok().and_then(|number: u64| number.checked_mul(unit));
    seconds.filter(|_| is_plain).map(Duration::from_secs).ok_or_else(wrong)
}

/// Reads the time until a key expires: a duration, or `never`.
pub(super) fn lifetime(text: &str) -> Result<Lifetime, String> {
    match text {
        "never" => Ok(Lifetime::Unlimited),
        text => match duration(text)? {
            Duration::ZERO => Err("a key needs some time".to_owned()),
            time => Ok(Lifetime::For(time)),
        },
    }
}

/// Returns a time to the second.
pub(super) fn short(time: Timestamp) -> String {
    let text = time.to_string();
    text.split_once('.').map_or_else(|| text.clone(), |(seconds, _)| format!("{seconds}Z"))
}

/// Returns rows as text with aligned columns.
pub(super) fn table(rows: &[Vec<String>]) -> String {
    let columns = rows.iter().map(Vec::len).max().unwrap_or_default();
    let width = |n: usize| {
        rows.iter().filter_map(|row| row.get(n)).map(|cell| cell.chars().count()).max().unwrap_or(0)
    };
    let widths: Vec<usize> = (0..columns).map(width).collect();
    let line = |row: &Vec<String>| {
        let cells = row.iter().zip(&widths).map(|(cell, width)| format!("{cell:width$}"));
        cells.collect::<Vec<_>>().join("  ").trim_end().to_owned()
    };
    rows.iter().map(line).collect::<Vec<_>>().join("\n")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn durations_have_a_number_and_a_unit() {
        for (text, seconds) in
            [("0", 0), ("0s", 0), ("90s", 90), ("2m", 120), ("24h", 86_400), ("90d", 7_776_000)]
        {
            assert_eq!(duration(text), Ok(Duration::from_secs(seconds)), "{text}");
        }
        for text in ["", "d", "90", "+1d", "-1d", "1.5d", "1w", "99999999999999999999d", "1é"] {
            assert!(duration(text).is_err(), "{text}");
        }
        assert_eq!(lifetime("never"), Ok(Lifetime::Unlimited));
        assert!(lifetime("0").is_err() && lifetime("0d").is_err());
    }

    #[test]
    fn every_role_is_granted_on_every_target() {
        let id = |n| ProjectId::from_uuid(uuid::Uuid::from_u128(n));
        let options = |projects: &[ProjectId], own| GrantOptions {
            roles: vec![Role::Worker, Role::Viewer, Role::Viewer],
            projects: projects.to_vec(),
            own,
        };
        let all = options(&[], false).grants();
        assert_eq!(grants_text(&all), "viewer on all projects, worker on all projects");
        assert_eq!(options(&[id(1), id(2)], false).grants().len(), 4);
        let own = options(&[], true).grants();
        assert_eq!(grants_text(&own), "viewer on its own projects, worker on its own projects");
        assert_eq!(grants_text(&GrantOptions::default().grants()), "no role");
    }

    #[test]
    fn columns_are_aligned() {
        let row = |cells: &[&str]| cells.iter().map(|cell| (*cell).to_owned()).collect();
        let text = table(&[row(&["a", "bb"]), row(&["ccc", ""])]);
        assert_eq!(text, "a    bb\nccc");
    }
}
