//! The key `four_eyes` of a step.

use serde::{Deserialize, Deserializer};

use crate::vocabulary::Exclusion;

/// Reads exclusions from a list, as they are stored, or from `true` for all and `false` for none.
pub(super) fn from_list_or_flag<'de, D: Deserializer<'de>>(
    deserializer: D,
) -> Result<Vec<Exclusion>, D::Error> {
    #[derive(Deserialize)]
    #[serde(untagged, expecting = "must be true or false")]
    enum Form {
        Flag(bool),
        List(Vec<Exclusion>),
    }
    Ok(match Form::deserialize(deserializer)? {
        Form::Flag(true) => Exclusion::ALL.to_vec(),
        Form::Flag(false) => Vec::new(),
        Form::List(exclusions) => exclusions,
    })
}
