//! The SQL of a search in the logs, as text that both databases understand.
//!
//! A search must not read the log from its end until it has found a page: what it looks for may be
//! rare. It goes one of these ways, in this order:
//!
//! 1. *By subject*: a task or a request has few entries, which an index finds.
//! 2. *By kind*: entries of a type, of a source or of both are in one index by type and source, in
//!    the order of the page for each pair. A search names the pairs it wants, and merges the newest
//!    entries of each.
//! 3. *By position*: everything else is a range of positions, of ids or of times.
//!
//! A search over the projects of a limited reach reads all entries of these projects if they are
//! [few](FEW), and otherwise goes the same ways with one condition more. It goes them among the
//! newest entries only, as many as these projects have: if it does not find a page there, it reads
//! all entries of these projects, or all of its kind if those are fewer.
//!
//! In a single log the order is that of its positions. A log is *short* up to [`SHORT_LOG`]
//! entries: these are read one after the other. Only the entries beyond are in an index by type and
//! source, which costs nothing where logs are short.
//!
//! The values in the text are ids, numbers and words of the vocabulary; none of them needs quoting.

use std::fmt::Write as _;

use botarmy_domain::{EntryFilter, EventSource};
use uuid::Uuid;

use crate::dialect::Dialect;
use crate::{reach, time_of_id};

/// Number of entries at the beginning of a log that are searched one after the other. The same
/// number is in the condition of the index `events_of_long_logs`.
pub const SHORT_LOG: u64 = 5_000;

/// Number of entries within a reach up to which all of them are read, and number of the newest
/// entries of all projects that are searched first if there are more.
pub const FEW: u64 = 20_000;
/// Number of logs within a reach up to which their entries are counted.
pub const FEW_LOGS: u64 = 1_024;

/// The columns of an entry.
const COLUMNS: &str = "id, log, seq, event_type, event_source, task_id, hitl_request_id, \
                       created_at, hash, event_metadata, event_data";

/// All event types that are in the logs, each found with one step in the index.
pub const TYPES: &str = "WITH RECURSIVE types (name) AS ( \
     SELECT min(event_type) FROM events \
     UNION ALL \
     SELECT (SELECT min(event_type) FROM events WHERE event_type > types.name) FROM types \
     WHERE types.name IS NOT NULL) \
     SELECT name FROM types WHERE name IS NOT NULL";

/// A page of a search, newest entries first.
#[derive(Debug, Clone)]
pub struct Search {
    /// Writes the parts in which the databases differ.
    pub dialect: Dialect,
    /// Entries to find. The cursor is not read from it.
    pub filter: EntryFilter,
    /// Event types that are in the logs; see [`TYPES`].
    pub types: Vec<String>,
    /// Id below which the page begins.
    pub below: Option<Uuid>,
    /// Id of the oldest entry that is searched, for searches over all logs.
    pub floor: Option<Uuid>,
}

/// Positions of a log, both ends included.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Positions {
    /// First position.
    pub first: u64,
    /// Last position.
    pub last: u64,
}

impl Positions {
    /// Whether there is none.
    #[must_use]
    pub const fn is_empty(self) -> bool {
        self.last < self.first
    }

    /// Returns those of these positions that are in the other range too.
    #[must_use]
    pub fn within(self, other: Self) -> Self {
        Self { first: self.first.max(other.first), last: self.last.min(other.last) }
    }

    /// Splits them into the long part of a log and its short beginning.
    #[must_use]
    pub fn split(self) -> [Self; 2] {
        let long = Self { first: self.first.max(SHORT_LOG + 1), ..self };
        let short = Self { last: self.last.min(SHORT_LOG), ..self };
        [long, short]
    }
}

/// Whether entries are searched by type or source.
#[must_use]
pub const fn has_kind(filter: &EntryFilter) -> bool {
    filter.event_type.is_some() || filter.event_source.is_some()
}

/// Whether entries are searched by task or request.
#[must_use]
pub const fn has_subject(filter: &EntryFilter) -> bool {
    filter.task.is_some() || filter.request.is_some()
}

impl Search {
    /// Returns the search by subject. A position is that of the cursor in the log of the project.
    #[must_use]
    pub fn by_subject(&self, cursor: Option<u64>, limit: u32) -> String {
        let filter = &self.filter;
        let mut sql = format!("SELECT {COLUMNS} FROM events WHERE ");
        // The index of one of them is enough, and the database must not prefer a longer way.
        let mut conditions = Vec::new();
        if let Some(request) = filter.request {
            conditions.push(format!("hitl_request_id = {}", self.id(request.uuid())));
        }
        if let Some(task) = filter.task {
            let task = self.id(task.uuid());
            conditions.push(if filter.request.is_some() {
                (self.dialect.without_index)("task_id", &format!("= {task}"))
            } else {
                format!("task_id = {task}")
            });
        }
        sql.push_str(&conditions.join(" AND "));
        if let Some(project) = filter.project {
            let log = format!("= {}", self.id(project.uuid()));
            write_condition(&mut sql, &(self.dialect.without_index)("log", &log));
        }
        self.push_kind(&mut sql);
        self.push_times(&mut sql);
        self.push_reach(&mut sql);
        let order = if filter.project.is_some() { "seq" } else { "id" };
        if let Some(seq) = cursor {
            write_condition(&mut sql, &format!("seq < {seq}"));
        }
        self.push_below(&mut sql);
        push_page(&mut sql, order, limit, filter.offset);
        sql
    }

    /// Returns the search over all logs by type, source or both.
    #[must_use]
    pub fn by_kind(&self, limit: u32) -> String {
        let ids = self.ids_by_kind(limit);
        format!("SELECT {COLUMNS} FROM events WHERE id IN ({ids}) ORDER BY id DESC")
    }

    fn ids_by_kind(&self, limit: u32) -> String {
        let room = u64::from(limit) + u64::from(self.filter.offset);
        let mut rest = self.ids();
        self.push_times(&mut rest);
        self.push_reach(&mut rest);
        let mut ids = format!("SELECT id FROM ({}) AS found", self.arms(&rest, room));
        push_page(&mut ids, "id", limit, self.filter.offset);
        ids
    }

    fn arms(&self, rest: &str, room: u64) -> String {
        let arms = self.pairs().map(|(event_type, source)| {
            format!(
                "SELECT id FROM (SELECT id FROM events WHERE event_type = '{event_type}' \
                 AND event_source = '{source}'{rest} ORDER BY id DESC LIMIT {room}) AS newest"
            )
        });
        arms.collect::<Vec<_>>().join(" UNION ALL ")
    }

    /// Returns the query for the number of entries of the kind that is searched, in the projects of all
    /// reaches, up to `most`.
    #[must_use]
    pub fn count_of_kind(&self, most: u64) -> String {
        let arms = self.arms(&self.ids(), most);
        format!(
            "SELECT count(*) AS a, count(*) AS b FROM (SELECT id FROM ({arms}) AS arms \
             LIMIT {most}) AS found"
        )
    }

    /// Returns the search over all logs by time, or for everything.
    #[must_use]
    pub fn by_time(&self, limit: u32) -> String {
        self.select_by_time(COLUMNS, limit)
    }

    fn select_by_time(&self, columns: &str, limit: u32) -> String {
        let mut sql = format!("SELECT {columns} FROM events WHERE true{}", self.ids());
        self.push_times(&mut sql);
        self.push_reach(&mut sql);
        push_page(&mut sql, "id", limit, self.filter.offset);
        sql
    }

    /// Returns the query for the number of entries that a search over all logs would find by kind or
    /// time, up to the limit.
    #[must_use]
    pub fn count(&self, limit: u32) -> String {
        let found = if has_kind(&self.filter) {
            self.ids_by_kind(limit)
        } else {
            self.select_by_time("id", limit)
        };
        format!("SELECT count(*) AS a, count(*) AS b FROM ({found}) AS found")
    }

    /// Returns the query for an id: that of the entry so many entries before the newest one of a search
    /// over all logs.
    #[must_use]
    pub fn nth_newest(&self, n: u64) -> String {
        let ids = self.ids();
        format!("SELECT id FROM events WHERE true{ids} ORDER BY id DESC LIMIT 1 OFFSET {n}")
    }

    /// Returns the search among all entries of the projects within a limited reach.
    #[must_use]
    pub fn within_reach(&self, limit: u32) -> String {
        let mut own = "SELECT id FROM events WHERE true".to_owned();
        if let Some(condition) = reach::condition(self.dialect, "log", &self.filter.reach) {
            write_condition(&mut own, &condition);
        }
        self.push_kind(&mut own);
        self.push_times(&mut own);
        if let Some(below) = self.below {
            let test = format!("< {}", self.id(below));
            write_condition(&mut own, &(self.dialect.without_index)("id", &test));
        }
        let mut ids = "SELECT id FROM own".to_owned();
        push_page(&mut ids, "id", limit, self.filter.offset);
        // The entries are selected before they are sorted, or the database might go through the
        // entries of all projects in the order of the page.
        format!(
            "WITH own AS MATERIALIZED ({own}) \
             SELECT {COLUMNS} FROM events WHERE id IN ({ids}) ORDER BY id DESC"
        )
    }

    /// Returns the query for the number of logs within a limited reach, at most one more than
    /// [`FEW_LOGS`], and for the sum of their lengths.
    #[must_use]
    pub fn extent(&self) -> String {
        let condition = reach::condition(self.dialect, "log", &self.filter.reach);
        let condition = condition.as_deref().unwrap_or("true");
        format!(
            "SELECT count(*) AS a, CAST(coalesce(sum(seq), 0) AS bigint) AS b FROM \
             (SELECT seq FROM heads WHERE {condition} LIMIT {FEW_LOGS} + 1) AS logs"
        )
    }

    /// Returns the query for the number of these logs that are within the reach, which is one or
    /// none.
    #[must_use]
    pub fn is_within_reach(&self, log: Uuid) -> String {
        let condition = reach::condition(self.dialect, "log", &self.filter.reach);
        let (log, condition) = (self.id(log), condition.as_deref().unwrap_or("true"));
        format!(
            "SELECT count(*) AS a, count(*) AS b FROM (SELECT {log} AS log) AS one WHERE {condition}"
        )
    }

    /// Returns the page that begins with this entry.
    #[must_use]
    pub fn page_that_begins_with(&self, first: Uuid, limit: u32) -> String {
        let first = self.id(first);
        format!("SELECT {COLUMNS} FROM events WHERE id <= {first} ORDER BY id DESC LIMIT {limit}")
    }

    /// Returns the query for an id: of the entries after this one, so many are left out, beginning
    /// with the oldest.
    #[must_use]
    pub fn oldest_after(&self, after: Uuid, skip: u64) -> String {
        let after = self.id(after);
        format!("SELECT id FROM events WHERE id > {after} ORDER BY id LIMIT 1 OFFSET {skip}")
    }

    /// Returns the query for the position of an entry in this log, if it is in it.
    #[must_use]
    pub fn seq_of(&self, id: Uuid, log: Uuid) -> String {
        let log = (self.dialect.without_index)("log", &format!("= {}", self.id(log)));
        format!("SELECT seq AS a, seq AS b FROM events WHERE id = {} AND {log}", self.id(id))
    }

    /// Returns the query for the last position of a log.
    #[must_use]
    pub fn length(&self, log: Uuid) -> String {
        let log = self.id(log);
        format!("SELECT seq AS a, seq AS b FROM events WHERE log = {log} ORDER BY seq DESC LIMIT 1")
    }

    /// Returns the query for the sum of the lengths of all logs, and the number of entries after
    /// this one.
    #[must_use]
    pub fn lengths(&self, after: Uuid) -> String {
        let after = self.id(after);
        format!(
            "SELECT (SELECT CAST(coalesce(sum(seq), 0) AS bigint) FROM heads) AS a, \
             (SELECT count(*) FROM events WHERE id > {after}) AS b"
        )
    }

    /// Returns the query for the earliest and the latest time of each block of these positions.
    #[must_use]
    pub fn times(&self, log: Uuid, positions: Positions, block: u64) -> String {
        let log = self.id(log);
        let Positions { first, last } = positions;
        let time = |which: &str| {
            format!(
                "(SELECT {which}(created_at) FROM events WHERE log = {log} \
                 AND seq BETWEEN n AND n + {block} - 1)"
            )
        };
        let (earliest, latest) = (time("min"), time("max"));
        format!(
            "WITH RECURSIVE blocks (n) AS (SELECT CAST({first} AS bigint) UNION ALL \
             SELECT n + {block} FROM blocks WHERE n + {block} <= {last}) \
             SELECT {earliest} AS a, {latest} AS b FROM blocks ORDER BY n"
        )
    }

    /// Returns the search in a part of a log, which is either in its long part or in its short
    /// beginning; see [`Positions::split`].
    #[must_use]
    pub fn in_part(&self, log: Uuid, part: Positions, limit: u32) -> String {
        if self.is_long(part) {
            self.in_log_by_kind(log, part, limit)
        } else {
            self.in_log(log, part, limit)
        }
    }

    fn is_long(&self, part: Positions) -> bool {
        has_kind(&self.filter) && part.first > SHORT_LOG
    }

    fn in_log_by_kind(&self, log: Uuid, long: Positions, limit: u32) -> String {
        let room = u64::from(limit) + u64::from(self.filter.offset);
        let mut seqs = format!("SELECT seq FROM ({}) AS found", self.arms_in_log(log, long, room));
        push_page(&mut seqs, "seq", limit, self.filter.offset);
        let log = self.id(log);
        format!(
            "SELECT {COLUMNS} FROM events WHERE log = {log} AND seq IN ({seqs}) ORDER BY seq DESC"
        )
    }

    fn in_log(&self, log: Uuid, part: Positions, limit: u32) -> String {
        let mut sql = format!("SELECT {COLUMNS}{}", self.entries_of_log(log, part));
        push_page(&mut sql, "seq", limit, self.filter.offset);
        sql
    }

    /// Returns the query for the number of entries that a search in this part of a log would find,
    /// up to the offset.
    #[must_use]
    pub fn count_in_log(&self, log: Uuid, part: Positions) -> String {
        let offset = self.filter.offset;
        let found = if self.is_long(part) {
            format!("{} ", self.arms_in_log(log, part, offset.into()))
        } else {
            format!("SELECT seq{} LIMIT {offset}", self.entries_of_log(log, part))
        };
        format!("SELECT count(*) AS a, count(*) AS b FROM ({found}) AS found")
    }

    fn entries_of_log(&self, log: Uuid, part: Positions) -> String {
        let log = self.id(log);
        let Positions { first, last } = part;
        let mut sql = format!(" FROM events WHERE log = {log} AND seq BETWEEN {first} AND {last}");
        self.push_kind(&mut sql);
        self.push_times(&mut sql);
        self.push_below(&mut sql);
        sql
    }

    fn arms_in_log(&self, log: Uuid, long: Positions, room: u64) -> String {
        let (log, system) = (self.id(log), self.id(Uuid::nil()));
        let Positions { first, last } = long;
        let mut rest = String::new();
        self.push_times(&mut rest);
        self.push_below(&mut rest);
        let arms = self.pairs().map(|(event_type, source)| {
            // The first two are the condition of the index, word for word.
            format!(
                "SELECT seq FROM (SELECT seq FROM events WHERE log = {log} \
                 AND event_type = '{event_type}' AND event_source = '{source}' \
                 AND seq > {SHORT_LOG} AND log <> {system} AND seq BETWEEN {first} AND {last}{rest} \
                 ORDER BY seq DESC LIMIT {room}) AS newest"
            )
        });
        arms.collect::<Vec<_>>().join(" UNION ALL ")
    }

    /// Whether the logs hold no type that the filter admits, so that there is nothing to merge.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        has_kind(&self.filter) && self.pairs().next().is_none()
    }

    /// The pairs of type and source that the filter admits.
    fn pairs(&self) -> impl Iterator<Item = (&str, &'static str)> {
        let types: Vec<&str> = match self.filter.event_type {
            Some(event_type) => vec![event_type.as_str()],
            None => self.types.iter().map(String::as_str).collect(),
        };
        let sources: Vec<&'static str> = match self.filter.event_source {
            Some(source) => vec![source.as_str()],
            None => EventSource::ALL.iter().map(|source| source.as_str()).collect(),
        };
        types.into_iter().flat_map(move |event_type| {
            sources.clone().into_iter().map(move |source| (event_type, source))
        })
    }

    fn push_kind(&self, sql: &mut String) {
        let without_index = self.dialect.without_index;
        if let Some(event_type) = self.filter.event_type {
            let value = format!("= '{}'", event_type.as_str());
            write_condition(sql, &without_index("event_type", &value));
        }
        if let Some(source) = self.filter.event_source {
            let value = format!("= '{}'", source.as_str());
            write_condition(sql, &without_index("event_source", &value));
        }
    }

    fn push_times(&self, sql: &mut String) {
        if let Some(from) = self.filter.from {
            write_condition(sql, &format!("created_at >= {}", from.micros()));
        }
        if let Some(to) = self.filter.to {
            write_condition(sql, &format!("created_at <= {}", to.micros()));
        }
    }

    fn push_reach(&self, sql: &mut String) {
        if let Some(condition) = reach::filter(self.dialect, "log", &self.filter.reach) {
            write_condition(sql, &condition);
        }
    }

    fn push_below(&self, sql: &mut String) {
        if let Some(below) = self.below {
            write_condition(sql, &format!("id < {}", self.id(below)));
        }
    }

    /// The range of ids in which the entries are, because ids begin with their time.
    fn ids(&self) -> String {
        let mut sql = String::new();
        self.push_below(&mut sql);
        if let Some(floor) = self.floor {
            write_condition(&mut sql, &format!("id >= {}", self.id(floor)));
        }
        if let Some(from) = self.filter.from {
            let first = Uuid::from_bytes(time_of_id::first(from));
            write_condition(&mut sql, &format!("id >= {}", self.id(first)));
        }
        if let Some(to) = self.filter.to {
            let last = Uuid::from_bytes(time_of_id::last(to));
            write_condition(&mut sql, &format!("id <= {}", self.id(last)));
        }
        sql
    }

    fn id(&self, id: Uuid) -> String {
        (self.dialect.id)(id)
    }
}

fn write_condition(sql: &mut String, condition: &str) {
    write!(sql, " AND {condition}").expect("a String takes everything");
}

fn push_page(sql: &mut String, order: &str, limit: u32, offset: u32) {
    write!(sql, " ORDER BY {order} DESC LIMIT {limit} OFFSET {offset}")
        .expect("a String takes everything");
}
