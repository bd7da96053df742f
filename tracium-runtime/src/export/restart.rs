//! What an export starts anew with: after an exporter failed, and in a process that was forked off.

use std::sync::atomic::Ordering;
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use super::discard::Discard;
use super::{Account, Exporter, Fanout, Sampling, Totals, prepare};
use crate::collect::Collector;
use crate::collect::ledger::{DropReason, Ledger};
use crate::config::{InitError, Mask, SpoolSettings, Target};
use crate::content::scrub_text;
use crate::notice::{Minute, say};

/// Makes an exporter, with its spool or without one.
type Make = Box<dyn Fn(bool) -> Result<Box<dyn Exporter>, InitError> + Send + Sync>;

/// What an export is made by.
pub(crate) struct Recipe {
    /// The exporters, each with its name; the first one's accounting is the process's.
    exporters: Vec<(&'static str, Make)>,
    /// How long what ended may take to be sent when the process is to terminate, where that is asked for.
    #[cfg_attr(not(all(unix, feature = "signal")), allow(dead_code))]
    pub(super) on_terminate: Option<Duration>,
}

impl Recipe {
    pub(crate) fn new(
        targets: Vec<Target>,
        mask: Option<&Mask>,
        spool: Option<&SpoolSettings>,
        on_terminate: Option<Duration>,
    ) -> Self {
        let of = |target: Target| -> (&'static str, Make) {
            let (name, mask, spool) = (target.name(), mask.cloned(), spool.cloned());
            let make = move |spooled: bool| prepare(&target, mask.clone(), spool.as_ref().filter(|_| spooled));
            (name, Box::new(make))
        };
        Self { exporters: targets.into_iter().map(of).collect(), on_terminate }
    }

    /// Of exporters that are made once.
    #[cfg(test)]
    pub(crate) fn of(exporters: Vec<(&'static str, Box<dyn Exporter>)>) -> Self {
        let once = |(name, exporter)| -> (&'static str, Make) {
            let exporter = Mutex::new(Some(exporter));
            let gone = || InitError::Client { reason: "it was made once".to_owned() };
            (name, Box::new(move |_| exporter.lock().unwrap().take().ok_or_else(gone)))
        };
        Self { exporters: exporters.into_iter().map(once).collect(), on_terminate: None }
    }

    #[cfg(test)]
    pub(crate) fn by(make: impl Fn() -> Box<dyn Exporter> + Clone + Send + Sync + 'static, count: usize) -> Self {
        let one = |_| -> (&'static str, Make) {
            let make = make.clone();
            ("tests", Box::new(move |_| Ok(make())))
        };
        Self { exporters: (0..count).map(one).collect(), on_terminate: None }
    }

    /// The exporters, each alone.
    pub(crate) fn make(&self) -> Result<Vec<Box<dyn Exporter>>, InitError> {
        self.exporters.iter().map(|(_, make)| make(true)).collect()
    }

    /// The same in place of others, for `collector`. What was fine when the process began may not be any more: where no
    /// spool can be had, the export goes on in memory.
    pub(crate) fn make_anew(&self, collector: &Collector) -> Result<Vec<Box<dyn Exporter>>, InitError> {
        let one = |(_, make): &(_, Make)| match make(true) {
            Err(error @ InitError::Spool { .. }) => {
                let exporter = make(false)?;
                note_error(collector, &format!("the export goes on without a spool: {error}"));
                Ok(exporter)
            }
            made => made,
        };
        self.exporters.iter().map(one).collect()
    }

    /// `exporters`, which [`Self::make`] gave, as one; each with an accounting of its own, which goes on where there
    /// were others before them.
    pub(super) fn combine(
        &self,
        collector: &'static Collector,
        exporters: Vec<Box<dyn Exporter>>,
        totals: &Arc<Mutex<Totals>>,
    ) -> Box<dyn Exporter> {
        let ledgers = collector.exporters.get_or_init(|| {
            // For as long as the process lives, like the collector's.
            let beside = |_: &_| -> &'static Ledger { Box::leak(Box::default()) };
            let ledgers = self
                .exporters
                .iter()
                .take(1)
                .map(|_| &collector.ledger)
                .chain(self.exporters.iter().skip(1).map(beside));
            self.exporters.iter().map(|(name, _)| *name).zip(ledgers).collect()
        });
        let mut exporters = exporters.into_iter();
        let first = exporters.next().unwrap_or_else(|| Box::new(Discard));
        let account = |ledger| Account::beside(collector, ledger, Arc::clone(totals));
        let beside: Vec<_> =
            exporters.zip(&ledgers[1.min(ledgers.len())..]).map(|(one, (_, ledger))| (one, account(*ledger))).collect();
        let all = if beside.is_empty() { first } else { Box::new(Fanout::new(first, beside)) };
        Box::new(Sampling::new(collector, all))
    }
}

impl std::fmt::Debug for Recipe {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_list().entries(self.exporters.iter().map(|(name, _)| name)).finish()
    }
}

/// Counts what all exporters held as lost, and gives back what it was admitted with. `stray` were on their way to them, with
/// `captured` bytes.
pub(super) fn write_off(collector: &Collector, stray: u64, captured: usize) {
    let common = &collector.ledger;
    // Nobody had these, and nobody of those that come will.
    let undecided = common.undecided.swap(0, Ordering::Relaxed);
    let unseen = stray as usize + undecided;
    common.passed.offered.fetch_add(stray, Ordering::Relaxed);
    common.passed.kept_back.fetch_add(unseen as u64, Ordering::Relaxed);
    common.drop_unseen(DropReason::ExportThread, unseen);
    collector.give_back(stray as usize, captured);
    let held = forget_held(collector, common);
    collector.shares.lose_held(DropReason::ExportThread);
    common.drop(DropReason::ExportThread, held.saturating_sub(undecided));

    let meant = common.passed.offered.load(Ordering::Relaxed) - common.passed.kept_back.load(Ordering::Relaxed);
    for (_, ledger) in collector.exporters.get().into_iter().flatten().skip(1) {
        // What the first one had, and this one had not got yet.
        let missed = meant.saturating_sub(ledger.passed.offered.load(Ordering::Relaxed));
        ledger.passed.offered.fetch_add(missed, Ordering::Relaxed);
        let held = forget_held(collector, ledger);
        ledger.drop(DropReason::ExportThread, held + missed as usize);
    }
}

/// What lies in the spool is lost to the export that failed. The one after it finds the files, those that were being
/// written as well, and takes each back whole: how much of one had arrived by then, nobody knows any more.
pub(super) fn leave_spooled(collector: &Collector) {
    for (_, ledger) in collector.exporters.get().into_iter().flatten() {
        let spooled = ledger.spooled.swap(0, Ordering::Relaxed);
        ledger.drop(DropReason::ExportThread, spooled as usize);
    }
}

fn forget_held(collector: &Collector, ledger: &Ledger) -> usize {
    let held = ledger.held.swap(0, Ordering::Relaxed);
    collector.give_back(held, ledger.passed.held_bytes.swap(0, Ordering::Relaxed));
    held
}

/// Says at once what all exporters' accounting says from now on.
fn note_error(collector: &Collector, text: &str) {
    collector.ledger.note_error(text);
    for (_, ledger) in collector.exporters.get().into_iter().flatten().skip(1) {
        ledger.note_error(text);
    }
    say(|| tracing::error!(target: "tracium", "{text}"));
}

/// How long to wait before the next try, and what to say.
#[derive(Debug, Default)]
pub(super) struct Failures {
    in_a_row: u32,
    last: Option<Instant>,
}

impl Failures {
    const FIRST: Duration = Duration::from_millis(100);
    const LONGEST: Duration = Duration::from_secs(5);
    /// Whoever has run for as long as this may start as if it were the first time.
    const FORGIVEN: Duration = Duration::from_secs(60);

    /// Notes that the export failed for `why`; how long it is to wait.
    pub(super) fn note(&mut self, collector: &Collector, why: &str) -> Duration {
        static TURN: Minute = Minute::new();
        if self.last.is_some_and(|last| last.elapsed() > Self::FORGIVEN) {
            self.in_a_row = 0;
        }
        self.last = Some(Instant::now());
        let text = format!("the export failed and starts anew, without what it held: {}", scrub_text(why, 500));
        for (_, ledger) in collector.exporters.get().into_iter().flatten() {
            ledger.note_error(&text);
        }
        if TURN.is_due() {
            say(|| tracing::error!(target: "tracium", "{text}"));
        }
        let pause = Self::FIRST.saturating_mul(1 << self.in_a_row.min(10)).min(Self::LONGEST);
        self.in_a_row += 1;
        pause
    }
}
