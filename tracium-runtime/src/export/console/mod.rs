//! Traces as trees on standard error, for whoever develops an agent or reads its logs.
//!
//! | file | what |
//! |---|---|
//! | `held` | a trace until it is printed |
//! | `view` | what is shown of a trace, with the mask's work |
//! | `order` | spans into the lines of a tree |
//! | `tree` | a trace as text |
//! | `cells`, `columns` | the left and the right side of its lines |
//! | `usage` | the table of usage per tenant and model |
//! | `units` | durations and counts |
//! | `style`, `width` | colours, lines that fit, texts that cannot order the terminal |

mod cells;
mod columns;
mod held;
mod order;
mod style;
mod tree;
mod units;
mod usage;
mod view;
mod width;

use std::collections::HashMap;
use std::io::Write;
use std::sync::{Arc, PoisonError};
use std::task::{Context, Poll};
use std::time::Instant;

use self::held::Held;
use self::style::Style;
use self::usage::render_usage;
use self::view::Masked;
use super::{Account, Exporter, SpanItem, SpanRecord, TraceItem, Tracked, Usage};
use crate::collect::ledger::DropReason;
use crate::config::Mask;

/// The address of a trace, which is its own while we hold it.
type Key = usize;

/// Prints each trace when it is complete.
pub(crate) struct Console {
    out: Box<dyn Write + Send>,
    style: Style,
    mask: Option<Mask>,
    held: HashMap<Key, Held>,
    /// The usage that was printed last.
    printed: Usage,
}

impl Console {
    pub(crate) fn new(mask: Option<Mask>) -> Self {
        Self::with_output(mask, Style::of_stderr(), Box::new(std::io::stderr()))
    }

    fn with_output(mask: Option<Mask>, style: Style, out: Box<dyn Write + Send>) -> Self {
        Self { out, style, mask, held: HashMap::new(), printed: Usage::default() }
    }

    fn held(&mut self, trace: &Arc<Tracked>) -> &mut Held {
        self.held.entry(Arc::as_ptr(trace) as Key).or_insert_with(|| Held::new(trace))
    }

    /// Prints in one write, which standard error takes under its lock: trees of several processes or of other writers
    /// do not mix with it. Where it is closed, there is nobody to tell.
    fn print(&mut self, text: &str) {
        let _ = self.out.write_all(text.as_bytes());
        let _ = self.out.flush();
    }
}

impl Exporter for Console {
    fn trace_started(&mut self, _: &Arc<Tracked>) {}

    fn span_open(&mut self, trace: &Arc<Tracked>, span: &SpanRecord) {
        self.held(trace).open.insert(span.id, span.parent);
    }

    fn spans_ended(&mut self, trace: &Arc<Tracked>, spans: &mut Vec<SpanItem>, _: &mut Account) {
        let held = self.held(trace);
        for span in &*spans {
            held.open.remove(&span.record.id);
        }
        if held.trace.remote || held.printed {
            held.since = Some(Instant::now());
        }
        held.spans.append(spans);
    }

    fn trace_ended(&mut self, trace: &Arc<Tracked>, end: TraceItem, _: &mut Account) {
        let held = self.held(trace);
        held.since = Some(Instant::now());
        held.end = Some(end);
    }

    fn trace_discarded(&mut self, trace: &Arc<Tracked>, _: &mut Account) {
        let held = self.held(trace);
        // Nothing ran in it; if something did, it is no part of any trace that will end.
        held.printed = true;
        held.since = Some(Instant::now());
    }

    fn trace_gone(&mut self, trace: &Arc<Tracked>, _: &mut Account) {
        if let Some(held) = self.held.get_mut(&(Arc::as_ptr(trace) as Key)) {
            held.gone = true;
        }
    }

    fn dispatch(&mut self, now: Instant, all: bool, account: &mut Account) {
        let mut due: Vec<(Instant, Key)> = Vec::new();
        self.held.retain(|key, held| {
            if held.is_due(now, all) {
                due.push((held.since.unwrap_or(now), *key));
                return true;
            }
            // Without items, it is kept only to know late spans by, while there is somebody to bring them.
            held.has_items() || !held.gone
        });
        due.sort_unstable();
        for (_, key) in due {
            let Some(held) = self.held.get_mut(&key) else { continue };
            let text = held.render(self.style, Masked(self.mask.as_ref()));
            held.printed |= held.end.is_some();
            let (spans, end) = (std::mem::take(&mut held.spans), held.end.take());
            self.print(&text);
            account.acknowledge_all(spans.iter().map(SpanItem::receipt));
            account.acknowledge_all(end.map(|end| end.receipt()));
        }
    }

    fn poll_progress(&mut self, _: &mut Context<'_>, _: &mut Account) -> Poll<()> {
        Poll::Pending
    }

    fn next_due(&self) -> Option<Instant> {
        self.held.values().filter_map(Held::deadline).min()
    }

    fn finish(&mut self, account: &mut Account) {
        let usage = account.totals.lock().unwrap_or_else(PoisonError::into_inner).snapshot();
        if usage != self.printed {
            self.print(&render_usage(&usage, self.style.width, self.style.colour));
            self.printed = usage;
        }
    }

    fn drop_all(&mut self, reason: DropReason, account: &mut Account) {
        for (_, held) in self.held.drain() {
            account.drop_all(held.spans.iter().map(SpanItem::receipt), reason);
            account.drop_all(held.end.map(|end| end.receipt()), reason);
        }
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Mutex;
    use std::time::Duration;

    use super::held::PATIENCE;
    use super::*;
    use crate::clock::Timestamp;
    use crate::collect::policy::Policy;
    use crate::collect::shares::HolderId;
    use crate::collect::{Budget, Collector, Sink, install_thread, uninstall_thread};
    use crate::export::{Handle, Totals};
    use crate::stats::Stats;
    use crate::trace::{Remote, SpanMeta, TraceCore, TraceMeta};
    use crate::{SpanId, TenantId, TokenUsage, current_span, start_span, start_trace};

    static BOT: TraceMeta = TraceMeta::new("bot", "bot");
    static TOOL: SpanMeta = SpanMeta::new("tool", "clock", "clock");

    /// What was printed, one string a write.
    #[derive(Clone, Default)]
    struct Screen(Arc<Mutex<Vec<String>>>);

    impl Write for Screen {
        fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
            self.0.lock().unwrap().push(String::from_utf8(bytes.to_vec()).unwrap());
            Ok(bytes.len())
        }

        fn flush(&mut self) -> std::io::Result<()> {
            Ok(())
        }
    }

    impl Screen {
        fn take(&self) -> Vec<String> {
            std::mem::take(&mut *self.0.lock().unwrap())
        }

        /// What was printed, without what differs from run to run: each line up to its first two spaces.
        fn heads(&self) -> Vec<String> {
            let head = |line: &str| line.split("  ").next().unwrap_or_default().to_owned();
            self.take().iter().flat_map(|text| text.lines().map(head).collect::<Vec<_>>()).collect()
        }
    }

    /// An exporter under the tests' own clock.
    struct Bench {
        console: Console,
        account: Account,
        collector: &'static Collector,
        screen: Screen,
    }

    impl Bench {
        fn new() -> Self {
            let collector = collector();
            let screen = Screen::default();
            let style = Style { width: 80, colour: false };
            Self {
                console: Console::with_output(None, style, Box::new(screen.clone())),
                account: Account::new(collector, Arc::new(Mutex::new(Totals::default()))),
                collector,
                screen,
            }
        }

        fn trace(&self) -> Arc<Tracked> {
            Tracked::new(TraceCore::open(&BOT, None, None, Sink::Collector(self.collector)).0)
        }

        fn remote(&self) -> Arc<Tracked> {
            let sink = Sink::Collector(self.collector);
            Tracked::new(TraceCore::remote(Remote {
                id: crate::TraceId::random(),
                external_id: None,
                agent: None,
                tenant: None,
                parent: SpanId::random(),
                sampled: true,
                trace_state: None,
                sink,
            }))
        }

        fn record(trace: &Arc<Tracked>, parent: SpanId, depth: u32) -> SpanRecord {
            let now = Timestamp::now();
            let root = SpanRecord::root(trace, None);
            SpanRecord { id: SpanId::random(), parent, meta: &TOOL, depth, started: now, ended: Some(now), ..root }
        }

        fn span(&mut self, trace: &Arc<Tracked>, parent: SpanId) {
            assert_eq!(self.collector.budget.take_records(1), 1);
            let record = Self::record(trace, parent, 1);
            let item = SpanItem { record, details: None, sweep: 1, holder: HolderId::NOBODY };
            self.account.accept(1, [item.receipt()]);
            self.console.spans_ended(trace, &mut vec![item], &mut self.account);
        }

        fn end(&mut self, trace: &Arc<Tracked>) {
            let root = SpanRecord { ended: Some(Timestamp::now()), ..SpanRecord::root(trace, None) };
            let end = TraceItem { root, details: None, sweep: 1, holder: HolderId::NOBODY, of_trace: 0 };
            self.account.accept(1, [end.receipt()]);
            self.console.trace_ended(trace, end, &mut self.account);
        }

        /// Dispatches after `wait`; gives the heads of the lines that were printed.
        fn after(&mut self, wait: Duration, all: bool) -> Vec<String> {
            self.console.dispatch(Instant::now() + wait, all, &mut self.account);
            self.screen.heads()
        }
    }

    fn collector() -> &'static Collector {
        let policy = Policy { content: true, ..Policy::default() };
        Collector::new(Budget::new(10_000, 1 << 24), policy)
    }

    const NOW: Duration = Duration::ZERO;

    #[test]
    fn a_trace_is_printed_in_one_write_once_nobody_can_add_to_it() {
        let mut bench = Bench::new();
        let trace = bench.trace();
        bench.span(&trace, trace.root);
        bench.span(&trace, trace.root);
        assert!(bench.after(PATIENCE * 9, false).is_empty(), "it has not ended");
        assert_eq!(bench.console.next_due(), None);
        bench.end(&trace);
        assert!(bench.after(NOW, false).is_empty(), "this test holds it");
        assert!(bench.console.next_due().is_some_and(|due| due <= Instant::now() + PATIENCE));
        bench.console.trace_gone(&trace, &mut bench.account);
        bench.console.dispatch(Instant::now(), false, &mut bench.account);
        assert_eq!(bench.screen.0.lock().unwrap().len(), 1);
        assert_eq!(bench.screen.heads(), ["✓ bot", "├─ tool clock", "└─ tool clock"]);
        assert!(bench.account.is_clear(1));
        assert!(bench.after(NOW, false).is_empty());
        assert!(bench.console.held.is_empty(), "nothing more can come");
    }

    #[test]
    fn a_trace_that_is_still_held_is_printed_after_a_second_or_for_a_flush_and_later_spans_are_late() {
        for (wait, all) in [(PATIENCE, false), (NOW, true)] {
            let mut bench = Bench::new();
            let trace = bench.trace();
            bench.end(&trace);
            assert!(bench.after(PATIENCE / 2, false).is_empty());
            assert_eq!(bench.after(wait, all), ["✓ bot"]);
            bench.span(&trace, trace.root);
            assert!(bench.after(NOW, false).is_empty());
            let id: String = trace.id.to_string().chars().take(8).collect();
            assert_eq!(bench.after(wait, all), [format!("↳ {id} (late)"), "└─ tool clock".to_owned()]);
            bench.span(&trace, trace.root);
            bench.console.trace_gone(&trace, &mut bench.account);
            assert_eq!(bench.after(NOW, false).len(), 2, "nothing more can come: no need to wait");
            assert!(bench.account.is_clear(1));
        }
    }

    #[test]
    fn remote_traces_are_printed_a_second_after_their_last_span() {
        let mut bench = Bench::new();
        let trace = bench.remote();
        bench.span(&trace, trace.root);
        bench.span(&trace, trace.root);
        assert!(bench.after(NOW, false).is_empty());
        let lines = bench.after(PATIENCE, false);
        assert!(lines[0].ends_with(" (remote)"), "{lines:?}");
        assert_eq!(lines[1..], ["├─ tool clock", "└─ tool clock"]);
        bench.span(&trace, trace.root);
        assert_eq!(bench.after(NOW, true).len(), 2);
        bench.console.trace_gone(&trace, &mut bench.account);
        bench.after(NOW, false);
        assert!(bench.console.held.is_empty());
    }

    #[test]
    fn children_of_a_span_that_is_open_hang_under_the_nearest_one_that_ended() {
        let mut bench = Bench::new();
        let trace = bench.trace();
        bench.span(&trace, trace.root);
        let outer = bench.console.held.values().next().unwrap().spans[0].record.id;
        let open = Bench::record(&trace, outer, 2);
        let deeper = Bench::record(&trace, open.id, 3);
        bench.console.span_open(&trace, &open);
        bench.console.span_open(&trace, &deeper);
        bench.span(&trace, deeper.id);
        bench.span(&trace, SpanId::random());
        bench.end(&trace);
        let expected = ["✓ bot", "├─ tool clock", "│", "└─ tool clock"];
        assert_eq!(bench.after(PATIENCE, false), expected);
    }

    #[test]
    fn what_is_held_is_dropped_with_a_reason_and_discarded_traces_leave_nothing() {
        let mut bench = Bench::new();
        let (open, refused) = (bench.trace(), bench.trace());
        bench.span(&open, open.root);
        bench.console.trace_discarded(&refused, &mut bench.account);
        bench.console.trace_gone(&refused, &mut bench.account);
        assert!(bench.after(NOW, false).is_empty());
        assert_eq!(bench.console.held.len(), 1);
        bench.console.drop_all(DropReason::Shutdown, &mut bench.account);
        assert_eq!(bench.collector.ledger.dropped(DropReason::Shutdown), 1);
        assert!(bench.account.is_clear(1) && bench.console.held.is_empty());
    }

    #[test]
    fn a_whole_run_prints_trees_masked_and_a_table_once() {
        let (collector, screen) = (collector(), Screen::default());
        let mask: Mask = Arc::new(|field, text: &mut String| {
            assert!(!text.contains("boom"), "a mask may fail");
            *text = format!("<{field}>");
        });
        let style = Style { width: 80, colour: false };
        let console = Console::with_output(Some(mask), style, Box::new(screen.clone()));
        let handle = Handle::spawn(collector, Box::new(console));
        let before = install_thread(Sink::Collector(collector));
        start_trace("bot").tenant(TenantId::try_from("acme").unwrap()).metadata("plan", "gold").run(|| {
            start_span("llm", "complete").model("gpt-4o").run(|| {
                current_span()
                    .set_token_usage(TokenUsage::new(812, 64).cached_input(512))
                    .record_input("hi")
                    .fail("late");
            });
            start_span("tool", "refund").run(|| {
                current_span().record_output("boom");
            });
        });
        uninstall_thread(before);
        assert!(handle.flush(Duration::from_secs(5)).complete);
        let printed = screen.take();
        assert_eq!(printed.len(), 1, "{printed:?}");
        let shape: Vec<&str> = printed[0].lines().map(|line| line.split("  ").next().unwrap_or_default()).collect();
        assert_eq!(shape[0], "✓ bot");
        assert!(printed[0].contains("\n│  <metadata>\n├─ ✗ llm complete  gpt-4o  "), "{}", printed[0]);
        assert!(
            printed[0].contains("812→64 tok (512 cached)\n│     <error>\n│     in: <input>\n└─ tool refund"),
            "{}",
            printed[0]
        );
        assert!(printed[0].ends_with("\n      out: [withheld]\n"), "{}", printed[0]);
        let stats = Stats::of(collector);
        assert_eq!((stats.emitted, stats.acknowledged, stats.queued), (3, 3, 0));
        assert_eq!((stats.buffered_records, stats.buffered_bytes), (0, 0));

        assert!(handle.shutdown(Duration::from_secs(5)).complete);
        let table = screen.take();
        assert_eq!(table.len(), 1, "{table:?}");
        assert!(table[0].starts_with("tenant    model   calls"), "{}", table[0]);
    }
}
