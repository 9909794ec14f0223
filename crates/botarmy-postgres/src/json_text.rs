//! JSON as a parameter of a statement.

use std::io::Write;

use diesel::pg::Pg;
use diesel::serialize::{self, IsNull, Output, ToSql};
use diesel::sql_types::Json;

/// JSON as the text that is stored.
#[derive(Debug, Clone, diesel::expression::AsExpression)]
#[diesel(sql_type = Json)]
pub(crate) struct JsonText(pub(crate) String);

impl ToSql<Json, Pg> for JsonText {
    fn to_sql<'b>(&'b self, out: &mut Output<'b, '_, Pg>) -> serialize::Result {
        out.write_all(self.0.as_bytes())?;
        Ok(IsNull::No)
    }
}
