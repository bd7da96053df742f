//! How fast spans are encoded, for the benches: nothing is collected or sent. No part of the public interface.

use std::time::{Duration, Instant};

use super::{SpanItem, SpanRecord, Tracked};
use crate::SpanId;
use crate::clock::Timestamp;
use crate::collect::policy::Policy;
use crate::collect::shares::HolderId;
use crate::collect::{Budget, Collector, Sink};
use crate::tenant::TenantId;
use crate::trace::{SpanMeta, Status, TenantMark, TraceCore, TraceMeta};

static AGENT: TraceMeta = TraceMeta::new("bench", "bench");
static LEAF: SpanMeta = SpanMeta::new("tool", "leaf", "leaf");

/// What a run came to.
#[derive(Clone, Copy, Debug, Default)]
pub struct Encoded {
    /// Spans in all.
    pub spans: usize,
    /// Bytes in all, before compression.
    pub bytes: usize,
    /// How long it took.
    pub took: Duration,
}

/// Ways to encode spans.
#[derive(Clone, Copy, Debug)]
pub enum Encoding {
    /// The bodies of Tracium's REST API.
    #[cfg(feature = "rest")]
    RestJson,
    /// OTLP's protobuf.
    #[cfg(feature = "otlp")]
    OtlpProtobuf,
}

/// Encodes plain spans of a tenant's trace, `spans` a request, `rounds` times.
pub fn encode(encoding: Encoding, spans: usize, rounds: usize) -> Encoded {
    let collector = Collector::new(Budget::new(1 << 20, 128 << 20), Policy::default());
    let tenant = TenantId::try_from("acme").ok();
    let (core, _) = TraceCore::open(&AGENT, None, tenant, Sink::Collector(collector));
    let trace = Tracked::new(core);
    let items = |_: usize| {
        let started = Timestamp::now();
        SpanItem {
            record: SpanRecord {
                id: SpanId::random(),
                parent: trace.root,
                meta: &LEAF,
                started,
                ended: Some(Timestamp::now()),
                depth: 1,
                tenant: TenantMark::OfTrace,
                status: Status::Completed,
            },
            details: None,
            sweep: 1,
            holder: HolderId::NOBODY,
        }
    };
    let items: Vec<SpanItem> = (0..spans).map(items).collect();
    let mut encode: Box<dyn FnMut() -> usize> = match encoding {
        #[cfg(feature = "rest")]
        Encoding::RestJson => super::rest::encode_again(&trace, items),
        #[cfg(feature = "otlp")]
        Encoding::OtlpProtobuf => super::otlp::encode_again(&trace, items),
    };
    // Once before: the buffers have their room then.
    encode();
    let started = Instant::now();
    let bytes = (0..rounds).map(|_| encode()).sum();
    Encoded { spans: spans * rounds, bytes, took: started.elapsed() }
}
