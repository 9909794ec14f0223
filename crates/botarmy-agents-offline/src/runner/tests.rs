//! The whole crate through the runner's port: projects from the idea to the final check.

use std::fs;
use std::sync::{Arc, Mutex};

use botarmy_domain::artifact::{Artifact, ArtifactRef, canonical, digest};
use botarmy_domain::handoff::Handoff;
use botarmy_domain::ids::{ContextId, ProjectId, TaskId};
use botarmy_domain::timestamp::Timestamp;
use botarmy_domain::workflow::Workflow;
use proptest::prelude::*;
use serde_json::json;

use super::*;

const IDEA: &str = "A recipe-sharing site for small families";

/// A project whose steps run in the order of the workflow.
struct Run {
    drafter: OfflineRunner,
    dir: tempfile::TempDir,
    context: Vec<Arc<Artifact>>,
    counter: u128,
}

impl Run {
    fn new(idea: &str) -> Self {
        let dir = tempfile::tempdir().unwrap();
        let drafter = OfflineRunner::new(dir.path().join("sites"));
        let mut run = Self { drafter, dir, context: Vec::new(), counter: 0 };
        run.store(ArtifactType::UserInput, &json!({"idea": idea}));
        run
    }

    fn project_id() -> ProjectId {
        "0190a0b0-0000-7000-8000-00000000000a".parse().unwrap()
    }

    fn store(&mut self, artifact_type: ArtifactType, content: &Value) {
        self.counter += 1;
        let content = content.as_object().unwrap().clone();
        let meta = ArtifactRef {
            id: context_id(self.counter),
            project_id: Self::project_id(),
            source_agent: AgentType::Orchestrator,
            artifact_type,
            digest: digest(&content),
            previous: None,
            created_at: Timestamp::from_micros(0),
        };
        self.context.push(Arc::new(Artifact { meta, content, metadata: Map::new() }));
    }

    fn feedback(&mut self, text: &str) {
        self.store(ArtifactType::HitlResponse, &json!({"user_content": text, "comment": null}));
    }

    fn job(&self, step: Step) -> Assignment {
        let handoff = Handoff {
            from: AgentType::Orchestrator,
            to: AgentType::Coder,
            phase: "Build".to_owned(),
            step: step.name().to_owned(),
            context_ids: Vec::new(),
            instructions: "Do it.".to_owned(),
            expected_outputs: vec![output_of(step)],
            priority: 5,
        };
        Assignment {
            project_id: Self::project_id(),
            project_name: "Project".to_owned(),
            task_id: TaskId::from_uuid(context_id(99).uuid()),
            agent: AgentType::Coder,
            attempt: 1,
            instructions: "Do it.".to_owned(),
            handoff: Some(handoff),
            context: self.context.clone(),
            output_type: Some(output_of(step)),
            output_schema: None,
            resume: None,
            workflow: Some(sdlc()),
        }
    }

    async fn try_step(&mut self, step: Step) -> Result<Value, RunError> {
        match self.drafter.run(self.job(step), context()).await? {
            Outcome::Completed { artifacts, .. } => {
                let [artifact] = <[NewArtifact; 1]>::try_from(artifacts).unwrap();
                assert_eq!(artifact.artifact_type, output_of(step));
                let content = Value::Object(artifact.content);
                self.store(artifact.artifact_type, &content);
                Ok(content)
            }
            Outcome::Ask { .. } => panic!("the offline runner never asks"),
        }
    }

    async fn step(&mut self, step: Step) -> Value {
        self.try_step(step).await.unwrap()
    }

    /// Runs the whole workflow and returns the document of every step.
    async fn whole_workflow(&mut self) -> Vec<Value> {
        let mut made = Vec::new();
        for step in &Step::ALL[..7] {
            made.push(self.step(*step).await);
        }
        for _ in 0..3 {
            if made.last().unwrap()["passed"] == true {
                break;
            }
            made.push(self.step(Step::BugFix).await);
            made.push(self.step(Step::CodeTesting).await);
        }
        made.push(self.step(Step::Deployment).await);
        made.push(self.step(Step::FinalCheck).await);
        made
    }
}

/// The built-in workflow.
fn sdlc() -> Arc<Workflow> {
    let path = concat!(env!("CARGO_MANIFEST_DIR"), "/../../config/workflows/sdlc.toml");
    Arc::new(Workflow::from_toml(&fs::read_to_string(path).unwrap()).unwrap())
}

fn context_id(n: u128) -> ContextId {
    format!("{n:032x}").parse().unwrap()
}

fn context() -> RunContext {
    RunContext {
        deadline: Timestamp::from_micros(0),
        fence: 1,
        trace: None,
        progress: Box::new(|_, _| ()),
    }
}

fn file<'a>(source: &'a Value, path: &str) -> &'a str {
    let files = source["files"].as_array().unwrap();
    files.iter().find(|file| file["path"] == path).unwrap()["content"].as_str().unwrap()
}

fn code(error: &RunError) -> (&str, bool) {
    match error {
        RunError::Retryable { code, .. } => (code, true),
        RunError::Terminal { code, .. } => (code, false),
        RunError::InvalidOutput { .. } => ("unfit", true),
    }
}

#[tokio::test]
async fn a_project_goes_from_the_idea_to_a_checked_deployment() {
    let mut run = Run::new(IDEA);
    let made = run.whole_workflow().await;
    let passed: Vec<_> = made.iter().filter_map(|made| made["passed"].as_bool()).collect();
    assert_eq!(passed, [false, true], "the defect is found once, fixed, and gone");
    assert_eq!(made.last().unwrap()["ok"], true);
    let site = run.dir.path().join("sites").join(Run::project_id().to_string());
    let page = fs::read_to_string(site.join("index.html")).unwrap();
    assert!(page.contains("<title>Recipe-Sharing Site</title>") && page.contains("styles.css"));
}

#[tokio::test]
async fn the_same_idea_yields_the_same_bytes() {
    let (mut one, mut other) = (Run::new(IDEA), Run::new(IDEA));
    let (one_made, mut other_made) = (one.whole_workflow().await, other.whole_workflow().await);
    // Only the deployment names the folder.
    let (here, there) = (one.dir.path().display(), other.dir.path().display());
    for made in &mut other_made {
        let text = made.to_string().replace(&there.to_string(), &here.to_string());
        *made = serde_json::from_str(&text).unwrap();
    }
    for (one, other) in one_made.iter().zip(&other_made) {
        assert_eq!(canonical(one), canonical(other));
    }
    let source = one_made.iter().rfind(|made| made.get("entry").is_some()).unwrap().to_string();
    assert!(
        !source.contains(&Run::project_id().to_string()) && !source.contains(&here.to_string())
    );
}

#[tokio::test]
async fn everything_says_that_no_model_wrote_it() {
    let mut run = Run::new(IDEA);
    for made in run.whole_workflow().await {
        assert_eq!(made["generated_by"]["statement"], STATEMENT);
        assert_eq!(made["generated_by"]["language_model"], false);
        let readable = made["markdown"].as_str().unwrap_or_else(|| file(&made, "README.md"));
        assert!(readable.contains(STATEMENT));
        if made.get("entry").is_some() {
            for page in ["index.html", "about.html"] {
                assert!(file(&made, page).contains("offline drafter"), "{page}");
            }
        }
    }
}

#[tokio::test]
async fn feedback_on_the_plan_reaches_every_later_document_and_the_application() {
    let wish = "Please add star ratings & call aunt <Jo>";
    let mut run = Run::new(IDEA);
    let first = run.step(Step::ProjectPlanning).await;
    assert!(!first["markdown"].as_str().unwrap().contains("Changes requested"));
    run.feedback(wish);
    let again = run.step(Step::ProjectPlanning).await;
    run.context.retain(|artifact| artifact.meta.artifact_type != ArtifactType::HitlResponse);
    let mut documents = vec![again];
    for step in &Step::ALL[1..4] {
        documents.push(run.step(*step).await);
    }
    for document in &documents {
        let text = document["markdown"].as_str().unwrap();
        assert!(text.contains("## Changes requested by a reviewer"), "{text}");
        assert!(text.contains("Please add star ratings &amp; call aunt &lt;Jo&gt;"), "{text}");
        assert_eq!(document["changes_requested"][0]["text"], wish);
    }
    let stories = documents[1]["user_stories"].as_array().unwrap();
    assert!(stories.iter().any(|story| story["i_want"] == wish));

    let source = run.step(Step::CodeGeneration).await;
    assert!(file(&source, "about.html").contains("star ratings &amp; call aunt &lt;Jo&gt;"));
    assert!(file(&source, "index.html").contains("id=\"field-rating\""));
    run.step(Step::CodeTesting).await;
    run.step(Step::BugFix).await;
    assert_eq!(run.step(Step::CodeTesting).await["passed"], true);
}

#[tokio::test]
async fn feedback_on_code_and_on_tests_reaches_the_application_too() {
    let mut run = Run::new(IDEA);
    for step in &Step::ALL[..5] {
        run.step(*step).await;
    }
    run.feedback("Add tags");
    let refined = run.step(Step::CodeRefinement).await;
    assert!(file(&refined, "about.html").contains("Add tags"));
    assert!(file(&refined, "index.html").contains("style.css"), "the defect is not hidden");
    run.context.retain(|artifact| artifact.meta.artifact_type != ArtifactType::HitlResponse);
    run.feedback("Make it printable");
    let tested = run.step(Step::CodeTesting).await;
    assert!(tested["markdown"].as_str().unwrap().contains("Make it printable"));
    run.context.retain(|artifact| artifact.meta.artifact_type != ArtifactType::HitlResponse);
    let fixed = run.step(Step::BugFix).await;
    assert!(file(&fixed, "about.html").contains("Make it printable"));
    assert!(file(&fixed, "index.html").contains("id=\"print\""));
    assert_eq!(run.step(Step::CodeTesting).await["passed"], true);
}

#[tokio::test]
async fn the_next_step_works_from_a_replaced_document() {
    let mut run = Run::new(IDEA);
    run.step(Step::ProjectPlanning).await;
    let mut specification = run.step(Step::RequirementsAnalysis).await;
    specification["entities"][0]["fields"][0]["label"] = "Grandma's \"name\" for it".into();
    specification["user_stories"].as_array_mut().unwrap().truncate(2);
    run.store(ArtifactType::SoftwareSpecification, &specification);
    run.step(Step::ArchitecturalDesign).await;
    run.step(Step::ImplementationPlanning).await;
    let source = run.step(Step::CodeGeneration).await;
    let page = file(&source, "index.html");
    assert!(page.contains("Grandma&#39;s &quot;name&quot; for it"));
    assert!(!page.contains("AC-3.1"));
}

#[tokio::test]
async fn requirements_beyond_the_templates_fail_the_tests_honestly() {
    let mut run = Run::new(IDEA);
    run.store(
        ArtifactType::SoftwareSpecification,
        &json!({"user_stories": [
            {"id": "S1", "i_want": "to see them", "acceptance": [{"id": "A1", "text": "visible"}]},
            {"id": "S2", "i_want": "world peace", "acceptance": [{"id": "A2", "text": "peace"}]},
        ]}),
    );
    let plan = run.step(Step::ImplementationPlanning).await;
    assert_eq!(plan["not_covered"], json!(["S2: world peace"]));
    run.step(Step::CodeGeneration).await;
    run.step(Step::CodeTesting).await;
    let fixed = run.step(Step::BugFix).await;
    assert_eq!(fixed["unresolved"].as_array().unwrap().len(), 1);
    assert!(file(&fixed, "about.html").contains("S2: world peace"));
    let tested = run.step(Step::CodeTesting).await;
    assert_eq!(tested["passed"], false);
    assert_eq!(tested["failures"][0]["subject"], "A2");
}

#[tokio::test]
async fn a_tampered_deployment_fails_the_final_check() {
    let mut run = Run::new(IDEA);
    run.step(Step::CodeGeneration).await;
    run.step(Step::Deployment).await;
    let site = run.dir.path().join("sites").join(Run::project_id().to_string());
    fs::write(site.join("app.js"), "alert(1)").unwrap();
    let error = run.try_step(Step::FinalCheck).await.unwrap_err();
    assert_eq!(code(&error), ("deployment_differs", false));
    assert!(error.to_string().contains("app.js was changed"), "{error}");
    // Another deployment repairs it.
    run.step(Step::Deployment).await;
    assert_eq!(run.step(Step::FinalCheck).await["ok"], true);
}

#[tokio::test]
async fn source_code_that_a_person_broke_is_a_clear_terminal_error() {
    for (content, word) in [
        (json!({"text": "see attachment"}), "\"files\""),
        (json!({"files": [{"path": "../x", "content": ""}]}), "\"../x\""),
    ] {
        for step in [Step::CodeRefinement, Step::CodeTesting, Step::Deployment, Step::FinalCheck] {
            let mut run = Run::new(IDEA);
            run.store(ArtifactType::SourceCode, &content);
            match run.try_step(step).await {
                Ok(made) => assert_ne!(made["passed"], true, "{step}"),
                Err(error) => {
                    assert!(!code(&error).1, "{step}: {error}");
                    let other_input = error.to_string().contains("deployment_log");
                    assert!(error.to_string().contains(word) || other_input, "{step}: {error}");
                }
            }
        }
    }
}

#[tokio::test]
async fn a_run_that_is_cancelled_before_the_exchange_deploys_nothing() {
    let mut run = Run::new(IDEA);
    let source = SourceCode::read(&run.step(Step::CodeGeneration).await).unwrap();
    let place = Place::new(run.dir.path(), "x").unwrap();
    let wanted = Wanted::default();
    let flag = wanted.flag();
    drop(wanted);
    let result = deploy::deploy(&place, &source, || flag.load(Ordering::Acquire));
    assert!(matches!(result, Err(DeployError::Cancelled)));
    assert!(!run.dir.path().join("x").exists());
}

#[tokio::test]
async fn a_run_reports_progress_and_usage() {
    let run = Run::new(IDEA);
    let lines = Arc::new(Mutex::new(Vec::new()));
    let heard = Arc::clone(&lines);
    let context = RunContext {
        progress: Box::new(move |line, _| heard.lock().unwrap().push(line)),
        ..context()
    };
    let outcome = run.drafter.run(run.job(Step::ProjectPlanning), context).await.unwrap();
    assert_eq!(lines.lock().unwrap().len(), 1);
    let Outcome::Completed { usage, .. } = outcome else { panic!("not completed") };
    assert_eq!(usage.provider.as_deref(), Some("offline"));
    assert!(run.drafter.probe().await.ready);
    assert_eq!(run.drafter.kind(), "offline");
}

#[tokio::test]
async fn tasks_given_by_hand_are_told_apart_by_agent_and_context() {
    let mut run = Run::new(IDEA);
    run.context.clear();
    for (agent, step) in [
        (AgentType::Analyst, Step::ProjectPlanning),
        (AgentType::Analyst, Step::RequirementsAnalysis),
        (AgentType::Architect, Step::ArchitecturalDesign),
        (AgentType::Architect, Step::ImplementationPlanning),
        (AgentType::Coder, Step::CodeGeneration),
        (AgentType::Coder, Step::CodeRefinement),
        (AgentType::Tester, Step::CodeTesting),
        (AgentType::Coder, Step::BugFix),
        (AgentType::Deployer, Step::Deployment),
        (AgentType::Deployer, Step::FinalCheck),
    ] {
        let job = Assignment {
            agent,
            handoff: None,
            output_type: None,
            output_schema: None,
            workflow: None,
            instructions: IDEA.to_owned(),
            ..run.job(step)
        };
        assert_eq!(step_of(&job), step);
        let outcome = run.drafter.run(job, context()).await.unwrap();
        let Outcome::Completed { artifacts, .. } = outcome else { panic!("not completed") };
        for artifact in artifacts {
            run.store(artifact.artifact_type, &Value::Object(artifact.content));
        }
    }
}

#[tokio::test]
async fn a_task_for_the_orchestrator_ends_with_a_coordination_note() {
    let mut run = Run::new(IDEA);
    run.step(Step::ProjectPlanning).await;
    let job = Assignment {
        agent: AgentType::Orchestrator,
        handoff: None,
        output_type: None,
        output_schema: None,
        instructions: "Say where we <stand>.".to_owned(),
        ..run.job(Step::BugFix)
    };
    let outcome = run.drafter.run(job, context()).await.unwrap();
    let Outcome::Completed { artifacts, output, .. } = outcome else { panic!("not completed") };
    assert_eq!(artifacts[0].artifact_type, ArtifactType::AgentOutput);
    let note = Value::Object(artifacts[0].content.clone());
    let text = note["markdown"].as_str().unwrap();
    for expected in
        ["Say where we &lt;stand&gt;.", "Project plan: ", "An analyst can specify", STATEMENT]
    {
        assert!(text.contains(expected), "{expected}: {text}");
    }
    assert!(output["summary"].as_str().unwrap().starts_with("2 artifacts looked at"), "{output:?}");
}

#[tokio::test]
async fn a_defect_is_planted_only_where_it_is_found_and_repaired() {
    let steps = |names: &[&str]| {
        let whole = sdlc();
        let steps = whole.steps.iter().filter(|step| names.contains(&step.name.as_str()));
        Arc::new(Workflow { steps: steps.cloned().collect(), ..(*whole).clone() })
    };
    let everybody = || AgentType::ALL.iter().copied();
    let not = |agent: AgentType| everybody().filter(move |one| *one != agent).collect::<Vec<_>>();
    for (workflow, served, planted) in [
        (Some(sdlc()), everybody().collect(), true),
        (Some(steps(&["Project Planning", "Code Generation"])), everybody().collect(), false),
        (Some(steps(&["Code Generation", "Code Testing"])), everybody().collect(), false),
        (Some(steps(&["Code Generation", "Bug Fix"])), everybody().collect(), false),
        (Some(sdlc()), not(AgentType::Tester), false),
        (Some(sdlc()), not(AgentType::Coder), false),
        (None, everybody().collect(), false),
    ] {
        let run = Run::new(IDEA);
        let job = Assignment { workflow: workflow.clone(), ..run.job(Step::CodeGeneration) };
        let drafter = run.drafter.clone().serving(served);
        let Outcome::Completed { artifacts, output, .. } =
            drafter.run(job, context()).await.unwrap()
        else {
            panic!("not completed")
        };
        let made = Value::Object(artifacts[0].content.clone());
        assert_eq!(file(&made, "index.html").contains("\"style.css\""), planted, "{workflow:?}");
        let says_so = output["summary"].as_str().unwrap().contains("one deliberate defect");
        assert_eq!(says_so, planted, "{output:?}");
    }
}

#[tokio::test]
async fn what_no_template_covers_is_named_as_not_built() {
    let mut run = Run::new("A recipe site with payments that brews coffee by moonlight");
    let made = run.whole_workflow().await;
    for document in [&made[0], &made[1], &made[3]] {
        let text = document["markdown"].as_str().unwrap();
        assert!(text.contains("## Not built"), "{text}");
        assert!(text.contains("Payments"), "{text}");
        assert!(text.contains("brews coffee by moonlight"), "{text}");
    }
    for source in made.iter().filter(|made| made.get("entry").is_some()) {
        assert!(file(source, "about.html").contains("brews coffee by moonlight"));
        assert!(file(source, "README.md").contains("brews coffee by moonlight"));
        assert_eq!(source["not_built"].as_array().unwrap().len(), 2);
    }
}

#[tokio::test]
async fn an_idea_in_another_language_is_said_to_be_one() {
    let mut run = Run::new("Ein Planer für einen Ruderverein, mit Booten und Terminen");
    for document in run.whole_workflow().await {
        let readable = match document["markdown"].as_str() {
            Some(text) if document.get("product").is_some() => text,
            Some(_) => continue,
            None => file(&document, "README.md"),
        };
        let is_plan = readable.contains("## The idea\n");
        assert!(!is_plan || readable.contains("The idea is written in German"), "{readable}");
    }
}

/// Runs the built-in workflow as it is configured, each step with its declared inputs.
async fn configured_workflow(run: &mut Run, replace: impl Fn(Step) -> Option<Value>) -> Vec<Value> {
    let workflow = sdlc();
    let mut made = Vec::new();
    let mut all = std::mem::take(&mut run.context);
    let repair = workflow.steps.iter().find(|step| step.repeat.is_some()).unwrap();
    let tests = workflow.step(&repair.repeat.as_ref().unwrap().with).unwrap();
    // The fix is followed by another test.
    let steps = workflow
        .steps
        .iter()
        .flat_map(|step| if step.name == repair.name { vec![step, tests] } else { vec![step] });
    for definition in steps {
        let step = Step::named(&definition.name).unwrap();
        assert_eq!(definition.output, output_of(step));
        let newest = |wanted: &ArtifactType| {
            all.iter().rfind(|artifact| artifact.meta.artifact_type == *wanted).cloned()
        };
        run.context = definition.inputs.iter().filter_map(newest).collect();
        let mut content = run.step(step).await;
        if let Some(replacement) = replace(step) {
            run.store(definition.output, &replacement);
            content = replacement;
        }
        all.push(run.context.pop().unwrap());
        made.push(content);
    }
    made
}

#[tokio::test]
async fn the_declared_inputs_of_the_configured_workflow_are_enough() {
    let made = configured_workflow(&mut Run::new(IDEA), |_| None).await;
    let passed: Vec<_> = made.iter().filter_map(|made| made["passed"].as_bool()).collect();
    assert_eq!(passed, [false, true]);
    assert_eq!(made.last().unwrap()["ok"], true);
}

#[tokio::test]
async fn a_specification_of_a_persons_own_goes_all_the_way() {
    let own = json!({"text": "Grandma wants big letters.", "user_stories": [
        {"id": "S1", "i_want": "to see them", "acceptance": [{"id": "A1", "text": "visible"}]},
        {"id": "S2", "i_want": "to rate them", "acceptance": [{"id": "A2", "text": "stars"}]},
    ]});
    let made = configured_workflow(&mut Run::new(IDEA), |step| {
        (step == Step::RequirementsAnalysis).then(|| own.clone())
    })
    .await;
    let passed: Vec<_> = made.iter().filter_map(|made| made["passed"].as_bool()).collect();
    assert_eq!(passed, [false, true]);
    let source = made.iter().rfind(|made| made.get("entry").is_some()).unwrap();
    assert!(file(source, "index.html").contains("data-acceptance=\"A2\""));
    let about = file(source, "about.html");
    assert!(
        about.contains("Grandma wants big letters.") && about.contains("data-acceptance=\"AC-")
    );
}

/// Every step but the last two, with the artifact type that it makes.
fn drafted(idea: &str, feedback: &[String]) -> Vec<(Step, Value)> {
    let mut brief = Brief {
        step: Step::ProjectPlanning,
        idea: idea.to_owned(),
        feedback: feedback.to_vec(),
        inputs: Default::default(),
        is_repaired: true,
    };
    let steps = Step::ALL[..8].iter().copied().chain([Step::CodeTesting]);
    let mut made = Vec::new();
    for step in steps {
        brief.step = step;
        let content = draft(&brief).unwrap();
        brief.inputs.insert(output_of(step).to_string(), content.clone());
        made.push((step, content));
    }
    made
}

#[test]
fn hostile_ideas_stay_text() {
    let nasty = [
        "\"'><script>alert(1)</script><!--",
        "</script></style></title></textarea>",
        "A site for \u{0} NUL and \u{202e} and 🍲🦀",
        "*/ body { display: none } /*",
        "`${alert(1)}` {{name}} {{{summary}}}",
        "a\u{2028}b\u{2029}c",
        "called \"</script><b>\" for \"<i>\"",
        "\u{1}\u{7f}\u{85}",
        "-->\n\n# heading\n\n| a | b |",
    ];
    for idea in nasty {
        let made = drafted(idea, &[idea.to_owned()]);
        let (_, tested) = made.last().unwrap();
        assert_eq!(tested["passed"], true, "{idea:?}: {}", tested["failures"]);
        let text = made.iter().map(|(_, made)| made.to_string()).collect::<String>();
        assert!(!text.contains("\\u0000"), "{idea:?}");
        let (_, source) = made.iter().rfind(|(step, _)| *step == Step::BugFix).unwrap();
        for page in ["index.html", "about.html", "data.js", "icon.svg"] {
            let content = file(source, page);
            for needle in ["<script>alert", "<b>", "<i>", "</textarea></", "<!--"] {
                assert!(!content.contains(needle), "{idea:?}: {page} has {needle}");
            }
        }
    }
}

#[test]
fn a_huge_idea_makes_documents_of_ordinary_size() {
    let made = drafted(&"many words and more ".repeat(100_000), &["x".repeat(1_000_000)]);
    for (step, content) in made {
        assert!(content.to_string().len() < 400_000, "{step}");
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 24, ..ProptestConfig::default() })]

    #[test]
    fn whatever_the_idea_the_loop_ends_with_passing_tests(
        words in "(recipe|shop|todo|ratings|photos|no |for |called |\\PC){1,12}",
        wish in "(\\PC|add tags|no photos|without |due date){0,6}",
    ) {
        let made = drafted(&format!("x{words}"), &[wish]);
        prop_assert_eq!(&made[6].1["passed"], false);
        prop_assert_eq!(made[6].1["failures"].as_array().unwrap().len(), 1);
        prop_assert_eq!(&made.last().unwrap().1["passed"], true);
    }
}
