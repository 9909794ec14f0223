//! The frequent statements, each written once and prepared once per connection. Diesel prepares
//! neither its own batch inserts nor `sql_query` for good, and a round trip spent on that costs as
//! much as the statement.

use diesel::pg::Pg;
use diesel::prelude::*;
use diesel::query_builder::{AstPass, Query, QueryFragment, QueryId};
use diesel::sql_types::{
    Array, BigInt, Binary, Bool, Integer, Json, Nullable, SmallInt, Text, Uuid as SqlUuid,
};
use diesel_async::{AsyncPgConnection, RunQueryDsl};
use uuid::Uuid;

use crate::json_text::JsonText;
use crate::record_statements::RecordWrites;
use crate::within::Within;

/// A statement as text with its parameters where they stand, and the type of its rows. It may end
/// with a part in braces that adds text and parameters of its own.
macro_rules! statement {
    (
        $(#[$meta:meta])*
        $name:ident -> $output:ty;
        $first:literal $([$field:ident: $rust:ty => $sql:ty] $($next:literal)+)*
        $({$part:ident: $of:ty} $last:literal)?
    ) => {
        $(#[$meta])*
        #[derive(Debug, Default)]
        pub(crate) struct $name {
            $(pub(crate) $field: $rust,)*
            $(pub(crate) $part: $of,)?
        }

        impl QueryId for $name {
            type QueryId = Self;
            const HAS_STATIC_QUERY_ID: bool = true $(&& <$of as QueryId>::HAS_STATIC_QUERY_ID)?;
        }

        impl Query for $name {
            type SqlType = $output;
        }

        impl QueryFragment<Pg> for $name {
            fn walk_ast<'b>(&'b self, mut out: AstPass<'_, 'b, Pg>) -> QueryResult<()> {
                out.push_sql($first);
                $(
                    out.push_bind_param::<$sql, _>(&self.$field)?;
                    $(out.push_sql($next);)+
                )*
                $(
                    self.$part.walk_ast(out.reborrow())?;
                    out.push_sql($last);
                )?
                Ok(())
            }
        }
    };
}

/// The columns of a head.
type HeadColumns = (SqlUuid, BigInt, Binary, Text, BigInt);

statement! {
    /// The ends of these logs.
    Heads -> HeadColumns;
    "SELECT log, seq, hash, counts, next_turn FROM heads WHERE log = ANY ("
    [logs: Vec<Uuid> => Array<SqlUuid>] ")"
}

statement! {
    /// The ends of these logs, locked one after the other in the order of their ids.
    LockedHeads -> HeadColumns;
    "SELECT log, seq, hash, counts, next_turn FROM heads WHERE log = ANY ("
    [logs: Vec<Uuid> => Array<SqlUuid>] ") ORDER BY log FOR UPDATE"
}

statement! {
    /// Locks names until the transaction ends, whether or not there are rows for them.
    LockedNames -> Bool;
    "SELECT pg_advisory_xact_lock(hashtextextended(key, 1)) IS NULL FROM (SELECT key FROM unnest("
    [names: Vec<String> => Array<Text>] ") AS wanted (key) ORDER BY key) AS sorted"
}

statement! {
    /// Projects by key.
    Projects -> (SqlUuid, Text);
    "SELECT id, body FROM projects WHERE id = ANY ("
    [ids: Vec<Uuid> => Array<SqlUuid>] ")"
}

statement! {
    /// Tasks by key.
    Tasks -> (SqlUuid, Nullable<BigInt>, Text);
    "SELECT id, lease_expires_at, body FROM tasks WHERE id = ANY ("
    [ids: Vec<Uuid> => Array<SqlUuid>] ")"
}

statement! {
    /// The tasks of these projects that are not final.
    OpenTasks -> (SqlUuid, Nullable<BigInt>, Text);
    "SELECT id, lease_expires_at, body FROM tasks WHERE project_id = ANY ("
    [projects: Vec<Uuid> => Array<SqlUuid>]
    ") AND status IN ('pending', 'working', 'waiting_for_hitl')"
}

statement! {
    /// Requests by key.
    Requests -> (SqlUuid, Text);
    "SELECT id, body FROM hitl_requests WHERE id = ANY ("
    [ids: Vec<Uuid> => Array<SqlUuid>] ")"
}

statement! {
    /// The pending requests of these projects.
    OpenRequests -> (SqlUuid, Text);
    "SELECT id, body FROM hitl_requests WHERE project_id = ANY ("
    [projects: Vec<Uuid> => Array<SqlUuid>] ") AND status = 'pending'"
}

statement! {
    /// Number of tasks of open projects that an agent type holds, and the oldest of them. The query
    /// forces the partial index to be read first; otherwise the planner may scan all tasks.
    Working -> (BigInt, Nullable<SqlUuid>);
    "WITH held AS MATERIALIZED ( \
     SELECT id, project_id FROM tasks WHERE status = 'working' AND agent = "
    [agent: &'static str => Text]
    ") SELECT count(*), (array_agg(held.id ORDER BY held.id))[1] FROM held \
     JOIN projects ON projects.id = held.project_id AND projects.status IN ('active', 'paused')"
}

statement! {
    /// Number of pending questions of an agent type in open projects, and its newest failure that
    /// is not cleared.
    Pending -> (BigInt, Nullable<SqlUuid>);
    "WITH open AS MATERIALIZED ( \
     SELECT id, project_id, kind, created_at FROM hitl_requests WHERE status = 'pending' AND agent = "
    [agent: &'static str => Text]
    ") SELECT count(*) FILTER (WHERE open.kind <> 'failure'), \
     (array_agg(open.id ORDER BY open.created_at DESC, open.id DESC) \
     FILTER (WHERE open.kind = 'failure'))[1] FROM open \
     JOIN projects ON projects.id = open.project_id AND projects.status IN ('active', 'paused')"
}

/// A task with the end of its log.
pub(crate) type QueueRow = (Uuid, Option<i64>, String, Uuid, i64, Vec<u8>, String, i64);

statement! {
    /// For each agent type as many tasks as it has slots, in the order of the queue, with the ends
    /// of their logs. Both are locked; rows locked by other transactions are skipped.
    NextInQueue -> (SqlUuid, Nullable<BigInt>, Text, SqlUuid, BigInt, Binary, Text, BigInt);
    "SELECT next.* FROM unnest("
    [agents: Vec<String> => Array<Text>] ", "
    [slots: Vec<i64> => Array<BigInt>]
    ") AS wanted (agent, slots) CROSS JOIN LATERAL ( \
     SELECT t.id, t.lease_expires_at, t.body, h.log, h.seq, h.hash, h.counts, h.next_turn \
     FROM tasks t JOIN heads h ON h.log = t.project_id \
     WHERE t.status = 'pending' AND NOT t.held AND t.agent = wanted.agent AND NOT EXISTS ( \
     SELECT FROM emergency_stops WHERE scope IN ('everything', 'agent/' || wanted.agent)) \
     AND t.ready_at <= "
    [now: i64 => BigInt] ""
    {within: Within}
    " ORDER BY t.agent, t.priority DESC, t.turn_at, t.id LIMIT wanted.slots \
     FOR UPDATE OF h, t SKIP LOCKED) AS next"
}

statement! {
    /// The first tasks of the queue, locked or not, with their projects.
    Waiting -> (SqlUuid, SqlUuid);
    "SELECT next.* FROM unnest("
    [agents: Vec<String> => Array<Text>] ", "
    [slots: Vec<i64> => Array<BigInt>]
    ") AS wanted (agent, slots) CROSS JOIN LATERAL ( \
     SELECT t.id, t.project_id FROM tasks t \
     WHERE t.status = 'pending' AND NOT t.held AND t.agent = wanted.agent AND NOT EXISTS ( \
     SELECT FROM emergency_stops WHERE scope IN ('everything', 'agent/' || wanted.agent)) \
     AND t.ready_at <= "
    [now: i64 => BigInt] ""
    {within: Within}
    " ORDER BY t.agent, t.priority DESC, t.turn_at, t.id LIMIT wanted.slots) AS next"
}

statement! {
    /// Moves the expiry of a lease that is still held under this fence.
    ExtendLease -> SqlUuid;
    "UPDATE tasks SET lease_expires_at = " [until: i64 => BigInt]
    " WHERE id = " [task: Uuid => SqlUuid]
    " AND status = 'working' AND attempt = " [fence: i32 => Integer] " RETURNING id"
}

statement! {
    /// Removes kept replies that have expired. One that is written anew meanwhile stays: the outer
    /// condition is checked again once its row is locked.
    ForgetReplies -> Text;
    "DELETE FROM kept_replies WHERE expires_at <= " [now: i64 => BigInt]
    " AND key_digest IN (SELECT key_digest FROM kept_replies ORDER BY expires_at LIMIT "
    [limit: i64 => BigInt] ") RETURNING key_digest"
}

statement! {
    /// Notes the time at which a key was used, unless a later one is noted.
    NoteKeyUse -> SqlUuid;
    "INSERT INTO key_uses AS old (key_id, used_at) VALUES (" [key: Uuid => SqlUuid]
    ", " [at: i64 => BigInt]
    ") ON CONFLICT (key_id) DO UPDATE SET used_at = excluded.used_at \
     WHERE excluded.used_at > old.used_at RETURNING key_id"
}

statement! {
    /// Keeps a ticket, and removes those that have expired and the oldest of its holder above the limit.
    KeepTicket -> Binary;
    "WITH removed AS (DELETE FROM tickets WHERE expires_at <= " [expired: i64 => BigInt]
    " OR digest IN (SELECT digest FROM tickets WHERE holder = " [of: String => Text]
    " ORDER BY expires_at DESC OFFSET " [kept: i64 => BigInt] ") RETURNING digest) \
     INSERT INTO tickets (digest, holder, expires_at) VALUES (" [digest: [u8; 32] => Binary]
    ", " [holder: String => Text] ", " [expires_at: i64 => BigInt] ") ON CONFLICT DO NOTHING RETURNING digest"
}

statement! {
    /// Removes the ticket with this digest, and returns it.
    TakeTicket -> (Text, BigInt);
    "DELETE FROM tickets WHERE digest = " [digest: [u8; 32] => Binary]
    " RETURNING holder, expires_at"
}

statement! {
    /// Takes or extends the lease of a webhook, and returns its fence and the time of the next attempt.
    HoldWebhook -> (BigInt, Nullable<BigInt>);
    "INSERT INTO webhook_leases AS old (webhook_id, holder, fence, expires_at) VALUES ("
    [webhook: Uuid => SqlUuid] ", " [holder: String => Text] ", 1, " [until: i64 => BigInt]
    ") ON CONFLICT (webhook_id) DO UPDATE SET holder = excluded.holder, \
     fence = old.fence + CASE WHEN old.holder = excluded.holder THEN 0 ELSE 1 END, \
     expires_at = excluded.expires_at WHERE old.holder = excluded.holder OR old.expires_at <= "
    [now: i64 => BigInt] " RETURNING fence, retry_at"
}

statement! {
    /// Lets go of the lease of a webhook.
    LetGoOfWebhook -> SqlUuid;
    "UPDATE webhook_leases SET expires_at = 0, holder = '' WHERE webhook_id = "
    [webhook: Uuid => SqlUuid] " AND fence = " [fence: i64 => BigInt] " RETURNING webhook_id"
}

statement! {
    /// Position of a webhook in a log, and the failed attempts for the entry after it.
    WebhookCursor -> (BigInt, BigInt);
    "SELECT seq, attempts FROM webhook_cursors WHERE webhook_id = " [webhook: Uuid => SqlUuid]
    " AND log = " [log: Uuid => SqlUuid] ""
}

statement! {
    /// The log after this many logs, from one of them on.
    LogAfter -> SqlUuid;
    "SELECT log FROM heads WHERE log >= " [from: Uuid => SqlUuid]
    " ORDER BY log LIMIT 1 OFFSET " [scan: i64 => BigInt] ""
}

statement! {
    /// Logs of a range in which a webhook has entries to look at.
    UndeliveredLogs -> SqlUuid;
    "SELECT h.log FROM heads AS h LEFT JOIN webhook_cursors AS c ON c.webhook_id = "
    [webhook: Uuid => SqlUuid] " AND c.log = h.log WHERE h.log >= " [from: Uuid => SqlUuid]
    " AND h.log < " [to: Uuid => SqlUuid]
    " AND CASE WHEN c.seq IS NULL THEN EXISTS (SELECT FROM events AS e WHERE e.log = h.log \
     AND e.seq = h.seq AND e.created_at >= " [since: i64 => BigInt]
    ") ELSE h.seq > c.seq END ORDER BY h.log"
}

statement! {
    /// The ends of logs, from one of them on.
    LogEnds -> (SqlUuid, BigInt);
    "SELECT log, seq FROM heads WHERE log >= " [from: Uuid => SqlUuid]
    " ORDER BY log LIMIT " [limit: i64 => BigInt] ""
}

statement! {
    /// Saves the progress of a webhook if the lease is held under this fence.
    SaveProgress -> SqlUuid;
    "WITH held AS (UPDATE webhook_leases SET retry_at = " [retry_at: Option<i64> => Nullable<BigInt>]
    " WHERE webhook_id = " [webhook: Uuid => SqlUuid] " AND fence = " [fence: i64 => BigInt]
    " RETURNING webhook_id), moved AS (\
     INSERT INTO webhook_cursors (webhook_id, log, seq, attempts) \
     SELECT held.webhook_id, new.log, new.seq, new.attempts FROM held, unnest("
    [logs: Vec<Uuid> => Array<SqlUuid>] ", " [seqs: Vec<i64> => Array<BigInt>] ", "
    [attempts: Vec<i64> => Array<BigInt>]
    ") AS new (log, seq, attempts) ON CONFLICT (webhook_id, log) \
     DO UPDATE SET seq = excluded.seq, attempts = excluded.attempts), kept AS (\
     INSERT INTO webhook_deliveries (webhook_id, id, body) \
     SELECT held.webhook_id, new.id, new.body::json FROM held, unnest("
    [ids: Vec<Uuid> => Array<SqlUuid>] ", " [bodies: Vec<String> => Array<Text>]
    ") AS new (id, body) ON CONFLICT DO NOTHING), removed AS (\
     DELETE FROM webhook_deliveries AS old USING held WHERE old.webhook_id = held.webhook_id \
     AND old.id <= (SELECT id FROM webhook_deliveries AS last WHERE last.webhook_id = held.webhook_id \
     ORDER BY id DESC LIMIT 1 OFFSET " [spare: i64 => BigInt] ")) SELECT webhook_id FROM held"
}

statement! {
    /// Keeps an attempt beside the logs for a webhook that exists.
    KeepDelivery -> SqlUuid;
    "WITH held AS (SELECT id AS webhook_id FROM webhooks WHERE id = " [webhook: Uuid => SqlUuid]
    "), kept AS (INSERT INTO webhook_deliveries (webhook_id, id, body) SELECT webhook_id, "
    [id: Uuid => SqlUuid] ", " [body: String => Text]
    "::json FROM held ON CONFLICT DO NOTHING), removed AS (\
     DELETE FROM webhook_deliveries AS old USING held WHERE old.webhook_id = held.webhook_id \
     AND old.id <= (SELECT id FROM webhook_deliveries AS last WHERE last.webhook_id = held.webhook_id \
     ORDER BY id DESC LIMIT 1 OFFSET " [spare: i64 => BigInt] ")) SELECT webhook_id FROM held"
}

statement! {
    /// Attempts of a webhook before one of them, newest first.
    Deliveries -> (SqlUuid, Text);
    "SELECT id, body FROM webhook_deliveries WHERE webhook_id = " [webhook: Uuid => SqlUuid]
    " AND id < " [before: Uuid => SqlUuid] " ORDER BY id DESC LIMIT " [limit: i64 => BigInt] ""
}

statement! {
    /// One attempt of a webhook.
    OneDelivery -> (SqlUuid, Text);
    "SELECT id, body FROM webhook_deliveries WHERE webhook_id = " [webhook: Uuid => SqlUuid]
    " AND id = " [id: Uuid => SqlUuid] ""
}

statement! {
    /// Removes everything about webhooks that do not exist.
    ForgetWebhooks -> BigInt;
    "WITH cursors AS (DELETE FROM webhook_cursors \
     WHERE webhook_id NOT IN (SELECT id FROM webhooks)), leases AS (DELETE FROM webhook_leases \
     WHERE webhook_id NOT IN (SELECT id FROM webhooks)), attempts AS (DELETE FROM webhook_deliveries \
     WHERE webhook_id NOT IN (SELECT id FROM webhooks)) SELECT 0::bigint"
}

statement! {
    /// Those of these entries that are in a log, with their hashes.
    Committed -> (SqlUuid, Binary);
    "SELECT id, hash FROM events WHERE id = ANY (" [ids: Vec<Uuid> => Array<SqlUuid>] ")"
}

/// Writes tasks and entries for those logs whose end is still where the writer saw it, moves these
/// ends, and returns the ids of these logs. The other logs do not change.
///
/// Heads are given in the order of their ids, and are locked in that order: `INSERT … SELECT` works
/// through them one by one.
macro_rules! writing {
    ($(#[$meta:meta])* $name:ident; $($more:tt)*) => {
        statement! {
            $(#[$meta])*
            $name -> SqlUuid;
            "WITH moved AS ( \
             INSERT INTO heads AS old (log, seq, hash, previous, counts, next_turn) \
             SELECT new.log, new.seq, new.hash, new.previous, new.counts, new.next_turn FROM unnest("
            [logs: Vec<Uuid> => Array<SqlUuid>] ", "
            [log_seqs: Vec<i64> => Array<BigInt>] ", "
            [log_hashes: Vec<[u8; 32]> => Array<Binary>] ", "
            [log_previous: Vec<[u8; 32]> => Array<Binary>] ", "
            [log_counts: Vec<JsonText> => Array<Json>] ", "
            [log_turns: Vec<i64> => Array<BigInt>]
            ") AS new (log, seq, hash, previous, counts, next_turn) \
             WHERE new.previous = '\\x0000000000000000000000000000000000000000000000000000000000000000' \
             OR EXISTS (SELECT FROM heads WHERE heads.log = new.log) \
             ON CONFLICT (log) DO UPDATE SET seq = excluded.seq, hash = excluded.hash, \
             previous = excluded.previous, counts = excluded.counts, next_turn = excluded.next_turn \
             WHERE old.hash = excluded.previous RETURNING log), \
             written_tasks AS ( \
             INSERT INTO tasks AS old (id, project_id, agent, status, held, attempt, priority, \
             turn_at, ready_at, lease_expires_at, body) SELECT new.* FROM unnest("
            [tasks: Vec<Uuid> => Array<SqlUuid>] ", "
            [task_projects: Vec<Uuid> => Array<SqlUuid>] ", "
            [task_agents: Vec<&'static str> => Array<Text>] ", "
            [task_statuses: Vec<&'static str> => Array<Text>] ", "
            [task_held: Vec<bool> => Array<Bool>] ", "
            [task_attempts: Vec<i32> => Array<Integer>] ", "
            [task_priorities: Vec<i16> => Array<SmallInt>] ", "
            [task_turns: Vec<i64> => Array<BigInt>] ", "
            [task_ready: Vec<i64> => Array<BigInt>] ", "
            [task_leases: Vec<Option<i64>> => Array<Nullable<BigInt>>] ", "
            [task_bodies: Vec<JsonText> => Array<Json>]
            ") AS new (id, project_id, agent, status, held, attempt, priority, turn_at, ready_at, \
             lease_expires_at, body) WHERE new.project_id IN (SELECT log FROM moved) \
             ON CONFLICT (id) DO UPDATE SET status = excluded.status, held = excluded.held, \
             attempt = excluded.attempt, priority = excluded.priority, turn_at = excluded.turn_at, \
             ready_at = excluded.ready_at, lease_expires_at = excluded.lease_expires_at, \
             body = excluded.body), \
             written_events AS ( \
             INSERT INTO events (id, log, seq, event_type, event_source, task_id, hitl_request_id, \
             created_at, hash, event_metadata, event_data) SELECT new.* FROM unnest("
            [events: Vec<Uuid> => Array<SqlUuid>] ", "
            [event_logs: Vec<Uuid> => Array<SqlUuid>] ", "
            [event_seqs: Vec<i64> => Array<BigInt>] ", "
            [event_types: Vec<&'static str> => Array<Text>] ", "
            [event_sources: Vec<&'static str> => Array<Text>] ", "
            [event_tasks: Vec<Option<Uuid>> => Array<Nullable<SqlUuid>>] ", "
            [event_requests: Vec<Option<Uuid>> => Array<Nullable<SqlUuid>>] ", "
            [event_times: Vec<i64> => Array<BigInt>] ", "
            [event_hashes: Vec<[u8; 32]> => Array<Binary>] ", "
            [event_metadata: Vec<JsonText> => Array<Json>] ", "
            [event_data: Vec<JsonText> => Array<Json>]
            ") AS new (id, log, seq, event_type, event_source, task_id, hitl_request_id, \
             created_at, hash, event_metadata, event_data) \
             WHERE new.log IN (SELECT log FROM moved))"
            $($more)*
            " SELECT log FROM moved"
        }
    };
}
/// The same, with projects, requests and artifacts.
macro_rules! writing_rows {
    ($(#[$meta:meta])* $name:ident; $($more:tt)*) => {
        writing! {
            $(#[$meta])*
            $name;
            ", written_projects AS ( \
             INSERT INTO projects AS old (id, status, creator, body) SELECT new.* FROM unnest("
            [projects: Vec<Uuid> => Array<SqlUuid>] ", "
            [project_statuses: Vec<&'static str> => Array<Text>] ", "
            [project_creators: Vec<Option<Uuid>> => Array<Nullable<SqlUuid>>] ", "
            [project_bodies: Vec<JsonText> => Array<Json>]
            ") AS new (id, status, creator, body) WHERE new.id IN (SELECT log FROM moved) \
             ON CONFLICT (id) DO UPDATE SET status = excluded.status, body = excluded.body), \
             written_requests AS ( \
             INSERT INTO hitl_requests AS old (id, project_id, agent, kind, status, expires_at, created_at, \
             due_at, answer_by, policy, restricted, body) SELECT new.* FROM unnest("
            [requests: Vec<Uuid> => Array<SqlUuid>] ", "
            [request_projects: Vec<Uuid> => Array<SqlUuid>] ", "
            [request_agents: Vec<Option<&'static str>> => Array<Nullable<Text>>] ", "
            [request_kinds: Vec<&'static str> => Array<Text>] ", "
            [request_statuses: Vec<&'static str> => Array<Text>] ", "
            [request_expiries: Vec<i64> => Array<BigInt>] ", "
            [request_times: Vec<i64> => Array<BigInt>] ", "
            [request_due: Vec<Option<i64>> => Array<Nullable<BigInt>>] ", "
            [request_answers: Vec<Option<i64>> => Array<Nullable<BigInt>>] ", "
            [request_policies: Vec<Option<String>> => Array<Nullable<Text>>] ", "
            [request_restricted: Vec<bool> => Array<Bool>] ", "
            [request_bodies: Vec<JsonText> => Array<Json>]
            ") AS new (id, project_id, agent, kind, status, expires_at, created_at, due_at, answer_by, \
             policy, restricted, body) WHERE new.project_id IN (SELECT log FROM moved) \
             ON CONFLICT (id) DO UPDATE SET status = excluded.status, expires_at = excluded.expires_at, \
             due_at = excluded.due_at, answer_by = excluded.answer_by, body = excluded.body), \
             written_artifacts AS ( \
             INSERT INTO artifacts (id, project_id, source_agent, artifact_type, digest, previous, \
             created_at, metadata, content) SELECT new.* FROM unnest("
            [artifacts: Vec<Uuid> => Array<SqlUuid>] ", "
            [artifact_projects: Vec<Uuid> => Array<SqlUuid>] ", "
            [artifact_agents: Vec<&'static str> => Array<Text>] ", "
            [artifact_types: Vec<&'static str> => Array<Text>] ", "
            [artifact_digests: Vec<[u8; 32]> => Array<Binary>] ", "
            [artifact_previous: Vec<Option<Uuid>> => Array<Nullable<SqlUuid>>] ", "
            [artifact_times: Vec<i64> => Array<BigInt>] ", "
            [artifact_metadata: Vec<JsonText> => Array<Json>] ", "
            [artifact_contents: Vec<JsonText> => Array<Json>]
            ") AS new (id, project_id, source_agent, artifact_type, digest, previous, created_at, \
             metadata, content) WHERE new.project_id IN (SELECT log FROM moved))"
            $($more)*
        }
    };
}

writing! {
    /// Writes what most decisions change: tasks and entries.
    WriteTasks;
}

writing_rows! {
    /// Writes what decisions about simple requests change: everything but records and the people whom
    /// requests ask.
    WriteRows;
}

writing_rows! {
    /// Writes everything that a decision can change.
    ///
    /// People are removed and added, not replaced: one statement cannot write a row twice.
    WriteAll;
    ", asking AS (SELECT new.id FROM unnest("
    [asking: Vec<Uuid> => Array<SqlUuid>] ", "
    [asking_projects: Vec<Uuid> => Array<SqlUuid>]
    ") AS new (id, project_id) WHERE new.project_id IN (SELECT log FROM moved)), \
     new_people AS (SELECT new.who, new.request_id FROM unnest("
    [asked: Vec<String> => Array<Text>] ", "
    [asked_by: Vec<Uuid> => Array<SqlUuid>]
    ") AS new (who, request_id) WHERE new.request_id IN (SELECT id FROM asking)), \
     written_people AS (INSERT INTO hitl_people (who, request_id) \
     SELECT who, request_id FROM new_people ON CONFLICT DO NOTHING), \
     removed_people AS (DELETE FROM hitl_people AS old WHERE old.request_id IN (SELECT id FROM asking) \
     AND NOT EXISTS (SELECT FROM new_people AS new \
     WHERE new.who = old.who AND new.request_id = old.request_id))"
    {records: RecordWrites}
}

/// Prepares the pipelined statements in advance: a statement that is prepared on first use would be
/// overtaken by the ones sent after it. Nothing is read or written.
pub(crate) async fn prepare_all(mut connection: &AsyncPgConnection) -> QueryResult<()> {
    let _: Vec<Uuid> = WriteTasks::default().load(&mut connection).await?;
    let _: Vec<Uuid> = WriteRows::default().load(&mut connection).await?;
    let _: Vec<Uuid> = WriteAll::default().load(&mut connection).await?;
    let _: Vec<(Uuid, i64, Vec<u8>, String, i64)> =
        LockedHeads::default().load(&mut connection).await?;
    let _: Vec<(Uuid, i64, Vec<u8>, String, i64)> = Heads::default().load(&mut connection).await?;
    let _: Vec<(Uuid, String)> = Projects::default().load(&mut connection).await?;
    let _: Vec<(Uuid, Option<i64>, String)> = Tasks::default().load(&mut connection).await?;
    let _: Vec<QueueRow> = NextInQueue::default().load(&mut connection).await?;
    Ok(())
}
