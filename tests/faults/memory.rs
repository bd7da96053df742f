//! Buffers that are full. Who loses first is not told here.

use std::time::Duration;

use tracium::DropReason;

use crate::faults::{Protocol, assert_nothing_is_held, at_rest, flush, made, note, note_end, watch, work};
use crate::own_process::faults;
use crate::refusing::nobody;
use crate::server::Server;

fn comes_up(with: Protocol, address: std::net::SocketAddr) -> Server {
    Server::start_at(address, move |request| with.accept(request))
}

faults! {
    /// Row 13.
    fn full_by_count_refuses_and_counts_and_takes_again_once_there_is_room(with) {
        let address = nobody();
        let _guard = with.to(&format!("http://{address}")).max_records(1_000).init().unwrap();
        let watch = watch();
        (0..300).for_each(|_| work(9));
        let stats = at_rest();
        assert_eq!((stats.emitted, stats.queued), (3_000, 1_000), "{stats:?}");
        assert_eq!(stats.dropped_by(DropReason::QueueFull), 2_000, "{stats:?}");
        let server = comes_up(with, address);
        let stats = flush();
        assert_eq!((stats.acknowledged, stats.dropped), (1_000, 2_000), "{stats:?}");
        let arrived = with.arrived(&server).without_empty();
        assert_eq!(arrived.count(), 1_000);
        assert!(arrived.is_in(&made()));
        assert_nothing_is_held();
        work(3);
        let stats = flush();
        assert_eq!((stats.acknowledged, stats.dropped), (1_004, 2_000), "it takes again: {stats:?}");
        drop(watch);
    }

    /// Row 14.
    fn full_by_bytes_stays_within_its_bound_and_says_what_was_left_out(with) {
        const MOST: u64 = 1 << 20;
        let address = nobody();
        let _guard = with.to(&format!("http://{address}")).max_bytes(MOST as usize).init().unwrap();
        let watch = watch();
        for _ in 0..200 {
            tracium::start_trace("bot").run(|| {
                tracium::start_span("plan", "step").run(|| {
                    tracium::current_span().record_input(&"x ".repeat(10_000));
                    note(&tracium::current_span(), "step");
                });
                note_end(tracium::current_span().trace_id());
            });
            let stats = tracium::stats();
            // With what is kept for tenants that have less than their share.
            assert!(stats.buffered_bytes <= MOST + MOST / 7, "{stats:?}");
        }
        tracium::flush(Duration::from_millis(50));
        let stats = at_rest();
        assert!(stats.buffered_bytes > MOST / 2, "{stats:?}");
        let server = comes_up(with, address);
        let stats = flush();
        assert_eq!(stats.acknowledged + stats.dropped_by(DropReason::QueueFull), 400, "{stats:?}");
        assert!(stats.acknowledged > 50, "{stats:?}");
        assert!(with.arrived(&server).without_empty().is_in(&made()));
        assert_nothing_is_held();
        drop(watch);
    }
}
