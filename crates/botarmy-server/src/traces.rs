//! The recording of traces, if `tracing.otlp_endpoint` names a collector.

use std::sync::Arc;

use botarmy_domain::ports::{Clock, Ids, NoTracer, Tracer};
use botarmy_metrics::Figures;
#[cfg(feature = "otel")]
use botarmy_otel::{OtelSettings, OtelTracer};

use crate::settings::Settings;

/// The tracer of a server.
pub(crate) struct Traces {
    /// The port; it records nothing without a collector.
    pub(crate) tracer: Arc<dyn Tracer>,
    #[cfg(feature = "otel")]
    otel: Option<Arc<OtelTracer>>,
}

impl Traces {
    /// Starts to send traces to the collector that the settings name. It may be away.
    ///
    /// # Errors
    /// An address that cannot be used.
    #[cfg_attr(
        not(feature = "otel"),
        allow(unused_variables, reason = "without the feature nothing is started")
    )]
    pub(crate) fn start(
        settings: &Settings,
        clock: &Arc<dyn Clock>,
        ids: &Arc<dyn Ids>,
    ) -> anyhow::Result<Self> {
        #[cfg(feature = "otel")]
        {
            let tracing = &settings.tracing;
            if !tracing.otlp_endpoint.is_empty() {
                let settings = OtelSettings {
                    endpoint: tracing.otlp_endpoint.clone(),
                    sample_ratio: tracing.sample_ratio,
                    service: tracing.service_name.clone(),
                    version: env!("CARGO_PKG_VERSION").to_owned(),
                    timeout: std::time::Duration::from_millis(tracing.timeout_ms),
                    queue: tracing.queue,
                };
                let otel = OtelTracer::start(settings, Arc::clone(clock), Arc::clone(ids));
                let otel =
                    otel.map_err(|error| anyhow::anyhow!("tracing.otlp_endpoint: {error}"))?;
                return Ok(Self { tracer: otel.clone(), otel: Some(otel) });
            }
        }
        Ok(Self {
            tracer: Arc::new(NoTracer),
            #[cfg(feature = "otel")]
            otel: None,
        })
    }

    /// Adds the metrics of the spans.
    #[cfg_attr(not(feature = "otel"), allow(unused_variables, reason = "there are no spans"))]
    pub(crate) fn add_metrics(&self, figures: &Figures) {
        #[cfg(feature = "otel")]
        {
            let otel = self.otel.clone();
            figures.add_counter(
                "botarmy_trace_spans_exported",
                "Number of spans that the collector accepted",
                move || otel.as_ref().map_or(0, |otel| otel.exported()),
            );
            let otel = self.otel.clone();
            figures.add_counter(
                "botarmy_trace_spans_dropped",
                "Number of spans that did not fit into the queue or that the collector did not accept",
                move || otel.as_ref().map_or(0, |otel| otel.dropped()),
            );
        }
    }

    /// Sends the spans that wait, within the time limit of the settings.
    pub(crate) async fn close(&self) {
        #[cfg(feature = "otel")]
        if let Some(otel) = &self.otel {
            otel.close().await;
        }
    }
}
