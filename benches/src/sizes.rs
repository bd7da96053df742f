//! How large futures become: each level of annotated async functions is inside the one around it, so that what an
//! attribute adds is multiplied by the depth, and moved by every spawn.

use std::future::ready;
use std::hint::black_box;

use crate::table::{Findings, Table};

/// Four functions, each of which holds `$bytes` bytes over an `.await` of the next.
macro_rules! nested {
    ($module:ident, $bytes:literal $(, #[$attribute:meta])?) => {
        mod $module {
            use super::{black_box, ready};

            $(#[$attribute])?
            pub(super) async fn one() {
                let local = black_box([0_u8; $bytes]);
                ready(()).await;
                black_box(&local);
            }

            $(#[$attribute])?
            pub(super) async fn two() {
                let local = black_box([0_u8; $bytes]);
                one().await;
                black_box(&local);
            }

            $(#[$attribute])?
            pub(super) async fn three() {
                let local = black_box([0_u8; $bytes]);
                two().await;
                black_box(&local);
            }

            $(#[$attribute])?
            pub(super) async fn four() {
                let local = black_box([0_u8; $bytes]);
                three().await;
                black_box(&local);
            }
        }
    };
}

nested!(plain_16, 16);
nested!(plain_256, 256);
nested!(plain_1024, 1024);
nested!(ours_16, 16, #[tracium::span(kind = "tool")]);
nested!(ours_256, 256, #[tracium::span(kind = "tool")]);
nested!(ours_1024, 1024, #[tracium::span(kind = "tool")]);
nested!(fastrace_16, 16, #[fastrace::trace(name = "leaf")]);
nested!(fastrace_256, 256, #[fastrace::trace(name = "leaf")]);
nested!(fastrace_1024, 1024, #[fastrace::trace(name = "leaf")]);
nested!(tracing_16, 16, #[tracing::instrument(level = "info")]);
nested!(tracing_256, 256, #[tracing::instrument(level = "info")]);
nested!(tracing_1024, 1024, #[tracing::instrument(level = "info")]);

pub(crate) fn report(findings: &mut Findings) {
    let header = ["locals, levels", "plain", "tracium", "fastrace", "tracing", "tracium / plain", "tracium / fastrace"];
    let mut table = Table::new("Size of futures, in bytes", &header);
    macro_rules! row {
        ($label:literal, $function:ident, $plain:ident, $ours:ident, $fastrace:ident, $tracing:ident) => {{
            let plain = size_of_val(&$plain::$function());
            let ours = size_of_val(&$ours::$function());
            let fastrace = size_of_val(&$fastrace::$function());
            let tracing = size_of_val(&$tracing::$function());
            let ratio = |to: usize| format!("{:.2}", f64::from(ours as u32) / f64::from(to as u32));
            let sizes = [plain, ours, fastrace, tracing].map(|size| size.to_string());
            let cells = std::iter::once($label.to_owned()).chain(sizes);
            table.row(cells.chain([ratio(plain), ratio(fastrace)]).collect());
        }};
    }
    row!("16 bytes, 1", one, plain_16, ours_16, fastrace_16, tracing_16);
    row!("16 bytes, 4", four, plain_16, ours_16, fastrace_16, tracing_16);
    row!("256 bytes, 1", one, plain_256, ours_256, fastrace_256, tracing_256);
    row!("256 bytes, 4", four, plain_256, ours_256, fastrace_256, tracing_256);
    row!("1,024 bytes, 1", one, plain_1024, ours_1024, fastrace_1024, tracing_1024);
    row!("1,024 bytes, 4", four, plain_1024, ours_1024, fastrace_1024, tracing_1024);
    findings.add(table);
}
