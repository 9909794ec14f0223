//! `gates claim`, `gates delegate` and the like, and `delegation`: things that people do with requests
//! beside answering them.

use std::process::ExitCode;

use botarmy_domain::{HitlRequestId, Timestamp};
use botarmy_terminal::table::{Cell, Column};
use botarmy_terminal::text::{one_line, printable};
use clap::{Args, Subcommand, ValueEnum};
use serde_json::{Value, json};

use super::options::{Common, Place};
use super::session::Session;
use super::values::{age, clock, list, text};
use crate::output::say;

/// Largest number of remarks that are listed.
const MAX_COMMENTS: usize = 1_000;

/// Commands for one request that do not answer it.
#[derive(Debug, Subcommand)]
pub(crate) enum Acts {
    /// Take your own vote back.
    Withdraw(One),
    /// Reserve a request for yourself for a while.
    Claim(One),
    /// Give a reservation up.
    Unclaim(One),
    /// Ask another person to answer in your place.
    Delegate {
        #[command(flatten)]
        one: One,
        /// The name or the id of the person.
        #[arg(long, value_name = "PERSON")]
        to: String,
        /// A comment for that person.
        #[arg(long, value_name = "TEXT")]
        comment: Option<String>,
    },
    /// Extend the time in which people may answer.
    Extend {
        #[command(flatten)]
        one: One,
        /// The time to add, in seconds.
        #[arg(long, value_name = "SECONDS")]
        by: u32,
        /// A reason.
        #[arg(long, value_name = "TEXT")]
        comment: Option<String>,
    },
    /// Start the next escalation at once.
    Escalate(One),
    /// Remind those who have not answered.
    Remind(One),
    /// Add a remark to the discussion.
    Comment {
        #[command(flatten)]
        one: One,
        /// The remark.
        text: String,
        /// The id of the remark that it answers.
        #[arg(long, value_name = "ID")]
        reply_to: Option<String>,
    },
    /// Show the discussion.
    Comments(One),
    /// Show how the document under review differs from the one that it replaced.
    Diff(One),
    /// Make a link with which a person answers once, without signing in.
    Link {
        #[command(flatten)]
        one: One,
        /// The name or the id of the person; yourself when absent.
        #[arg(long, value_name = "PERSON")]
        person: Option<String>,
        /// An answer that can be given with it; may be repeated.
        #[arg(long = "action", value_name = "ACTION", required = true)]
        actions: Vec<LinkAction>,
        /// The seconds for which it can be used; until the request expires when absent.
        #[arg(long, value_name = "SECONDS")]
        ttl: Option<u32>,
    },
}

/// A request.
#[derive(Debug, Args)]
pub(crate) struct One {
    /// The id of the request.
    id: HitlRequestId,
    /// Do not ask. This command never does; the option is for scripts that give it to all of them.
    #[arg(long)]
    yes: bool,
}

/// Answer that can be given with a link.
#[derive(Debug, Clone, Copy, ValueEnum)]
pub(crate) enum LinkAction {
    /// Approve what is under review.
    Approve,
    /// Reject it.
    Reject,
    /// Ask for changes.
    Changes,
}

impl LinkAction {
    const fn word(self) -> &'static str {
        match self {
            Self::Approve => "approve",
            Self::Reject => "reject",
            Self::Changes => "request_changes",
        }
    }
}

/// Runs a command for one request.
///
/// # Errors
/// Those of the connection, and what the server refuses.
pub(super) async fn run(session: &Session, command: Acts) -> anyhow::Result<()> {
    match command {
        Acts::Withdraw(one) => {
            let done = post(session, &one, "respond", json!({"action": "withdraw"})).await?;
            show(session, &done, text(&done, "/message"));
        }
        Acts::Claim(one) => {
            let done = post(session, &one, "claim", json!({})).await?;
            let until = clock(&done, "/claimed_until");
            show(session, &done, &format!("The request is reserved for you until {until} UTC."));
        }
        Acts::Unclaim(one) => {
            let done = post(session, &one, "unclaim", json!({})).await?;
            show(session, &done, "The request is free for everyone who may answer it.");
        }
        Acts::Delegate { one, to, comment } => {
            let body = json!({"to": to, "comment": comment});
            let done = post(session, &one, "delegate", body).await?;
            show(session, &done, &format!("{to} can answer in your place."));
        }
        Acts::Extend { one, by, comment } => {
            let done =
                post(session, &one, "extend", json!({"by_s": by, "comment": comment})).await?;
            let until = clock(&done, "/expires_at");
            show(session, &done, &format!("People can answer until {until} UTC."));
        }
        Acts::Escalate(one) => {
            let done = post(session, &one, "escalate", json!({})).await?;
            show(session, &done, "The request is escalated.");
        }
        Acts::Remind(one) => {
            let done = post(session, &one, "remind", json!({})).await?;
            show(session, &done, "Those who have not answered are reminded.");
        }
        Acts::Comment { one, text, reply_to } => {
            let body = json!({"text": text, "reply_to": reply_to});
            let done = post(session, &one, "comments", body).await?;
            show(session, &done, "The remark is recorded.");
        }
        Acts::Comments(one) => comments(session, &one).await?,
        Acts::Diff(one) => diff(session, &one).await?,
        Acts::Link { one, person, actions, ttl } => {
            let actions: Vec<_> = actions.into_iter().map(LinkAction::word).collect();
            let body = json!({"person": person, "actions": actions, "ttl_s": ttl});
            let path = ["hitl", &one.id.to_string(), "links"];
            // A repetition would make another link.
            let done = session.client.post_once(&path, &body).await?;
            show(session, &done, text(&done, "/url"));
        }
    }
    Ok(())
}

/// Sends a change of a request, without the members that are null.
async fn post(session: &Session, one: &One, verb: &str, mut body: Value) -> anyhow::Result<Value> {
    if let Some(members) = body.as_object_mut() {
        members.retain(|_, value| !value.is_null());
    }
    Ok(session.client.post(&["hitl", &one.id.to_string(), verb], &body).await?)
}

/// Prints the server's JSON, or a sentence in its place.
fn show(session: &Session, done: &Value, sentence: &str) {
    if session.screen.is_json {
        session.screen.json(done);
    } else {
        session.screen.print(&one_line(sentence, 600));
    }
}

async fn comments(session: &Session, one: &One) -> anyhow::Result<()> {
    let path = ["hitl", &one.id.to_string(), "comments"];
    let mut items = session.client.items(&path, &[], MAX_COMMENTS);
    let mut found = Vec::new();
    while let Some(comment) = items.next().await? {
        found.push(comment);
    }
    if session.screen.is_json {
        session.screen.json(&found);
        return Ok(());
    }
    let columns = [
        Column::whole("ID").optional(),
        Column::whole("AGE"),
        Column::cut("BY", 8),
        Column::cut("TEXT", 20),
    ];
    let row = |comment: &Value| {
        vec![
            Cell::new(text(comment, "/id")),
            Cell::new(&age(comment, "/at")),
            Cell::new(text(comment, "/by")),
            Cell::new(text(comment, "/text")),
        ]
    };
    let rows: Vec<_> = found.iter().map(row).collect();
    session.screen.table(&columns, &rows, "There are no remarks.");
    Ok(())
}

async fn diff(session: &Session, one: &One) -> anyhow::Result<()> {
    let found = session.client.get(&["hitl", &one.id.to_string(), "diff"], &[]).await?;
    if session.screen.is_json {
        session.screen.json(&found);
    } else {
        say!("{}", printable(text(&found, "/unified").trim_end()));
    }
    Ok(())
}

/// Returns the lines about the decision of a request: name and value.
pub(super) fn decision(request: &Value) -> Vec<(&'static str, String)> {
    let mut lines = Vec::new();
    let words = |pointer: &str| {
        let words: Vec<_> = list(request, pointer).iter().filter_map(Value::as_str).collect();
        words.join(", ")
    };
    lines.push(("Policy", text(request, "/policy/name").to_owned()));
    lines.extend(rules(&request["policy"]));
    for vote in list(request, "/votes") {
        let of = text(vote, "/on_behalf_of");
        let of = if of.is_empty() { String::new() } else { format!(" in the place of {of}") };
        let (voter, action) = (text(vote, "/voter"), text(vote, "/action"));
        lines.push(("Vote", format!("{action} by {voter}{of}, {} UTC", clock(vote, "/at"))));
    }
    if text(request, "/status") == "pending" {
        lines.push(("Missing", missing(request)));
        lines.push(("Asked", words("/assignees")));
        lines.push(("Candidates", words("/candidates")));
        let claimed = text(request, "/claimed_by");
        if !claimed.is_empty() {
            let until = clock(request, "/claimed_until");
            lines.push(("Claimed", format!("by {claimed} until {until} UTC")));
        }
        if request["unsatisfiable"] == json!(true) {
            let sentence = "the people who may approve cannot fill the seats of the policy";
            lines.push(("Warning", sentence.to_owned()));
        }
        let due = text(request, "/due/what");
        if !due.is_empty() {
            lines.push(("Next", format!("{due} at {} UTC", clock(request, "/due/at"))));
        }
        lines.push(("You may", words("/allowed_actions").replace('_', " ")));
        lines.push(("Refused", text(request, "/refusal/detail").to_owned()));
    }
    let escalations = &request["escalation"];
    if escalations["of"].as_u64().unwrap_or_default() > 0 {
        let to = words("/escalation/to");
        let to = if to.is_empty() { to } else { format!(", to {to}") };
        let value = format!("{} of {}{to}", escalations["level"], escalations["of"]);
        lines.push(("Escalation", value));
    }
    match request["comment_count"].as_u64().unwrap_or_default() {
        0 => {}
        n => lines.push(("Discussion", format!("{n} remarks; `gates comments` shows them"))),
    }
    lines
}

/// Returns the lines about the rules of a policy, those that change nothing left out.
fn rules(policy: &Value) -> Vec<(&'static str, String)> {
    let words = |pointer: &str| {
        let words: Vec<_> = list(policy, pointer).iter().filter_map(Value::as_str).collect();
        words.join(", ").replace('_', " ")
    };
    let several = policy["approvals"].as_u64().unwrap_or_default() > 1;
    let veto = match text(policy, "/rules/veto") {
        _ if !several => String::new(),
        "any" => "one rejection ends it".to_owned(),
        "none" => "as many rejections as approvals end it".to_owned(),
        _ => format!("one rejection ends it, by {}", words("/rules/veto")),
    };
    let auth = match text(policy, "/rules/auth") {
        "interactive" => "interactive: sign in, or follow a link; a key is not enough",
        "any" if !text(policy, "/name").is_empty() => "any",
        _ => "",
    };
    let digest = match text(policy, "/rules/digest") {
        "required" => "must name the digest of the subject",
        _ => "",
    };
    vec![
        ("Excluded", words("/rules/exclude")),
        ("Veto", veto),
        ("Reason", needed(&words("/rules/comment"))),
        ("Auth", auth.to_owned()),
        ("Answers", digest.to_owned()),
        ("Rules", text(policy, "/digest").to_owned()),
    ]
}

fn needed(answers: &str) -> String {
    if answers.is_empty() { String::new() } else { format!("needed to {answers}") }
}

fn missing(request: &Value) -> String {
    let needs = &request["needs"];
    let groups = needs["groups"].as_object();
    let groups: Vec<_> =
        groups.into_iter().flatten().map(|(group, seats)| format!("{seats} of {group}")).collect();
    let groups = match groups.as_slice() {
        [] => String::new(),
        groups => format!(", among them {}", groups.join(", ")),
    };
    format!("{} to approve{groups}", needs["approvals"])
}

/// Commands for your standing delegation.
#[derive(Debug, Subcommand)]
pub(crate) enum Delegations {
    /// Show who answers requests in your place.
    Show,
    /// Have another person answer requests in your place for a time.
    Set {
        /// The name or the id of the person.
        #[arg(long, value_name = "PERSON")]
        to: String,
        /// The time from which it applies, such as 2030-01-24T08:00:00Z; at once when absent.
        #[arg(long, value_name = "TIME")]
        from: Option<Timestamp>,
        /// The time at which it ends.
        #[arg(long, value_name = "TIME")]
        until: Timestamp,
    },
    /// Answer requests yourself again.
    Clear,
}

/// Runs a command for the standing delegation of the caller.
///
/// # Errors
/// Those of the connection, and what the server refuses.
pub(super) async fn run_delegation(
    command: Delegations,
    common: &Common,
    place: &Place,
) -> anyhow::Result<ExitCode> {
    let session = Session::open(common, place)?;
    let path = ["people", "me", "delegation"];
    let found = match command {
        Delegations::Show => session.client.get(&path, &[]).await?,
        Delegations::Set { to, from, until } => {
            let mut body = json!({"to": to, "until": until});
            if let Some(from) = from {
                body["from"] = json!(from);
            }
            session.client.put(&path, &body).await?
        }
        Delegations::Clear => session.client.delete(&path, &[]).await?,
    };
    let sentence = match text(&found, "/delegation/to") {
        "" => "No one answers requests in your place.".to_owned(),
        to => format!(
            "{to} answers requests in your place from {} to {} UTC.",
            clock(&found, "/delegation/from"),
            clock(&found, "/delegation/until")
        ),
    };
    show(&session, &found, &sentence);
    Ok(ExitCode::SUCCESS)
}
