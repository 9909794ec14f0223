//! The list of all records, and the types that stand for any of them. A new record is one line
//! here; batches and stores handle it without naming it.

use std::fmt;
use std::sync::Arc;

use serde::de::DeserializeSeed;
use serde::{Deserialize, Deserializer, Serialize, Serializer};

use crate::access::{AccessVersion, ApiKey, PersonSessions, Principal};
use crate::agent::AgentRecord;
use crate::budget::BudgetAccount;
use crate::emergency::Stop;
use crate::idempotency::KeptReply;
use crate::package::Package;
use crate::record::{ColumnValue, Record, RecordTable};
use crate::webhook::Webhook;

/// A record that is on the list: it converts to and from the types that stand for any record.
pub trait Listed: Record {
    /// The kind of record.
    const KIND: RecordKind;

    /// Returns a key of this kind of record as a key of any.
    fn any_key(key: Self::Key) -> RecordKey;

    /// Returns a record of this kind as a record of any.
    fn any(record: Arc<Self>) -> RecordValue;

    /// Returns the record if it is of this kind.
    fn of(value: &RecordValue) -> Option<&Arc<Self>>;
}

macro_rules! records {
    ($($(#[$meta:meta])* $name:ident: $record:ty;)+) => {
        /// A kind of record.
        #[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
        pub enum RecordKind {
            $($(#[$meta])* $name,)+
        }

        impl RecordKind {
            /// All kinds of records.
            pub const ALL: [Self; [$(stringify!($name)),+].len()] = [$(Self::$name),+];

            /// Returns the table that holds records of this kind.
            #[must_use]
            pub const fn table(self) -> &'static RecordTable {
                match self { $(Self::$name => &<$record as Record>::TABLE,)+ }
            }

            /// Returns whether decisions about more than one log write the same record.
            #[must_use]
            pub const fn is_shared(self) -> bool {
                match self { $(Self::$name => <$record as Record>::IS_SHARED,)+ }
            }
        }

        /// Reads the body of a record of this kind.
        impl<'de> DeserializeSeed<'de> for RecordKind {
            type Value = RecordValue;

            fn deserialize<D: Deserializer<'de>>(self, body: D) -> Result<RecordValue, D::Error> {
                match self {
                    $(Self::$name => <$record>::deserialize(body).map(RecordValue::from),)+
                }
            }
        }

        /// The key of a record of any kind.
        #[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
        pub enum RecordKey {
            $($(#[$meta])* $name(<$record as Record>::Key),)+
        }

        impl RecordKey {
            /// Returns the kind of record that the key is of.
            #[must_use]
            pub const fn kind(&self) -> RecordKind {
                match self { $(Self::$name(_) => RecordKind::$name,)+ }
            }

            /// Returns the key as its table stores it.
            #[must_use]
            pub fn stored(self) -> ColumnValue {
                match self { $(Self::$name(key) => <$record as Record>::stored_key(key),)+ }
            }
        }

        impl fmt::Display for RecordKey {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                match self { $(Self::$name(key) => key.fmt(f),)+ }
            }
        }

        /// A record of any kind.
        #[derive(Debug, Clone, PartialEq)]
        pub enum RecordValue {
            $($(#[$meta])* $name(Arc<$record>),)+
        }

        impl RecordValue {
            /// Returns the key of the record.
            #[must_use]
            pub fn key(&self) -> RecordKey {
                match self { $(Self::$name(record) => RecordKey::$name(record.key()),)+ }
            }

            /// Returns the values of the extra columns of its table.
            #[must_use]
            pub fn extra(&self) -> Vec<ColumnValue> {
                match self { $(Self::$name(record) => record.extra(),)+ }
            }
        }

        /// Writes the body of the record.
        impl Serialize for RecordValue {
            fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
                match self { $(Self::$name(record) => (**record).serialize(serializer),)+ }
            }
        }

        $(
            impl Listed for $record {
                const KIND: RecordKind = RecordKind::$name;

                fn any_key(key: Self::Key) -> RecordKey {
                    RecordKey::$name(key)
                }

                fn any(record: Arc<Self>) -> RecordValue {
                    RecordValue::$name(record)
                }

                fn of(value: &RecordValue) -> Option<&Arc<Self>> {
                    match value {
                        RecordValue::$name(record) => Some(record),
                        #[allow(unreachable_patterns, reason = "a list of one kind has no others")]
                        _ => None,
                    }
                }
            }

            impl From<$record> for RecordValue {
                fn from(record: $record) -> Self {
                    Self::$name(Arc::new(record))
                }
            }
        )+
    };
}

records! {
    /// The package of a project.
    Package: Package;
    /// The status of an agent type.
    Agent: AgentRecord;
    /// A budget account.
    BudgetAccount: BudgetAccount;
    /// An emergency stop.
    Stop: Stop;
    /// The reply to a call with an idempotency key.
    KeptReply: KeptReply;
    /// A principal.
    Principal: Principal;
    /// An API key.
    ApiKey: ApiKey;
    /// The counter of the changes of access.
    AccessVersion: AccessVersion;
    /// The sessions and sign-in links of a person.
    PersonSessions: PersonSessions;
    /// A subscription of a webhook.
    Webhook: Webhook;
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::emergency::StopScope;
    use crate::timestamp::Timestamp;
    use crate::vocabulary::AgentType;

    #[test]
    fn a_record_of_any_kind_is_stored_as_itself() {
        let at = Timestamp::from_micros(1);
        let scope = StopScope::Agent(AgentType::Coder);
        let stop = Stop { scope, reason: "a test".to_owned(), by: "me".to_owned(), at };
        let any = RecordValue::from(stop.clone());
        assert_eq!(any.key(), Stop::any_key(scope));
        assert_eq!(any.key().stored(), ColumnValue::Text("agent/coder".to_owned()));
        let body = serde_json::to_string(&any).unwrap();
        assert_eq!(body, serde_json::to_string(&stop).unwrap());
        let mut reader = serde_json::Deserializer::from_str(&body);
        let read = RecordKind::Stop.deserialize(&mut reader).unwrap();
        assert_eq!(Stop::of(&read).map(|read| &**read), Some(&stop));
        assert_eq!(AgentRecord::of(&read), None);
    }

    #[test]
    fn every_kind_has_a_table_of_its_own_and_names_all_its_columns() {
        let names: std::collections::BTreeSet<_> =
            RecordKind::ALL.iter().map(|kind| kind.table().name).collect();
        assert_eq!(names.len(), RecordKind::ALL.len());
        let idle = RecordValue::from(AgentRecord::idle(AgentType::Coder));
        assert_eq!(idle.extra().len(), RecordKind::Agent.table().extra.len());
    }
}
