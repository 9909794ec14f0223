//! The migrations of `migrations/sqlite`, compiled in, and those that a database file has.

use std::collections::BTreeSet;

use diesel::dsl::sql;
use diesel::migration::{Migration, MigrationSource};
use diesel::prelude::*;
use diesel::sql_types::Text;
use diesel::sqlite::Sqlite;
use diesel_migrations::{EmbeddedMigrations, embed_migrations};

use crate::connection::number;

pub(crate) const MIGRATIONS: EmbeddedMigrations = embed_migrations!("../../migrations/sqlite");

/// Returns the first migration of the file that this version does not know.
pub(crate) fn unknown(connection: &mut SqliteConnection) -> QueryResult<Option<String>> {
    let known: BTreeSet<_> = known().into_iter().map(|known| known.version).collect();
    Ok(applied(connection)?.into_iter().find(|version| !known.contains(version)))
}

/// Returns the name of the last migration that this version knows.
pub(crate) fn newest() -> String {
    known().pop().map(|known| known.name).unwrap_or_default()
}

/// A migration of this version.
pub(crate) struct Known {
    pub(crate) name: String,
    pub(crate) version: String,
}

/// Returns all migrations of this version, in order.
pub(crate) fn known() -> Vec<Known> {
    let migrations = MigrationSource::<Sqlite>::migrations(&MIGRATIONS)
        .expect("the migrations were read when this was compiled");
    let known = |migration: Box<dyn Migration<Sqlite>>| Known {
        name: migration.name().to_string(),
        version: migration.name().version().to_string(),
    };
    let mut known: Vec<_> = migrations.into_iter().map(known).collect();
    known.sort_by(|a, b| a.version.cmp(&b.version));
    known
}

/// Returns the versions of the migrations that a file has.
pub(crate) fn applied(connection: &mut SqliteConnection) -> QueryResult<BTreeSet<String>> {
    let tables = number(
        connection,
        "(SELECT count(*) FROM sqlite_schema WHERE name = '__diesel_schema_migrations')",
    )?;
    if tables == 0 {
        return Ok(BTreeSet::new());
    }
    let versions: Option<String> = diesel::select(sql::<diesel::sql_types::Nullable<Text>>(
        "(SELECT group_concat(version) FROM __diesel_schema_migrations)",
    ))
    .get_result(connection)?;
    Ok(versions.iter().flat_map(|all| all.split(',')).map(str::to_owned).collect())
}
