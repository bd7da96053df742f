//! The spans of one request: while they are collected, and sealed.

use std::io::{Read as _, Write as _};
use std::time::Instant;

use flate2::Compression;
use flate2::read::GzDecoder;
use flate2::write::GzEncoder;

use super::super::Account;
use super::super::account::Receipt;
use super::super::spool::Slip;
use super::names;
use super::wire::{Read, len_tag, put_bytes, put_message, put_text, put_varint, read_fields, varint_len};
use crate::collect::ledger::DropReason;
use crate::collect::shares::Excess;
use crate::tenant::TenantId;

/// The most spans of one request.
const MOST_SPANS: usize = 8_192;
/// The most bytes of one request, before compression and but for its last span: a tenth of what the collectors take.
const MOST_BYTES: usize = 2 << 20;

/// `ScopeSpans.spans`.
pub(super) const SPAN: u8 = len_tag(2);

/// Spans that wait for company, encoded already.
#[derive(Debug)]
pub(super) struct Open {
    pub(super) spans: Vec<u8>,
    pub(super) receipts: Vec<Receipt>,
    /// When the first of them came.
    pub(super) since: Instant,
}

impl Open {
    pub(super) fn new(spans: Vec<u8>) -> Self {
        Self { spans, receipts: Vec::new(), since: Instant::now() }
    }

    pub(super) fn is_full(&self) -> bool {
        self.receipts.len() >= MOST_SPANS || self.spans.len() >= MOST_BYTES
    }

    /// Lets go of the spans that are in excess.
    pub(super) fn evict(&mut self, excess: &mut Excess, account: &mut Account) {
        if !self.receipts.iter().any(|receipt| receipt.is_wanted_by(excess)) {
            return;
        }
        let Some(spans) = spans_in(&self.spans).filter(|spans| spans.len() == self.receipts.len()) else { return };
        let mut kept = Self { since: self.since, ..Self::new(Vec::new()) };
        let mut gone = Vec::new();
        for (span, receipt) in spans.into_iter().zip(&self.receipts) {
            if receipt.is_taken_by(excess) {
                gone.push(*receipt);
            } else {
                put_bytes(&mut kept.spans, SPAN, span);
                kept.receipts.push(*receipt);
            }
        }
        *self = kept;
        account.drop_all(gone, DropReason::QueueFull);
    }
}

/// A request, ready to be sent as often as it takes.
#[derive(Debug)]
pub(super) struct Batch {
    pub(super) body: Vec<u8>,
    /// Whose spans they are, where the request says so.
    pub(super) tenant: Option<TenantId>,
    /// Of its spans, in their order.
    pub(super) receipts: Vec<Receipt>,
    /// Failures so far.
    pub(super) attempts: u32,
    /// Of them, those that are not borne without end.
    pub(super) strikes: u32,
    /// Not before, after a failure.
    pub(super) not_before: Option<Instant>,
    /// The file that it came from.
    pub(super) slip: Option<Slip>,
}

/// What is around the spans of every request: `ExportTraceServiceRequest` of one `ResourceSpans` of one `ScopeSpans`.
#[derive(Debug)]
pub(super) struct Envelope {
    /// `ResourceSpans.resource`.
    resource: Vec<u8>,
    /// `ScopeSpans.scope` and `.schema_url`.
    scope: Vec<u8>,
    gzip: bool,
}

impl Envelope {
    pub(super) fn new(resource: &[(String, String)], gzip: bool) -> Self {
        let mut attributes = Vec::new();
        put_message(&mut attributes, len_tag(1), |out| {
            for (key, value) in resource {
                put_text(out, len_tag(1), key, value);
            }
        });
        let mut scope = Vec::new();
        put_message(&mut scope, len_tag(1), |out| {
            put_bytes(out, len_tag(1), names::SCOPE.as_bytes());
            put_bytes(out, len_tag(2), env!("CARGO_PKG_VERSION").as_bytes());
        });
        put_bytes(&mut scope, len_tag(3), names::SCHEMA_URL.as_bytes());
        Self { resource: attributes, scope, gzip }
    }

    pub(super) fn seal(&self, spans: &[u8], receipts: Vec<Receipt>, tenant: Option<TenantId>) -> Batch {
        let inner = self.scope.len() + spans.len();
        let outer = self.resource.len() + 1 + varint_len(inner) + inner;
        let mut head = Vec::with_capacity(self.resource.len() + self.scope.len() + 32);
        head.push(len_tag(1));
        put_varint(&mut head, outer as u64);
        head.extend_from_slice(&self.resource);
        head.push(len_tag(2));
        put_varint(&mut head, inner as u64);
        head.extend_from_slice(&self.scope);
        let body = if self.gzip { compress(&head, spans) } else { [&head, spans].concat() };
        Batch { body, tenant, receipts, attempts: 0, strikes: 0, not_before: None, slip: None }
    }

    pub(super) fn is_gzip(&self) -> bool {
        self.gzip
    }

    /// A body as requests have it now, of one that was sealed when they were compressed, or were not.
    pub(super) fn recoded(&self, body: &[u8], gzip: bool) -> Option<Vec<u8>> {
        match (gzip, self.gzip) {
            (true, false) => decompress(body),
            (false, true) => Some(compress(&[], body)),
            _ => Some(body.to_vec()),
        }
    }

    /// The spans of a request, as before it was sealed.
    pub(super) fn open(&self, batch: &Batch) -> Option<Open> {
        let body = if self.gzip { decompress(&batch.body)? } else { batch.body.clone() };
        let mut open = Open::new(Vec::with_capacity(body.len()));
        spans_of(&body)?.iter().for_each(|span| put_bytes(&mut open.spans, SPAN, span));
        open.receipts.clone_from(&batch.receipts);
        Some(open)
    }

    /// The same spans in two requests; `None` where there is but one.
    pub(super) fn split(&self, batch: &Batch) -> Option<[Batch; 2]> {
        let body = if self.gzip { decompress(&batch.body)? } else { batch.body.clone() };
        let spans = spans_of(&body)?;
        let half = spans.len() / 2;
        if half == 0 || spans.len() != batch.receipts.len() {
            return None;
        }
        let (first, second) = spans.split_at(half);
        let (ours, theirs) = batch.receipts.split_at(half);
        let seal = |spans: &[&[u8]], receipts: &[Receipt]| {
            let mut encoded = Vec::with_capacity(body.len() / 2 + 64);
            spans.iter().for_each(|span| put_bytes(&mut encoded, SPAN, span));
            Batch { slip: batch.slip, ..self.seal(&encoded, receipts.to_vec(), batch.tenant.clone()) }
        };
        Some([seal(first, ours), seal(second, theirs)])
    }
}

/// The spans in a request that [`Envelope::seal`] made.
fn spans_of(body: &[u8]) -> Option<Vec<&[u8]>> {
    let resource_spans = *field(body, 1)?.first()?;
    let scope_spans = *field(resource_spans, 2)?.first()?;
    spans_in(scope_spans)
}

/// The spans in `ScopeSpans`, or in what is going to be one.
fn spans_in(scope_spans: &[u8]) -> Option<Vec<&[u8]>> {
    field(scope_spans, 2)
}

fn field(message: &[u8], number: u64) -> Option<Vec<&[u8]>> {
    let fields = read_fields(message)?;
    let bytes = fields.into_iter().filter_map(|(field, value)| match value {
        Read::Bytes(bytes) if field == number => Some(bytes),
        _ => None,
    });
    Some(bytes.collect())
}

/// Level 1: spans repeat themselves so much that more effort gains little.
fn compress(head: &[u8], spans: &[u8]) -> Vec<u8> {
    let mut encoder = GzEncoder::new(Vec::with_capacity(spans.len() / 4 + 256), Compression::fast());
    // Writing into memory does not fail.
    let _ = encoder.write_all(head);
    let _ = encoder.write_all(spans);
    let mut body = encoder.finish().unwrap_or_default();
    body.shrink_to_fit();
    body
}

fn decompress(body: &[u8]) -> Option<Vec<u8>> {
    let mut out = Vec::new();
    GzDecoder::new(body).read_to_end(&mut out).ok()?;
    Some(out)
}
