//! How fast plain spans are encoded, on one core, into buffers that are used again.

use tracium::__private::throughput::{Encoding, encode};

use crate::sides::{Plan, Sample};
use crate::table::{Findings, Table, figure, thousands};

/// Plain spans a second, of one core.
const GOAL: f64 = 2_000_000.0;

#[allow(clippy::unnecessary_wraps)] // As every section is.
pub(crate) fn report(plan: Plan, findings: &mut Findings) -> Result<(), String> {
    let header = ["plain spans of a tenant", "spans/s, median (most)", "ns/span", "bytes/span", "MB/s", "goal"];
    let mut table = Table::new("Encoders, one core, 100 spans a request", &header);
    for (label, encoding) in [("REST JSON", Encoding::RestJson), ("OTLP protobuf", Encoding::OtlpProtobuf)] {
        let mut nanos = Vec::new();
        let mut bytes = 0.0;
        for _ in 0..plan.pick(100, 20) {
            let encoded = encode(encoding, 100, 100);
            #[allow(clippy::cast_precision_loss)] // Far below 2^52.
            let (spans, all) = (encoded.spans as f64, encoded.bytes as f64);
            #[allow(clippy::cast_precision_loss)]
            nanos.push(encoded.took.as_nanos() as f64 / spans);
            bytes = all / spans;
        }
        let sample = Sample::of(nanos);
        let rate = 1e9 / sample.median();
        let goal = findings.goal_at_least(&format!("encoder, {label}, spans/s"), rate, GOAL, "at least 2,000,000");
        table.row(vec![
            label.to_owned(),
            format!("{} ({})", thousands(rate), thousands(1e9 / sample.min())),
            figure(sample.median()),
            figure(bytes),
            thousands(rate * bytes / 1e6),
            goal,
        ]);
    }
    findings.add(table);
    Ok(())
}
