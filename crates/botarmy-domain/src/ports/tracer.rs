//! Recording of traces.

use std::borrow::Cow;
use std::sync::Arc;

use crate::timestamp::Timestamp;
use crate::trace::{Span, SpanKind, SpanValue, TraceContext};

/// Records spans and sends them away.
///
/// An implementation
/// - MUST NOT wait, neither for a collector nor for a place in a queue;
/// - MUST record the spans of a sampled parent, and decide on its own for a trace that begins.
pub trait Tracer: Send + Sync + 'static {
    /// Returns the position and the beginning of a new span below `parent`; `None` if it is not recorded.
    fn begin(&self, parent: Option<TraceContext>) -> Option<(TraceContext, Timestamp)>;

    /// Takes a span that ends now.
    fn end(&self, span: Span);
}

/// Records nothing.
#[derive(Debug, Clone, Copy)]
pub struct NoTracer;

impl Tracer for NoTracer {
    fn begin(&self, _: Option<TraceContext>) -> Option<(TraceContext, Timestamp)> {
        None
    }

    fn end(&self, _: Span) {}
}

/// A span that ends when this is dropped. Where the trace is not recorded, it only passes the position on.
pub struct OpenSpan {
    tracer: Arc<dyn Tracer>,
    span: Option<Box<Span>>,
    context: Option<TraceContext>,
}

impl OpenSpan {
    /// Begins a span below `parent`. Only a request of a client begins a trace without one.
    #[must_use]
    pub fn begin(
        tracer: &Arc<dyn Tracer>,
        name: impl Into<Cow<'static, str>>,
        kind: SpanKind,
        parent: Option<TraceContext>,
    ) -> Self {
        let is_possible = parent.map_or(kind == SpanKind::Server, TraceContext::is_sampled);
        let started = if is_possible { tracer.begin(parent) } else { None };
        let span = started.map(|(context, began)| {
            let (name, parent) = (name.into(), parent.map(TraceContext::span_id));
            let (attributes, is_error) = (Vec::new(), false);
            Box::new(Span {
                name,
                kind,
                context,
                parent,
                began,
                ended: began,
                attributes,
                is_error,
            })
        });
        let context = span.as_ref().map(|span| span.context).or(parent);
        Self { tracer: Arc::clone(tracer), span, context }
    }

    /// Returns the position that what follows belongs to.
    #[must_use]
    pub const fn context(&self) -> Option<TraceContext> {
        self.context
    }

    /// Returns whether the span is recorded, so that its attributes are worth an effort.
    #[must_use]
    pub const fn is_recorded(&self) -> bool {
        self.span.is_some()
    }

    /// Sets the name.
    pub fn rename(&mut self, name: impl Into<Cow<'static, str>>) {
        if let Some(span) = &mut self.span {
            span.name = name.into();
        }
    }

    /// Sets the time of the beginning.
    pub fn began_at(&mut self, time: Timestamp) {
        if let Some(span) = &mut self.span {
            span.began = time;
        }
    }

    /// Adds an attribute. Never one with the contents of a prompt, a document or a credential.
    pub fn set(&mut self, name: &'static str, value: impl Into<SpanValue>) {
        if let Some(span) = &mut self.span {
            span.attributes.push((name, value.into()));
        }
    }

    /// Marks the span as failed, with the type of the error.
    pub fn fail(&mut self, error: &str) {
        self.set("error.type", error);
        if let Some(span) = &mut self.span {
            span.is_error = true;
        }
    }

    /// Does not record the span.
    pub fn discard(&mut self) {
        self.span = None;
    }
}

impl Drop for OpenSpan {
    fn drop(&mut self) {
        if let Some(span) = self.span.take() {
            self.tracer.end(*span);
        }
    }
}
