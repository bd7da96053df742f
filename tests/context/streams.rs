//! Streams keep the context that they were made under, whoever polls them.

use std::pin::{Pin, pin};

use futures::stream::{self, BoxStream, FuturesUnordered, Stream, StreamExt};
use tracium::{ContextExt, set_tenant};

use crate::support::{Ends, Rule, assert_all, assert_here, here, pause, run, seen_over, under};

pub(crate) const RULES: &[Rule] = rules![
    a_stream_polled_elsewhere_keeps_its_context,
    dropping_a_stream_runs_its_destructors_under_its_own_tenant,
    what_a_stream_sets_stays_in_it,
    streams_merged_into_one_keep_each_their_own_tenant,
    an_adapted_stream_is_as_long_as_it_was,
    a_returned_stream_keeps_the_tenant_of_its_call_in_every_poll_and_on_drop,
];

fn tenants(count: usize) -> impl Stream<Item = Option<String>> + Send {
    stream::iter(0..count).then(|_| async {
        pause().await;
        here()
    })
}

#[test]
fn a_stream_polled_elsewhere_keeps_its_context() {
    run(async {
        let ours = under("acme").run(|| tenants(10).in_current_context());
        let seen = tokio::spawn(under("globex").scope(async {
            let mut ours = pin!(ours);
            let mut seen = Vec::new();
            while let Some(tenant) = ours.next().await {
                assert_here("globex");
                seen.push(tenant);
            }
            seen
        }));
        assert_all(&seen.await.unwrap(), "acme");
    });
}

#[test]
fn dropping_a_stream_runs_its_destructors_under_its_own_tenant() {
    let ends = Ends::default();
    run(under("globex").scope(async {
        let noted = stream::unfold(ends.note(), |note| async { Some((here(), note)) });
        let mut ours = Box::pin(under("acme").run(|| noted.in_current_context()));
        assert_eq!(ours.next().await.unwrap().as_deref(), Some("acme"));
        drop(ours);
        assert_here("globex");
    }));
    ends.assert("acme");
}

#[test]
fn what_a_stream_sets_stays_in_it() {
    run(under("globex").scope(async {
        let sets = stream::unfold(0, |n| async move {
            match n {
                0 => set_tenant("acme").unwrap(),
                1 => {}
                _ => return None,
            }
            pause().await;
            Some((here(), n + 1))
        });
        let sets = tracium::Context::root().run(|| sets.in_current_context());
        let mut sets = pin!(sets);
        for _ in 0..2 {
            assert_eq!(sets.next().await.unwrap().as_deref(), Some("acme"));
            assert_here("globex");
        }
        assert_eq!(sets.next().await, None);
        assert_here("globex");
    }));
}

#[test]
fn streams_merged_into_one_keep_each_their_own_tenant() {
    run(under("umbrella").scope(async {
        type Named = Pin<Box<dyn Stream<Item = (&'static str, Option<String>)> + Send>>;
        let streams = ["acme", "globex", "initech"]
            .map(|id| -> Named { Box::pin(under(id).run(|| tenants(20).in_current_context()).map(move |t| (id, t))) });
        let mut merged = stream::select_all(streams);
        let mut count = 0;
        while let Some((id, seen)) = merged.next().await {
            assert_eq!(seen.as_deref(), Some(id));
            assert_here("umbrella");
            count += 1;
        }
        assert_eq!(count, 60);

        let futures = ["acme", "globex", "initech"].map(|id| async move { (id, under(id).scope(seen_over(20)).await) });
        let mut unordered: FuturesUnordered<_> = futures.into_iter().collect();
        while let Some((id, seen)) = unordered.next().await {
            assert_all(&seen, id);
            assert_here("umbrella");
        }
    }));
}

#[test]
fn an_adapted_stream_is_as_long_as_it_was() {
    let adapted = stream::iter([1, 2, 3]).in_current_context();
    assert_eq!(adapted.size_hint(), (3, Some(3)));
    assert_eq!(run(adapted.collect::<Vec<_>>()), [1, 2, 3]);
}

#[test]
fn a_returned_stream_keeps_the_tenant_of_its_call_in_every_poll_and_on_drop() {
    #[tracium::tenant_scope(from = tenant)]
    fn direct(tenant: &str, ends: &Ends) -> impl Stream<Item = Option<String>> + Send + use<> {
        let note = ends.note();
        tenants(3).inspect(move |_| _ = &note)
    }
    #[tracium::tenant_scope(from = tenant, missing = reject)]
    async fn later(tenant: &str, ends: &Ends) -> Result<BoxStream<'static, Option<String>>, tracium::TenantError> {
        pause().await;
        let note = ends.note();
        Ok(tenants(3).inspect(move |_| _ = &note).boxed())
    }
    let ends = Ends::default();
    run(under("globex").scope(async {
        let streams = [direct("acme", &ends).boxed(), later("acme", &ends).await.unwrap()];
        assert_here("globex");
        for mut stream in streams {
            assert_eq!(stream.next().await.unwrap().as_deref(), Some("acme"));
            assert_here("globex");
            drop(stream);
            ends.assert("acme");
            assert_here("globex");
        }
        assert!(later("", &ends).await.is_err());
    }));
}
