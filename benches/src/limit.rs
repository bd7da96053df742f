//! The machine's limit: two reads of the clock that a span cannot do without, and a record written.

use std::hint::black_box;
use std::time::Instant;

use crate::sides::{Plan, Sample};

type Record = [u64; 16];

#[cfg(target_arch = "x86_64")]
#[inline]
#[allow(unsafe_code)]
fn ticks() -> u64 {
    // SAFETY: every x86_64 processor has the instruction; it reads a register and touches no memory.
    unsafe { core::arch::x86_64::_rdtsc() }
}

#[cfg(not(target_arch = "x86_64"))]
fn ticks() -> u64 {
    // No counter that every such machine has: the clock of the system stands in, and the limit with it is a higher one.
    use std::sync::OnceLock;
    static START: OnceLock<Instant> = OnceLock::new();
    START.get_or_init(Instant::now).elapsed().as_nanos() as u64
}

#[inline(never)]
fn span(records: &mut Vec<Record>, i: u64) {
    let mut record: Record = [i; 16];
    record[0] = ticks();
    black_box(i);
    record[1] = ticks();
    // Room is there, as it is in a segment: what is left of the push is a test and the write.
    if records.len() < records.capacity() {
        records.push(record);
    }
}

/// Per record, in a buffer as long as a segment of many, written over and over.
pub(crate) fn measure(plan: Plan) -> Sample {
    const RECORDS: u32 = 10_000;
    let mut records = Vec::with_capacity(RECORDS as usize);
    let mut nanos = Vec::new();
    for _ in 0..plan.pick(200, 60) {
        records.clear();
        let started = Instant::now();
        for i in 0..RECORDS {
            span(&mut records, black_box(u64::from(i)));
        }
        let took = started.elapsed();
        black_box(&records);
        #[allow(clippy::cast_precision_loss)] // Far below 2^52.
        nanos.push(took.as_nanos() as f64 / f64::from(RECORDS));
    }
    Sample::of(nanos)
}
