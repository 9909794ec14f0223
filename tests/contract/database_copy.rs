//! Contract of copying a whole database as rows (`botarmy_sql::database_copy`), in both dialects.

use std::collections::BTreeSet;

use botarmy_postgres::{PostgresDatabaseCopy, PostgresSettings};
use botarmy_sql::database_copy::{Cell, CopyMark, DatabaseCopy, HEADS, Row, TABLES, Table};
use botarmy_sqlite::SqliteDatabaseCopy;
use botarmy_tests::services::{self, Database};
use diesel::connection::SimpleConnection;
use diesel::{Connection, RunQueryDsl, SqliteConnection};
use tempfile::TempDir;

/// Location of a database of either kind.
enum Place {
    Sqlite(TempDir),
    Postgres(Database),
}

impl Place {
    async fn sqlite() -> Option<Self> {
        Some(Self::Sqlite(tempfile::tempdir().unwrap()))
    }

    async fn postgres() -> Option<Self> {
        services::empty_database().await.map(Self::Postgres)
    }

    async fn target(&self) -> Box<dyn DatabaseCopy> {
        match self {
            Self::Sqlite(dir) => {
                Box::new(SqliteDatabaseCopy::target(&dir.path().join("a.db")).unwrap())
            }
            Self::Postgres(database) => {
                let settings = PostgresSettings::new(database.url().parse().unwrap());
                Box::new(PostgresDatabaseCopy::target(&settings).await.unwrap())
            }
        }
    }

    async fn source(&self) -> Result<Box<dyn DatabaseCopy>, String> {
        match self {
            Self::Sqlite(dir) => match SqliteDatabaseCopy::source(&dir.path().join("a.db")) {
                Ok(source) => Ok(Box::new(source)),
                Err(error) => Err(error.to_string()),
            },
            Self::Postgres(database) => {
                let settings = PostgresSettings::new(database.url().parse().unwrap());
                match PostgresDatabaseCopy::source(&settings).await {
                    Ok(source) => Ok(Box::new(source)),
                    Err(error) => Err(error.to_string()),
                }
            }
        }
    }

    /// Writes beside the copy, on another connection.
    async fn beside(&self, sql: &str) {
        match self {
            Self::Sqlite(dir) => {
                let file = dir.path().join("a.db");
                let mut beside = SqliteConnection::establish(file.to_str().unwrap()).unwrap();
                beside.batch_execute(sql).unwrap();
            }
            Self::Postgres(database) => services::execute(&database.url(), sql).await.unwrap(),
        }
    }
}

fn table(name: &str) -> &'static Table {
    TABLES.iter().find(|table| table.name == name).unwrap()
}

fn head(log: u8, seq: i64) -> Row {
    vec![
        Cell::Bytes(vec![log; 16]),
        Cell::Integer(seq),
        Cell::Bytes(vec![log; 32]),
        Cell::Text("{\"a\" :  1e23}".to_owned()),
        Cell::Integer(-1),
    ]
}

fn agent(name: &str) -> Row {
    vec![Cell::Text(name.to_owned()), Cell::Text("{}".to_owned())]
}

fn id(n: u8) -> Cell {
    Cell::Bytes(vec![n; 16])
}

fn project(n: u8, creator: Option<u8>) -> Row {
    let (status, body) = (Cell::Text("active".to_owned()), Cell::Text("{}".to_owned()));
    vec![id(n), status, creator.map_or(Cell::Null, id), body]
}

fn key_use(n: u8, at: i64) -> Row {
    vec![id(n), Cell::Integer(at)]
}

fn record(n: u8) -> Row {
    vec![id(n), Cell::Text("{\"a\" :  1e23}".to_owned())]
}

async fn rows_are_read_back_unchanged_in_key_order(place: Place) {
    let mut target = place.target().await;
    for (table, mut rows) in [
        (&HEADS, vec![head(3, 1), head(0x80, 2), head(0, i64::MAX), head(0xff, 4), head(1, 5)]),
        (table("agents"), ["b", "Z", "a", "a b", "ä", "_", "A"].map(agent).into()),
        (table("projects"), vec![project(2, Some(9)), project(1, None), project(0x80, Some(1))]),
        (table("key_uses"), vec![key_use(2, i64::MAX), key_use(1, 0)]),
        (table("api_keys"), vec![record(3), record(1)]),
        (table("sessions"), vec![record(3), record(1)]),
    ] {
        assert_eq!(target.last(table).await.unwrap(), None);
        target.append(table, &rows).await.unwrap();
        rows.sort();
        assert_eq!(target.last(table).await.unwrap().as_ref(), rows.last());
        let (mut paged, mut after): (Vec<Row>, Option<Row>) = (Vec::new(), None);
        loop {
            let key = after.as_deref().map(|row| table.key_of(row));
            let page = target.rows(table, key, 2).await.unwrap();
            assert!(page.len() <= 2);
            let Some(last) = page.last() else { break };
            after = Some(last.clone());
            paged.extend(page);
        }
        assert_eq!(paged, rows);
    }
}

async fn a_chunk_is_written_whole_or_not_at_all_and_replaces_nothing(place: Place) {
    let mut target = place.target().await;
    target.append(&HEADS, &[head(2, 1)]).await.unwrap();
    target.append(&HEADS, &[head(1, 1), head(2, 7), head(3, 1)]).await.unwrap_err();
    assert_eq!(target.rows(&HEADS, None, 10).await.unwrap(), [head(2, 1)]);
}

async fn a_source_answers_from_one_state_until_it_is_renewed(place: Place) {
    drop(place.target().await);
    let mut source = place.source().await.unwrap();
    let agents = table("agents");
    assert_eq!(source.last(agents).await.unwrap(), None);
    place.beside("INSERT INTO agents (agent_type, body) VALUES ('coder', '{}')").await;
    assert_eq!(source.last(agents).await.unwrap(), None);
    source.renew().await.unwrap();
    assert_eq!(source.last(agents).await.unwrap(), Some(agent("coder")));
    source.append(agents, &[agent("tester")]).await.unwrap_err();
}

async fn an_incomplete_copy_is_refused_as_a_source(place: Place) {
    let mut target = place.target().await;
    assert_eq!(target.mark().await.unwrap(), None);
    let mark = CopyMark { source: "somewhere".to_owned(), fingerprint: "f".to_owned() };
    target.set_mark(Some(&mark)).await.unwrap();
    drop(target);
    let refusal = place.source().await.err().unwrap();
    assert!(refusal.contains("holds a part of somewhere only"), "{refusal}");
    let mut target = place.target().await;
    assert_eq!(target.mark().await.unwrap(), Some(mark));
    target.set_mark(None).await.unwrap();
    drop(target);
    assert!(place.source().await.is_ok());
}

/// Tables of a database that are not copied.
const ITS_OWN: [&str; 10] = [
    "__diesel_schema_migrations.run_on",
    "__diesel_schema_migrations.version",
    "copies_in_progress.fingerprint",
    "copies_in_progress.source",
    "events.position",
    "heads.previous",
    "tasks.attempt",
    "tickets.digest",
    "tickets.expires_at",
    "tickets.holder",
];

async fn every_column_is_copied(place: Place) {
    drop(place.target().await);
    let columns = match &place {
        Place::Sqlite(dir) => {
            let file = dir.path().join("a.db");
            let mut beside = SqliteConnection::establish(file.to_str().unwrap()).unwrap();
            diesel::select(diesel::dsl::sql::<diesel::sql_types::Text>(
                "(SELECT group_concat(t.name || '.' || c.name) FROM sqlite_schema t, \
                 pragma_table_info(t.name) c WHERE t.type = 'table')",
            ))
            .get_result(&mut beside)
            .unwrap()
        }
        Place::Postgres(database) => {
            let sql = "SELECT string_agg(table_name || '.' || column_name, ',') \
                 FROM information_schema.columns JOIN information_schema.tables \
                 USING (table_schema, table_name) \
                 WHERE table_schema = 'public' AND table_type = 'BASE TABLE'";
            let connection = services::connect(&database.url()).await.unwrap();
            connection.query_one(sql, &[]).await.unwrap().get::<_, String>(0)
        }
    };
    let copied: BTreeSet<_> = TABLES
        .iter()
        .flat_map(|table| table.columns.iter().map(|(name, _)| format!("{}.{name}", table.name)))
        .collect();
    let there: BTreeSet<_> =
        columns.split(',').filter(|name| !ITS_OWN.contains(name)).map(str::to_owned).collect();
    assert_eq!(there, copied);
}

macro_rules! on_both {
    ($($contract:ident),+) => {
        mod sqlite { $(
            #[tokio::test]
            async fn $contract() {
                let Some(place) = super::Place::sqlite().await else { return };
                super::$contract(place).await;
            }
        )+ }
        mod postgres { $(
            #[tokio::test]
            async fn $contract() {
                let Some(place) = super::Place::postgres().await else { return };
                super::$contract(place).await;
            }
        )+ }
    };
}

on_both!(
    rows_are_read_back_unchanged_in_key_order,
    a_chunk_is_written_whole_or_not_at_all_and_replaces_nothing,
    a_source_answers_from_one_state_until_it_is_renewed,
    an_incomplete_copy_is_refused_as_a_source,
    every_column_is_copied
);
