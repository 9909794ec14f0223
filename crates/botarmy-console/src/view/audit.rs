//! The audit log of everything, and the result of checking a log.

use botarmy_domain::log::Verification;
use botarmy_domain::replay::{Difference, StateVerification};
use botarmy_domain::{Entry, EventType, ProjectId, Timestamp};

use super::icon::Icon;
use super::inbox::Names;
use super::log::{self, EntryView};
use super::state::StateView;
use super::{amounts, document};

/// Entry, with the log that it is in.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub(crate) struct RowView {
    pub(crate) entry: EntryView,
    /// Name of the log: that of the project, or of the system.
    pub(crate) log: String,
    /// Path of the project, if it is that of one.
    pub(crate) project: Option<String>,
}

/// Returns entries of several logs as they are shown.
pub(crate) fn rows(found: &[impl AsRef<Entry>], names: &Names, now: Timestamp) -> Vec<RowView> {
    let row = |(entry, view): (&Entry, EntryView)| RowView {
        entry: view,
        log: log_name(entry.project_id, names),
        project: entry.project_id.map(|id| format!("/console/projects/{id}")),
    };
    let views = log::entries(found, now, true);
    found.iter().map(AsRef::as_ref).zip(views).map(row).collect()
}

/// Returns the name of a log.
pub(crate) fn log_name(project: Option<ProjectId>, names: &Names) -> String {
    match project {
        None => "system".to_owned(),
        Some(id) => names.get(&id).cloned().unwrap_or_else(|| id.to_string()),
    }
}

/// Returns the types of entries that can be chosen, with their names. Those of the log of the system are
/// left out for a person who does not see it.
pub(crate) fn kinds(sees_system: bool) -> Vec<(&'static str, String)> {
    let seen = EventType::ALL.iter().filter(|kind| sees_system || !kind.is_of_system());
    seen.map(|kind| (kind.as_str(), document::title(kind.as_str()))).collect()
}

/// Result of checking a log.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct VerdictView {
    pub(crate) state: StateView,
    pub(crate) sentence: String,
    /// Position and hash of the end.
    pub(crate) head: Option<(u64, String)>,
    pub(crate) entries: String,
    pub(crate) rounded: Option<String>,
    /// First position at which the log differs from what was written.
    pub(crate) first_bad: Option<u64>,
    /// Defect there.
    pub(crate) reason: Option<String>,
    /// Number of compared rows, if the stored state was compared.
    pub(crate) rows: Option<String>,
    pub(crate) difference: Option<DifferenceView>,
}

/// Difference between the stored state and the log.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct DifferenceView {
    /// Row, with the member that differs.
    pub(crate) place: String,
    /// Value according to the log.
    pub(crate) expected: String,
    pub(crate) found: String,
}

impl From<Difference> for DifferenceView {
    fn from(difference: Difference) -> Self {
        let mut place = format!("{} {}", difference.table, difference.row);
        if let Some(field) = &difference.field {
            place.push_str(&format!(", {field}"));
        }
        if let Some(seq) = difference.seq {
            place.push_str(&format!(", as of position {seq}"));
        }
        Self { place, expected: difference.expected, found: difference.found }
    }
}

/// Returns the result of checking a log alone.
pub(crate) fn verdict(found: &Verification) -> VerdictView {
    let (state, sentence) = if found.valid {
        (valid(), "Every entry is unchanged and in its place.")
    } else {
        (broken(), "The log is not what was written.")
    };
    VerdictView {
        state,
        sentence: sentence.to_owned(),
        head: (found.head.seq > 0).then(|| (found.head.seq, found.head.hash.clone())),
        entries: amounts::counted(found.entries, "entry").replace("entrys", "entries"),
        rounded: (found.rounded_entries > 0).then(|| {
            format!(
                "{} of an earlier version have hashes that do not show a change of the last digits of \
                 very large numbers.",
                amounts::counted(found.rounded_entries, "entry").replace("entrys", "entries")
            )
        }),
        first_bad: found.first_bad_seq,
        reason: found.reason.clone(),
        rows: None,
        difference: None,
    }
}

/// Returns the result of checking a log and the stored state.
pub(crate) fn verdict_of_state(found: StateVerification) -> VerdictView {
    let view = verdict(&found.log);
    if !found.log.valid {
        return view;
    }
    let rows = Some(amounts::counted(found.rows, "row"));
    match found.difference {
        None => VerdictView {
            sentence:
                "Every entry is unchanged and in its place, and the stored state follows from \
                       them."
                    .to_owned(),
            rows,
            ..view
        },
        Some(difference) => VerdictView {
            state: broken(),
            sentence: "The log is valid, and the stored state differs from it.".to_owned(),
            rows,
            difference: Some(difference.into()),
            ..view
        },
    }
}

fn valid() -> StateView {
    StateView { class: "ok", icon: Icon::Done, label: "Valid".to_owned() }
}

fn broken() -> StateView {
    StateView { class: "bad", icon: Icon::Failed, label: "Not valid".to_owned() }
}

#[cfg(test)]
mod tests {
    use botarmy_domain::log::HeadMark;

    use super::*;
    use crate::view::samples::project_id;

    fn verification(valid: bool) -> Verification {
        Verification {
            valid,
            entries: 1,
            head: HeadMark { seq: 1, hash: "ab".repeat(32) },
            first_bad_seq: (!valid).then_some(1),
            reason: (!valid).then(|| "its hash is wrong".to_owned()),
            rounded_entries: 2,
        }
    }

    fn with_state(difference: Option<Difference>) -> StateVerification {
        StateVerification { log: verification(true), rows: 3, difference }
    }

    #[test]
    fn a_log_that_was_changed_says_where() {
        let view = verdict(&verification(false));
        assert_eq!((view.state.class, view.first_bad), ("bad", Some(1)));
        assert_eq!(view.reason.as_deref(), Some("its hash is wrong"));
        let view = verdict(&verification(true));
        assert_eq!((view.state.class, view.entries.as_str()), ("ok", "1 entry"));
        assert!(view.rounded.unwrap().starts_with("2 entries of an earlier"));
    }

    #[test]
    fn a_state_that_differs_is_not_valid_although_the_log_is() {
        assert_eq!(verdict_of_state(with_state(None)).state.class, "ok");
        let difference = Difference {
            table: "tasks".to_owned(),
            row: "7".to_owned(),
            field: None,
            seq: Some(1),
            expected: "1".to_owned(),
            found: "2".to_owned(),
        };
        let view = verdict_of_state(with_state(Some(difference)));
        assert_eq!((view.state.class, view.rows.as_deref()), ("bad", Some("3 rows")));
        let broken = StateVerification { log: verification(false), rows: 0, difference: None };
        assert_eq!(verdict_of_state(broken).rows, None);
    }

    #[test]
    fn the_log_of_the_system_has_types_of_its_own() {
        let count = |sees| kinds(sees).len();
        assert_eq!(count(true), EventType::ALL.len());
        assert!(kinds(false).iter().all(|(kind, _)| *kind != "key_created"));
        let names = Names::from([(project_id(), "Recipes".to_owned())]);
        assert_eq!(log_name(Some(project_id()), &names), "Recipes");
        assert_eq!(log_name(None, &names), "system");
    }
}
