//! Policies at the start of a server: each mistake is named with its file and its key.

use botarmy_tests::server::command;

use crate::say;

/// A workflow whose only step is reviewed by the policy `release`.
fn workflow(policy: &str, step: &str) -> String {
    format!(
        "name = \"shop\"\n[[policy]]\nname = \"release\"\n{policy}\n\
         [[step]]\nname = \"Plan\"\nphase = \"1\"\nagent = \"analyst\"\n\
         output = \"project_plan\"\ngate = \"standard\"\npolicy = \"release\"\n{step}\n"
    )
}

/// Starts a server with this workflow, which it refuses, and returns what it said.
fn refused(text: &str, variables: &[(&str, &str)]) -> String {
    let dir = tempfile::tempdir().unwrap();
    std::fs::write(dir.path().join("shop.toml"), text).unwrap();
    let mut server = command(dir.path());
    server.env("BOTARMY_WORKFLOWS__DIR", dir.path()).envs(variables.iter().copied());
    let (code, said) = say(server.args(["serve", "--port", "0"]));
    assert_eq!(code, Some(1), "{text}: {said}");
    assert!(!dir.path().join("botarmy.db").exists(), "nothing is touched: {said}");
    said
}

#[test]
fn every_mistake_in_a_policy_stops_the_start_with_the_file_and_the_key() {
    let nine = |entry: &str| format!("[{}]", [entry; 9].join(", "));
    let escalations = nine("{ after_s = 5, to = [\"group:a\"] }");
    for (policy, step, key, problem) in [
        ("approvals = 0", "", "approvals", "must be 1 to 32"),
        ("approvals = 33", "", "approvals", "must be 1 to 32"),
        ("approvals = 1\ngroups = { a = 2 }", "", "groups", "more than `approvals`"),
        ("groups = { a = 0 }", "", "groups", "1 to 32 seats"),
        ("candidates = []", "", "candidates", "must name people"),
        ("candidates = [\"ada\"]", "", "candidates", "`user:NAME`, `group:NAME` or `role:NAME`"),
        ("candidates = [\"role:worker\"]", "", "candidates", "not workers"),
        ("candidates = [\"role:cook\"]", "", "candidates", "cook"),
        ("assignees = [\"role:worker\"]", "", "assignees", "not workers"),
        ("veto = []", "", "veto", "at least one group"),
        ("veto = \"all\"", "", "veto", "\"any\", \"none\" or a list of groups"),
        ("exclude = [\"boss\"]", "", "exclude", "boss"),
        ("digest = \"maybe\"", "", "digest", "maybe"),
        ("comment = [\"sigh\"]", "", "comment", "sigh"),
        ("when = \"later\"", "", "when", "later"),
        ("auth = \"blood\"", "", "auth", "blood"),
        ("ttl_s = 0", "", "ttl_s", "at least 1"),
        ("ttl_s = 60\nremind_after_s = [60]", "", "remind_after_s", "before `ttl_s`"),
        ("remind_after_s = [60, 60]", "", "remind_after_s", "ascending"),
        ("remind_after_s = [1, 2, 3, 4, 5, 6, 7, 8, 9]", "", "remind_after_s", "at most 8"),
        ("remind_after_s = [60]", "gate_ttl_s = 60", "policy", "before `ttl_s`"),
        ("ttl_s = 9\nescalate = [{ after_s = 9, to = [\"group:a\"] }]", "", "escalate", "`ttl_s`"),
        ("escalate = [{ after_s = 9, to = [] }]", "", "escalate", "`to` must name people"),
        (&format!("escalate = {escalations}"), "", "escalate", "at most 8"),
        ("on_expiry = \"approve\"\napprovals = 2", "", "on_expiry", "several people"),
        ("approvals = 2", "on_expiry = \"approve\"", "on_expiry", "several approvals"),
        ("max_rounds = 0", "", "max_rounds", "at least 1"),
        ("max_extensions = -1", "", "max_extensions", "-1"),
        ("links = \"yes\"", "", "links", "boolean"),
        ("bulk = 1", "", "bulk", "boolean"),
        ("aprovals = 2", "", "aprovals", "unknown field"),
        ("", "policy = \"relese\"", "policy", "duplicate key"),
    ] {
        let said = refused(&workflow(policy, step), &[]);
        let has = |text: &str| said.contains(text);
        assert!(has("shop.toml") && has(key) && has(problem), "{policy:?}, {step:?}: {said}");
    }
}

#[test]
fn a_list_of_the_settings_comes_from_a_variable() {
    // The list is read, so that the next mistake is found.
    let variables =
        [("BOTARMY_GATES__EXCLUDE", "author, starter"), ("BOTARMY_GATES__DIGEST", "never")];
    let said = refused(&workflow("", ""), &variables);
    assert!(said.contains("gates.digest") && !said.contains("gates.exclude"), "{said}");
}

#[test]
fn an_output_schema_of_another_draft_stops_the_start() {
    let draft = "http://json-schema.org/draft-07/schema#";
    for schema in [
        format!(r#"{{"$schema": "{draft}", "type": "object"}}"#),
        format!(r#"{{"properties": {{"a": {{"$schema": "{draft}"}}}}}}"#),
    ] {
        let said = refused(&workflow("", &format!("output_schema = '{schema}'")), &[]);
        for expected in ["shop.toml", "output_schema", "$schema", "draft/2020-12/schema", draft] {
            assert!(said.contains(expected), "{expected}: {said}");
        }
    }
}

#[test]
fn a_step_names_a_policy_that_exists_and_has_a_gate_and_names_are_unique() {
    let good = workflow("", "");
    for (from, to, expected) in [
        ("policy = \"release\"", "policy = \"relese\"", "there is no policy \"relese\""),
        ("gate = \"standard\"", "", "needs a `gate`"),
        ("[[step]]", "[[policy]]\nname = \"release\"\n[[step]]", "must be unique"),
        ("name = \"release\"", "name = \"Release!\"", "lower-case letters"),
    ] {
        let said = refused(&good.replacen(from, to, 1), &[]);
        assert!(said.contains("shop.toml") && said.contains(expected), "{to}: {said}");
    }
}

#[test]
fn expiry_approves_only_where_the_settings_allow_it() {
    let forbidden = "gates.allow_expiry_approval";
    let by_policy = workflow("on_expiry = \"approve\"", "");
    let by_step = workflow("", "on_expiry = \"approve\"");
    for (text, key) in
        [(by_policy, "policy \"release\" on_expiry"), (by_step, "step \"Plan\" on_expiry")]
    {
        let said = refused(&text, &[]);
        assert!(said.contains("shop.toml") && said.contains(key), "{said}");
        assert!(said.contains(forbidden), "{said}");
    }
    let good = workflow("", "");
    let approves = ("BOTARMY_ORCHESTRATOR__ON_EXPIRY", "approve");
    let said = refused(&good, &[approves]);
    assert!(said.contains("orchestrator.on_expiry") && said.contains(forbidden), "{said}");
    let allowed = ("BOTARMY_GATES__ALLOW_EXPIRY_APPROVAL", "true");
    let said = refused(&good, &[approves, allowed, ("BOTARMY_GATES__MIN_APPROVALS", "2")]);
    assert!(said.contains("gates.min_approvals"), "{said}");
}

#[test]
fn an_open_server_knows_all_groups_and_refuses_others() {
    let open = ("BOTARMY_ACCESS__MODE", "open");
    for (policy, group) in [
        ("groups = { security = 1 }", "security"),
        ("candidates = [\"group:lawyers\"]", "lawyers"),
        ("assignees = [\"group:night\"]", "night"),
        ("veto = [\"legal\"]", "legal"),
        ("escalate = [{ after_s = 60, to = [\"group:leads\"] }]", "leads"),
    ] {
        let said = refused(&workflow(policy, ""), &[open]);
        let expected = format!("there is no group \"{group}\" in the setting `gates.groups`");
        assert!(said.contains("shop.toml") && said.contains(&expected), "{policy}: {said}");
    }
}

#[test]
fn a_setting_of_gates_that_does_not_exist_stops_the_start() {
    for (variable, value, expected) in [
        ("BOTARMY_GATES__MIN_APPROVALS", "0", "gates.min_approvals"),
        ("BOTARMY_GATES__MIN_APPROVALS", "33", "gates.min_approvals"),
        ("BOTARMY_GATES__CLAIM_S", "0", "gates.claim_s"),
        ("BOTARMY_GATES__GRACE_S", "86401", "gates.grace_s"),
        ("BOTARMY_GATES__DIGEST", "never", "one of: required, optional"),
        ("BOTARMY_GATES__EXCLUDE", "author,boss", "one of: author, starter, amender"),
        ("BOTARMY_GATES__EXCLUDE", "author,,starter", "gates.exclude"),
        ("BOTARMY_GATES__VETO", "none", "veto"),
    ] {
        let said = refused(&workflow("", ""), &[(variable, value)]);
        assert!(said.contains(expected), "{variable} = {value}: {said}");
    }
}
