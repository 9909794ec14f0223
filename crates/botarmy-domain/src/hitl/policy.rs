//! Policies: the rules by which a request is decided. A workflow names them, the settings of the server
//! make them stricter, and a request keeps the one that it was opened with.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;
use std::str::FromStr;
use std::sync::{Arc, LazyLock};

use serde::{Deserialize, Deserializer, Serialize, Serializer};

use crate::artifact::digest;
use crate::vocabulary::{AnswerAuth, Exclusion, Need, OnExpiry, ReviewTime, Role, Verdict};

/// Largest number of approvals that a policy asks for.
const MAX_APPROVALS: u32 = 32;
/// Largest number of reminders, and of escalations, of a policy.
const MAX_DUE: usize = 8;
/// Number of times that people may extend a request, unless the policy sets another.
const DEFAULT_EXTENSIONS: u32 = 3;
/// Number of rounds of changes before a person is asked how to go on, unless the policy sets another.
const DEFAULT_ROUNDS: u32 = 5;

/// Rules by which requests are decided, as a workflow states them.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Policy {
    /// Name by which steps refer to it; empty for the rules of a step that names no policy.
    pub name: String,
    /// Number of people who have to approve; the sum of the seats of `groups`, or 1, when absent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub approvals: Option<u32>,
    /// Number of approvals that people of each group have to give. A person fills one seat.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub groups: BTreeMap<String, u32>,
    /// People who may answer.
    #[serde(default = "default_candidates")]
    pub candidates: Vec<Selector>,
    /// People who are asked first, and may answer too.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub assignees: Vec<Selector>,
    /// Rejections that end the request.
    #[serde(default)]
    pub veto: Veto,
    /// People who may reject and ask for changes, but not approve or amend.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub exclude: Vec<Exclusion>,
    /// Whether an answer has to name the digest of the subject that its author saw.
    #[serde(default = "required")]
    pub digest: Need,
    /// Answers that need a comment.
    #[serde(default = "default_comment")]
    pub comment: BTreeSet<Verdict>,
    /// Whether the step is reviewed before or after it runs.
    #[serde(default = "after")]
    pub when: ReviewTime,
    /// Authentication that an answer needs.
    #[serde(default = "any_auth")]
    pub auth: AnswerAuth,
    /// Time to live of a request in seconds; that of the step or the server when absent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub ttl_s: Option<u32>,
    /// Consequence of expiry; that of the step or the server when absent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub on_expiry: Option<OnExpiry>,
    /// Times of reminders, in seconds after the request was opened or escalated.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub remind_after_s: Vec<u32>,
    /// Escalations, in the order in which they become due.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub escalate: Vec<Escalation>,
    /// Number of times that people may extend a request.
    #[serde(default = "default_extensions")]
    pub max_extensions: u32,
    /// Number of rounds of changes before a person is asked how to go on.
    #[serde(default = "default_rounds")]
    pub max_rounds: u32,
    /// Whether links may be made with which people answer.
    #[serde(default)]
    pub links: bool,
    /// Whether requests may be approved together with others.
    #[serde(default = "yes")]
    pub bulk: bool,
}

/// A step in the escalation of a request.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Escalation {
    /// Time at which it is due, in seconds after the request was opened.
    pub after_s: u32,
    /// People who may answer from then on, beside those who could before.
    pub to: Vec<Selector>,
    /// Time that the request lives at least from then on, in seconds.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub ttl_s: Option<u32>,
}

fn default_candidates() -> Vec<Selector> {
    vec![Selector::Role(Role::Reviewer), Selector::Role(Role::Admin)]
}

fn default_comment() -> BTreeSet<Verdict> {
    BTreeSet::from([Verdict::Reject, Verdict::RequestChanges])
}

const fn required() -> Need {
    Need::Required
}

const fn after() -> ReviewTime {
    ReviewTime::After
}

const fn any_auth() -> AnswerAuth {
    AnswerAuth::Any
}

const fn default_extensions() -> u32 {
    DEFAULT_EXTENSIONS
}

const fn default_rounds() -> u32 {
    DEFAULT_ROUNDS
}

const fn yes() -> bool {
    true
}

/// Rejections that end a request.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(from = "VetoForm", into = "VetoForm")]
pub enum Veto {
    /// Each.
    #[default]
    Any,
    /// As many as approvals are needed.
    None,
    /// Each by a person of one of these groups; those of others as with [`Veto::None`].
    Groups(BTreeSet<String>),
}

#[derive(Clone, Serialize, Deserialize)]
#[serde(untagged, expecting = "must be \"any\", \"none\" or a list of groups")]
enum VetoForm {
    Word(VetoWord),
    Groups(BTreeSet<String>),
}

#[derive(Clone, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
enum VetoWord {
    Any,
    None,
}

impl From<VetoForm> for Veto {
    fn from(form: VetoForm) -> Self {
        match form {
            VetoForm::Word(VetoWord::Any) => Self::Any,
            VetoForm::Word(VetoWord::None) => Self::None,
            VetoForm::Groups(groups) => Self::Groups(groups),
        }
    }
}

impl From<Veto> for VetoForm {
    fn from(veto: Veto) -> Self {
        match veto {
            Veto::Any => Self::Word(VetoWord::Any),
            Veto::None => Self::Word(VetoWord::None),
            Veto::Groups(groups) => Self::Groups(groups),
        }
    }
}

/// Description of people: one by name, those in a group, or those with a role.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Selector {
    /// The person with this name or this id.
    User(String),
    /// Everyone in the group.
    Group(String),
    /// Everyone who has the role on the project.
    Role(Role),
}

impl fmt::Display for Selector {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::User(name) => write!(f, "user:{name}"),
            Self::Group(name) => write!(f, "group:{name}"),
            Self::Role(role) => write!(f, "role:{role}"),
        }
    }
}

impl FromStr for Selector {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let form =
            || format!("`{text}` is not of the form `user:NAME`, `group:NAME` or `role:NAME`");
        let (kind, name) = text.split_once(':').ok_or_else(form)?;
        if name.trim().is_empty() || name.chars().count() > 128 {
            return Err(form());
        }
        match kind {
            "user" => Ok(Self::User(name.to_owned())),
            "group" => Ok(Self::Group(name.to_owned())),
            "role" => name.parse().map(Self::Role).map_err(|error| format!("{error}")),
            _ => Err(form()),
        }
    }
}

impl Serialize for Selector {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for Selector {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        String::deserialize(deserializer)?.parse().map_err(serde::de::Error::custom)
    }
}

/// Rules of the server for requests: what every policy has at least, and the groups of an open server.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct GateSettings {
    /// Number of people who have to approve at least. It applies to results and actions under review.
    pub min_approvals: u32,
    /// People who never approve or amend. It applies to results and actions under review.
    pub exclude: Vec<Exclusion>,
    /// Whether every answer has to name the digest that its author saw. It applies to results and
    /// actions under review.
    pub digest: Need,
    /// Whether a policy may approve by expiry.
    pub allow_expiry_approval: bool,
    /// Time for which a claim reserves a request, in seconds.
    pub claim_s: u32,
    /// Time after a start of the server during which no request expires, in seconds.
    pub grace_s: u32,
    /// Groups, with the names of their members, of an open server, which knows no principals.
    pub groups: BTreeMap<String, BTreeSet<String>>,
}

impl Default for GateSettings {
    fn default() -> Self {
        Self {
            min_approvals: 1,
            exclude: Vec::new(),
            digest: Need::Optional,
            allow_expiry_approval: false,
            claim_s: 3_600,
            grace_s: 900,
            groups: BTreeMap::new(),
        }
    }
}

/// A policy as a request keeps it, with its digest.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct PinnedPolicy {
    /// SHA-256 of the canonical JSON of the policy, in lower-case hexadecimal.
    pub digest: String,
    /// The policy, with what the server and the step add to it.
    pub policy: Policy,
}

/// The policy of a request whose step names none.
static IMPLICIT: LazyLock<Arc<PinnedPolicy>> =
    LazyLock::new(|| Arc::new(PinnedPolicy::new(Policy::implicit())));

impl PinnedPolicy {
    /// Returns the policy with its digest.
    #[must_use]
    pub fn new(policy: Policy) -> Self {
        Self { digest: digest(&policy), policy }
    }

    /// Returns the policy of a request whose step names none.
    #[must_use]
    pub fn implicit() -> &'static Arc<Self> {
        &IMPLICIT
    }
}

impl Policy {
    /// Returns the policy of a step that names none: one approval of anyone who may answer.
    #[must_use]
    pub fn implicit() -> Self {
        Self { digest: Need::Optional, comment: BTreeSet::new(), ..Self::named("") }
    }

    /// Returns the policy with this name that states nothing else.
    #[must_use]
    pub fn named(name: &str) -> Self {
        Self {
            name: name.to_owned(),
            approvals: None,
            groups: BTreeMap::new(),
            candidates: default_candidates(),
            assignees: Vec::new(),
            veto: Veto::Any,
            exclude: Vec::new(),
            digest: Need::Required,
            comment: default_comment(),
            when: ReviewTime::After,
            auth: AnswerAuth::Any,
            ttl_s: None,
            on_expiry: None,
            remind_after_s: Vec::new(),
            escalate: Vec::new(),
            max_extensions: DEFAULT_EXTENSIONS,
            max_rounds: DEFAULT_ROUNDS,
            links: false,
            bulk: true,
        }
    }

    /// Returns the number of people who have to approve.
    #[must_use]
    pub fn approvals(&self) -> u32 {
        let seats = self.groups.values().fold(0_u32, |sum, seats| sum.saturating_add(*seats));
        self.approvals.unwrap_or(seats).max(seats).max(1)
    }

    /// Returns whether everyone with the permission to answer may do so.
    #[must_use]
    pub fn is_open_to_all(&self) -> bool {
        self.candidates == default_candidates()
    }

    /// Returns the policy with the exclusions of a step, and at least as strict as the server asks for.
    #[must_use]
    pub fn with_floor(mut self, exclude: &[Exclusion], floor: &GateSettings) -> Self {
        let approvals = self.approvals().max(floor.min_approvals);
        if approvals > 1 || self.approvals.is_some() {
            self.approvals = Some(approvals);
        }
        for exclusion in exclude.iter().chain(&floor.exclude) {
            if !self.exclude.contains(exclusion) {
                self.exclude.push(*exclusion);
            }
        }
        self.exclude.sort_unstable();
        if floor.digest == Need::Required {
            self.digest = Need::Required;
        }
        self
    }

    /// Returns the first problem of the policy, with the key that it concerns.
    ///
    /// # Errors
    /// The key and the problem.
    pub fn check(&self) -> Result<(), (&'static str, String)> {
        let problem = |key, text: &str| Err((key, text.to_owned()));
        let well_named = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit() || "-_".contains(c);
        if self.name.is_empty() || self.name.len() > 64 || !self.name.chars().all(well_named) {
            return problem("name", "must be 1 to 64 lower-case letters, digits, `-` or `_`");
        }
        if self.approvals.is_some_and(|n| n == 0 || n > MAX_APPROVALS) {
            return Err(("approvals", format!("must be 1 to {MAX_APPROVALS}")));
        }
        let seats = self.groups.values().try_fold(0_u32, |sum, seats| {
            sum.checked_add(*seats).filter(|sum| *sum <= MAX_APPROVALS && *seats > 0)
        });
        let Some(seats) = seats else {
            return Err(("groups", format!("must have 1 to {MAX_APPROVALS} seats in all")));
        };
        if self.approvals.is_some_and(|approvals| seats > approvals) {
            let text = format!("have {seats} seats, which is more than `approvals`");
            return Err(("groups", text));
        }
        let known = |selector: &Selector| !matches!(selector, Selector::Role(Role::Worker));
        if self.candidates.is_empty() || !self.candidates.iter().all(known) {
            return problem(
                "candidates",
                "must name people: `user:`, `group:` or `role:`, not workers",
            );
        }
        if !self.assignees.iter().all(known) {
            return problem("assignees", "must name people, not workers");
        }
        if matches!(&self.veto, Veto::Groups(groups) if groups.is_empty()) {
            return problem("veto", "must name at least one group, or be \"any\" or \"none\"");
        }
        if self.ttl_s == Some(0) {
            return problem("ttl_s", "must be at least 1");
        }
        self.check_times()?;
        if self.on_expiry == Some(OnExpiry::Approve) && self.approvals() > 1 {
            return problem(
                "on_expiry",
                "cannot be `approve` where several people have to approve",
            );
        }
        if self.max_rounds == 0 {
            return problem("max_rounds", "must be at least 1");
        }
        Ok(())
    }

    /// Checks that reminders and escalations ascend and come before the expiry.
    fn check_times(&self) -> Result<(), (&'static str, String)> {
        let is_over = |at: u32| self.ttl_s.is_some_and(|ttl| at >= ttl);
        let ascends = |times: &[u32]| times.is_sorted_by(|one, next| one < next);
        if self.remind_after_s.len() > MAX_DUE || !ascends(&self.remind_after_s) {
            return Err(("remind_after_s", format!("must be at most {MAX_DUE} ascending times")));
        }
        if self.remind_after_s.iter().any(|at| *at == 0 || is_over(*at)) {
            return Err(("remind_after_s", "must be after 0 and before `ttl_s`".to_owned()));
        }
        let escalations: Vec<_> = self.escalate.iter().map(|step| step.after_s).collect();
        if escalations.len() > MAX_DUE || !ascends(&escalations) {
            return Err((
                "escalate",
                format!("must be at most {MAX_DUE} with ascending `after_s`"),
            ));
        }
        if escalations.iter().any(|at| *at == 0 || is_over(*at)) {
            return Err(("escalate", "`after_s` must be after 0 and before `ttl_s`".to_owned()));
        }
        if self.escalate.iter().any(|step| step.to.is_empty() || step.ttl_s == Some(0)) {
            return Err((
                "escalate",
                "`to` must name people, and `ttl_s` be at least 1".to_owned(),
            ));
        }
        Ok(())
    }

    /// Returns the names of all groups that it refers to.
    pub fn group_names(&self) -> impl Iterator<Item = &str> {
        fn of(selector: &Selector) -> Option<&str> {
            match selector {
                Selector::Group(name) => Some(name),
                Selector::User(_) | Selector::Role(_) => None,
            }
        }
        let escalated = self.escalate.iter().flat_map(|step| &step.to);
        let selectors = self.candidates.iter().chain(&self.assignees).chain(escalated);
        let veto = match &self.veto {
            Veto::Groups(groups) => Some(groups),
            _ => None,
        };
        let names = self.groups.keys().chain(veto.into_iter().flatten()).map(String::as_str);
        names.chain(selectors.filter_map(of))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_policy_is_read_with_its_defaults_and_written_back() {
        let text = r#"{"name": "release", "groups": {"security": 1, "product": 1},
                       "veto": ["security"], "exclude": ["author"]}"#;
        let policy: Policy = serde_json::from_str(text).unwrap();
        policy.check().unwrap();
        assert_eq!(policy.approvals(), 2);
        assert_eq!(policy.digest, Need::Required);
        assert!(policy.is_open_to_all());
        let again: Policy = serde_json::from_str(&serde_json::to_string(&policy).unwrap()).unwrap();
        assert_eq!(again, policy);
        assert_eq!(policy.group_names().collect::<Vec<_>>(), ["product", "security", "security"]);
    }

    #[test]
    fn the_floor_makes_a_policy_stricter_and_never_looser() {
        let floor = GateSettings {
            min_approvals: 2,
            exclude: vec![Exclusion::Author],
            digest: Need::Required,
            ..GateSettings::default()
        };
        let strict = Policy::implicit().with_floor(&[Exclusion::Starter], &floor);
        assert_eq!((strict.approvals(), strict.digest), (2, Need::Required));
        assert_eq!(strict.exclude, [Exclusion::Author, Exclusion::Starter]);
        let mut three = Policy::named("three");
        three.approvals = Some(3);
        assert_eq!(three.with_floor(&[], &floor).approvals(), 3);
        let none = GateSettings::default();
        assert_eq!(Policy::implicit().with_floor(&[], &none), Policy::implicit());
    }

    #[test]
    fn every_problem_names_its_key() {
        let with = |change: &dyn Fn(&mut Policy)| {
            let mut policy = Policy::named("one");
            policy.ttl_s = Some(100);
            change(&mut policy);
            policy.check().map_err(|(key, _)| key)
        };
        assert_eq!(with(&|_| {}), Ok(()));
        assert_eq!(with(&|policy| policy.name = "No Name".to_owned()), Err("name"));
        assert_eq!(with(&|policy| policy.approvals = Some(0)), Err("approvals"));
        let two = BTreeMap::from([("a".to_owned(), 2)]);
        assert_eq!(
            with(&|policy| policy.groups = BTreeMap::from([("a".to_owned(), 0)])),
            Err("groups")
        );
        let beyond =
            |policy: &mut Policy| (policy.groups, policy.approvals) = (two.clone(), Some(1));
        assert_eq!(with(&beyond), Err("groups"));
        assert_eq!(with(&|policy| policy.candidates.clear()), Err("candidates"));
        let workers = vec![Selector::Role(Role::Worker)];
        assert_eq!(with(&|policy| policy.assignees = workers.clone()), Err("assignees"));
        assert_eq!(with(&|policy| policy.veto = Veto::Groups(BTreeSet::new())), Err("veto"));
        assert_eq!(with(&|policy| policy.remind_after_s = vec![100]), Err("remind_after_s"));
        assert_eq!(with(&|policy| policy.remind_after_s = vec![9, 9]), Err("remind_after_s"));
        let late = Escalation { after_s: 100, to: default_candidates(), ttl_s: None };
        assert_eq!(with(&|policy| policy.escalate = vec![late.clone()]), Err("escalate"));
        assert_eq!(with(&|policy| policy.max_rounds = 0), Err("max_rounds"));
        let by_expiry = |policy: &mut Policy| {
            (policy.on_expiry, policy.approvals) = (Some(OnExpiry::Approve), Some(2));
        };
        assert_eq!(with(&by_expiry), Err("on_expiry"));
    }

    #[test]
    fn selectors_are_read_and_an_unknown_form_is_named() {
        for text in ["user:maria", "group:leads", "role:reviewer", "user:a:b"] {
            assert_eq!(text.parse::<Selector>().unwrap().to_string(), text);
        }
        for text in ["maria", "team:x", "role:boss", "user: "] {
            assert!(text.parse::<Selector>().is_err(), "{text}");
        }
    }
}
