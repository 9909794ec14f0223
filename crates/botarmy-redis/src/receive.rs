//! The task that reads received messages and passes them to the subscribers of this process.

use botarmy_domain::BusMessage;
use tracing::warn;

use crate::envelope;
use crate::shared::Shared;

/// Reads what has come, and tells it to those who listen here, for ever.
pub(crate) async fn hear_for_ever(shared: &Shared) {
    let mut complained = false;
    loop {
        let Some(message) = shared.inbox.next().await else {
            drop(shared.subscribers.send(BusMessage::Lagged));
            continue;
        };
        let (news, error_text) = envelope::unpack(&message);
        if let Some(error_text) = error_text
            && !std::mem::replace(&mut complained, true)
        {
            warn!(
                error_text,
                "Another server sends news that cannot be read here, perhaps of another version; \
                 they are read from the log instead"
            );
        }
        for one in news {
            shared.status_cache.note(&one);
            drop(shared.subscribers.send(one));
        }
        // One message holds many news; others want this thread too.
        tokio::task::yield_now().await;
    }
}
