//! Spans of another tracing library in our traces: opened, entered and left when that library says so, in whatever order
//! and on whatever thread.
//!
//! Entering one swaps nothing. It is noted in the scope that the entering code runs in, and what opens in that scope from
//! then on opens beneath it, until it is left: in that scope only, as long as scope and span are of the same trace and the
//! same tenant. What is entered and never left is forgotten with the scope; another task on the same thread has a scope
//! of its own, or none, and never sees it.

use std::borrow::Cow;
use std::cell::RefCell;
use std::sync::atomic::{AtomicU32, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, PoisonError};

use serde_core::Serialize;

use super::level::Level;
use super::{Context, Scope, SpanRef, current, open};
use crate::content::{self, Json, Limits};
use crate::trace::details::{CallFacts, Error, SpanDetails};
use crate::trace::{OpenSpan, SpanHandle, SpanMeta, TokenUsage, TraceCore};
use crate::{SpanId, panics};

static BRIDGED: SpanMeta = SpanMeta::new("span", "span", "tracium::layer");

thread_local! {
    /// What was entered on this thread and not left, whether or not a scope knows of it.
    static ENTERED: RefCell<Vec<Entry>> = const { RefCell::new(Vec::new()) };
}

/// A span that was entered on a thread.
#[derive(Clone, Copy)]
struct Entry {
    span: SpanId,
    /// It was noted in the scope of the code that entered it.
    noted: bool,
}

/// A span of ours that stands for one of another library.
///
/// Its tenant is the one of the scope that it was opened in, and what is said of it counts only where the code that says
/// it may: see [`may_record`](Self::may_record).
#[derive(Clone, Debug)]
pub struct BridgedSpan(Arc<Bridged>);

#[derive(Debug)]
struct Bridged {
    /// Of work beneath it.
    context: Context,
    trace: Arc<TraceCore>,
    id: SpanId,
    /// The call of a model, of the same tenant, that it was opened in, where it is that one.
    above: Option<SpanId>,
    /// An exchange that is said of that one ran then.
    above_ran: bool,
    /// The trace of the scope that it was opened in, which is another where that one is of another tenant.
    home: u64,
    open: Mutex<Option<OpenSpan>>,
    /// What scopes noted of it before this changed holds no more.
    notes: AtomicU32,
    handle: SpanHandle,
    /// Bytes of the buffers' that are taken for what is kept elsewhere.
    held: AtomicUsize,
    /// The thread was panicking when it opened: that panic is not its own.
    panicking: bool,
}

/// A note in a scope that a span was entered there.
#[derive(Debug)]
pub(super) struct Note {
    span: Arc<Bridged>,
    /// Of the span's notes, when this one was made.
    made: u32,
    /// The level of the scope.
    level: usize,
    /// Of what opens beneath the span in this scope.
    pub(super) context: Context,
}

impl BridgedSpan {
    /// Opens a span under `parent`, if that fits where the calling code runs, else under what is current there. `None`
    /// outside any trace.
    ///
    /// Where it `is_call` of a model, what our own adapters see of that call beneath it is said of it. Where it is of kind
    /// `llm`, a call around it is the same one, which is counted once.
    ///
    /// Code outside any scope has no tenant and no trace: it can name a parent, but not one that is entered on its thread,
    /// which may be another task's that forgot to leave it.
    pub fn open(kind: &str, name: &str, is_call: bool, parent: Option<&Self>) -> Option<Self> {
        let (mut context, home) = current(|scope| match (scope, parent) {
            (Some(scope), parent) => {
                let home = scope.context.span.as_ref()?.trace.key;
                let parent = parent.filter(|parent| parent.0.fits(scope));
                Some((parent.map_or_else(|| scope.synced().clone(), |parent| parent.0.context.clone()), home))
            }
            (None, Some(parent)) if !parent.0.is_entered_here() => Some((parent.0.context.clone(), parent.0.home)),
            (None, _) => None,
        })?;
        let details = SpanDetails { kind: Some(kind.into()), name: Some(name.into()), ..SpanDetails::default() };
        let (trace, open) = open::span_in(&context, &BRIDGED, Some(Box::new(details)))?;
        let tenant = context.effective_tenant();
        let handle = SpanHandle::new(&trace, open.id, tenant.as_ref());
        let above = context.span.take().filter(|span| Arc::ptr_eq(&span.trace, &trace)).and_then(|span| span.llm);
        let llm = if open.is_llm { Some(open.id) } else { above };
        context.span = Some(SpanRef { trace: Arc::clone(&trace), id: open.id, depth: open.depth, llm });
        let above = above.filter(|above| is_call && open.is_llm && trace.is_of(*above, tenant.as_ref()));
        let mut above_ran = false;
        if let Some(above) = above {
            above_ran = trace.with_span(above, |details| {
                let facts = details.facts_mut();
                facts.call_below = true;
                facts.exchanges.are_running()
            });
        }
        if is_call {
            trace.with_span(open.id, |details| {
                let facts = details.facts_mut();
                (facts.claims, facts.above) = (true, above);
            });
        }
        Some(Self(Arc::new(Bridged {
            context,
            trace,
            id: open.id,
            above,
            above_ran,
            home,
            open: Mutex::new(Some(open)),
            notes: AtomicU32::new(0),
            handle,
            held: AtomicUsize::new(0),
            panicking: std::thread::panicking(),
        })))
    }

    /// The calling code enters the span: what opens in its scope opens beneath it, where that is of the same trace and
    /// tenant.
    pub fn enter(&self) {
        let noted = current(|scope| scope.is_some_and(|scope| scope.note(&self.0)));
        let _ = ENTERED.try_with(|entered| entered.borrow_mut().push(Entry { span: self.0.id, noted }));
    }

    /// The calling code leaves the span.
    pub fn leave(&self) {
        let entry = ENTERED.try_with(|entered| {
            let mut entered = entered.borrow_mut();
            let at = entered.iter().rposition(|entry| entry.span == self.0.id)?;
            Some(entered.remove(at))
        });
        if let Ok(Some(Entry { noted: true, .. })) = entry {
            let note = current(|scope| scope?.take_note(&self.0));
            if note.is_none() {
                // It lies in a scope that is not here.
                self.0.forget_notes();
            }
        }
    }

    /// Whether what the calling code says of the span is its own work's: it runs in a scope of the same trace and tenant.
    /// Of code outside any scope nothing is known; what it says counts where it holds the span without having entered it.
    pub fn may_record(&self) -> bool {
        current(|scope| match scope {
            Some(scope) => self.0.fits(scope),
            None => !self.0.is_entered_here(),
        })
    }

    /// Whether the calling code runs in a scope of the same trace and tenant: what happens there by itself, such as an
    /// error that is logged, may be the span's.
    pub fn is_here(&self) -> bool {
        current(|scope| scope.is_some_and(|scope| self.0.fits(scope)))
    }

    /// To say more of it.
    pub fn handle(&self) -> &SpanHandle {
        &self.0.handle
    }

    /// Whether content is recorded on it.
    pub fn captures(&self) -> bool {
        self.0.trace.sink.captures(self.0.context.effective_tenant().as_ref())
    }

    /// Names the model, where nobody did.
    pub fn fill_model(&self, model: &str) {
        self.0.trace.with_span(self.0.id, |details| {
            details.model.get_or_insert_with(|| model.into());
        });
    }

    /// Notes the tokens, where nobody did; `cached_apart` where those that a cache had are counted beside the others.
    pub fn fill_usage(&self, usage: TokenUsage, cached_apart: bool) {
        self.0.trace.with_span(self.0.id, |details| {
            if details.usage.is_none() {
                details.usage = Some(usage);
                details.facts_mut().cached_apart = Some(cached_apart);
            }
        });
        if let Some(above) = self.0.above {
            self.0.trace.with_span(above, |details| details.facts_mut().usage_is_below(self.0.above_ran));
        }
    }

    /// Says more of a model's call.
    pub fn note_call(&self, note: impl FnOnce(&mut CallFacts)) {
        self.0.trace.with_span(self.0.id, |details| note(details.facts_mut()));
    }

    /// Whether the buffers have room for `bytes` that are kept elsewhere until the span's end.
    pub fn hold(&self, bytes: usize) -> bool {
        let fits = self.0.trace.sink.admit_bytes(bytes, &|| self.0.trace.tenant());
        if fits {
            self.0.held.fetch_add(bytes, Ordering::Relaxed);
        }
        fits
    }

    /// What was held of `bytes` is kept no more.
    pub fn let_go(&self, bytes: usize) {
        let less = |held: usize| Some(held.saturating_sub(bytes));
        let held = self.0.held.fetch_update(Ordering::Relaxed, Ordering::Relaxed, less).unwrap_or(0);
        if held > 0 && bytes > 0 {
            self.0.trace.sink.give_back_bytes(bytes.min(held));
        }
    }

    /// Records content, where nobody did and where it is captured.
    pub fn fill(&self, content: BridgedContent, value: &(impl Serialize + ?Sized)) {
        if self.captures() {
            let field = content.field();
            let missing = self.0.trace.with_span(self.0.id, |details| field(details).is_none());
            if missing {
                self.0.trace.record(self.0.id, content::to_json(value, &Limits::CAPTURE), field);
            }
        }
    }

    /// Changes its kind and its name, which other libraries may tell late.
    pub fn rename(&self, kind: &str, name: &str) {
        let (kind, name): (Box<str>, Box<str>) = (kind.into(), name.into());
        self.0.trace.with_span(self.0.id, |details| (details.kind, details.name) = (Some(kind), Some(name)));
    }

    /// Marks it as failed. The first reason stays.
    pub fn fail(&self, type_name: Cow<'static, str>, reason: &str) {
        let error = Error { type_name, message: reason.into() };
        self.0.trace.set_error(self.0.id, error, self.0.context.effective_tenant().as_ref());
    }

    /// Ends it, once; where what our own adapters see beneath it goes on, as of a stream that was handed out, with that.
    pub fn end(&self) {
        self.0.end();
    }
}

/// What content is.
#[derive(Clone, Copy, Debug)]
pub enum BridgedContent {
    /// What went in.
    Input,
    /// What came out.
    Output,
    /// The tools that were offered.
    Tools,
}

impl BridgedContent {
    fn field(self) -> fn(&mut SpanDetails) -> &mut Option<Json> {
        match self {
            Self::Input => |details| &mut details.input,
            Self::Output => |details| &mut details.output,
            Self::Tools => |details| &mut details.tools,
        }
    }
}

impl Bridged {
    /// Whether the scope's work is of the same trace and of the same tenant as this span.
    fn fits(&self, scope: &Scope) -> bool {
        let same_trace = scope
            .context
            .span
            .as_ref()
            .is_some_and(|span| span.trace.key == self.trace.key || span.trace.key == self.home);
        same_trace && scope.context.tenant == self.context.tenant
    }

    fn is_entered_here(&self) -> bool {
        ENTERED.try_with(|entered| entered.borrow().iter().any(|entry| entry.span == self.id)).unwrap_or(true)
    }

    fn forget_notes(&self) {
        self.notes.fetch_add(1, Ordering::Relaxed);
    }

    fn end(&self) {
        let open = self.open.lock().unwrap_or_else(PoisonError::into_inner).take();
        if let Some(open) = open {
            let held = self.held.swap(0, Ordering::Relaxed);
            if held > 0 {
                self.trace.sink.give_back_bytes(held);
            }
            let panicked = !self.panicking && std::thread::panicking();
            let failure = panicked.then(|| Box::new(panics::last()) as Box<Error>);
            let ending = self.trace.with_span(self.id, |details| match &mut details.llm {
                Some(facts) => facts.exchanges.leave(open, failure),
                None => Some((open, failure)),
            });
            if let Some((open, failure)) = ending {
                open.end(&self.trace, failure);
            }
        }
    }
}

impl Drop for Bridged {
    fn drop(&mut self) {
        self.end();
    }
}

impl Scope {
    /// Notes that `span` was entered in the innermost level; false where it is of another trace or tenant.
    fn note(&mut self, span: &Arc<Bridged>) -> bool {
        if !span.fits(self) {
            return false;
        }
        self.bridged.push(Note {
            span: Arc::clone(span),
            made: span.notes.load(Ordering::Relaxed),
            level: self.level,
            context: Context { sink: self.context.sink.clone(), ..span.context.clone() },
        });
        self.note_bridged();
        true
    }

    fn take_note(&mut self, span: &Arc<Bridged>) -> Option<Note> {
        let at = self.bridged.iter().rposition(|note| Arc::ptr_eq(&note.span, span))?;
        Some(self.bridged.remove(at))
    }

    /// The innermost span that is entered where the scope's work stands.
    pub(super) fn entered(&self) -> Option<usize> {
        self.entered_at(self.level)
    }

    fn entered_at(&self, level: usize) -> Option<usize> {
        self.bridged.iter().rposition(|note| {
            note.level == level && note.made == note.span.notes.load(Ordering::Relaxed) && note.span.fits(self)
        })
    }

    /// The call of a model that what is entered in `level` is, or is in.
    pub(super) fn entered_llm(&self, level: usize) -> Option<SpanId> {
        if self.bridged.is_empty() {
            return None;
        }
        self.bridged[self.entered_at(level)?].context.span.as_ref()?.llm
    }

    /// Begins a level beneath the span that is entered there.
    #[cold]
    pub(super) fn push_level_beneath(&mut self, entered: usize) {
        let Some(span) = self.bridged.get(entered).and_then(|note| note.context.span.clone()) else { return };
        self.level += 1;
        *self.top_mut() = Level::under(Some(span.id), span.depth).in_llm(span.llm.is_some());
        if self.context.span.as_ref().is_none_or(|outer| !Arc::ptr_eq(&outer.trace, &span.trace)) {
            self.change_trace_to(span);
        }
    }

    /// Forgets what was entered in levels that are over.
    pub(super) fn forget_entered(&mut self) {
        let level = self.level;
        self.bridged.retain(|note| note.level <= level);
    }
}
