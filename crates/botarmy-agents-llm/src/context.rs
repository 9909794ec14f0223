//! Selection of the context for a model. Documents that are too long together are shortened, with a
//! mark at the place, and the model is told what it does not see.

use std::sync::Arc;

use botarmy_domain::artifact::Artifact;
use botarmy_domain::vocabulary::ArtifactType;
use serde_json::{Value, json};

use crate::usage::{BYTES_PER_TOKEN, approximate_tokens};

/// Fewest bytes of a shortened part: less of it helps nobody.
const MIN_PART: usize = 400;
/// Most bytes of the mark at the end of a shortened part.
const MARK_ROOM: usize = 120;
/// Most parts that are named to the model and in warnings.
const MAX_NAMED: usize = 20;

/// The context of one request.
#[derive(Debug)]
pub(crate) struct Selection {
    /// Text for the model.
    pub(crate) text: String,
    shown: usize,
    cut: Vec<Cut>,
    budget: usize,
}

/// A part of the context that is not shown in full.
#[derive(Debug)]
struct Cut {
    artifact: Arc<Artifact>,
    /// Path of the file, in source code.
    path: Option<String>,
    /// Characters that are shown; 0 if nothing is.
    shown: usize,
    /// Characters of the part.
    of: usize,
    /// Tokens of the part.
    tokens: usize,
}

impl Selection {
    /// Selects the context that fits into the budget of tokens. If not all of it does, short artifacts
    /// are shown in full, and the others share the rest equally; those that come last are left out
    /// first. Source code is selected file by file, in whole files as far as possible.
    pub(crate) fn of(context: &[Arc<Artifact>], budget: usize) -> Self {
        let mut selection = Self { text: String::new(), shown: 0, cut: Vec::new(), budget };
        let wanted: Vec<Parts> = context.iter().map(Parts::of).collect();
        let sizes: Vec<usize> = wanted.iter().map(Parts::size).collect();
        let room = shares(&sizes, budget.saturating_mul(BYTES_PER_TOKEN));
        for (parts, room) in wanted.iter().zip(room) {
            let before = selection.text.len();
            selection.show(parts, room);
            selection.shown += usize::from(selection.text.len() > before);
        }
        selection
    }

    fn show(&mut self, parts: &Parts, room: usize) {
        let mut texts = vec![String::new(); parts.parts.len()];
        let mut left = room.saturating_sub(parts.heading.len());
        let mut too_long = Vec::new();
        for (text, part) in texts.iter_mut().zip(&parts.parts) {
            if room >= parts.heading.len() && part.size() <= left {
                left -= part.size();
                *text = format!("{}{}\n\n", part.heading, part.body);
            } else {
                too_long.push(part);
            }
        }
        for part in too_long {
            let body = left.saturating_sub(part.heading.len() + MARK_ROOM);
            let (shown, of) = if body < MIN_PART { (0, part.length()) } else { part.cut(body) };
            if shown > 0 {
                let start: String = part.body.chars().take(shown).collect();
                let mark = format!("[CUT OFF HERE: {shown} of {of} characters are shown.]");
                texts[part.index] = format!("{}{start}\n\n{mark}\n\n", part.heading);
                left = 0;
            }
            self.cut.push(Cut {
                artifact: Arc::clone(&parts.artifact),
                path: part.path.clone(),
                shown,
                of,
                tokens: approximate_tokens(part.size()),
            });
        }
        let texts = texts.concat();
        if !texts.is_empty() || parts.parts.is_empty() && room >= parts.heading.len() {
            self.text.push_str(&parts.heading);
            self.text.push_str(&texts);
        }
    }

    /// Returns `true` if nothing was shortened or left out.
    pub(crate) const fn is_whole(&self) -> bool {
        self.cut.is_empty()
    }

    /// Returns the only input of the step, if it is not shown in full. Answers of reviewers are no
    /// input.
    pub(crate) fn only_input_cut<'a>(&self, context: &'a [Arc<Artifact>]) -> Option<&'a Artifact> {
        let is_input =
            |artifact: &&Arc<Artifact>| artifact.meta.artifact_type != ArtifactType::HitlResponse;
        let mut inputs = context.iter().filter(is_input);
        let only = inputs.next().filter(|_| inputs.next().is_none())?;
        let is_cut = self.cut.iter().any(|cut| cut.artifact.meta.id == only.meta.id);
        is_cut.then_some(only)
    }

    /// Returns the note to the model about what it does not see; nothing if it sees everything.
    pub(crate) fn note(&self) -> String {
        if self.is_whole() {
            return String::new();
        }
        format!(
            "# What you are not shown\n\nThe material is too long to be shown in full:\n{}\nDo not \
             guess the missing parts. Say in your document what you could not take into account.\n\n",
            self.named().map(|name| format!("- {name}\n")).collect::<String>()
        )
    }

    /// Returns the warnings for people, one for each part that is not shown in full.
    pub(crate) fn warnings(&self) -> Vec<String> {
        self.named()
            .map(|name| format!("The model was not shown all of its input: {name}."))
            .collect()
    }

    fn named(&self) -> impl Iterator<Item = String> {
        let names = self.cut.iter().take(MAX_NAMED).map(Cut::name);
        let more = self.cut.len().saturating_sub(MAX_NAMED);
        names.chain((more > 0).then(|| format!("{more} more parts")))
    }

    /// Returns the progress message.
    pub(crate) fn line(&self, model: &str) -> String {
        match self.cut.len() {
            0 => format!("{model}: asked, with {} documents", self.shown),
            n => format!(
                "{model}: asked, with {} documents; {n} parts do not fit into {} tokens and are \
                 shortened or left out",
                self.shown, self.budget
            ),
        }
    }

    /// Returns the record for the output of the task.
    pub(crate) fn record(&self) -> Value {
        let (shortened, left_out): (Vec<_>, Vec<_>) =
            self.cut.iter().partition(|cut| cut.shown > 0);
        let records = |cuts: Vec<&Cut>| cuts.into_iter().map(Cut::record).collect::<Vec<Value>>();
        let mut record = json!({
            "shown": self.shown, "left_out": records(left_out), "budget_tokens": self.budget,
            "approximate_tokens": approximate_tokens(self.text.len()),
        });
        if !shortened.is_empty() {
            record["shortened"] = records(shortened).into();
        }
        record
    }
}

impl Cut {
    fn name(&self) -> String {
        let kind = self.artifact.meta.artifact_type.as_str().replace('_', " ");
        let name = match &self.path {
            Some(path) => format!("the file {path} of the {kind}"),
            None => format!("the {kind}"),
        };
        match self.shown {
            0 => format!("{name} (left out, {} characters)", self.of),
            shown => format!("{name} (the first {shown} of {} characters)", self.of),
        }
    }

    fn record(&self) -> Value {
        let mut record = json!({
            "context_id": self.artifact.meta.id, "approximate_tokens": self.tokens,
        });
        match &self.path {
            Some(path) => record["path"] = path.as_str().into(),
            None => record["artifact_type"] = json!(self.artifact.meta.artifact_type),
        }
        if self.shown > 0 {
            record["shown_characters"] = self.shown.into();
            record["characters"] = self.of.into();
        }
        record
    }
}

/// An artifact in the form in which a model sees it.
struct Parts {
    artifact: Arc<Artifact>,
    heading: String,
    parts: Vec<Part>,
}

/// A document, or a file of source code.
struct Part {
    index: usize,
    path: Option<String>,
    heading: String,
    body: String,
}

impl Parts {
    fn of(artifact: &Arc<Artifact>) -> Self {
        let kind = artifact.meta.artifact_type;
        let files = (kind == ArtifactType::SourceCode)
            .then(|| artifact.content.get("files")?.as_array())
            .flatten();
        let parts = match files {
            Some(files) => files.iter().enumerate().map(|(n, file)| Part::file(n, file)).collect(),
            None => {
                let body = Value::Object(artifact.content.clone()).to_string();
                vec![Part { index: 0, path: None, heading: String::new(), body }]
            }
        };
        Self { artifact: Arc::clone(artifact), heading: format!("# Given: {kind}\n\n"), parts }
    }

    fn size(&self) -> usize {
        self.heading.len() + self.parts.iter().map(Part::size).sum::<usize>()
    }
}

impl Part {
    fn file(index: usize, file: &Value) -> Self {
        let text = |key: &str| file.get(key).and_then(Value::as_str).unwrap_or_default();
        let path = text("path").to_owned();
        let heading = format!("## File: {path}\n\n");
        Self { index, path: Some(path), heading, body: text("content").to_owned() }
    }

    /// Returns the number of bytes of the part, with the blank line after it.
    const fn size(&self) -> usize {
        self.heading.len() + self.body.len() + 2
    }

    fn length(&self) -> usize {
        self.body.chars().count()
    }

    /// Returns how many characters fit into this many bytes, and how many there are.
    fn cut(&self, bytes: usize) -> (usize, usize) {
        let fits = |(start, character): &(usize, char)| start + character.len_utf8() <= bytes;
        (self.body.char_indices().take_while(fits).count(), self.length())
    }
}

/// Divides the room among artifacts of these sizes: each gets as much as it needs, or an equal share of
/// what the smaller ones leave. An artifact whose share would be too small gets nothing.
fn shares(sizes: &[usize], room: usize) -> Vec<usize> {
    let least = MIN_PART + MARK_ROOM;
    let mut kept: Vec<usize> = (0..sizes.len()).collect();
    loop {
        let mut shares = vec![0; sizes.len()];
        let mut by_size = kept.clone();
        by_size.sort_by_key(|index| sizes[*index]);
        let (mut left, mut others) = (room, by_size.len());
        for index in by_size {
            shares[index] = sizes[index].min(left / others);
            left -= shares[index];
            others -= 1;
        }
        let is_too_small = |index: &usize| shares[*index] < sizes[*index].min(least);
        match kept.iter().rposition(is_too_small) {
            Some(last) => drop(kept.remove(last)),
            None => return shares,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn small_artifacts_are_whole_and_the_others_share_the_rest() {
        assert_eq!(shares(&[100, 200], 300), [100, 200]);
        assert_eq!(shares(&[10_000, 100, 5_000], 6_100), [3_000, 100, 3_000]);
        assert_eq!(shares(&[10_000, 100, 1_000], 6_100), [5_000, 100, 1_000]);
        // The last ones are left out if the shares become too small.
        assert_eq!(shares(&[10_000, 10_000, 10_000], 1_100), [550, 550, 0]);
        assert_eq!(shares(&[10_000], 100), [0]);
        assert_eq!(shares(&[], 100), Vec::<usize>::new());
        let many = shares(&vec![1_000_000; 1_000], 100_000);
        assert!(many.iter().sum::<usize>() <= 100_000 && many[0] >= MIN_PART, "{:?}", &many[..3]);
    }
}
