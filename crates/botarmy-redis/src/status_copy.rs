//! The copy of the agent statuses in Redis, a hash with one field for each agent type.

use std::collections::HashMap;
use std::sync::LazyLock;

use botarmy_domain::AgentType;
use deadpool_redis::redis::aio::ConnectionLike;
use deadpool_redis::redis::{RedisError, Script, cmd};

use crate::refusals::CommandError;
use crate::shared::Shared;
use crate::status_cache::Marked;

/// Writes records unless newer ones are there. With `anew` in `ARGV[1]` existing records are replaced.
static WRITE: LazyLock<Script> = LazyLock::new(|| {
    Script::new(
        "for i = 2, #ARGV, 3 do
           local there = redis.call('HGET', KEYS[1], ARGV[i])
           local at = tonumber(there and string.match(there, '^%d+') or '0')
           if ARGV[1] == 'anew' or at <= tonumber(ARGV[i + 1]) then
             redis.call('HSET', KEYS[1], ARGV[i], ARGV[i + 1] .. ' ' .. ARGV[i + 2])
           end
         end",
    )
});

/// Writes records to the copy. With `anew`, existing records are replaced even if they are newer.
pub(crate) async fn write(
    connection: &mut impl ConnectionLike,
    shared: &Shared,
    records: &[Marked],
    anew: bool,
) -> Result<(), RedisError> {
    if records.is_empty() {
        return Ok(());
    }
    let mut write = WRITE.key(&shared.names.agents);
    write.arg(if anew { "anew" } else { "on" });
    for one in records {
        let json = serde_json::to_string(&one.record).expect("a record is plain JSON");
        write.arg(one.record.agent_type.as_str()).arg(one.seq).arg(json);
    }
    write.invoke_async(connection).await
}

/// Reads the copy, without records that cannot be parsed.
pub(crate) async fn read(shared: &Shared) -> Result<HashMap<AgentType, Marked>, CommandError> {
    let connection = shared.pool.get().await;
    let mut connection = connection.map_err(|error| CommandError::Lost(error.to_string()))?;
    let all: HashMap<String, String> =
        cmd("HGETALL").arg(&shared.names.agents).query_async(&mut connection).await?;
    let readable = all.iter().filter_map(|(agent, text)| {
        let (agent, marked) = (agent.parse().ok()?, Marked::read(text)?);
        (marked.record.agent_type == agent).then_some((agent, marked))
    });
    Ok(readable.collect())
}
