//! The documents that models get and make: input that is too long, and answers with several objects.

use botarmy_agents_llm::{LlmRunner, ProviderKind};
use botarmy_domain::artifact::Artifact;
use botarmy_domain::ports::AgentRunner;
use botarmy_domain::task::Answer;
use botarmy_domain::{
    AgentType, ArtifactType, Assignment, HitlAction, IdGenerator, Outcome, Resume, Timestamp,
};
use botarmy_tests::providers::{Double, Protocol, Reply};
use serde_json::{Map, Value, json};

use crate::llm::{KINDS, failed, listening, plan, planning, provider, run, runner, runner_for};
use crate::runners::step;

fn small(double: &Double, context_tokens: usize) -> LlmRunner {
    let mut small = provider(double, ProviderKind::Gemini, Protocol::Gemini);
    small.context_tokens = context_tokens;
    runner_for(small)
}

fn planning_with(context: &[(ArtifactType, Value)]) -> Assignment {
    step("Project Planning", AgentType::Analyst, ArtifactType::ProjectPlan, context)
}

fn output(outcome: Outcome) -> (Map<String, Value>, Map<String, Value>) {
    let Outcome::Completed { output, mut artifacts, .. } = outcome else { panic!("{outcome:?}") };
    (output, artifacts.remove(0).metadata)
}

async fn double() -> Double {
    Double::saying(&json!({"summary": "s", "markdown": "m"}).to_string()).await
}

#[tokio::test]
async fn input_that_does_not_fit_is_cut_with_a_mark_and_everyone_is_told() {
    let double = double().await;
    let runner = small(&double, 200);
    let long = format!("the beginning {} the end", "too much ".repeat(200));
    let job = planning_with(&[
        (ArtifactType::UserInput, json!({"idea": "first"})),
        (ArtifactType::ProjectPlan, json!({"text": long})),
        (ArtifactType::SystemArchitecture, json!({"text": "small again"})),
    ]);
    let (listener, lines) = listening();
    let (output, metadata) = output(runner.run(job, listener).await.unwrap());

    let text = double.asked()[0].text();
    for shown in ["first", "the beginning too much", "small again", "[CUT OFF HERE: "] {
        assert!(text.contains(shown), "{shown}: {text}");
    }
    assert!(!text.contains("the end"), "{text}");
    let note = text.split("# What you are not shown").nth(1).unwrap();
    assert!(note.contains("the project plan (the first "), "{note}");
    let context = &output["context"];
    assert_eq!((&context["shown"], &context["left_out"]), (&json!(3), &json!([])));
    let shortened = &context["shortened"][0];
    assert_eq!(shortened["artifact_type"], "project_plan");
    assert!(shortened["shown_characters"].as_u64() > Some(400), "{shortened}");
    assert!(shortened["characters"].as_u64() > Some(1_800), "{shortened}");
    assert!(context["approximate_tokens"].as_u64() <= Some(200), "{context}");
    let warning = output["warnings"][0].as_str().unwrap();
    assert!(warning.contains("project plan"), "{warning}");
    assert_eq!(metadata["warnings"], output["warnings"]);
    assert!(lines.lock().unwrap()[0].contains("1 parts do not fit into 200 tokens"));
}

#[tokio::test]
async fn input_that_fits_comes_without_a_warning() {
    let double = double().await;
    let job = planning_with(&[(ArtifactType::UserInput, json!({"idea": "first"}))]);
    let (output, metadata) = output(run(&small(&double, 200), job).await.unwrap());
    assert!(!output.contains_key("warnings") && !metadata.contains_key("warnings"));
    assert!(output["context"].get("shortened").is_none());
    let text = double.asked()[0].text();
    assert!(!text.contains("CUT OFF") && !text.contains("not shown"), "{text}");
}

#[tokio::test]
async fn a_step_whose_only_input_does_not_fit_asks_before_it_invents_anything() {
    let double = double().await;
    let runner = small(&double, 300);
    let idea = format!("the beginning {} the end", "too much ".repeat(30_000));
    let job = planning_with(&[
        (ArtifactType::UserInput, json!({"idea": idea})),
        (ArtifactType::HitlResponse, json!({"comment": "Hurry up"})),
    ]);
    let asked = run(&runner, job.clone()).await.unwrap();
    let Outcome::Ask { question, usage, session } = asked else { panic!("{asked:?}") };
    assert!(double.asked().is_empty(), "nothing is paid for");
    assert_eq!((usage.input_tokens, usage.output_tokens), (0, 0));
    let input: &Artifact = &job.context[0];
    assert_eq!(question.artifacts, [input.meta.id]);
    for expected in ["Project Planning", "user input", "300", "context_tokens"] {
        assert!(question.question.contains(expected), "{}", question.question);
    }

    let answer = Answer {
        question_id: IdGenerator::new(Timestamp::from_micros(1), 1).request(),
        action: HitlAction::Amend,
        comment: None,
        content: Some(json!("In short: recipes")),
    };
    let resume = Some(Resume { session: session.clone(), answers: vec![answer] });
    let again = Assignment { resume, ..job.clone() };
    let (output, _) = output(run(&runner, again).await.unwrap());
    assert!(output["warnings"][0].as_str().unwrap().contains("user input"));
    let text = double.asked()[0].text();
    for shown in ["the beginning", "CUT OFF HERE", "In short: recipes"] {
        assert!(text.contains(shown), "{shown}: {text}");
    }
    // A session without an answer permits nothing.
    let resume = Some(Resume { session, answers: Vec::new() });
    let asked = run(&runner, Assignment { resume, ..job.clone() }).await.unwrap();
    assert!(matches!(asked, Outcome::Ask { .. }), "{asked:?}");
}

#[tokio::test]
async fn an_only_input_of_which_nothing_can_be_shown_is_an_error() {
    let double = double().await;
    let job = planning_with(&[(ArtifactType::UserInput, json!({"idea": "much ".repeat(900)}))]);
    let answer = Answer {
        question_id: IdGenerator::new(Timestamp::from_micros(1), 1).request(),
        action: HitlAction::Approve,
        comment: None,
        content: None,
    };
    let runner = small(&double, 20);
    let asked = run(&runner, job.clone()).await.unwrap();
    let Outcome::Ask { session, .. } = asked else { panic!("{asked:?}") };
    let resume = Some(Resume { session, answers: vec![answer] });
    let failed = failed(run(&runner, Assignment { resume, ..job }).await);
    assert_eq!((failed.code.as_str(), failed.again), ("input_too_large", false));
    assert!(failed.detail.contains("context_tokens") && double.asked().is_empty());
}

#[tokio::test]
async fn source_code_is_shown_in_whole_files_and_the_rest_is_named() {
    let double = double().await;
    let files = json!([
        {"path": "a.js", "content": "first file"}, {"path": "b.js", "content": "bb ".repeat(900)},
        {"path": "c.js", "content": "third file"}, {"path": "d.js", "content": "dd ".repeat(900)},
    ]);
    let job = planning_with(&[
        (ArtifactType::UserInput, json!({"idea": "first"})),
        (ArtifactType::SourceCode, json!({"entry": "a.js", "files": files})),
    ]);
    let (output, _) = output(run(&small(&double, 300), job).await.unwrap());
    let text = double.asked()[0].text();
    let places = ["first file", "bb bb", "[CUT OFF", "third file"].map(|part| text.find(part));
    assert!(places.iter().all(Option::is_some) && places.is_sorted(), "{places:?} {text}");
    assert!(!text.contains("dd dd"), "{text}");
    assert_eq!(output["context"]["shortened"][0]["path"], "b.js");
    assert_eq!(output["context"]["left_out"][0]["path"], "d.js");
    assert!(
        text.contains("the file d.js of the source code (left out, 2700 characters)"),
        "{text}"
    );
}

#[tokio::test]
async fn the_document_is_the_one_after_the_reasoning_or_in_the_fence() {
    let mut draft = plan();
    draft["summary"] = json!("A draft.");
    let real = plan();
    for (kind, protocol) in KINDS {
        for text in [
            format!("<think>Maybe {draft}? No.</think>{real}"),
            format!("Maybe {draft}? No.\n</think>\n\n{real}"),
            format!("For example {draft}:\n```json\n{real}\n```\n"),
            format!("First {draft}, better {real}. It has the form {{\"summary\": \"…\"}}."),
        ] {
            let double = Double::saying("").await;
            double.then(Reply::Say(text.clone()));
            let outcome = run(&runner(&double, kind, protocol), planning()).await.unwrap();
            let Outcome::Completed { artifacts, .. } = outcome else { panic!("{outcome:?}") };
            assert_eq!(artifacts[0].content["summary"], real["summary"], "{text}");
        }
    }
}

#[tokio::test]
async fn an_answer_with_several_possible_documents_is_asked_for_again() {
    let mut draft = plan();
    draft["summary"] = json!("A draft.");
    let real = plan();
    for text in [
        format!("```\n{draft}\n```\nor\n```\n{real}\n```"),
        format!("```\n{{\"goals\": 1}}\n```\n{real}"),
        format!("{draft}\nAnd now the final version:\n{}", &real.to_string()[..60]),
        "{\"a\": 1} {\"b\": 2}".to_owned(),
    ] {
        let double = Double::saying("").await;
        double.then(Reply::Say(text.clone()));
        let runner = runner(&double, ProviderKind::Compatible, Protocol::OpenAi);
        let failed = failed(run(&runner, planning()).await);
        assert_eq!((failed.code.as_str(), failed.again), ("unfit", true), "{text}");
    }
}
