//! One WebSocket connection: the checks before the upgrade, then frames out and requests in. The
//! only file that knows the WebSocket crate.
//!
//! Everything that can be refused is refused before the upgrade, with a problem document: a foreign
//! origin (403), a caller without permission (403), an invalid query (422), too many connections (503),
//! an unknown project (404), and last a request that is no WebSocket handshake (426). The caller was
//! found before the request came here. It is rechecked while the connection lasts.

use std::any::Any;
use std::pin::Pin;
use std::str::FromStr;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::task::{Context, Poll};
use std::time::Duration;

use actix_web::body::{BodyStream, MessageBody};
use actix_web::dev::{self, Extensions};
use actix_web::error::PayloadError;
use actix_web::http::StatusCode;
use actix_web::http::header::{self, HeaderValue};
use actix_web::web::{self, Bytes};
use actix_web::{FromRequest, HttpRequest, HttpResponse, rt};
use actix_ws::{AggregatedMessage, AggregatedMessageStream, CloseCode, CloseReason, ProtocolError};
use botarmy_domain::ports::{Access, Denial};
use botarmy_domain::{Caller, DomainError, Permission, json};
use botarmy_live::{Admission, Hub, MAX_POSITION, SubscribeError, Subscriber, Target};
use botarmy_web::{Problem, UnknownFields, parse_query, strict};
use futures_util::{Stream, StreamExt};
use serde::Deserialize;
use serde_json::{Value, json};
use tokio::time::{Instant, MissedTickBehavior, interval_at};
use tracing::{debug, error};

use crate::WsSettings;
use crate::guard::{Guard, TooLong};
use crate::outgoing::{self, Message, Stalled};

/// Time that sending the close frame may take.
const CLOSE_TIMEOUT: Duration = Duration::from_secs(1);
/// Interval at which a caller is rechecked. Another server's change of access takes half a second to
/// arrive here, and a connection ends within a second of it.
const RECHECK: Duration = Duration::from_millis(400);
/// Protocol of the frames, which clients with a ticket have to offer beside it.
const PROTOCOL: &str = "botarmy.v1";
/// Close code for a credential that was revoked or has expired.
const UNAUTHENTICATED: u16 = 4401;

/// State that the sessions of a process share.
struct Live {
    hub: Arc<Hub>,
    access: Arc<dyn Access>,
    settings: Arc<WsSettings>,
}

/// Mounts `GET /ws`. Requests must have their caller as an extension.
pub fn routes(
    cfg: &mut web::ServiceConfig,
    hub: &Arc<Hub>,
    access: &Arc<dyn Access>,
    settings: &Arc<WsSettings>,
) {
    let live =
        Live { hub: Arc::clone(hub), access: Arc::clone(access), settings: Arc::clone(settings) };
    cfg.service(
        web::resource(["/ws", "/ws/"])
            .app_data(web::Data::new(live))
            .route(web::get().to(open))
            .default_service(web::to(wrong_method)),
    );
}

/// Returns a handler of new connections for `HttpServer::on_connect`. It has frames sent at once
/// (`TCP_NODELAY`), and on Linux the kernel drop a peer that accepts nothing for two heartbeats
/// (`TCP_USER_TIMEOUT`).
///
/// The second cannot be done later: a session ends when a send takes too long, but what the server
/// has buffered for the socket still waits for the peer, and the web framework has no timeout there.
pub fn on_connect(
    settings: &WsSettings,
) -> impl Fn(&dyn Any, &mut Extensions) + Send + Sync + Clone + 'static + use<> {
    let timeout = settings.heartbeat * 2;
    move |connection, _| {
        if let Some(socket) = connection.downcast_ref::<rt::net::TcpStream>() {
            // Both fail on a closed socket only, which the next read reports.
            drop(socket.set_nodelay(true));
            #[cfg(target_os = "linux")]
            drop(socket2::SockRef::from(socket).set_tcp_user_timeout(Some(timeout)));
        }
    }
}

// Before the upgrade.

#[derive(Debug, Default, Deserialize)]
struct Query {
    project_id: Option<String>,
    after: Option<String>,
}

async fn open(
    req: HttpRequest,
    payload: web::Payload,
    live: web::Data<Live>,
) -> Result<HttpResponse, Problem> {
    connect(&req, payload, &live).await.map_err(|problem| problem.at(req.path()))
}

async fn wrong_method(req: HttpRequest) -> Result<HttpResponse, Problem> {
    Err(Problem::method_not_allowed(req.method(), "GET").at(req.path()))
}

async fn connect(
    req: &HttpRequest,
    payload: web::Payload,
    live: &Live,
) -> Result<HttpResponse, Problem> {
    let Live { hub, access, settings } = live;
    // A browser opens a WebSocket for any page without asking the server first.
    settings.origins.check(req.head())?;
    let botarmy_web::Caller(caller) = botarmy_web::Caller::of(req)?;
    let reach = caller.reach(Permission::ProjectRead)?;
    let (target, after) = target_and_position(req, settings.unknown_fields)?;
    let admission = hub.admit().ok_or_else(|| too_many_connections(settings))?;
    let system_after = if target.is_none() { after } else { None };
    if system_after.is_some() && !reach.is_everything() {
        let permission = Permission::SystemRead;
        return Err(DomainError::NotPermitted { permission, elsewhere: true }.into());
    }
    let mut subscriber = hub.subscriber(&caller, system_after).await?;
    if let Some(target) = target {
        subscriber.subscribe(target, after).await.map_err(refused)?;
    }
    let (payload, too_long) = guarded(req, payload, settings.max_frame_bytes).await;
    let (mut response, _, messages) =
        actix_ws::handle(req, payload).map_err(|error| no_handshake(&error))?;
    if offers_protocol(req) {
        let protocol = HeaderValue::from_static(PROTOCOL);
        response.headers_mut().insert(header::SEC_WEBSOCKET_PROTOCOL, protocol);
    }
    let (sender, receiver) = outgoing::queue();
    // The body of the WebSocket crate takes 32 messages whatever their size, and writes them into
    // one buffer. It is kept because its end tells the stream of messages that the connection ended.
    let response = response.map_body(|_, original| {
        let bytes = receiver.map(move |bytes| {
            let _alive = &original;
            bytes
        });
        BodyStream::new(bytes).boxed()
    });
    // The guard has checked every length, also that of a message in fragments.
    let no_limit = usize::MAX;
    let messages =
        messages.max_frame_size(no_limit).aggregate_continuations().max_continuation_size(no_limit);
    let (hub, access, settings) = (Arc::clone(hub), Arc::clone(access), Arc::clone(settings));
    let connection = Connection { hub, access, caller, settings, subscriber, sender, too_long };
    rt::spawn(connection.run(messages, admission));
    Ok(response)
}

fn target_and_position(
    req: &HttpRequest,
    unknown: UnknownFields,
) -> Result<(Option<Target>, Option<u64>), Problem> {
    let query: Query = parse_query(req.query_string(), unknown)?;
    let target =
        query.project_id.as_deref().map(Target::from_str).transpose().map_err(|error| {
            Problem::invalid("project_id", format!("{error}, or the word `all` for every project"))
        })?;
    let after = query.after.as_deref().map(parse_position).transpose();
    let after = after.map_err(|error| Problem::invalid("after", error))?;
    match (target, after) {
        (Some(Target::All), Some(_)) => {
            Err(Problem::invalid("after", SubscribeError::AfterAll.to_string()))
        }
        both => Ok(both),
    }
}

/// Returns `true` if the client offers the protocol of the frames. It is the one that is answered: a
/// ticket among the offers is a credential.
fn offers_protocol(req: &HttpRequest) -> bool {
    let offers = req.headers().get_all(header::SEC_WEBSOCKET_PROTOCOL);
    let mut offers = offers.filter_map(|value| value.to_str().ok()).flat_map(|v| v.split(','));
    offers.any(|offer| offer.trim() == PROTOCOL)
}

fn parse_position(text: &str) -> Result<u64, String> {
    let position = text.parse().ok().filter(|position| *position <= MAX_POSITION);
    position.ok_or_else(|| format!("must be a position in a log: 0 to {MAX_POSITION}"))
}

fn too_many_connections(settings: &WsSettings) -> Problem {
    let detail = "All live connections are in use; try again later.";
    Problem::unavailable(detail, settings.retry_after.as_secs().max(1))
}

fn refused(error: SubscribeError) -> Problem {
    let detail = error.to_string();
    match error {
        SubscribeError::NoSuchProject(_) => Problem::new(StatusCode::NOT_FOUND, detail),
        SubscribeError::AfterAll | SubscribeError::OtherStream => Problem::invalid("after", detail),
        SubscribeError::TooMany(_) => Problem::invalid("project_id", detail),
        SubscribeError::Store(error) => error.into(),
    }
}

fn no_handshake(error: &actix_web::Error) -> Problem {
    let detail = format!("This path accepts WebSocket version 13 only: {error}.");
    Problem::new(StatusCode::UPGRADE_REQUIRED, detail)
        .with_header(header::UPGRADE, HeaderValue::from_static("websocket"))
        .with_header(header::SEC_WEBSOCKET_VERSION, HeaderValue::from_static("13"))
}

/// The bytes of a client, up to those that announce a message which is too long.
struct Guarded {
    payload: web::Payload,
    guard: Guard,
    too_long: Arc<AtomicBool>,
}

impl Stream for Guarded {
    type Item = Result<Bytes, PayloadError>;

    fn poll_next(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Self::Item>> {
        let poll = Pin::new(&mut self.payload).poll_next(cx);
        if let Poll::Ready(Some(Ok(bytes))) = &poll
            && self.guard.pass(bytes) == Err(TooLong)
        {
            self.too_long.store(true, Ordering::Relaxed);
            return Poll::Ready(Some(Err(PayloadError::Overflow)));
        }
        poll
    }
}

/// Puts the guard before the payload. The flag is set when it has stopped the stream.
async fn guarded(
    req: &HttpRequest,
    payload: web::Payload,
    limit: usize,
) -> (web::Payload, Arc<AtomicBool>) {
    let too_long = Arc::new(AtomicBool::new(false));
    let guard = Guard::new(limit as u64);
    let guarded = Guarded { payload, guard, too_long: Arc::clone(&too_long) };
    let mut payload = dev::Payload::from(Box::pin(guarded) as Pin<Box<dyn Stream<Item = _>>>);
    let payload = web::Payload::from_request(req, &mut payload).await;
    (payload.expect("extracting a payload cannot fail"), too_long)
}

// After the upgrade.

/// An open connection.
struct Connection {
    hub: Arc<Hub>,
    access: Arc<dyn Access>,
    caller: Caller,
    settings: Arc<WsSettings>,
    subscriber: Subscriber,
    sender: outgoing::Sender,
    too_long: Arc<AtomicBool>,
}

/// End of a connection: with this close frame, or without one where the peer is gone.
struct End(Option<CloseReason>);

impl End {
    fn with(code: CloseCode, reason: &str) -> Self {
        Self(Some(CloseReason { code, description: Some(reason.to_owned()) }))
    }
}

impl Connection {
    async fn run(mut self, mut messages: AggregatedMessageStream, admission: Admission) {
        let end = self.serve(&mut messages).await;
        debug!(subscriber = ?self.subscriber, reason = ?end.0, "The live connection ended");
        if end.0.is_some() {
            let reason = end
                .0
                .map(|reason| (u16::from(reason.code), reason.description.unwrap_or_default()));
            self.sender.close(reason, CLOSE_TIMEOUT).await;
        }
        drop(admission);
    }

    async fn serve(&mut self, messages: &mut AggregatedMessageStream) -> End {
        let heartbeat = self.settings.heartbeat;
        let mut beats = interval_at(Instant::now() + heartbeat, heartbeat);
        beats.set_missed_tick_behavior(MissedTickBehavior::Delay);
        let mut silent_beats = 0;
        let mut rechecks = interval_at(Instant::now() + RECHECK, RECHECK);
        rechecks.set_missed_tick_behavior(MissedTickBehavior::Delay);
        // Without a credential there is nothing that could end.
        let is_proven = self.caller.credential().is_some();
        let hub = Arc::clone(&self.hub);
        let mut stopped = std::pin::pin!(hub.stopped());
        loop {
            let done = tokio::select! {
                () = &mut stopped => Err(End::with(CloseCode::Away, "The server is stopping.")),
                message = messages.recv() => {
                    silent_beats = 0;
                    self.receive(message).await
                }
                _ = beats.tick() => {
                    silent_beats += 1;
                    if silent_beats >= 2 {
                        Err(End::with(CloseCode::Policy, "The client sent nothing for two heartbeats."))
                    } else {
                        self.ping().await
                    }
                }
                _ = rechecks.tick(), if is_proven => self.recheck().await,
                frame = self.subscriber.next() => self.send(Message::Text(frame.text)).await,
            };
            if let Err(end) = done {
                return end;
            }
        }
    }

    /// Ends the connection with its credential, and the subscriptions with the right to them.
    async fn recheck(&mut self) -> Result<(), End> {
        let caller = self.access.recheck(&self.caller).map_err(|denial| match denial {
            Denial::Unavailable => {
                End::with(CloseCode::Again, "The credentials cannot be checked now; come back.")
            }
            Denial::Required | Denial::Invalid | Denial::Expired => {
                End::with(CloseCode::Other(UNAUTHENTICATED), "The credential is no longer valid.")
            }
        })?;
        for target in self.subscriber.set_caller(&caller).await {
            let message = match target {
                Target::Project(id) => SubscribeError::NoSuchProject(id).to_string(),
                Target::All => "No project is visible any more.".to_owned(),
            };
            self.send_error(&message).await?;
            let project = target.to_string();
            self.reply(&json!({"type": "unsubscribed", "project_id": project})).await?;
        }
        self.caller = caller;
        Ok(())
    }

    /// Handles a message of the client.
    async fn receive(
        &mut self,
        message: Option<Result<AggregatedMessage, ProtocolError>>,
    ) -> Result<(), End> {
        match message {
            None => Err(End(None)),
            Some(Err(error)) => Err(self.protocol_error(&error)),
            Some(Ok(AggregatedMessage::Close(reason))) => {
                // The same code back, without the text (RFC 6455, section 5.5.1).
                let code = reason.map_or(CloseCode::Normal, |reason| reason.code);
                Err(End(Some(CloseReason { code, description: None })))
            }
            Some(Ok(AggregatedMessage::Pong(_))) => Ok(()),
            Some(Ok(AggregatedMessage::Ping(bytes))) => self.send(Message::Pong(bytes)).await,
            Some(Ok(AggregatedMessage::Binary(_))) => {
                self.send_error("Binary messages are not accepted; send JSON as text.").await
            }
            Some(Ok(AggregatedMessage::Text(text))) => {
                match ClientFrame::parse(&text, self.settings.unknown_fields) {
                    Ok(ClientFrame::Ping) => self.reply(&json!({"type": "pong"})).await,
                    Ok(ClientFrame::Subscribe(target, after)) => {
                        self.subscribe(target, after).await
                    }
                    Ok(ClientFrame::Unsubscribe(target)) => {
                        self.subscriber.unsubscribe(target);
                        let project = target.to_string();
                        self.reply(&json!({"type": "unsubscribed", "project_id": project})).await
                    }
                    Err(message) => self.send_error(&message).await,
                }
            }
        }
    }

    async fn subscribe(&mut self, target: Target, after: Option<u64>) -> Result<(), End> {
        match self.subscriber.subscribe(target, after).await {
            Ok(after) => {
                let project = target.to_string();
                let mut reply = json!({"type": "subscribed", "project_id": project});
                if let Some(after) = after {
                    reply["after"] = after.into();
                }
                self.reply(&reply).await
            }
            Err(error) => {
                if let SubscribeError::Store(cause) = &error {
                    let cause: &dyn std::error::Error = cause;
                    error!(error = cause, "Cannot subscribe; the client was told to try again");
                }
                self.send_error(&error.to_string()).await
            }
        }
    }

    async fn send_error(&mut self, message: &str) -> Result<(), End> {
        let text = self.hub.error_frame(message);
        self.send(Message::Text(text)).await
    }

    async fn reply(&mut self, reply: &Value) -> Result<(), End> {
        self.send(Message::Text(reply.to_string().into())).await
    }

    async fn ping(&self) -> Result<(), End> {
        self.send(Message::Ping).await
    }

    /// Sends a message. The connection ends without a close frame when the client takes nothing.
    async fn send(&self, message: Message) -> Result<(), End> {
        let sending = self.sender.send(message, self.settings.send_timeout);
        sending.await.map_err(|Stalled| End(None))
    }

    /// Returns the close code for an error in what the client sent (RFC 6455, section 7.4.1).
    fn protocol_error(&self, error: &ProtocolError) -> End {
        if self.too_long.load(Ordering::Relaxed) {
            let limit = self.settings.max_frame_bytes;
            let reason = format!("A message may have at most {limit} bytes.");
            return End::with(CloseCode::Size, &reason);
        }
        match error {
            ProtocolError::Io(error) if error.kind() == std::io::ErrorKind::InvalidData => {
                if error.to_string().contains("reserved bits") {
                    End::with(CloseCode::Protocol, "Reserved bits are set.")
                } else {
                    End::with(CloseCode::Invalid, "Text must be UTF-8.")
                }
            }
            ProtocolError::Io(_) => End(None),
            other => End::with(CloseCode::Protocol, &other.to_string()),
        }
    }
}

/// A request of the client.
#[derive(Debug, PartialEq, Eq)]
enum ClientFrame {
    Ping,
    Subscribe(Target, Option<u64>),
    Unsubscribe(Target),
}

impl ClientFrame {
    /// Parses a message. The error is a sentence for the client.
    fn parse(text: &str, unknown: UnknownFields) -> Result<Self, String> {
        let text = text.strip_prefix('\u{feff}').unwrap_or(text);
        let value: Value =
            serde_json::from_str(text).map_err(|error| format!("This is not JSON: {error}."))?;
        if unknown == UnknownFields::Reject {
            check_members(&value)?;
        }
        json::check(text, json::MAX_DEPTH).map_err(|error| format!("{error}."))?;
        let target = || {
            let id = value.get("project_id").and_then(Value::as_str);
            let id = id.ok_or("`project_id` must be given, as text.")?;
            id.parse().map_err(|error| format!("project_id: {error}, or the word `all`."))
        };
        match value.get("type").and_then(Value::as_str) {
            Some("ping") => Ok(Self::Ping),
            Some("unsubscribe") => target().map(Self::Unsubscribe),
            Some("subscribe") => {
                let after = match value.get("after") {
                    None | Some(Value::Null) => None,
                    Some(Value::String(text)) => Some(parse_position(text)),
                    Some(other) => Some(parse_position(&other.to_string())),
                };
                let after = after.transpose().map_err(|error| format!("after: {error}."))?;
                Ok(Self::Subscribe(target()?, after))
            }
            _ => Err("`type` must be one of: ping, subscribe, unsubscribe.".to_owned()),
        }
    }
}

/// Returns an error for a member that messages of this type do not have.
fn check_members(message: &Value) -> Result<(), String> {
    let known: &[&str] = match message.get("type").and_then(Value::as_str) {
        Some("subscribe") => &["type", "project_id", "after"],
        Some("unsubscribe") => &["type", "project_id"],
        _ => &["type"],
    };
    let members = message.as_object().into_iter().flat_map(|members| members.keys());
    match members.into_iter().find(|name| !known.contains(&name.as_str())) {
        Some(name) => Err(strict::unknown_name(name, known) + "."),
        None => Ok(()),
    }
}

#[cfg(test)]
mod tests;
