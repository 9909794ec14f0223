//! A request for a page: the person who asks, the settings of their browser, and the console.

use std::future::Future;
use std::pin::Pin;

use actix_web::dev::Payload;
use actix_web::http::StatusCode;
use actix_web::web::Data;
use actix_web::{FromRequest, HttpRequest, HttpResponse};
use askama::Template;
use botarmy_domain::hitl::PendingQuery;
use botarmy_domain::{Caller, DomainError, Error, Stop, Timestamp};
use botarmy_web::{Problem, UnknownFields, parameter_name, parse_query};
use serde::de::DeserializeOwned;

use crate::Console;
use crate::guard::Visitor;
use crate::html;
use crate::part::Part;
use crate::preferences::Preferences;
use crate::view::waiting::{self, Waiting};

/// Parameter that asks for one part of a page.
const PART: &str = "part";

/// Request for a page.
pub(crate) struct PageContext {
    pub(crate) console: Data<Console>,
    pub(crate) visitor: Visitor,
    pub(crate) preferences: Preferences,
    /// Emergency stops in force, which every page shows; none where one part of a page is asked for.
    pub(crate) stops: Vec<Stop>,
    pub(crate) request: HttpRequest,
}

impl FromRequest for PageContext {
    type Error = Problem;
    type Future = Pin<Box<dyn Future<Output = Result<Self, Problem>>>>;

    fn from_request(request: &HttpRequest, _: &mut Payload) -> Self::Future {
        let console = request.app_data::<Data<Console>>().cloned();
        let console = console.expect("the pages are mounted with their console");
        let (visitor, request) = (Visitor::of(request), request.clone());
        Box::pin(async move {
            let mut context = Self {
                console,
                visitor: visitor?,
                preferences: Preferences::of(request.headers()),
                stops: Vec::new(),
                request,
            };
            if context.part().is_none() {
                context.stops = context.read_stops().await?;
            }
            Ok(context)
        })
    }
}

impl PageContext {
    pub(crate) fn caller(&self) -> &Caller {
        &self.visitor.caller
    }

    pub(crate) fn now(&self) -> Timestamp {
        self.console.clock.now()
    }

    /// Returns the path under which the browser reaches this path of the server.
    pub(crate) fn path(&self, path: &str) -> String {
        self.console.path(path)
    }

    /// Reads the parameters of a page without parts.
    ///
    /// # Errors
    /// A 422 that names the parameter.
    pub(crate) fn query<T: DeserializeOwned>(&self) -> Result<T, Problem> {
        parse_query(self.request.query_string(), UnknownFields::Reject)
    }

    /// Reads the parameters of a page with parts. The one that asks for a part is not among them.
    ///
    /// # Errors
    /// A 422 that names the parameter.
    pub(crate) fn query_beside_part<T: DeserializeOwned>(&self) -> Result<T, Problem> {
        let pairs = self.request.query_string().split('&');
        let own: Vec<_> = pairs.filter(|pair| !is_part(pair)).collect();
        parse_query(&own.join("&"), UnknownFields::Reject)
    }

    /// Returns the name of the part that is asked for, if one is.
    pub(crate) fn part(&self) -> Option<&str> {
        let mut pairs = self.request.query_string().split('&').filter(|pair| is_part(pair));
        pairs.next().map(|pair| pair.split_once('=').map_or("", |(_, value)| value))
    }

    /// Returns the emergency stops in force, as far as the person may see them.
    ///
    /// # Errors
    /// Those of the query.
    pub(crate) async fn read_stops(&self) -> Result<Vec<Stop>, Problem> {
        match self.console.queries.emergency_stops(self.caller()).await {
            Ok(stops) => Ok(stops),
            // The pages of a person without any role are shown, too.
            Err(Error::Refused(DomainError::NotPermitted { .. })) => Ok(Vec::new()),
            Err(error) => Err(error.into()),
        }
    }

    /// Returns the number of requests that wait for the person, up to a limit.
    ///
    /// # Errors
    /// Those of the query.
    pub(crate) async fn waiting(&self) -> Result<Waiting, Problem> {
        let limit = waiting::MAX_COUNTED;
        let query = PendingQuery { mine: true, ..PendingQuery::default() };
        let page = self.console.queries.pending_requests(self.caller(), query, None, limit).await;
        match page {
            Ok(page) => Ok(Waiting::of(page.items.len(), page.has_more)),
            // The pages of a person without any role are shown, too.
            Err(Error::Refused(DomainError::NotPermitted { .. })) => Ok(Waiting::default()),
            Err(error) => Err(error.into()),
        }
    }

    /// Returns a response with this page.
    ///
    /// # Errors
    /// A 500 for a template that fails.
    pub(crate) fn respond(&self, page: &impl Template) -> Result<HttpResponse, Problem> {
        html::respond(StatusCode::OK, page)
    }

    /// Returns a response with the part that is asked for.
    ///
    /// # Errors
    /// A 404 if the page has no part of this name.
    pub(crate) fn respond_part(
        &self,
        name: &str,
        parts: &[&Part],
    ) -> Result<HttpResponse, Problem> {
        let part = parts.iter().find(|part| part.name == name);
        let part = part.ok_or_else(|| Problem::not_found("Part", name))?;
        Ok(html::respond_html(StatusCode::OK, part.html.clone()))
    }
}

/// Whether a part of a query asks for a part of the page.
fn is_part(pair: &str) -> bool {
    parameter_name(pair).as_deref() == Some(PART)
}
