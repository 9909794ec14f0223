//! Things that are booked: the place of a planner's entries is called by what the idea names.

use crate::domain::{Domain, matches_at};
use crate::english::capitalised;
use crate::field::Field;
use crate::idea::tokens;

/// Names of things that can be booked, with the words that stand for them.
const RESOURCES: &[(&str, &[&str])] = &[
    ("boat", &["boat", "canoe", "kayak", "rowing", "sailing", "*boot", "boote*", "*ruder*"]),
    ("court", &["court", "tennis", "badminton", "squash", "padel"]),
    ("table", &["table", "restaurant", "bistro", "tisch*"]),
    ("desk", &["desk", "coworking"]),
    ("car", &["car", "carpool", "auto", "autos"]),
    ("van", &["van", "minibus"]),
    ("bike", &["bike", "bicycle", "fahrrad*"]),
    (
        "machine",
        &["machine", "laundry", "washing", "waschmaschine*", "workshop", "lathe", "printer"],
    ),
    ("chair", &["salon", "barber", "hairdresser", "friseur*"]),
    ("lane", &["lane", "bowling", "pool", "swimming"]),
    ("hall", &["hall", "gym", "sports hall", "*halle*"]),
    ("studio", &["studio", "rehearsal", "band"]),
    ("pitch", &["pitch", "football", "soccer", "cricket"]),
    ("vehicle", &["vehicle", "fleet"]),
    ("instrument", &["instrument", "telescope", "microscope"]),
];

/// Renames the places of a planner after the first thing in the idea that can be booked.
pub(crate) fn adapt(idea: &str, domain: &Domain, fields: &mut [Field]) {
    let Some(place) = domain.role("place") else { return };
    let field = fields.iter_mut().find(|field| field.name == place);
    let Some(field) = field.filter(|field| !field.options.is_empty()) else { return };
    let tokens = tokens(idea);
    let first = |words: &[&str]| {
        (0..tokens.len()).find(|at| words.iter().any(|word| matches_at(word, &tokens, *at)))
    };
    let found = RESOURCES.iter().filter_map(|(name, words)| Some((first(words)?, *name))).min();
    let Some((_, name)) = found else { return };
    field.label = capitalised(name);
    for (n, option) in field.options.iter_mut().enumerate() {
        *option = format!("{} {}", capitalised(name), n + 1);
    }
}

/// Returns `true` if a word of an idea stands for a thing that can be booked.
pub(crate) fn is_named(tokens: &[String], at: usize) -> bool {
    RESOURCES.iter().flat_map(|(_, words)| *words).any(|word| matches_at(word, tokens, at))
}

#[cfg(test)]
mod tests {
    use crate::product::Product;

    #[test]
    fn what_is_booked_is_called_by_its_name() {
        for (idea, label) in [
            ("Ein Planer für einen Ruderverein", "Boat"),
            ("Let guests book a table at our restaurant", "Table"),
            ("Booking of tennis courts", "Court"),
            ("Bookings for the village", "Place"),
        ] {
            let product = Product::from_idea(idea);
            let place = product.fields.iter().find(|field| field.name == "place").unwrap();
            assert_eq!(place.label, label, "{idea}");
            let sample = &product.samples()[0]["place"];
            assert!(place.options.iter().any(|option| option == sample), "{idea}: {sample}");
        }
    }
}
