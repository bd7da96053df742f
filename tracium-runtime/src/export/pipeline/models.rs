//! What must hold of threads that write while the export thread reads, in every order of their steps: checked with loom
//! on the code that ships, with segments of two records. See [`crate::sync`].

use std::sync::{Arc, Mutex, PoisonError};
use std::task::{Context, Poll};
use std::time::Instant;

use super::{Answer, Command, Pipeline};
use crate::SpanId;
use crate::clock::Timestamp;
use crate::collect::ledger::DropReason;
use crate::collect::policy::Policy;
use crate::collect::segment::{End, NewSpan};
use crate::collect::thread::Writer;
use crate::collect::{Budget, Collector, Sink};
use crate::export::{Account, Exporter, SpanItem, SpanRecord, TraceItem, Tracked};
use crate::stats::Stats;
use crate::sync::model::{check, end_thread, spawn};
use crate::trace::{OpenSpan, SpanMeta, Status, TenantMark, TraceCore, TraceMeta};

static TRACE: TraceMeta = TraceMeta::new("model", "model");
static SPAN: SpanMeta = SpanMeta::new("chain", "span", "span");

/// A span's or, where there is no span, a trace's end.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Ended {
    trace: u64,
    span: Option<(SpanId, SpanId, u32)>,
    end: End,
}

type Log = Arc<Mutex<Vec<Ended>>>;

fn note(log: &Log, ended: Ended) {
    log.lock().unwrap().push(ended);
}

/// An exporter whose backend has everything at once.
struct Backend(Log);

impl Exporter for Backend {
    fn trace_started(&mut self, _: &Arc<Tracked>) {}

    fn span_open(&mut self, _: &Arc<Tracked>, _: &SpanRecord) {}

    fn spans_ended(&mut self, trace: &Arc<Tracked>, spans: &mut Vec<SpanItem>, account: &mut Account) {
        for item in spans.drain(..) {
            let SpanRecord { id, parent, depth, ended, status, .. } = item.record;
            let end = End { at: ended.expect("it has ended"), status };
            note(&self.0, Ended { trace: trace.key, span: Some((id, parent, depth)), end });
            account.acknowledge(item.receipt());
        }
    }

    fn trace_ended(&mut self, trace: &Arc<Tracked>, end: TraceItem, account: &mut Account) {
        let at = end.root.ended.expect("it has ended");
        note(&self.0, Ended { trace: trace.key, span: None, end: End { at, status: end.root.status } });
        account.acknowledge(end.receipt(trace));
    }

    fn trace_discarded(&mut self, _: &Arc<Tracked>, _: &mut Account) {}

    fn trace_gone(&mut self, _: &Arc<Tracked>, _: &mut Account) {}

    fn dispatch(&mut self, _: Instant, _: bool, _: &mut Account) {}

    fn poll_progress(&mut self, _: &mut Context<'_>, _: &mut Account) -> Poll<()> {
        Poll::Pending
    }

    fn next_due(&self) -> Option<Instant> {
        None
    }

    fn finish(&mut self, _: &mut Account) {}

    fn drop_all(&mut self, _: DropReason, _: &mut Account) {}
}

/// The process, as a model has it: `ended` is what its threads ended, `arrived` what the backend has.
#[derive(Clone)]
struct Process {
    collector: &'static Collector,
    ended: Log,
    arrived: Log,
}

impl Process {
    fn start(records: usize) -> (Self, Pipeline) {
        let budget = Budget::new(records, records * Budget::RECORD_BYTES);
        let collector = Collector::new(budget, Policy { content: false, ..Policy::default() });
        let (ended, arrived) = (Log::default(), Log::default());
        let pipeline = Pipeline::new(collector, Box::new(Backend(Arc::clone(&arrived))), Arc::default());
        (Self { collector, ended, arrived }, pipeline)
    }

    fn open_trace(&self) -> Trace {
        let (core, root) = TraceCore::open(&TRACE, None, None, Sink::Collector(self.collector));
        Trace { process: self.clone(), core, root }
    }

    fn stats(&self) -> Stats {
        Stats::of(self.collector)
    }

    /// Everything that ended has arrived, once and as it was; of each trace, its end last.
    fn assert_all_arrived(&self) {
        let (ended, arrived) = (self.ended.lock().unwrap(), self.arrived.lock().unwrap());
        for one in &*ended {
            let times = arrived.iter().filter(|other| *other == one).count();
            assert_eq!(times, 1, "{one:?} arrived {times} times in {arrived:?}");
        }
        assert_eq!(arrived.len(), ended.len(), "{arrived:?} is more than {ended:?}");
        for (place, last) in arrived.iter().enumerate().filter(|(_, one)| one.span.is_none()) {
            let after = arrived[place..].iter().find(|one| one.trace == last.trace && one.span.is_some());
            assert_eq!(after, None, "it came after its trace's end");
        }
    }

    /// The accounting, when nothing happens any more: `ended` were emitted, and `buffered` records are still open.
    fn assert_at_rest(&self, emitted: usize, buffered: u64) {
        let stats = self.stats();
        assert_eq!(stats.emitted, emitted as u64, "{stats:?}");
        assert_eq!(stats.emitted, stats.acknowledged + stats.dropped + stats.queued, "{stats:?}");
        assert_eq!(stats.acknowledged, self.arrived.lock().unwrap().len() as u64, "{stats:?}");
        assert_eq!(stats.buffered_records, buffered, "{stats:?}");
    }
}

/// An open trace.
#[derive(Clone)]
struct Trace {
    process: Process,
    core: Arc<TraceCore>,
    root: OpenSpan,
}

impl Trace {
    /// Opens a span; by its depth it is told from others.
    fn open(&self, depth: u32) -> OpenSpan {
        let (trace, parent, tenant) = (self.core.key, self.root.id, TenantMark::None);
        let packed = || {
            let started = Timestamp::now();
            NewSpan { trace, parent, started, meta: SPAN.index(), depth, tenant, is_root: false }.packed()
        };
        // As a scope does.
        match Writer::write_if_ready(self.process.collector, packed) {
            Some(place) => {
                OpenSpan { id: place.id, ticket: place.ticket, depth, tenant, owns_trace: false, is_llm: false }
            }
            None => self.core.open_span(&SPAN, parent, depth, tenant),
        }
    }

    fn end(&self, span: OpenSpan) {
        // Every other one fails, which is told in another word than its end.
        let status = if span.depth.is_multiple_of(2) { Status::Completed } else { Status::Failed };
        let end = End { at: Timestamp::now(), status };
        let span_of = (span.id, self.root.id, span.depth);
        note(&self.process.ended, Ended { trace: self.core.key, span: Some(span_of), end });
        self.core.sink.span_closed(&self.core, span, end.at, status);
    }

    fn end_trace(self) {
        let end = End { at: Timestamp::now(), status: Status::Failed };
        note(&self.process.ended, Ended { trace: self.core.key, span: None, end });
        self.core.sink.trace_ended(&self.core, end.at, end.status);
    }
}

/// Sweeps until nothing can be left that a thread had when it ended.
fn sweep_all(pipeline: &mut Pipeline) {
    pipeline.sweep();
    pipeline.sweep();
}

#[test]
fn what_one_thread_writes_arrives_once_wherever_it_ends() {
    check("one thread", 3, || {
        let (process, mut pipeline) = Process::start(100);
        let writer = process.clone();
        let writer = spawn(move || {
            let trace = writer.open_trace();
            let first = trace.open(1);
            // In another segment than the two before.
            let second = trace.open(2);
            trace.end(second);
            trace.end(first);
            trace.end_trace();
        });
        pipeline.sweep();
        writer.join().unwrap();
        sweep_all(&mut pipeline);
        process.assert_all_arrived();
        process.assert_at_rest(3, 0);
        assert!(process.collector.threads().is_empty(), "the thread has ended");
    });
}

#[test]
fn a_segment_that_is_written_again_shows_nothing_of_before() {
    check("written again", 2, || {
        let (process, mut pipeline) = Process::start(100);
        let writer = process.clone();
        let writer = spawn(move || {
            for depth in 1..=3 {
                // The root and its span fill a segment; the one that was full is read, cleared and taken again.
                let trace = writer.open_trace();
                let span = trace.open(depth);
                trace.end(span);
                trace.end_trace();
            }
        });
        pipeline.sweep();
        pipeline.sweep();
        writer.join().unwrap();
        sweep_all(&mut pipeline);
        process.assert_all_arrived();
        process.assert_at_rest(6, 0);
    });
}

#[test]
fn a_thread_that_takes_what_another_left_shows_nothing_of_it() {
    check("taken over", 2, || {
        let (process, mut pipeline) = Process::start(100);
        let work = |process: Process| {
            let trace = process.open_trace();
            let span = trace.open(1);
            trace.end(span);
            trace.end_trace();
        };
        let (first, second) = (process.clone(), process.clone());
        let writer = spawn(move || {
            spawn(move || work(first)).join().unwrap();
            work(second);
        });
        pipeline.sweep();
        pipeline.sweep();
        writer.join().unwrap();
        sweep_all(&mut pipeline);
        process.assert_all_arrived();
        process.assert_at_rest(4, 0);
    });
}

#[test]
fn a_trace_that_was_discarded_is_counted_nowhere() {
    check("discarded", 3, || {
        let (process, mut pipeline) = Process::start(100);
        let writer = process.clone();
        let writer = spawn(move || {
            let trace = writer.open_trace();
            trace.core.try_discard();
            trace.core.sink.trace_ended(&trace.core, Timestamp::now(), Status::Failed);
        });
        pipeline.sweep();
        writer.join().unwrap();
        sweep_all(&mut pipeline);
        process.assert_all_arrived();
        process.assert_at_rest(0, 0);
    });
}

#[test]
fn a_trace_ends_after_spans_that_ended_on_a_thread_that_came_later() {
    check("a thread that came later", 3, || {
        let (process, mut pipeline) = Process::start(100);
        let writer = process.clone();
        let writer = spawn(move || {
            let trace = writer.open_trace();
            let span = trace.open(1);
            let other = trace.clone();
            spawn(move || other.end(span)).join().unwrap();
            trace.end_trace();
        });
        pipeline.sweep();
        writer.join().unwrap();
        sweep_all(&mut pipeline);
        process.assert_all_arrived();
        process.assert_at_rest(2, 0);
    });
}

#[test]
fn a_trace_ends_after_spans_that_were_written_on_a_thread_that_came_later() {
    check("written on a thread that came later", 3, || {
        let (process, mut pipeline) = Process::start(100);
        let writer = process.clone();
        let writer = spawn(move || {
            let trace = writer.open_trace();
            let other = trace.clone();
            spawn(move || {
                let span = other.open(1);
                other.end(span);
            })
            .join()
            .unwrap();
            trace.end_trace();
        });
        pipeline.sweep();
        writer.join().unwrap();
        sweep_all(&mut pipeline);
        process.assert_all_arrived();
        process.assert_at_rest(2, 0);
    });
}

#[test]
fn a_trace_that_ends_on_another_thread_ends_after_its_spans() {
    check("ended on another thread", 3, || {
        let (process, mut pipeline) = Process::start(100);
        let (send, receive) = loom::sync::mpsc::channel::<Trace>();
        let opener = process.clone();
        let opener = spawn(move || {
            let trace = opener.open_trace();
            let span = trace.open(1);
            trace.end(span);
            send.send(trace).unwrap();
        });
        let closer = spawn(move || receive.recv().unwrap().end_trace());
        pipeline.sweep();
        opener.join().unwrap();
        closer.join().unwrap();
        sweep_all(&mut pipeline);
        process.assert_all_arrived();
        process.assert_at_rest(2, 0);
    });
}

#[test]
fn nothing_arrives_or_is_lost_before_it_is_counted_as_emitted() {
    check("an onlooker", 1, || {
        // Room for the root and one span.
        let (process, mut pipeline) = Process::start(2);
        let writer = process.clone();
        let writer = spawn(move || {
            let trace = writer.open_trace();
            let kept = trace.open(1);
            let refused = trace.core.open_span(&SPAN, trace.root.id, 2, TenantMark::None);
            trace.core.sink.span_closed(&trace.core, refused, Timestamp::now(), Status::Completed);
            trace.end(kept);
            trace.end_trace();
        });
        let onlooker = process.clone();
        let onlooker = spawn(move || {
            let stats = onlooker.stats();
            assert!(stats.emitted >= stats.acknowledged + stats.dropped, "{stats:?}");
        });
        pipeline.sweep();
        writer.join().unwrap();
        onlooker.join().unwrap();
        sweep_all(&mut pipeline);
        process.assert_all_arrived();
        process.assert_at_rest(3, 0);
        assert_eq!(process.stats().dropped_by(DropReason::QueueFull), 1);
    });
}

#[test]
fn what_is_written_after_a_threads_end_arrives() {
    check("after a thread's end", 3, || {
        let (process, mut pipeline) = Process::start(100);
        let writer = process.clone();
        let writer = spawn(move || {
            let trace = writer.open_trace();
            let span = trace.open(1);
            // What destructors of the thread's own do.
            end_thread();
            let late = trace.open(2);
            trace.end(late);
            trace.end(span);
            trace.end_trace();
        });
        pipeline.sweep();
        writer.join().unwrap();
        sweep_all(&mut pipeline);
        sweep_all(&mut pipeline);
        process.assert_all_arrived();
        process.assert_at_rest(3, 0);
        assert!(process.collector.threads().is_empty(), "the thread has ended");
    });
}

#[test]
fn a_flush_takes_all_that_ended_before_it() {
    check("flush", 3, || {
        let (process, mut pipeline) = Process::start(100);
        let (send, receive) = loom::sync::mpsc::channel();
        let writer = process.clone();
        let flusher = spawn(move || {
            let trace = writer.open_trace();
            let span = trace.open(1);
            let other = trace.clone();
            // It lies elsewhere when it ends.
            let helper = spawn(move || other.end(span));
            let own = trace.open(2);
            trace.end(own);
            helper.join().unwrap();
            trace.end_trace();
            let before = writer.ended.lock().unwrap().len();
            let (answer, answered) = std::sync::mpsc::channel();
            let answer = Answer::Thread(answer);
            send.send((Command::Flush { deadline: Instant::now(), answer }, before)).unwrap();
            answered
        });
        pipeline.sweep();
        let (flush, before) = receive.recv().unwrap();
        pipeline.obey(flush);
        assert_eq!(process.arrived.lock().unwrap().len(), before);
        assert!(!pipeline.answer_waiters(), "a flush stops nothing");
        assert!(flusher.join().unwrap().recv().unwrap().complete);
        sweep_all(&mut pipeline);
        process.assert_all_arrived();
        process.assert_at_rest(3, 0);
    });
}

#[test]
fn at_shutdown_all_that_ended_arrives_or_is_counted_as_lost() {
    check("shutdown", 3, || {
        shutdown_while(|trace| {
            let first = trace.open(1);
            // In another segment than the two before.
            let second = trace.open(2);
            trace.end(second);
            trace.end(first);
            trace.end_trace();
            3
        });
    });
    check("shutdown, a root alone", 4, || {
        shutdown_while(|trace| {
            trace.end_trace();
            1
        });
    });
}

/// Shuts down while `work` ends as many as it says.
fn shutdown_while(work: fn(Trace) -> u64) {
    let (process, mut pipeline) = Process::start(100);
    let writer = process.clone();
    let writer = spawn(move || work(writer.open_trace()));
    let (sender, _) = std::sync::mpsc::channel();
    pipeline.obey(Command::Shutdown { deadline: Instant::now(), answer: Answer::Thread(sender) });
    assert!(pipeline.answer_waiters(), "it stops");
    drop(pipeline);
    let ended = writer.join().unwrap();
    let stats = process.stats();
    assert_eq!(stats.emitted, ended, "{stats:?}");
    assert_eq!(stats.emitted, stats.acknowledged + stats.dropped + stats.queued, "{stats:?}");
    assert_eq!(stats.dropped, stats.dropped_by(DropReason::Shutdown), "{stats:?}");
    assert_eq!(stats.acknowledged, process.arrived.lock().unwrap().len() as u64, "{stats:?}");
}
