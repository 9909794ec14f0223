//! The discussion of a request: remarks, and below each of them the answers to it.

use botarmy_domain::hitl::GateComment;
use botarmy_domain::{EventId, Timestamp};

use super::markdown;
use super::markup::Markup;
use super::time::TimeView;

/// Remark with the answers to it, oldest first.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct ThreadView {
    pub(crate) first: CommentView,
    pub(crate) replies: Vec<CommentView>,
}

/// Remark.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct CommentView {
    pub(crate) id: EventId,
    pub(crate) by: String,
    pub(crate) time: TimeView,
    pub(crate) html: Markup,
}

/// Returns the discussion. An answer to an answer stands below the remark with which it began.
pub(crate) fn threads(comments: &[GateComment], now: Timestamp) -> Vec<ThreadView> {
    let mut threads: Vec<ThreadView> = Vec::new();
    for comment in comments {
        let view = CommentView {
            id: comment.id,
            by: comment.by.name.clone(),
            time: TimeView::relative(comment.at, now),
            html: markdown::words(&comment.text),
        };
        let has = |thread: &&mut ThreadView, id| {
            thread.first.id == id || thread.replies.iter().any(|reply| reply.id == id)
        };
        let thread =
            comment.reply_to.and_then(|id| threads.iter_mut().find(|thread| has(thread, id)));
        match thread {
            Some(thread) => thread.replies.push(view),
            None => threads.push(ThreadView { first: view, replies: Vec::new() }),
        }
    }
    threads
}

#[cfg(test)]
mod tests {
    use botarmy_domain::Actor;
    use uuid::Uuid;

    use super::*;
    use crate::view::samples::NOW;

    fn id(n: u128) -> EventId {
        EventId::from_uuid(Uuid::from_u128(n))
    }

    fn remark(n: u128, reply_to: Option<u128>, text: &str) -> GateComment {
        let by = Actor { name: "ada".to_owned(), principal: None };
        GateComment { id: id(n), by, at: NOW, text: text.to_owned(), reply_to: reply_to.map(id) }
    }

    #[test]
    fn answers_stand_one_level_below_and_nothing_of_a_text_is_a_tag() {
        let remarks = [
            remark(1, None, "First <script>"),
            remark(2, None, "# Second"),
            remark(3, Some(1), "Answer"),
            remark(4, Some(3), "Answer to it"),
        ];
        let threads = threads(&remarks, NOW);
        let ids: Vec<_> = threads
            .iter()
            .map(|thread| {
                (thread.first.id, thread.replies.iter().map(|reply| reply.id).collect::<Vec<_>>())
            })
            .collect();
        assert_eq!(ids, [(id(1), vec![id(3), id(4)]), (id(2), vec![])]);
        let first = threads[0].first.html.to_string();
        assert!(first.contains("&lt;script&gt;") && !first.contains("<script"), "{first}");
        let second = threads[1].first.html.to_string();
        assert!(!second.contains("id=") && second.contains("Second"), "{second}");
    }
}
