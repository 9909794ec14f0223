//! The event stream of a server, over as many connections as it takes.

use std::collections::VecDeque;
use std::time::Duration;

use reqwest::Response;
use tokio::time::Instant;

use crate::client::Client;
use crate::error::ClientError;
use crate::http::transport_error;
use crate::sse::{Event, Parser, RawEvent};

/// Longest silence. A server sends a comment more often than that.
const SILENCE: Duration = Duration::from_secs(90);
/// Most failures in a row before it is given up.
const MAX_FAILURES: u32 = 8;
/// Wait after the first failure; it doubles with each.
const FIRST_WAIT: Duration = Duration::from_millis(250);
/// Longest wait between two connections.
const MAX_WAIT: Duration = Duration::from_secs(15);

/// Result of waiting for an event.
#[derive(Debug)]
pub enum Heard {
    /// An event.
    Event(Event),
    /// The connection was lost; the next call makes a new one, which continues after the last event
    /// that had a position.
    Lost(ClientError),
}

/// Events of a server in their order. A connection that is lost is made again.
#[derive(Debug)]
pub struct Events {
    client: Client,
    project: String,
    last_id: Option<String>,
    connection: Option<(Response, Parser)>,
    ready: VecDeque<RawEvent>,
    failures: u32,
    /// Wait that the server asks for.
    retry: Option<Duration>,
    /// Time before which no connection is made.
    not_before: Option<Instant>,
}

impl Client {
    /// Follows the events of a project, or with `all` those of everything that the key sees. With
    /// `after`, the position of an entry in the project's log, those that follow it come first.
    #[must_use]
    pub fn events(&self, project: &str, after: Option<u64>) -> Events {
        Events::new(self.clone(), project, after)
    }
}

impl Events {
    fn new(client: Client, project: &str, after: Option<u64>) -> Self {
        Self {
            client,
            project: project.to_owned(),
            last_id: after.map(|after| after.to_string()),
            connection: None,
            ready: VecDeque::new(),
            failures: 0,
            retry: None,
            not_before: None,
        }
    }

    /// Returns the position after which the next connection continues.
    #[must_use]
    pub fn position(&self) -> Option<&str> {
        self.last_id.as_deref()
    }

    /// Waits for the next event, or for the loss of the connection. The future may be dropped at any
    /// time, and nothing is missed.
    ///
    /// # Errors
    /// A refusal by the server, such as a project that does not exist, and a connection that fails
    /// again and again.
    pub async fn next(&mut self) -> Result<Heard, ClientError> {
        loop {
            if let Some(event) = self.ready.pop_front() {
                if event.id.is_some() {
                    self.last_id.clone_from(&event.id);
                }
                let event = event.parsed().map_err(|_| self.malformed())?;
                return Ok(Heard::Event(event));
            }
            let read = match &mut self.connection {
                None => self.connect().await,
                Some(_) => self.read().await,
            };
            if let Err(error) = read {
                return self.lose(error).map(Heard::Lost);
            }
        }
    }

    /// Connects now, so that nothing that happens from here on is missed.
    ///
    /// # Errors
    /// Those of the connection, and of the server.
    pub async fn open(&mut self) -> Result<(), ClientError> {
        if self.connection.is_none() { self.connect().await } else { Ok(()) }
    }

    async fn connect(&mut self) -> Result<(), ClientError> {
        if let Some(time) = self.not_before {
            tokio::time::sleep_until(time).await;
        }
        let query = [("project_id", self.project.as_str())];
        let response =
            self.client.stream(&["events", "stream"], &query, self.last_id.as_deref()).await?;
        self.connection = Some((response, Parser::default()));
        Ok(())
    }

    async fn read(&mut self) -> Result<(), ClientError> {
        let Some((response, parser)) = &mut self.connection else { return Ok(()) };
        let server = self.client.server();
        let part = match tokio::time::timeout(SILENCE, response.chunk()).await {
            Ok(Ok(Some(part))) => part,
            Ok(Ok(None)) => {
                let reason = "the server ended the stream".to_owned();
                return Err(ClientError::BrokenOff { server: server.to_string(), reason });
            }
            Ok(Err(error)) => return Err(transport_error(server, &error, SILENCE)),
            Err(_) => {
                return Err(ClientError::TimedOut { server: server.to_string(), after: SILENCE });
            }
        };
        let events = parser.read(&part).map_err(|_| self.malformed())?;
        self.failures = 0;
        for event in &events {
            if let Some(retry) = event.retry {
                self.retry = Some(Duration::from_millis(retry).min(MAX_WAIT));
            }
        }
        self.ready.extend(events);
        Ok(())
    }

    /// Prepares the next connection after a failure, or gives up.
    fn lose(&mut self, error: ClientError) -> Result<ClientError, ClientError> {
        self.connection = None;
        self.failures += 1;
        let is_final = match &error {
            ClientError::Problem(problem) => ![429, 502, 503, 504].contains(&problem.status),
            ClientError::Unexpected { .. }
            | ClientError::Configuration(_)
            | ClientError::File { .. } => true,
            _ => false,
        };
        if is_final || self.failures > MAX_FAILURES {
            return Err(error);
        }
        let doubled = FIRST_WAIT * 2_u32.pow((self.failures - 1).min(6));
        let asked = error.problem().and_then(|problem| problem.retry_after).or(self.retry);
        let wait = asked.unwrap_or_default().max(doubled).min(MAX_WAIT);
        self.not_before = Some(Instant::now() + wait);
        Ok(error)
    }

    fn malformed(&self) -> ClientError {
        let reason = "the stream of events is malformed".to_owned();
        ClientError::Unexpected { server: self.client.server().to_string(), reason }
    }
}
