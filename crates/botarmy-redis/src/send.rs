//! The task that sends the contents of the outbox to Redis.

use std::time::Duration;

use deadpool_redis::redis::aio::MultiplexedConnection;
use deadpool_redis::redis::pipe;
use tracing::debug;

use crate::outbox::Batch;
use crate::refusals::CommandError;
use crate::shared::Shared;
use crate::{envelope, status_copy};

/// Shortest and longest pause after a failed batch. The pause grows while Redis refuses batches.
const PAUSE: (Duration, Duration) = (Duration::from_millis(50), Duration::from_secs(2));

/// Sends the contents of the outbox whenever there are any. Does not return.
pub(crate) async fn run(shared: &Shared) {
    let mut pause = PAUSE.0;
    loop {
        shared.outbox.filled().await;
        let connection = shared.link.up().await;
        let batch = shared.outbox.take();
        let sent = send(shared, connection, &batch).await;
        shared.refusals.note("news", &sent, &shared.settings.url);
        match sent {
            Ok(()) => {
                shared.outbox.sent(None);
                pause = PAUSE.0;
            }
            Err(error) => {
                debug!(%error, "Messages could not be published; other servers will read the log");
                shared.outbox.sent(Some(batch.rings));
                match error {
                    CommandError::Refused(_) => pause = (pause * 2).min(PAUSE.1),
                    CommandError::Lost(_) => {
                        shared.link.suspect();
                        pause = PAUSE.0;
                    }
                }
                tokio::time::sleep(pause).await;
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
    // Statuses are written first: a replica that receives a change may read them.
    let (mut for_statuses, mut for_messages) = (connection.clone(), connection);
    let writing = async {
        let statuses: Vec<_> = batch.statuses.values().cloned().collect();
        if let Err(error) = status_copy::write(&mut for_statuses, shared, &statuses, false).await {
            debug!(%error, "The agent statuses could not be written");
            shared.status_cache.distrust();
        }
    };
    let publishing = async {
        if messages.is_empty() {
            return Ok::<_, CommandError>(());
        }
        Ok(messages.exec_async(&mut for_messages).await?)
    };
    let both = async { tokio::join!(writing, publishing).1 };
    match tokio::time::timeout(settings.timeout, both).await {
        Ok(sent) => sent,
        Err(_) => {
            // It is unknown whether the statuses were written.
            if !batch.statuses.is_empty() {
                shared.status_cache.distrust();
            }
            Err(CommandError::Lost("no answer in time".to_owned()))
        }
    }
}
