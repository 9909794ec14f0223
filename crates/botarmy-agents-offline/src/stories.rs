//! User stories: what each feature of the templates is for, and how one sees that it is there.

use crate::domain::Domain;
use crate::english::with_article;
use crate::field::Field;

/// The parts of a product that its stories name.
#[derive(Debug, Clone, Copy)]
pub(crate) struct About<'a> {
    pub(crate) domain: &'static Domain,
    pub(crate) singular: &'a str,
    pub(crate) plural: &'a str,
    pub(crate) fields: &'a [Field],
}

/// The text of a story: wish, reason and criteria.
pub(crate) struct Text {
    pub(crate) want: String,
    pub(crate) so_that: &'static str,
    pub(crate) criteria: Vec<String>,
}

/// Returns the story of a feature; `None` for a feature without a template.
pub(crate) fn text(feature: &str, about: &About<'_>) -> Option<Text> {
    base(feature, about)
        .or_else(|| of_kind(feature, about))
        .or_else(|| extra(feature, about))
        .map(|(want, so_that, criteria)| Text { want, so_that, criteria })
}

type Parts = (String, &'static str, Vec<String>);

/// Features of every application.
fn base(feature: &str, about: &About<'_>) -> Option<Parts> {
    let (one, many) = (about.singular, about.plural);
    let a = with_article(one);
    Some(match feature {
        "list" => (
            format!("see all {many} in one list"),
            "I know what is there",
            vec![
                format!("Every {one} is shown with its name and its details."),
                "An empty list says that it is empty and what to do next.".to_owned(),
            ],
        ),
        "add" => (
            format!("add {a}"),
            "nothing gets lost",
            vec![
                format!("A form with a label for every field adds {a} to the list."),
                "When a required field is empty, the form says which one and keeps what was \
                 entered."
                    .to_owned(),
            ],
        ),
        "edit" => (
            format!("edit {a}"),
            "mistakes can be corrected",
            vec![format!("The form opens with the values of the {one} and saves the changes.")],
        ),
        "delete" => (
            format!("delete {a}"),
            "the list stays useful",
            vec![
                format!("Every {one} can be deleted."),
                "Deleting asks first, naming what would be deleted.".to_owned(),
            ],
        ),
        "search" => (
            format!("search and narrow down the {many}"),
            "I find the right one quickly",
            vec![
                "Typing in the search field narrows the list at once, over all fields.".to_owned(),
                "The list can be sorted and, where there is a choice field, filtered.".to_owned(),
                format!("The number of {many} shown is announced."),
            ],
        ),
        "keep" => (
            format!("have my {many} kept and take them with me"),
            "my work is still there tomorrow",
            vec![
                "Changes are kept in the browser and are there after a reload.".to_owned(),
                format!("All {many} can be exported as a JSON file."),
                "An exported file can be imported again; a file of another kind is refused and \
                 changes nothing."
                    .to_owned(),
            ],
        ),
        "accessible" => (
            "use it with a keyboard, on a phone and in the dark".to_owned(),
            "everybody can use it",
            vec![
                "A skip link leads to the list, and every control has a name.".to_owned(),
                "Light and dark appearance follow the system and can be switched.".to_owned(),
            ],
        ),
        _ => return None,
    })
}

/// Features of the panels.
fn of_kind(feature: &str, about: &About<'_>) -> Option<Parts> {
    let (one, many) = (about.singular, about.plural);
    let a = with_article(one);
    Some(match feature {
        "states" => (
            format!("move {a} from one state to the next"),
            "everybody sees where things stand",
            vec![
                format!("The number of {many} in each state is shown and narrows the list."),
                format!("A list on every card changes the state of the {one}."),
            ],
        ),
        "lines" => (
            format!("write down the lines of {a}"),
            "it says what it is about",
            vec![format!("The form adds and removes lines with a text, a quantity and a price.")],
        ),
        "totals" => (
            format!("see what the {many} come to"),
            "I know what is still open",
            vec!["The totals of each state and of what is overdue are shown, with tax.".to_owned()],
        ),
        "sheet" => (
            format!("print one {one}"),
            "I can hand it over",
            vec![format!("A button on every card prints that {one} alone.")],
        ),
        "week" => (
            format!("see the {many} of a week"),
            "I see what is free",
            vec![
                format!("Every {one} of the week is shown on its day, in the order of time."),
                "Buttons lead to the week before, this week and the week after.".to_owned(),
            ],
        ),
        "overlap" => (
            format!("be told when two {many} overlap"),
            "nothing is promised twice",
            vec![overlap(about)],
        ),
        "convert" => (
            format!("convert an amount from one {one} to another"),
            "I do not have to do the sum",
            vec![
                "An amount, a source and a target give a result at once.".to_owned(),
                if about.domain.role("note").is_some() {
                    "The page says by which rate it counted, and that the first rates are samples."
                } else {
                    "The page says by which rate it counted."
                }
                .to_owned(),
            ],
        ),
        "converse" => (
            "ask in my own words".to_owned(),
            "I do not have to search",
            vec![
                "The answer that shares most words with the question is shown, and a question that \
                 no answer fits is said to have none."
                    .to_owned(),
                "Buttons ask the first questions of the list.".to_owned(),
            ],
        ),
        "play" if about.domain.role("mode").is_some() => (
            format!("turn one {one} after the other"),
            "I see what I know already",
            vec![
                format!("Each {one} shows its front first, and its back when it is turned."),
                "At the end the score is shown, with what was not known.".to_owned(),
            ],
        ),
        "play" => (
            format!("answer one {one} after the other"),
            "I see what I know already",
            vec![
                "Each answer is marked as right or wrong at once, with the explanation where there \
                 is one."
                    .to_owned(),
                "At the end the score is shown, with what was not known.".to_owned(),
            ],
        ),
        "tick" => (
            format!("tick {a} for a day"),
            "I see what was done",
            vec![format!("A grid has a box for every {one} on each of the last seven days.")],
        ),
        "streak" => (
            "see the days in a row".to_owned(),
            "I want to keep them going",
            vec![format!("Every {one} shows its days in a row and the days of this week.")],
        ),
        "tour" => (
            format!("go from {one} to {one}"),
            "I do not lose my way",
            vec![format!("One {one} at a time is shown, in the order of the numbers.")],
        ),
        "listen" => (
            "hear the text".to_owned(),
            "I can look around meanwhile",
            vec![
                "A button reads the text with the voice of the browser, or plays the recording \
                 whose address was entered."
                    .to_owned(),
            ],
        ),
        _ => return None,
    })
}

/// Optional features.
fn extra(feature: &str, about: &About<'_>) -> Option<Parts> {
    let (one, many) = (about.singular, about.plural);
    let a = with_article(one);
    Some(match feature {
        "rating" => (
            format!("rate {a} with one to five stars"),
            "the best ones stand out",
            vec!["The form has a rating, and the list shows it as stars.".to_owned()],
        ),
        "share" => (
            format!("pass {a} on to somebody else"),
            "good things get around",
            vec![format!("Every {one} can be shared or copied as plain text.")],
        ),
        "photo" => (
            format!("see a picture of {a}"),
            "I recognise it at once",
            vec!["The form takes the address of a picture, and the list shows it.".to_owned()],
        ),
        "due" => (
            format!("give {a} a date"),
            "I know when it matters",
            vec!["The form takes a date, and the list shows it.".to_owned()],
        ),
        "price" => (
            format!("note what {a} costs"),
            "I can compare",
            vec!["The form takes an amount, and the list shows it.".to_owned()],
        ),
        "done" => (
            format!("tick off {a}"),
            "I see what is left",
            vec![format!(
                "{} can be marked as done, and the list shows it.",
                crate::english::capitalised(&a)
            )],
        ),
        "person" => (
            format!("note who is responsible for {a}"),
            "everybody knows whom to ask",
            vec!["The form takes a name, and the list shows it.".to_owned()],
        ),
        "tags" => (
            format!("put tags on {a}"),
            "related ones can be found together",
            vec!["The form takes tags, the list shows them and search finds them.".to_owned()],
        ),
        "notes" => (
            format!("add remarks to {a}"),
            "details are not forgotten",
            vec!["The form takes remarks, and the list shows them.".to_owned()],
        ),
        "print" => (
            format!("print the {many}"),
            "they can hang on the wall",
            vec!["A button prints the list without the controls around it.".to_owned()],
        ),
        "api" => (
            format!("read the {many} with a program"),
            "other programs can use them",
            vec![
                "The file data.json has the samples, and openapi.json describes it; any host of \
                 static files serves both."
                    .to_owned(),
            ],
        ),
        _ => return None,
    })
}

/// Returns the rule about overlaps, as the story and the page state it.
pub(crate) fn overlap(about: &About<'_>) -> String {
    let (one, a) = (about.singular, with_article(about.singular));
    let place = about
        .domain
        .role("place")
        .and_then(|name| about.fields.iter().find(|field| field.name == name));
    match place {
        Some(place) => format!(
            "{} that overlaps another {one} of the same {} is not saved, and the form names the other.",
            crate::english::capitalised(&a),
            place.label.to_lowercase()
        ),
        None => format!(
            "{} that overlaps another {one} is not saved, and the form names the other.",
            crate::english::capitalised(&a)
        ),
    }
}
