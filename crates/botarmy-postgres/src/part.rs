//! Pages of lists that end at a size in bytes: the database measures the rows, and sends no more
//! than one page.

use botarmy_domain::Page;
use diesel::pg::Pg;
use diesel::prelude::*;
use diesel::query_builder::{AstPass, Query, QueryFragment, QueryId};
use diesel::sql_types::BigInt;

/// Columns of a list, for [`Part`].
#[derive(Debug, Clone, Copy)]
pub(crate) struct Columns {
    /// All of them, in the order of the query.
    pub(crate) all: &'static str,
    /// Those of them that hold JSON, whose length is the size of a row.
    pub(crate) json: &'static [&'static str],
}

/// Columns of a row that is a document with a key.
pub(crate) const DOCUMENT: Columns = Columns { all: "id, body", json: &["body"] };

/// A query that ends with the row with which its rows have a number of bytes. Each row comes with
/// the number of rows that the query has without that.
///
/// The length of JSON is only known when it is decompressed. The rows are therefore first cut by
/// their stored size, which is never larger, and only those are decompressed.
#[derive(Debug)]
pub(crate) struct Part<Select> {
    select: Select,
    columns: Columns,
    bytes: usize,
}

/// Cuts a query by the size of its rows.
pub(crate) const fn part<Select>(select: Select, columns: Columns, bytes: usize) -> Part<Select> {
    Part { select, columns, bytes }
}

impl Columns {
    /// Returns the SQL before and after a query that is cut.
    pub(crate) fn around(self, bytes: usize) -> (String, String) {
        let sum = |size: &dyn Fn(&str) -> String| {
            let sizes: Vec<String> = self.json.iter().map(|column| size(column)).collect();
            format!(
                "coalesce(sum({}) OVER (ORDER BY nth ROWS BETWEEN UNBOUNDED PRECEDING \
                 AND 1 PRECEDING), 0) AS before",
                sizes.join(" + ")
            )
        };
        let length = sum(&|column| format!("octet_length({column}::text)"));
        let stored = sum(&|column| format!("pg_column_size({column})"));
        let all = self.all;
        let head = format!(
            "SELECT {all}, found FROM (SELECT {all}, found, nth, {length} FROM \
             (SELECT {all}, found, nth, {stored} FROM \
             (SELECT {all}, count(*) OVER () AS found, row_number() OVER () AS nth FROM ("
        );
        // A page has at least one row.
        let bytes = bytes.max(1);
        let tail = format!(
            ") AS list) AS list) AS list WHERE before < {bytes}) AS list WHERE before < {bytes} \
             ORDER BY nth"
        );
        (head, tail)
    }
}

/// Returns the page of rows that were read with [`part`] and a limit of one more.
pub(crate) fn page<Row>(rows: Vec<(Row, i64)>, limit: u32) -> Page<Row> {
    let found = rows.first().map_or(0, |(_, found)| usize::try_from(*found).unwrap_or(0));
    let mut items: Vec<Row> = rows.into_iter().map(|(row, _)| row).collect();
    items.truncate(limit as usize);
    Page { has_more: found > items.len(), items }
}

/// Returns the limit of a query for [`page`]: one more than the rows of the page.
pub(crate) fn surplus(limit: u32) -> i64 {
    i64::from(limit) + 1
}

impl<Select> QueryId for Part<Select> {
    type QueryId = ();
    const HAS_STATIC_QUERY_ID: bool = false;
}

impl<Select: Query> Query for Part<Select> {
    type SqlType = (Select::SqlType, BigInt);
}

impl<Select: QueryFragment<Pg>> QueryFragment<Pg> for Part<Select> {
    fn walk_ast<'b>(&'b self, mut out: AstPass<'_, 'b, Pg>) -> QueryResult<()> {
        let (head, tail) = self.columns.around(self.bytes);
        out.push_sql(&head);
        self.select.walk_ast(out.reborrow())?;
        out.push_sql(&tail);
        Ok(())
    }
}
