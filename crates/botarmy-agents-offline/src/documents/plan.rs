//! The project plan: goals, scope, milestones, risks, and what a reviewer should decide.

use serde_json::{Value, json};

use super::{document, table};
use crate::application::not_built_markdown;
use crate::domain::{ANY, domain};
use crate::english::{capitalised, with_article};
use crate::not_built;
use crate::product::{BASE, Product};
use crate::step::Step;
use crate::template::{Values, bullets, markdown};

/// Drafts the project plan.
pub(crate) fn draft(product: &Product) -> Value {
    let audience = product
        .audience
        .clone()
        .unwrap_or_else(|| format!("every {}", domain(&product.domain).role));
    let kind = domain(&product.domain).kind;
    let not_built = not_built::of(product);
    let goals = goals(product);
    let (inside, outside) = scope(product);
    let milestones = milestones(product);
    let risks = risks(product);
    let questions = questions(product);
    let keywords =
        if product.keywords.is_empty() { "none".to_owned() } else { product.keywords.join(", ") };

    let mut values = Values::default();
    values
        .set("keywords", keywords)
        .set("domain", kind.name())
        .set("not_built", not_built_markdown(product))
        .set("goals", bullets(goals.iter().map(|goal| markdown(goal))))
        .set("in_scope", bullets(inside.iter().map(|line| markdown(line))))
        .set("out_of_scope", bullets(outside.iter().map(|line| markdown(line))))
        .set(
            "milestones",
            table(
                &["", "Milestone", "Done when"],
                milestones.iter().map(|(id, name, done)| {
                    vec![(*id).to_owned(), (*name).to_owned(), markdown(done)]
                }),
            ),
        )
        .set(
            "risks",
            table(
                &["Risk", "Likelihood", "What is done about it"],
                risks.iter().map(|(risk, likelihood, answer)| {
                    vec![markdown(risk), (*likelihood).to_owned(), markdown(answer)]
                }),
            ),
        )
        .set("questions", bullets(questions.iter().map(|question| markdown(question))));

    let fields = json!({
        "audience": audience,
        "keywords": product.keywords,
        "goals": goals,
        "scope": {"in": inside, "out": outside},
        "milestones": milestones.iter().map(|(id, name, done)| json!({
            "id": id, "name": name, "done_when": done,
        })).collect::<Vec<_>>(),
        "risks": risks.iter().map(|(risk, likelihood, answer)| json!({
            "risk": risk, "likelihood": likelihood, "mitigation": answer,
        })).collect::<Vec<_>>(),
        "questions": questions,
        "not_built": not_built.requirements,
    });
    let template = include_str!("../templates/plan.md");
    document(Step::ProjectPlanning, product, "Project plan", template, &mut values, fields)
}

fn goals(product: &Product) -> Vec<String> {
    let mut goals = vec![
        format!("{}.", capitalised(&domain(&product.domain).purpose)),
        format!(
            "A first-time visitor can add {} without an explanation.",
            with_article(&product.singular)
        ),
        "It opens from a folder or any static host: no account, no server, no tracking.".to_owned(),
        "It can be used with a keyboard, on a phone and in the dark.".to_owned(),
    ];
    for story in extra_stories(product) {
        goals.push(format!("One can {story}."));
    }
    goals
}

fn extra_stories(product: &Product) -> impl Iterator<Item = &str> {
    product
        .stories
        .iter()
        .filter(|story| {
            let feature = story.feature.as_deref();
            feature.is_some_and(|feature| !BASE.contains(&feature) && feature != "request")
        })
        .map(|story| story.i_want.as_str())
}

fn scope(product: &Product) -> (Vec<String>, Vec<String>) {
    let many = &product.plural;
    let mut inside = vec![
        format!("A list of {many} with search and order"),
        format!("Adding, editing and deleting {many}"),
        "Keeping the data in the browser, with export and import as JSON".to_owned(),
    ];
    inside.extend(extra_stories(product).map(capitalised));
    let outside = vec![
        "Accounts, roles and passwords".to_owned(),
        "A shared database: every browser has its own data, which travels as a file".to_owned(),
        "Payments, e-mail and anything else that needs a server".to_owned(),
    ];
    (inside, outside)
}

fn milestones(product: &Product) -> Vec<(&'static str, &'static str, String)> {
    vec![
        ("M1", "Plan agreed", "a reviewer has approved this document".to_owned()),
        ("M2", "Requirements agreed", "every user story has acceptance criteria".to_owned()),
        ("M3", "Design settled", "components, data and build order are written down".to_owned()),
        ("M4", "Built", format!("{} opens and shows its samples", product.name)),
        ("M5", "Tested", "every check passes and every criterion is covered".to_owned()),
        ("M6", "Launched", "the files in place have the digests that were tested".to_owned()),
    ]
}

fn risks(product: &Product) -> Vec<(String, &'static str, String)> {
    let mut risks = vec![
        (
            "The words of the idea were read differently from how they were meant".to_owned(),
            "medium",
            "The reviewer of this plan can amend it; every word enters the next steps".to_owned(),
        ),
        (
            format!("People expect to see the same {} on two devices", product.plural),
            "medium",
            "Export and import move them; the limits are stated on the About page".to_owned(),
        ),
        (
            "The browser's storage is cleared".to_owned(),
            "low",
            "The page offers an export and says so when nothing can be kept".to_owned(),
        ),
    ];
    if product.domain == ANY {
        risks.push((
            "The idea matched no known kind of product, so a general list is planned".to_owned(),
            "high",
            "Check the fields in the specification and amend them there".to_owned(),
        ));
    }
    if product.has("photo") {
        risks.push((
            "Pictures stay at the address they come from and may disappear".to_owned(),
            "medium",
            "An item without its picture stays complete and readable".to_owned(),
        ));
    }
    risks
}

fn questions(product: &Product) -> Vec<String> {
    let fields: Vec<&str> = product.fields.iter().map(|field| field.label.as_str()).collect();
    let mut questions = vec![
        format!("Is \"{}\" the right name?", product.name),
        format!(
            "Does {} need more than these fields: {}?",
            with_article(&product.singular),
            fields.join(", ")
        ),
    ];
    if product.audience.is_none() {
        questions.push("Who is it for? The idea does not say.".to_owned());
    }
    questions
}
