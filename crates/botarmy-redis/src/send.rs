//! The task that sends the contents of the outbox to Redis.

use std::time::Duration;

use deadpool_redis::redis::aio::MultiplexedConnection;
use deadpool_redis::redis::pipe;
use tracing::debug;

use crate::outbox::Batch;
use crate::refusals::CommandError;
use crate::shared::Shared;
use crate::{envelope, status_copy};

/// How long it rests after something did not leave; when Redis refuses again and again, up to the
/// longest.
const REST: (Duration, Duration) = (Duration::from_millis(50), Duration::from_secs(2));

/// Sends what waits, for ever.
pub(crate) async fn send_for_ever(shared: &Shared) {
    let mut rest = REST.0;
    loop {
        shared.outbox.filled().await;
        let connection = shared.link.up().await;
        let batch = shared.outbox.take();
        let sent = send(shared, connection, &batch).await;
        shared.refusals.note("news", &sent, &shared.settings.url);
        match sent {
            Ok(()) => {
                shared.outbox.sent(None);
                rest = REST.0;
            }
            Err(error) => {
                debug!(%error, "News did not leave; the other servers will be told of a gap");
                shared.outbox.sent(Some(batch.rings));
                match error {
                    CommandError::Refused(_) => rest = (rest * 2).min(REST.1),
                    CommandError::Lost(_) => {
                        shared.link.suspect();
                        rest = REST.0;
                    }
                }
                tokio::time::sleep(rest).await;
            }
        }
    }
}

async fn send(
    shared: &Shared,
    connection: MultiplexedConnection,
    batch: &Batch,
) -> Result<(), CommandError> {
    let settings = &shared.settings;
    let mut messages = pipe();
    if !batch.rings.is_empty() {
        let ring = envelope::pack_wake_up(settings.instance, &batch.rings);
        messages.cmd("PUBLISH").arg(&shared.names.rings).arg(ring);
    }
    let max = settings.max_news_bytes;
    for message in envelope::pack(settings.instance, &batch.news, batch.lost, max) {
        messages.cmd("PUBLISH").arg(&shared.names.news).arg(message);
    }
    // The board goes first: whoever hears of a change may look at it.
    let (mut for_board, mut for_messages) = (connection.clone(), connection);
    let status_cache = async {
        let statuses: Vec<_> = batch.statuses.values().cloned().collect();
        if let Err(error) = status_copy::write(&mut for_board, shared, &statuses, false).await {
            debug!(%error, "The status board was not written");
            shared.status_cache.distrust();
        }
    };
    let publishing = async {
        if messages.is_empty() {
            return Ok::<_, CommandError>(());
        }
        Ok(messages.exec_async(&mut for_messages).await?)
    };
    let both = async { tokio::join!(status_cache, publishing).1 };
    match tokio::time::timeout(settings.timeout, both).await {
        Ok(sent) => sent,
        Err(_) => {
            // Whether they were written nobody knows.
            if !batch.statuses.is_empty() {
                shared.status_cache.distrust();
            }
            Err(CommandError::Lost("no answer in time".to_owned()))
        }
    }
}
