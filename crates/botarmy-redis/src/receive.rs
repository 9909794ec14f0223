//! The task that reads received messages and passes them to the subscribers of this process.

use botarmy_domain::BusMessage;
use tracing::warn;

use crate::envelope;
use crate::shared::Shared;

/// Decodes received messages and passes them to the subscribers. Does not return.
pub(crate) async fn run(shared: &Shared) {
    let mut is_reported = false;
    loop {
        let Some(message) = shared.inbox.next().await else {
            drop(shared.subscribers.send(BusMessage::Lagged));
            continue;
        };
        let (news, error_text) = envelope::unpack(&message);
        if let Some(error_text) = error_text
            && !std::mem::replace(&mut is_reported, true)
        {
            warn!(
                error_text,
                "Another server sends messages that cannot be decoded, perhaps of another version; \
                 the log is read instead"
            );
        }
        for one in news {
            shared.status_cache.note(&one);
            drop(shared.subscribers.send(one));
        }
        // One message may hold many entries; other tasks need this thread too.
        tokio::task::yield_now().await;
    }
}
