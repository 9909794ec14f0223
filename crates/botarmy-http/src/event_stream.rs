//! The event stream: the live frames of one project or of all, as server-sent events (HTML Living
//! Standard, section 9.2). Each event of a log has an id, with which a client that comes back goes on.
//!
//! The body is made when the socket takes more, from the frames that the hub keeps for all clients and
//! otherwise from the log. So a slow reader costs at most a page of the log, and delays no other.

use std::time::Duration;

use actix_web::http::header::{self, HeaderName, HeaderValue};
use actix_web::web::{Bytes, Data};
use actix_web::{HttpRequest, HttpResponse};
use botarmy_domain::{Caller as DomainCaller, Permission};
use botarmy_live::{Admission, Followed, Follower, MAX_POSITION, Place, SubscribeError, Target};
use futures_util::{Stream, stream};
use serde::Deserialize;
use tokio::time::{Instant, Interval, MissedTickBehavior, interval_at};
use utoipa::IntoParams;

use crate::State;
use crate::admission::RECHECK;
use crate::endpoint::Endpoint;
use crate::error::{Problem, ProblemDocument};
use crate::extract::{Caller, Query};

/// Header with the id of the last event that a client got.
const LAST_EVENT_ID: HeaderName = HeaderName::from_static("last-event-id");
/// Interval between the comments that show a silent stream to be alive. Proxies commonly end a response
/// that is silent for a minute.
const HEARTBEAT: Duration = Duration::from_secs(15);
/// Time after which a client connects again when the stream has ended.
const RETRY: Duration = Duration::from_secs(2);
/// Time after which a client that found no room may try again, in seconds.
const RETRY_AFTER_S: u64 = 5;

pub(crate) fn endpoints() -> Vec<Endpoint> {
    vec![Endpoint::new::<__path_follow, _, _>(follow, Permission::ProjectRead).stream()]
}

/// Start of a stream.
#[derive(Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
struct StreamQuery {
    /// Project to follow, or `all` for everything that the caller sees, which is the default.
    #[param(
        value_type = Option<String>,
        pattern = "^(all|[0-9A-Fa-f]{8}-([0-9A-Fa-f]{4}-){3}[0-9A-Fa-f]{12}|[0-9A-Fa-f]{32})$"
    )]
    project_id: Option<String>,
    /// Id of the last event that the client has. The header `Last-Event-ID` takes precedence.
    after: Option<String>,
}

/// Streams the events of a project, or of all projects and the system.
///
/// The response is `text/event-stream`: `event` is the type of the frame, `data` the frame as the
/// WebSocket sends it, and `id` the position of the client. For a project the id is the position in its
/// log, and the stream has the events of its log and the progress of its tasks. For all projects it is
/// opaque. A client that sends the id back as `Last-Event-ID` gets every event after it once. Without an
/// id the stream begins with what happens from now on. A comment is sent every 15 seconds. The stream
/// ends with the credential, and when the server stops; the client then connects again.
#[utoipa::path(
    get, path = "/api/v1/events/stream", operation_id = "stream_events", tag = "live",
    params(
        StreamQuery,
        ("Last-Event-ID" = Option<String>, Header, description = "Id of the last event received"),
    ),
    responses(
        (status = 200, content_type = "text/event-stream", body = String),
        (status = 404, body = ProblemDocument),
        (status = 503, body = ProblemDocument),
    ),
)]
async fn follow(
    state: Data<State>,
    Caller(caller): Caller,
    Query(query): Query<StreamQuery>,
    request: HttpRequest,
) -> Result<HttpResponse, Problem> {
    caller.reach(Permission::ProjectRead)?;
    let target = query.project_id.as_deref().unwrap_or("all").parse::<Target>();
    let target = target.map_err(|error| {
        Problem::invalid("project_id", format!("{error}, or the word `all` for every project"))
    })?;
    let place = match last_event_id(&request)? {
        Some(id) => Some(place("Last-Event-ID", target, id)?),
        None => query.after.as_deref().map(|after| place("after", target, after)).transpose()?,
    };
    let admission = state.live.admit().ok_or_else(|| {
        Problem::unavailable("All live connections are in use; try again later.", RETRY_AFTER_S)
    })?;
    let follower = state.live.follow(&caller, target, place).await.map_err(refused)?;
    let events = Events {
        is_proven: caller.credential().is_some(),
        rechecks: ticks(RECHECK),
        heartbeats: ticks(HEARTBEAT),
        begun: false,
        state,
        caller,
        follower,
        _admission: admission,
    };
    Ok(HttpResponse::Ok()
        .content_type("text/event-stream")
        .insert_header((header::CACHE_CONTROL, "no-store"))
        // Some proxies collect a response before they pass it on, unless this tells them not to.
        .insert_header((
            HeaderName::from_static("x-accel-buffering"),
            HeaderValue::from_static("no"),
        ))
        .streaming(events.into_stream()))
}

/// Returns the id of the last event that the client got. Clients without one may send it empty.
fn last_event_id(request: &HttpRequest) -> Result<Option<&str>, Problem> {
    let Some(id) = request.headers().get(LAST_EVENT_ID) else { return Ok(None) };
    let id = id.to_str().map_err(|_| {
        Problem::invalid("Last-Event-ID", "is not an id of an event: it must be visible ASCII")
    })?;
    Ok(Some(id).filter(|id| !id.is_empty()))
}

/// Parses the position after which a stream begins.
fn place(field: &str, target: Target, text: &str) -> Result<Place, Problem> {
    match target {
        Target::Project(_) => {
            let is_number = text.bytes().all(|byte| byte.is_ascii_digit());
            let seq = text.parse().ok().filter(|seq| is_number && *seq <= MAX_POSITION);
            seq.map(Place::Log).ok_or_else(|| {
                let message = format!("must be a position in a log: 0 to {MAX_POSITION}");
                Problem::invalid(field, message)
            })
        }
        Target::All => text.parse().map(Place::All).map_err(|error| {
            let message = format!("{error}; leave it out to begin with what happens from now on");
            Problem::invalid(field, message)
        }),
    }
}

fn refused(error: SubscribeError) -> Problem {
    match error {
        SubscribeError::NoSuchProject(id) => Problem::not_found("Project", id),
        SubscribeError::Store(error) => error.into(),
        other => Problem::invalid("project_id", other.to_string()),
    }
}

fn ticks(interval: Duration) -> Interval {
    let mut ticks = interval_at(Instant::now() + interval, interval);
    ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
    ticks
}

/// The events of one client.
struct Events {
    state: Data<State>,
    caller: DomainCaller,
    /// Set if the caller has a credential, which can end.
    is_proven: bool,
    follower: Follower,
    rechecks: Interval,
    heartbeats: Interval,
    begun: bool,
    _admission: Admission,
}

impl Events {
    fn into_stream(self) -> impl Stream<Item = Result<Bytes, std::convert::Infallible>> {
        stream::unfold(self, async |mut events| {
            let text = events.next().await?;
            Some((Ok(Bytes::from(text)), events))
        })
    }

    /// Waits for the next piece of the stream; `None` when it ends.
    async fn next(&mut self) -> Option<String> {
        if !self.begun {
            self.begun = true;
            // Without data it is no event, and sets the id for a client that is cut off at once.
            let retry = RETRY.as_millis();
            return Some(format!("retry: {retry}\nid: {}\n\n", self.follower.position()));
        }
        let live = std::sync::Arc::clone(&self.state.live);
        loop {
            // In this order: nothing is sent with rights that have ended.
            tokio::select! {
                biased;
                () = live.stopped() => return None,
                _ = self.rechecks.tick(), if self.is_proven => {
                    let caller = self.state.access.recheck(&self.caller).ok()?;
                    if !self.follower.set_caller(&caller).await {
                        return None;
                    }
                    self.caller = caller;
                }
                _ = self.heartbeats.tick() => {
                    return Some(format!(": alive\nid: {}\n\n", self.follower.position()));
                }
                followed = self.follower.next() => return Some(event(&followed)),
            }
        }
    }
}

/// Writes an event. JSON has no line breaks, so its text is one line of data.
fn event(followed: &Followed) -> String {
    let Followed { event_type, text, position } = followed;
    match position {
        Some(position) => format!("id: {position}\nevent: {event_type}\ndata: {text}\n\n"),
        None => format!("event: {event_type}\ndata: {text}\n\n"),
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use actix_web::test::TestRequest;
    use botarmy_domain::LogId;
    use botarmy_live::fakes::{LogWriter, World};
    use botarmy_live::{Hub, LiveSettings};
    use futures_util::future::join_all;

    use super::*;
    use crate::testing::Fakes;

    fn stream_of(query: &str) -> TestRequest {
        TestRequest::with_uri(&format!("/api/v1/events/stream{query}"))
    }

    /// Ends the streams of the hub when the events that exist have been sent.
    async fn start() -> (Arc<World>, Arc<Hub>) {
        let world = World::new();
        let (bus, logs, clock) = (Arc::clone(&world), Arc::clone(&world), Arc::clone(&world));
        let hub = Hub::start(bus, logs, clock, LiveSettings::default());
        let ending = Arc::clone(&hub);
        actix_web::rt::spawn(async move {
            tokio::time::sleep(Duration::from_millis(300)).await;
            ending.shutdown().await;
        });
        (world, hub)
    }

    #[actix_web::test]
    async fn a_project_is_streamed_from_after_the_id() {
        let (world, hub) = start().await;
        let log = LogWriter::project();
        world.commit(log, 3);
        let query = format!("?project_id={}&after=2", log.project().unwrap());
        let fakes = Fakes { live: Some(Arc::clone(&hub)), ..Fakes::default() };
        let answer = fakes.send(stream_of(&query)).await;
        assert_eq!((answer.status, answer.header("content-type")), (200, "text/event-stream"));
        assert_eq!(answer.header("cache-control"), "no-store");
        let body = String::from_utf8(answer.body.to_vec()).unwrap();
        let begin = "retry: 2000\nid: 2\n\nid: 3\nevent: task_created\ndata: {\"event_type\":";
        assert!(body.starts_with(begin) && body.ends_with("}\n\n"), "{body}");
        assert_eq!(body.matches("event: ").count(), 1);
        assert_eq!(hub.connections(), 0, "its place is free again");
    }

    #[actix_web::test]
    async fn the_header_takes_precedence_and_an_empty_one_says_nothing() {
        let (world, hub) = start().await;
        let log = LogWriter::project();
        world.commit(log, 3);
        let query = format!("?project_id={}&after=1", log.project().unwrap());
        let answered = ["2", ""].map(|id| {
            let fakes = Fakes { live: Some(Arc::clone(&hub)), ..Fakes::default() };
            fakes.send(stream_of(&query).insert_header((LAST_EVENT_ID, id)))
        });
        // At the same time: the hub ends both.
        for (answer, begin) in join_all(answered).await.into_iter().zip(["\nid: 2\n", "\nid: 1\n"])
        {
            let body = String::from_utf8(answer.body.to_vec()).unwrap();
            assert!(body.starts_with(&format!("retry: 2000{begin}")), "{body}");
        }
    }

    #[actix_web::test]
    async fn all_logs_are_streamed_from_now_on() {
        let (world, hub) = start().await;
        world.commit(LogWriter::project(), 3);
        let writing = Arc::clone(&world);
        actix_web::rt::spawn(async move {
            tokio::time::sleep(Duration::from_millis(100)).await;
            writing.commit_and_announce(LogWriter::project(), 1);
            writing.commit_and_announce(LogId::System, 1);
        });
        let fakes = Fakes { live: Some(hub), ..Fakes::default() };
        let body = fakes.send(stream_of("")).await.body;
        let body = String::from_utf8(body.to_vec()).unwrap();
        assert_eq!(body.matches("\nevent: task_created\n").count(), 2, "{body}");
    }

    #[actix_web::test]
    async fn what_is_no_position_and_no_project_is_refused() {
        let (world, hub) = start().await;
        let log = LogWriter::project();
        world.commit(log, 1);
        let project = log.project().unwrap();
        let of_project = format!("?project_id={project}&after=");
        let cases = [
            ("?project_id=x".to_owned(), None, "project_id"),
            (format!("{of_project}x"), None, "after"),
            (format!("{of_project}-1"), None, "after"),
            (format!("{of_project}%2B1"), None, "after"),
            (format!("{of_project}9223372036854775808"), None, "after"),
            (format!("{of_project}1"), Some("x"), "Last-Event-ID"),
            (format!("{of_project}1"), Some("1.0"), "Last-Event-ID"),
            ("?project_id=all&after=5".to_owned(), None, "after"),
            ("?after=x".to_owned(), None, "after"),
            (String::new(), Some("\u{e9}"), "Last-Event-ID"),
        ];
        for (query, id, field) in cases {
            let fakes = Fakes { live: Some(Arc::clone(&hub)), ..Fakes::default() };
            let request = id.map_or_else(
                || stream_of(&query),
                |id| stream_of(&query).insert_header((LAST_EVENT_ID, id.as_bytes())),
            );
            let answer = fakes.send(request).await;
            assert_eq!((answer.status, answer.field().as_str()), (422, field), "{query} {id:?}");
        }
        world.hide(project);
        let fakes = Fakes { live: Some(Arc::clone(&hub)), ..Fakes::default() };
        assert_eq!(fakes.send(stream_of(&format!("?project_id={project}"))).await.status, 404);
        hub.shutdown().await;
        let fakes = Fakes { live: Some(hub), ..Fakes::default() };
        let full = fakes.send(stream_of("")).await;
        assert_eq!((full.status, full.header("retry-after")), (503, "5"));
    }
}
