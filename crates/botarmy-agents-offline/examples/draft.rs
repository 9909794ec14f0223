//! Drafts an application and writes it to a folder, to look at it:
//! `cargo run -p botarmy-agents-offline --example draft -- "A recipe-sharing site" target/app ["feedback"…]`

use std::collections::BTreeMap;
use std::path::Path;

use botarmy_agents_offline::{Brief, Step, draft};

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let mut arguments = std::env::args().skip(1);
    let idea = arguments.next().ok_or("give an idea and a folder")?;
    let folder = arguments.next().ok_or("give a folder after the idea")?;
    let mut brief = Brief {
        step: Step::ProjectPlanning,
        idea,
        feedback: arguments.collect(),
        inputs: BTreeMap::new(),
        is_repaired: true,
    };
    for (step, makes) in [
        (Step::ProjectPlanning, "project_plan"),
        (Step::RequirementsAnalysis, "software_specification"),
        (Step::ArchitecturalDesign, "system_architecture"),
        (Step::ImplementationPlanning, "implementation_plan"),
        (Step::CodeGeneration, "source_code"),
        (Step::CodeRefinement, "source_code"),
        (Step::CodeTesting, "test_results"),
        (Step::BugFix, "source_code"),
        (Step::CodeTesting, "test_results"),
    ] {
        brief.step = step;
        let made = draft(&brief)?;
        println!("{step}: {}", made["summary"].as_str().unwrap_or_default());
        if let Some(text) = made["markdown"].as_str() {
            let path = Path::new(&folder).join(format!("{makes}.md"));
            std::fs::create_dir_all(&folder)?;
            std::fs::write(path, text)?;
        }
        brief.inputs.insert(makes.to_owned(), made);
    }
    for file in brief.inputs["source_code"]["files"].as_array().into_iter().flatten() {
        let path = Path::new(&folder).join(file["path"].as_str().unwrap_or_default());
        std::fs::write(path, file["content"].as_str().unwrap_or_default())?;
    }
    Ok(())
}
