//! Places of an application where the criteria of its features are marked. A feature without a place
//! is not built.

use crate::field::Field;
use crate::kind::Kind;
use crate::product::{BASE, Product};
use crate::template::html;

/// Returns `true` if an application of this kind has a part for a feature.
pub(crate) fn has_place(feature: &str, kind: Kind) -> bool {
    let is_of_a_panel = PANEL_PLACES.iter().any(|(known, _)| *known == feature);
    let is_known = PLACES.iter().any(|(known, _)| *known == feature);
    is_known || (is_of_a_panel && kind.features().contains(&feature))
}

/// Number of places in the application where the criteria of a feature are marked. The last place
/// gets the remaining criteria.
pub(crate) const PLACES: &[(&str, usize)] = &[
    ("list", 2),
    ("add", 2),
    ("edit", 1),
    ("delete", 2),
    ("search", 3),
    ("keep", 3),
    ("accessible", 2),
    ("share", 1),
    ("print", 1),
    ("rating", 1),
    ("photo", 1),
    ("due", 1),
    ("price", 1),
    ("done", 1),
    ("person", 1),
    ("tags", 1),
    ("notes", 1),
    ("api", 1),
];

/// The same for the features of the panels.
pub(crate) const PANEL_PLACES: &[(&str, usize)] = &[
    ("states", 1),
    ("lines", 1),
    ("totals", 1),
    ("sheet", 1),
    ("week", 2),
    ("overlap", 1),
    ("convert", 2),
    ("converse", 2),
    ("play", 2),
    ("tick", 1),
    ("streak", 1),
    ("tour", 1),
    ("listen", 1),
];

/// Returns the features that have a field of the form as their place.
pub(crate) fn features_of(product: &Product, field: &Field) -> Vec<&'static str> {
    PLACES
        .iter()
        .map(|(feature, _)| *feature)
        .filter(|feature| !BASE.contains(feature))
        .filter(|feature| product.field_for(feature) == Some(field))
        .collect()
}

/// Returns the attribute that marks a place with its criteria; empty without criteria.
pub(crate) fn mark(ids: &[&str]) -> String {
    if ids.is_empty() {
        String::new()
    } else {
        format!(" data-acceptance=\"{}\"", html(&ids.join(" ")))
    }
}
