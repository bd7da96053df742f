//! What a lane had when it went to disk: calls in their order, encoded, to be sent without the lane.

use std::collections::{BTreeMap, VecDeque};

use bytes::Bytes;
use serde_json::value::RawValue;

use super::super::account::Receipt;
use super::super::http::Bodies;
use super::super::spool::{Fields, Slip, Unit, put_bytes, put_some_text, put_u32};
use super::super::{Account, SpanItem, http::warn_of_loss};
use super::answer::Call;
use super::client::Request;
use super::encode::Encoder;
use super::lane::Lane;
use super::step;
use super::text::path_segment;
use crate::collect::ledger::DropReason;
use crate::tenant::TenantId;

/// The backend has the trace.
const CREATED: u8 = 1;
/// The create may have reached the backend.
const RESENT: u8 = 2;
/// Spans have what we add to the protocol.
const EXTRAS: u8 = 4;
/// There is a create: the trace is of this process.
const OURS: u8 = 8;

/// Which call a part is, and the end of its path.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Kind {
    Spans = 0,
    Complete = 1,
    Fail = 2,
}

impl Kind {
    fn path(self) -> &'static str {
        match self {
            Self::Spans => "spans",
            Self::Complete => "complete",
            Self::Fail => "fail",
        }
    }

    fn call(self) -> Call {
        if self == Self::Spans { Call::Spans } else { Call::End }
    }
}

#[derive(Debug)]
struct Part {
    kind: Kind,
    tenant: Option<TenantId>,
    body: Bytes,
    /// Of its spans in their order. A root ahead of them has none: it is counted with the call that ends the trace.
    receipts: Vec<Receipt>,
}

#[derive(Debug)]
pub(super) struct Parcel {
    path_id: String,
    create: Option<(Option<TenantId>, Bytes)>,
    created: bool,
    pub(super) resent: bool,
    pub(super) extras: bool,
    parts: VecDeque<Part>,
    /// The file that it lies in.
    pub(super) slip: Option<Slip>,
    /// Failures in a row, and of them those that are not borne without end.
    pub(super) attempts: u32,
    pub(super) strikes: u32,
}

impl Parcel {
    /// Takes what `lane` has to send, up to some `most` bytes; `None` where that is nothing.
    pub(super) fn of(lane: &mut Lane, encoder: &Encoder, bodies: &Bodies, most: usize) -> Option<Self> {
        if lane.gone.is_some() || (lane.spans.is_empty() && lane.end.is_none()) {
            return None;
        }
        // The create goes along even where the backend has the trace: it may have forgotten it by then.
        let create = if lane.trace.remote { None } else { Some(step::create(lane, encoder, bodies)?) };
        let create = create.map(|request| (request.tenant, request.body));
        // Spans that are open are told of when the backend is back, if they are open then still.
        let open = std::mem::take(&mut lane.open);
        let created = std::mem::replace(&mut lane.created, true);
        let (mut parts, mut bytes, batch) = (VecDeque::new(), 0, lane.batch);
        while bytes < most {
            lane.batch = batch.min(fitting(lane, most - bytes));
            let Some(Request { call, path, tenant, body }) = step::next(lane, encoder, bodies) else { break };
            bytes += body.len();
            let (kind, receipts) = match call {
                Call::Spans => (Kind::Spans, step::take_sent(lane)),
                Call::End => {
                    let end = lane.end.take().map(|end| end.receipt());
                    lane.ended = true;
                    (if path.ends_with("/fail") { Kind::Fail } else { Kind::Complete }, end.into_iter().collect())
                }
                Call::Create | Call::Announce => break,
            };
            parts.push_back(Part { kind, tenant, body, receipts });
        }
        (lane.created, lane.open, lane.batch) = (created, open, batch);
        // Where the trace goes on, its lane and this may both create it.
        let resent = lane.resent || !lane.abandoned;
        lane.resent |= !created;
        let extras = encoder.has_extras();
        let path_id = lane.path_id.clone();
        Some(Self { path_id, create, created, resent, extras, parts, slip: None, attempts: 0, strikes: 0 })
    }

    pub(super) fn into_unit(self) -> Unit {
        let mut payload = Vec::new();
        let flag = |set: bool, flag: u8| if set { flag } else { 0 };
        payload.push(
            flag(self.created, CREATED)
                | flag(self.resent, RESENT)
                | flag(self.extras, EXTRAS)
                | flag(self.create.is_some(), OURS),
        );
        put_bytes(&mut payload, self.path_id.as_bytes());
        if let Some((tenant, body)) = &self.create {
            put_some_text(&mut payload, tenant.as_ref().map(TenantId::as_str));
            put_bytes(&mut payload, body);
        }
        let mut receipts = Vec::new();
        for part in self.parts {
            payload.push(part.kind as u8);
            put_some_text(&mut payload, part.tenant.as_ref().map(TenantId::as_str));
            put_u32(&mut payload, part.receipts.len());
            put_bytes(&mut payload, &part.body);
            receipts.extend(part.receipts);
        }
        Unit { payload, receipts }
    }

    /// The parcel in `unit`, or the receipts of what cannot be read.
    pub(super) fn of_unit(unit: Unit, slip: Option<Slip>, tried: bool) -> Result<Self, Vec<Receipt>> {
        let Some(mut parcel) = Self::read(&unit.payload) else { return Err(unit.receipts) };
        let counted: usize = parcel.parts.iter().map(|part| part.receipts.len()).sum();
        if counted != unit.receipts.len() {
            return Err(unit.receipts);
        }
        let mut receipts = unit.receipts.into_iter();
        for part in &mut parcel.parts {
            part.receipts = receipts.by_ref().take(part.receipts.len()).collect();
        }
        parcel.slip = slip;
        parcel.resent |= tried;
        Ok(parcel)
    }

    fn read(payload: &[u8]) -> Option<Self> {
        #[allow(clippy::option_option)] // As it was read, or not.
        fn tenant(fields: &mut Fields<'_>) -> Option<Option<TenantId>> {
            fields.some_text()?.map(TenantId::try_from).transpose().ok()
        }
        fn body(fields: &mut Fields<'_>) -> Option<Bytes> {
            Some(Bytes::copy_from_slice(fields.bytes()?))
        }
        let mut fields = Fields(payload);
        let flags = fields.u8().filter(|flags| flags & !(CREATED | RESENT | EXTRAS | OURS) == 0)?;
        let path_id = std::str::from_utf8(fields.bytes()?).ok()?.to_owned();
        let create = if flags & OURS == 0 { None } else { Some((tenant(&mut fields)?, body(&mut fields)?)) };
        let mut parts = VecDeque::new();
        while !fields.is_empty() {
            let kind = match fields.u8()? {
                0 => Kind::Spans,
                1 => Kind::Complete,
                2 => Kind::Fail,
                _ => return None,
            };
            let tenant = tenant(&mut fields)?;
            let count = fields.u32()? as usize;
            let body = body(&mut fields)?;
            // Each span takes more than a byte: a count beyond that is none that anything should be reserved for.
            if count > body.len() {
                return None;
            }
            parts.push_back(Part { kind, tenant, body, receipts: vec![Receipt::SPOOLED; count] });
        }
        let (created, resent, extras) = (flags & CREATED != 0, flags & RESENT != 0, flags & EXTRAS != 0);
        let created = created || create.is_none();
        Some(Self { path_id, create, created, resent, extras, parts, slip: None, attempts: 0, strikes: 0 })
    }

    pub(super) fn is_done(&self) -> bool {
        self.parts.is_empty()
    }

    pub(super) fn into_receipts(self) -> impl Iterator<Item = Receipt> {
        self.parts.into_iter().flat_map(|part| part.receipts)
    }

    /// The next request; `None` where all were sent.
    pub(super) fn request(&self) -> Option<Request> {
        if let (false, Some((tenant, body))) = (self.created, &self.create) {
            let (tenant, body) = (tenant.clone(), body.clone());
            return Some(Request { call: Call::Create, path: "/agents/traces".to_owned(), tenant, body });
        }
        let part = self.parts.front()?;
        Some(Request {
            call: part.kind.call(),
            path: format!("/agents/traces/{}/{}", path_segment(&self.path_id), part.kind.path()),
            tenant: part.tenant.clone(),
            body: part.body.clone(),
        })
    }

    /// What was sent has arrived.
    pub(super) fn delivered(&mut self, call: Call, id: Option<String>, account: &mut Account) {
        self.attempts = 0;
        if call == Call::Create {
            self.created = true;
            self.path_id = id.unwrap_or_else(|| std::mem::take(&mut self.path_id));
        } else if let Some(part) = self.parts.pop_front() {
            self.strikes = 0;
            account.acknowledge_all(part.receipts);
        }
    }

    /// What was sent will never be taken.
    pub(super) fn refused(&mut self, call: Call, reason: DropReason, account: &mut Account) {
        (self.attempts, self.strikes) = (0, 0);
        let lost = if call == Call::Create { self.parts.len() } else { 1.min(self.parts.len()) };
        account.drop_all(self.parts.drain(..lost).flat_map(|part| part.receipts), reason);
    }

    /// The backend does not know the trace: from the start.
    pub(super) fn recreate(&mut self) {
        self.created = self.create.is_none();
    }

    /// Too much at once: in two halves; one span alone is lost.
    pub(super) fn split(&mut self, account: &mut Account) {
        if let Some(halves) = self.parts.front().and_then(halves) {
            self.parts.pop_front();
            halves.into_iter().rev().for_each(|half| self.parts.push_front(half));
        } else {
            warn_of_loss(DropReason::TooLarge, "one span alone is too large for the backend");
            self.refused(Call::Spans, DropReason::TooLarge, account);
        }
    }

    /// The backend refuses what we add to the protocol.
    pub(super) fn leave_out_extras(&mut self) {
        if std::mem::take(&mut self.extras) {
            for part in self.parts.iter_mut().filter(|part| part.kind == Kind::Spans) {
                if let Some(plain) = plain(&part.body) {
                    part.body = plain;
                }
            }
        }
    }
}

/// How many spans of `lane` are some `most` bytes, by what was captured on them; one at least.
fn fitting(lane: &Lane, most: usize) -> usize {
    /// Of a span without content.
    const PLAIN: usize = 256;
    let mut bytes = 0;
    let fits = |span: &&SpanItem| {
        bytes += PLAIN + span.captured();
        bytes <= most
    };
    lane.spans.iter().take_while(fits).count().max(1)
}

/// Whether a unit of a file is one of ours.
#[cfg(fuzzing)]
pub(crate) fn is_unit(payload: &[u8]) -> bool {
    let Some(mut parcel) = Parcel::read(payload) else { return false };
    let _ = parcel.parts.front().map(halves);
    parcel.leave_out_extras();
    parcel.request().is_some()
}

/// The spans in a body of ours, as they stand.
fn spans(body: &[u8]) -> Option<Vec<&RawValue>> {
    let mut body: BTreeMap<&str, Vec<&RawValue>> = serde_json::from_slice(body).ok()?;
    body.remove("spans")
}

fn body<'a>(spans: impl Iterator<Item = &'a str>) -> Bytes {
    let mut body = b"{\"spans\":[".to_vec();
    for (at, span) in spans.enumerate() {
        if at > 0 {
            body.push(b',');
        }
        body.extend_from_slice(span.as_bytes());
    }
    body.extend_from_slice(b"]}");
    body.into()
}

/// The spans of `part` in two requests; `None` where there is but one.
fn halves(part: &Part) -> Option<[Part; 2]> {
    let spans = spans(&part.body)?;
    let (first, second) = spans.split_at_checked(spans.len().div_ceil(2)).filter(|(_, second)| !second.is_empty())?;
    let (theirs, receipts) = (second.len(), &part.receipts);
    let (of_first, of_second) = receipts.split_at(receipts.len().saturating_sub(theirs));
    let half = |spans: &[&RawValue], receipts: &[Receipt]| Part {
        kind: part.kind,
        tenant: part.tenant.clone(),
        body: body(spans.iter().map(|span| span.get())),
        receipts: receipts.to_vec(),
    };
    Some([half(first, of_first), half(second, of_second)])
}

/// A body without what we add to the protocol.
fn plain(of: &[u8]) -> Option<Bytes> {
    let spans: Option<Vec<String>> = spans(of)?
        .into_iter()
        .map(|span| {
            let mut fields: BTreeMap<&str, &RawValue> = serde_json::from_str(span.get()).ok()?;
            for extra in ["parent_span_id", "tags", "metadata"] {
                fields.remove(extra);
            }
            serde_json::to_string(&fields).ok()
        })
        .collect();
    Some(body(spans?.iter().map(String::as_str)))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn sample() -> Parcel {
        let acme = TenantId::try_from("acme").ok();
        let spans = br#"{"spans":[{"id":"root"},{"id":"1","tags":["a"],"input":{"tags":1.50},"parent_span_id":"0"},{"id":"2"}]}"#;
        let part = |kind, body: &'static [u8], count| Part {
            kind,
            tenant: acme.clone(),
            body: Bytes::from_static(body),
            receipts: vec![Receipt::SPOOLED; count],
        };
        Parcel {
            path_id: "t/1".to_owned(),
            create: Some((acme.clone(), Bytes::from_static(b"{}"))),
            created: false,
            resent: false,
            extras: true,
            parts: [part(Kind::Spans, spans, 2), part(Kind::Fail, b"{\"error\":\"x\"}", 1)].into(),
            slip: None,
            attempts: 0,
            strikes: 0,
        }
    }

    fn paths(parcel: &mut Parcel) -> Vec<String> {
        let mut paths = Vec::new();
        while let Some(request) = parcel.request() {
            paths.push(request.path);
            if parcel.created {
                parcel.parts.pop_front();
            }
            parcel.created = true;
        }
        paths
    }

    #[test]
    fn a_parcel_reads_back_with_its_calls_in_order() {
        let unit = sample().into_unit();
        assert_eq!(unit.receipts.len(), 3);
        let mut parcel = Parcel::of_unit(unit, None, true).unwrap();
        assert!(parcel.resent && parcel.extras && !parcel.created);
        assert_eq!(parcel.parts[0].tenant.as_ref().unwrap(), "acme");
        assert_eq!(paths(&mut parcel), ["/agents/traces", "/agents/traces/t%2F1/spans", "/agents/traces/t%2F1/fail"]);
    }

    #[test]
    fn what_is_cut_off_or_counts_otherwise_is_no_parcel() {
        let unit = sample().into_unit();
        for length in 0..unit.payload.len() {
            let payload = unit.payload[..length].to_vec();
            let cut = Parcel::of_unit(Unit { payload, receipts: unit.receipts.clone() }, None, false);
            assert_eq!(cut.unwrap_err().len(), 3, "{length}: none is lost uncounted");
        }
        let more = Unit { receipts: vec![Receipt::SPOOLED; 4], ..unit };
        assert_eq!(Parcel::of_unit(more, None, false).unwrap_err().len(), 4);
    }

    #[test]
    fn spans_are_halved_until_there_is_one_and_each_keeps_its_receipt() {
        let parcel = sample();
        let [first, second] = halves(&parcel.parts[0]).unwrap();
        assert_eq!((first.receipts.len(), second.receipts.len()), (1, 1), "the root has none");
        assert_eq!(spans(&first.body).unwrap().len(), 2);
        assert_eq!(&second.body[..], br#"{"spans":[{"id":"2"}]}"#);
        assert!(halves(&second).is_none());
    }

    #[test]
    fn extras_are_left_out_of_spans_and_nothing_else_changes() {
        let mut parcel = sample();
        parcel.leave_out_extras();
        let left = br#"{"spans":[{"id":"root"},{"id":"1","input":{"tags":1.50}},{"id":"2"}]}"#;
        assert_eq!(&parcel.parts[0].body[..], left);
        assert_eq!(&parcel.parts[1].body[..], b"{\"error\":\"x\"}");
    }
}
