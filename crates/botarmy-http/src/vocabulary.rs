//! Schemas of the domain's vocabularies, ids and times in the OpenAPI document. The words come from
//! the vocabularies themselves.

use std::borrow::Cow;

use botarmy_domain as domain;
use utoipa::openapi::schema::{ObjectBuilder, SchemaType, Type};
use utoipa::openapi::{RefOr, Schema};
use utoipa::{PartialSchema, ToSchema};

macro_rules! words {
    ($($name:ident)+) => {$(
        #[doc = concat!("The schema of [`domain::", stringify!($name), "`].")]
        pub(crate) struct $name;

        impl PartialSchema for $name {
            fn schema() -> RefOr<Schema> {
                let words = domain::$name::ALL.iter().map(|word| word.as_str());
                ObjectBuilder::new()
                    .schema_type(SchemaType::new(Type::String))
                    .enum_values(Some(words))
                    .into()
            }
        }

        impl ToSchema for $name {
            fn name() -> Cow<'static, str> {
                Cow::Borrowed(stringify!($name))
            }
        }
    )+};
}

words! {
    ActivityState AddressClass AgentStatusKind AgentType ArtifactType Authentication DeliveryKind DueKind EventSource EventType
    HitlKind HitlOutcome HitlStatus Oversight Permission PrincipalKind ProjectStatus Role StepStatus TaskStatus
    Via WebhookStop
}

/// The schema of the name of a group.
pub(crate) struct GroupName;

impl PartialSchema for GroupName {
    fn schema() -> RefOr<Schema> {
        ObjectBuilder::new()
            .schema_type(SchemaType::new(Type::String))
            .description(Some("Name of a group of principals, without slashes."))
            .min_length(Some(1))
            .max_length(Some(128))
            .into()
    }
}

impl ToSchema for GroupName {
    fn name() -> Cow<'static, str> {
        Cow::Borrowed("GroupName")
    }
}
