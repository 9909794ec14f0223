//! The product: the model that the documents carry from step to step. Every document holds it
//! under `product`, so a later step works from the decisions of earlier steps, which a person may
//! have amended, and does not interpret the idea again.

use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

use crate::domain::{self, ANY};
use crate::english::capitalised;
use crate::extras::{extras, feature_in};
use crate::field::{Field, FieldKind};
use crate::idea;
use crate::language::{self, Language};
use crate::resource;
use crate::stories;
use crate::template::{clean, clip};

/// Most characters of an idea or of a reviewer's text that are kept.
const MAX_TEXT_CHARS: usize = 4_000;

/// Returns the part of a text from outside that is kept, without control characters.
pub(crate) fn kept(text: &str) -> String {
    clip(clean(text).trim(), MAX_TEXT_CHARS)
}

/// A user story.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Story {
    #[serde(default)]
    pub(crate) id: String,
    /// Feature of the application that implements it, if the templates have one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) feature: Option<String>,
    #[serde(default)]
    pub(crate) as_a: String,
    #[serde(default)]
    pub(crate) i_want: String,
    #[serde(default)]
    pub(crate) so_that: String,
    #[serde(default)]
    pub(crate) acceptance: Vec<Criterion>,
}

/// An acceptance criterion. The testing step looks for its id in the application.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Criterion {
    pub(crate) id: String,
    #[serde(default)]
    pub(crate) text: String,
}

/// A request of a reviewer.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct ChangeRequest {
    /// Text in the reviewer's words.
    pub(crate) text: String,
    /// Id of the story that was added for it.
    pub(crate) story: String,
    /// Features that were added because of it.
    #[serde(default)]
    pub(crate) added: Vec<String>,
    /// Features that were removed because of it.
    #[serde(default)]
    pub(crate) removed: Vec<String>,
}

impl ChangeRequest {
    /// Returns the effect of the request on the product, in sentences for documents.
    pub(crate) fn effect(&self) -> String {
        let mut sentences = Vec::new();
        if !self.added.is_empty() {
            sentences.push(format!("Taken up in the application: {}.", feature_names(&self.added)));
        }
        if !self.removed.is_empty() {
            sentences
                .push(format!("Left out of the application: {}.", feature_names(&self.removed)));
        }
        if sentences.is_empty() {
            return "Recorded. The templates found no part to add or to leave out because of it; a \
                    person has to build it."
                .to_owned();
        }
        sentences
            .push("What it asks for beyond that is recorded here and left to a person.".to_owned());
        sentences.join(" ")
    }
}

fn feature_names(features: &[String]) -> String {
    let names: Vec<&str> = features
        .iter()
        .map(|feature| match feature.as_str() {
            "rating" => "ratings",
            "share" => "sharing",
            "photo" => "pictures",
            "due" => "dates",
            "price" => "prices",
            "done" => "ticking off",
            "person" => "a responsible person",
            "print" => "printing",
            "api" => "a description for programs",
            other => other,
        })
        .collect();
    names.join(", ")
}

/// Features of every application.
pub(crate) const BASE: &[&str] = &["list", "add", "edit", "delete", "search", "keep", "accessible"];

/// The product that is being built.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Product {
    pub(crate) idea: String,
    pub(crate) name: String,
    #[serde(default)]
    pub(crate) audience: Option<String>,
    #[serde(default)]
    pub(crate) keywords: Vec<String>,
    pub(crate) domain: String,
    pub(crate) singular: String,
    pub(crate) plural: String,
    pub(crate) fields: Vec<Field>,
    #[serde(default)]
    pub(crate) stories: Vec<Story>,
    #[serde(default)]
    pub(crate) changes: Vec<ChangeRequest>,
}

impl Product {
    /// Creates a product from an idea.
    pub(crate) fn from_idea(idea: &str) -> Self {
        let idea = kept(idea);
        let reading = idea::read(&idea);
        let mut product = Self {
            name: reading.name,
            audience: reading.audience,
            keywords: reading.keywords,
            domain: reading.domain.key.clone(),
            singular: reading.noun.0,
            plural: reading.noun.1,
            fields: reading.domain.fields.clone(),
            stories: Vec::new(),
            changes: Vec::new(),
            idea,
        };
        resource::adapt(&product.idea, reading.domain, &mut product.fields);
        for feature in domain::domain(&product.domain).features() {
            product.add_story(feature);
        }
        for feature in BASE {
            product.add_story(feature);
        }
        // The words for the audience ask for nothing: "dog owners" want no owner of each item.
        let asking = match &product.audience {
            Some(audience) => product.idea.replacen(audience.trim_end_matches('…'), " ", 1),
            None => product.idea.clone(),
        };
        let covered = domain::domain(&product.domain).kind.covers();
        for extra in extras(&asking).0.into_iter().filter(|extra| !covered.contains(extra)) {
            product.add_extra(extra);
        }
        product
    }

    /// Reads the product from a document that an earlier step wrote and a person may have edited:
    /// stories and fields at the top of the document win over the copy under `product`. Returns
    /// `None` if the document has no product.
    pub(crate) fn from_document(document: &Value) -> Option<Self> {
        let mut product: Self = serde_json::from_value(document.get("product")?.clone()).ok()?;
        if let Some(stories) = read::<Vec<Story>>(document, "user_stories") {
            product.stories = stories;
        }
        if let Some(entity) = document.get("entities").and_then(|entities| entities.get(0)) {
            if let Some(fields) = read::<Vec<Field>>(entity, "fields") {
                product.fields = fields;
            }
            for (key, word) in [("name", &mut product.singular), ("plural", &mut product.plural)] {
                if let Some(text) = entity.get(key).and_then(Value::as_str) {
                    word.clone_from(&text.to_owned());
                }
            }
        }
        product.normalize();
        Some(product)
    }

    /// Replaces the stories by those of a document that a person wrote from scratch, if it has any.
    pub(crate) fn adopt_stories(&mut self, document: &Value) {
        if let Some(written) = Self::of_stories(document) {
            self.stories = written.stories;
            self.normalize();
        }
    }

    /// Creates a product from the stories of a document that a person wrote from scratch.
    pub(crate) fn of_stories(document: &Value) -> Option<Self> {
        let stories = read::<Vec<Story>>(document, "user_stories")?;
        let mut product = Self { stories, ..Self::from_idea("") };
        product.normalize();
        Some(product)
    }

    /// Adds a reviewer's request. A request that was added before changes nothing.
    pub(crate) fn request(&mut self, text: &str) {
        let text = kept(text);
        if text.is_empty() || self.changes.iter().any(|change| change.text == text) {
            return;
        }
        let (wanted, declined) = extras(&text);
        let added: Vec<String> = wanted
            .into_iter()
            .filter(|feature| self.add_extra(feature))
            .map(str::to_owned)
            .collect();
        let removed: Vec<String> = declined
            .into_iter()
            .filter(|feature| self.remove_extra(feature))
            .map(str::to_owned)
            .collect();
        let n = self.next_number();
        let story = Story {
            id: format!("US-{n}"),
            feature: Some("request".to_owned()),
            as_a: "reviewer".to_owned(),
            i_want: text.clone(),
            so_that: "the product does what was agreed in review".to_owned(),
            acceptance: vec![Criterion {
                id: format!("AC-{n}.1"),
                text: "The About page shows this request in the reviewer's words and says which \
                       parts of the application were added or left out because of it."
                    .to_owned(),
            }],
        };
        self.changes.push(ChangeRequest { text, story: story.id.clone(), added, removed });
        self.stories.push(story);
    }

    /// Returns `true` if a story asks for this feature.
    pub(crate) fn has(&self, feature: &str) -> bool {
        self.stories.iter().any(|story| story.feature.as_deref() == Some(feature))
    }

    /// Returns the ids of the criteria of all stories that ask for this feature.
    pub(crate) fn criteria_of(&self, feature: &str) -> Vec<&str> {
        self.stories
            .iter()
            .filter(|story| story.feature.as_deref() == Some(feature))
            .flat_map(|story| story.acceptance.iter().map(|criterion| criterion.id.as_str()))
            .collect()
    }

    /// Returns every criterion with its story, in order.
    pub(crate) fn criteria(&self) -> impl Iterator<Item = (&Story, &Criterion)> {
        self.stories
            .iter()
            .flat_map(|story| story.acceptance.iter().map(move |criterion| (story, criterion)))
    }

    /// Returns a one-line description of the product.
    pub(crate) fn summary(&self) -> String {
        let audience =
            self.audience.as_ref().map_or_else(String::new, |audience| format!(" for {audience}"));
        format!(
            "{} is a small web application{audience} to {}. It keeps a list of {} in the browser.",
            self.name,
            domain::domain(&self.domain).purpose,
            self.plural
        )
    }

    /// Returns the parts of the product that its stories name.
    pub(crate) fn about(&self) -> stories::About<'_> {
        stories::About {
            domain: domain::domain(&self.domain),
            singular: &self.singular,
            plural: &self.plural,
            fields: &self.fields,
        }
    }

    /// Returns the language of the idea, if it is not that of the templates.
    pub(crate) fn foreign_language(&self) -> Option<Language> {
        language::foreign(&self.idea)
    }

    /// Returns a sentence about the language of the idea, if it is not that of the templates.
    pub(crate) fn language_note(&self) -> Option<String> {
        let language = self.foreign_language()?;
        Some(format!(
            "The idea is written in {}. The templates are in English only: they recognised single \
             words of it, and everything they wrote is in English.",
            language.name
        ))
    }

    /// Returns the name as part of a URL: lower-case letters, digits and hyphens.
    pub(crate) fn slug(&self) -> String {
        let slug = slug(&self.name, '-');
        if slug.is_empty() { "product".to_owned() } else { slug }
    }

    /// Returns the field that a feature uses, if it uses one.
    pub(crate) fn field_for(&self, feature: &str) -> Option<&Field> {
        let kind = |kind| self.fields.iter().skip(1).find(|field| field.kind == kind);
        let named = |names: &[&str]| {
            self.fields.iter().skip(1).find(|field| names.contains(&field.name.as_str()))
        };
        match feature {
            "rating" => kind(FieldKind::Rating),
            "photo" => kind(FieldKind::Photo),
            "due" => kind(FieldKind::Date),
            "price" => kind(FieldKind::Money),
            "done" => kind(FieldKind::Check),
            "notes" => kind(FieldKind::Long),
            "person" => named(&["person", "owner"]),
            "tags" => named(&["tags"]),
            _ => None,
        }
    }

    /// Adds the field that a feature uses, unless it exists.
    fn ensure_field(&mut self, feature: &str) {
        if self.field_for(feature).is_some() {
            return;
        }
        let (name, label, kind) = match feature {
            "rating" => ("rating", "Rating", FieldKind::Rating),
            "photo" => ("photo", "Picture address", FieldKind::Photo),
            "due" => ("due", "Date", FieldKind::Date),
            "price" => ("price", "Price", FieldKind::Money),
            "done" => ("done", "Done", FieldKind::Check),
            "notes" => ("notes", "Notes", FieldKind::Long),
            "person" => ("person", "Responsible", FieldKind::Text),
            "tags" => ("tags", "Tags", FieldKind::Text),
            _ => return,
        };
        let taken = self.fields.iter().any(|field| field.name == name);
        let name = if taken { format!("{name}_{}", self.fields.len()) } else { name.to_owned() };
        let label = label.to_owned();
        self.fields.push(Field { name, label, kind, required: false, options: Vec::new() });
    }

    /// Adds a feature, and returns `false` if the product has it already.
    fn add_extra(&mut self, feature: &str) -> bool {
        if self.has(feature) {
            return false;
        }
        self.ensure_field(feature);
        self.add_story(feature);
        true
    }

    /// Removes a feature, and returns `false` if the product does not have it.
    fn remove_extra(&mut self, feature: &str) -> bool {
        let before = self.fields.len() + self.stories.len();
        if let Some(name) = self.field_for(feature).map(|field| field.name.clone()) {
            self.fields.retain(|field| field.name != name);
        }
        self.stories.retain(|story| story.feature.as_deref() != Some(feature));
        self.fields.len() + self.stories.len() != before
    }

    fn next_number(&self) -> usize {
        let stories = self.stories.iter().filter_map(|story| story.id.strip_prefix("US-"));
        let criteria = self
            .criteria()
            .filter_map(|(_, criterion)| criterion.id.strip_prefix("AC-")?.split('.').next());
        let taken = stories.chain(criteria).filter_map(|n| n.parse::<usize>().ok()).max();
        taken.unwrap_or(0).saturating_add(1)
    }

    fn add_story(&mut self, feature: &str) {
        let Some(text) = stories::text(feature, &self.about()) else { return };
        let n = self.next_number();
        self.stories.push(Story {
            id: format!("US-{n}"),
            feature: Some(feature.to_owned()),
            as_a: domain::domain(&self.domain).role.clone(),
            i_want: text.want,
            so_that: text.so_that.to_owned(),
            acceptance: text
                .criteria
                .into_iter()
                .enumerate()
                .map(|(at, text)| Criterion { id: format!("AC-{n}.{}", at + 1), text })
                .collect(),
        });
    }

    /// Repairs invalid values in a document that a person edited: names that cannot be element ids,
    /// fields without a label, stories without an id or a feature.
    fn normalize(&mut self) {
        self.name = one_line(&self.name, 48, "Product");
        self.singular = one_line(&self.singular, 40, "item");
        self.plural = one_line(&self.plural, 40, "items");
        self.idea = kept(&self.idea);
        let mut names: Vec<String> = Vec::new();
        for (n, field) in self.fields.iter_mut().enumerate() {
            let mut name = clip(&slug(&field.name, '_'), 30).trim_end_matches('…').to_owned();
            if !name.starts_with(|c: char| c.is_ascii_lowercase())
                || names.contains(&name)
                || name == "id"
            {
                name = format!("field_{}", n + 1);
            }
            field.label = one_line(&field.label, 60, &capitalised(&name.replace('_', " ")));
            field.options.retain(|option| !option.trim().is_empty());
            if field.kind == FieldKind::Choice && field.options.is_empty() {
                field.kind = FieldKind::Text;
            }
            names.push(name.clone());
            field.name = name;
        }
        if self.fields.is_empty() {
            self.fields = domain::domain(ANY).fields.clone();
        }
        // The first field is the name of an item.
        let first = &mut self.fields[0];
        if !matches!(first.kind, FieldKind::Text) {
            first.kind = FieldKind::Text;
            first.options.clear();
        }
        first.required = true;
        for n in 0..self.stories.len() {
            if self.stories[n].id.trim().is_empty() {
                let id = format!("US-{}", self.next_number());
                self.stories[n].id = id;
            }
            let story = &mut self.stories[n];
            if story.feature.is_none() {
                story.feature = feature_in(&story.i_want).map(str::to_owned);
            }
            let id = story.id.clone();
            for (at, criterion) in story.acceptance.iter_mut().enumerate() {
                criterion.id = criterion.id.split_whitespace().collect::<Vec<_>>().join("-");
                if criterion.id.is_empty() {
                    criterion.id = format!("{}.{}", id.replacen("US", "AC", 1), at + 1);
                }
            }
            if let Some(feature) = self.stories[n].feature.clone() {
                self.ensure_field(&feature);
            }
        }
    }

    /// Returns the sample items of the domain, reduced to the fields that the product has.
    pub(crate) fn samples(&self) -> Vec<Map<String, Value>> {
        let domain = domain::domain(&self.domain);
        let fill = |field: &Field, value: &Value| match value {
            Value::String(text) => {
                Value::from(renamed(domain, field, text).replace("{singular}", &self.singular))
            }
            other => other.clone(),
        };
        domain
            .samples
            .iter()
            .enumerate()
            .map(|(n, sample)| {
                let mut item = Map::new();
                for field in &self.fields {
                    let value = match (sample.get(&field.name), field.kind) {
                        (Some(value), _) => fill(field, value),
                        (None, FieldKind::Rating) => Value::from(5 - n % 3),
                        (None, FieldKind::Check) => Value::from(n == 1),
                        (None, _) if field.name == self.fields[0].name => {
                            Value::from(format!("{} {}", capitalised(&self.singular), n + 1))
                        }
                        (None, _) => continue,
                    };
                    item.insert(field.name.clone(), value);
                }
                item
            })
            .collect()
    }
}

/// Returns the value of a sample, under the present name of the option where one was renamed.
fn renamed<'a>(domain: &domain::Domain, field: &'a Field, value: &'a str) -> &'a str {
    let before = domain.fields.iter().find(|one| one.name == field.name);
    let at = before.and_then(|one| one.options.iter().position(|option| option == value));
    at.and_then(|at| field.options.get(at)).map_or(value, String::as_str)
}

fn read<T: serde::de::DeserializeOwned>(document: &Value, key: &str) -> Option<T> {
    serde_json::from_value(document.get(key)?.clone()).ok()
}

fn one_line(text: &str, limit: usize, otherwise: &str) -> String {
    let line = clean(text).split_whitespace().collect::<Vec<_>>().join(" ");
    if line.is_empty() { otherwise.to_owned() } else { clip(&line, limit) }
}

fn slug(text: &str, between: char) -> String {
    let mut slug = String::new();
    for c in text.to_lowercase().chars() {
        if c.is_ascii_alphanumeric() {
            slug.push(c);
        } else if !slug.is_empty() && !slug.ends_with(between) {
            slug.push(between);
        }
    }
    slug.trim_end_matches(between).to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn an_idea_becomes_stories_with_criteria_of_their_own() {
        let product = Product::from_idea("A recipe-sharing site for small families");
        assert!(product.has("share") && product.has("list"));
        let ids: Vec<&str> = product.criteria().map(|(_, c)| c.id.as_str()).collect();
        let unique: std::collections::BTreeSet<_> = ids.iter().collect();
        assert_eq!(ids.len(), unique.len());
        assert!(ids.len() > 12, "{ids:?}");
    }

    #[test]
    fn a_reviewers_request_becomes_a_story_and_where_possible_a_field() {
        let mut product = Product::from_idea("recipes");
        product.request("Please add star ratings");
        product.request("Please add star ratings");
        assert_eq!(product.changes.len(), 1);
        assert_eq!(product.changes[0].added, ["rating"]);
        assert!(product.field_for("rating").is_some() && product.has("request"));
        product.request("No ratings after all");
        assert_eq!(product.changes[1].removed, ["rating"]);
        assert!(product.field_for("rating").is_none() && !product.has("rating"));
    }

    #[test]
    fn a_document_without_a_product_yields_none() {
        assert_eq!(Product::from_document(&json!({"title": "mine"})), None);
        assert_eq!(Product::from_document(&json!({"product": 7})), None);
    }

    #[test]
    fn invalid_values_in_an_edited_document_are_repaired() {
        let product = Product::from_idea("recipes");
        let document = json!({
            "product": product,
            "entities": [{"name": "", "fields": [
                {"name": "How long?", "kind": "sundial"},
                {"name": "How long?", "kind": "choice"},
                {"name": "constructor"}
            ]}],
            "user_stories": [{"i_want": "to delete old ones", "acceptance": [{"id": " A 1 "}]}]
        });
        let product = Product::from_document(&document).unwrap();
        let names: Vec<&str> = product.fields.iter().map(|field| field.name.as_str()).collect();
        assert_eq!(names, ["how_long", "field_2", "constructor"]);
        assert_eq!(product.fields[1].kind, FieldKind::Text);
        assert_eq!(product.singular, "item");
        assert_eq!(product.criteria_of("delete"), ["A-1"]);
    }

    #[test]
    fn every_extra_has_a_story_when_it_is_added() {
        for extra in crate::extras::EXTRAS {
            let mut product = Product::from_idea("");
            product.fields.truncate(1);
            assert!(product.add_extra(extra.feature), "{}", extra.feature);
            assert!(!product.criteria_of(extra.feature).is_empty(), "{}", extra.feature);
            assert!(!product.add_extra(extra.feature), "{}", extra.feature);
            assert!(product.remove_extra(extra.feature), "{}", extra.feature);
        }
    }

    #[test]
    fn samples_have_only_known_fields_and_always_a_name() {
        let mut product = Product::from_idea("recipes with ratings");
        product.fields[0].name = "called".to_owned();
        for sample in product.samples() {
            assert!(sample.contains_key("called") && sample.contains_key("rating"));
            assert!(!sample.contains_key("title"));
        }
    }
}
