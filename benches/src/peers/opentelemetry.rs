//! The OpenTelemetry SDK alone, with its batch processor and an exporter that counts.

use std::hint::black_box;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use opentelemetry::KeyValue;
use opentelemetry::trace::{FutureExt, TraceContextExt, Tracer, TracerProvider};
use opentelemetry_sdk::error::OTelSdkResult;
use opentelemetry_sdk::trace::{
    BatchConfigBuilder, BatchSpanProcessor, SdkTracer, SdkTracerProvider, SpanData, SpanExporter,
};

use super::{Account, Peer, Ran, Yield, block_on, text, traces};
use crate::work::{Kind, Work};

static EXPORTED: AtomicU64 = AtomicU64::new(0);

#[derive(Debug)]
struct Count;

impl SpanExporter for Count {
    async fn export(&self, batch: Vec<SpanData>) -> OTelSdkResult {
        EXPORTED.fetch_add(batch.len() as u64, Ordering::Relaxed);
        Ok(())
    }
}

/// A provider whose queue holds a round, so that no span is dropped and thereby cheap; or the default one.
pub(crate) fn provider(default_queue: bool) -> SdkTracerProvider {
    let mut config = BatchConfigBuilder::default();
    if !default_queue {
        config = config.with_max_queue_size(1 << 18).with_scheduled_delay(Duration::from_secs(1));
    }
    let processor = BatchSpanProcessor::builder(Count).with_batch_config(config.build()).build();
    SdkTracerProvider::builder().with_span_processor(processor).build()
}

/// Waits for the exporter.
pub(crate) fn settle(provider: &SdkTracerProvider) -> Result<Account, String> {
    provider.force_flush().map_err(|error| error.to_string())?;
    Ok(Account { delivered: EXPORTED.load(Ordering::Relaxed), dropped: 0 })
}

#[derive(Debug)]
pub(crate) struct Otel {
    provider: SdkTracerProvider,
    tracer: SdkTracer,
}

impl Otel {
    pub(crate) fn start() -> Self {
        Self::with(provider(false))
    }

    pub(crate) fn with(provider: SdkTracerProvider) -> Self {
        let tracer = provider.tracer("bench");
        Self { provider, tracer }
    }

    pub(crate) fn sync_trace(&self, leaves: u64) {
        self.tracer.in_span("bench", |_| {
            for i in 0..leaves {
                self.leaf(black_box(i));
            }
        });
    }

    #[inline(never)]
    fn leaf(&self, i: u64) {
        self.tracer.in_span("leaf", |_| {
            black_box(i);
        });
    }

    async fn async_trace(&self, leaves: u64, yields: bool) {
        let span = self.tracer.start("bench");
        let work = async {
            for i in 0..leaves {
                self.async_leaf(black_box(i), yields).await;
            }
        };
        work.with_context(opentelemetry::Context::current_with_span(span)).await;
    }

    async fn async_leaf(&self, i: u64, yields: bool) {
        let span = self.tracer.start("leaf");
        let work = async {
            if yields {
                Yield::default().await;
            }
            black_box(i);
        };
        work.with_context(opentelemetry::Context::current_with_span(span)).await;
    }

    fn capture_trace(&self, value: &str, leaves: u64) {
        self.tracer.in_span("bench", |_| {
            for _ in 0..leaves {
                self.tracer.in_span("leaf", |context| {
                    context.span().set_attribute(KeyValue::new("value", black_box(value).to_owned()));
                });
            }
        });
    }
}

impl Peer for Otel {
    fn run(&self, work: &Work) -> Option<Ran> {
        Some(match work.kind {
            Kind::Sync => traces(work, |leaves| self.sync_trace(leaves)),
            Kind::Async => traces(work, |leaves| block_on(self.async_trace(leaves, false))),
            Kind::Yielding => traces(work, |leaves| block_on(self.async_trace(leaves, true))),
            Kind::Capture => {
                let value = text(work.extra);
                traces(work, |leaves| self.capture_trace(&value, leaves))
            }
            _ => return None,
        })
    }

    fn settle(&self) -> Result<Account, String> {
        settle(&self.provider)
    }
}
