//! Which traces are sent.

use std::fmt;
use std::sync::Arc;

use crate::TraceId;
use crate::panics::contained;
use crate::tenant::TenantId;

type ByTenant = Arc<dyn Fn(Option<&TenantId>) -> Option<f64> + Send + Sync>;
type ByAgent = Arc<dyn Fn(&str) -> Option<f64> + Send + Sync>;

/// Which traces are sent; without one, all are.
///
/// A trace is sent or left out as a whole, by its id: services that sample by the same ratio choose the same traces. The
/// decision falls when it is first needed, after the trace's own code had time to name its tenant, and travels in the
/// flags of `traceparent`; a trace that another service opened is sampled as that one decided. Tokens are counted of all
/// traces. What is left out is counted as [`DropReason::Sampled`](crate::DropReason::Sampled).
///
/// ```no_run
/// # use tracium_runtime as tracium;
/// use tracium::Sampler;
///
/// let _guard = tracium::builder()
///     .sampler(
///         Sampler::ratio(0.1)
///             .by_tenant(|tenant| (tenant?.as_str() == "bank").then_some(1.0))
///             .by_agent(|agent| (agent == "health-check").then_some(0.0))
///             .always_failures(),
///     )
///     .init()?;
/// # Ok::<(), tracium::InitError>(())
/// ```
#[derive(Clone)]
pub struct Sampler {
    ratio: f64,
    by_tenant: Option<ByTenant>,
    by_agent: Option<ByAgent>,
    pub(crate) failures: bool,
}

impl Sampler {
    /// Of all traces, the part that is sent: 0 none, 1 all, which is also what values that are no part come to.
    pub fn ratio(ratio: f64) -> Self {
        Self { ratio, by_tenant: None, by_agent: None, failures: false }
    }

    /// The part of a tenant's traces that is sent; `None` where the tenant has none of its own. It wins over the agent's.
    /// Where it panics, the trace is sent.
    #[must_use]
    pub fn by_tenant(mut self, ratio: impl Fn(Option<&TenantId>) -> Option<f64> + Send + Sync + 'static) -> Self {
        self.by_tenant = Some(Arc::new(ratio));
        self
    }

    /// The part of an agent's traces that is sent; `None` where the agent has none of its own. Where it panics, the
    /// trace is sent.
    #[must_use]
    pub fn by_agent(mut self, ratio: impl Fn(&str) -> Option<f64> + Send + Sync + 'static) -> Self {
        self.by_agent = Some(Arc::new(ratio));
        self
    }

    /// Sends every trace in which something failed, whatever the ratio says of it.
    ///
    /// Spans of a trace that would be left out are kept until it ends, a span of it fails, or a flush asks for a
    /// decision; at most a quarter of `max_records`, past which the oldest trace is left out.
    #[must_use]
    pub fn always_failures(mut self) -> Self {
        self.failures = true;
        self
    }

    /// Whether the trace `id` is sent.
    pub(crate) fn samples(&self, id: TraceId, tenant: Option<&TenantId>, agent: &str) -> bool {
        let by_tenant = self.by_tenant.as_ref().map(|ratio| contained(|| ratio(tenant)).unwrap_or(Some(1.0)));
        let by_agent = || self.by_agent.as_ref().map(|ratio| contained(|| ratio(agent)).unwrap_or(Some(1.0)));
        let ratio = by_tenant.flatten().or_else(|| by_agent().flatten()).unwrap_or(self.ratio);
        chosen(id, ratio)
    }
}

/// Chooses by the last 56 bits of the id, the ones that W3C Trace Context wants to be random.
fn chosen(id: TraceId, ratio: f64) -> bool {
    const RANDOM_BITS: u32 = 56;
    if !(0.0..1.0).contains(&ratio) {
        return true;
    }
    let bytes = id.to_bytes();
    let random = bytes[16 - RANDOM_BITS as usize / 8..].iter().fold(0, |bits, byte| bits << 8 | u64::from(*byte));
    #[allow(clippy::cast_precision_loss, clippy::cast_sign_loss)] // A part of 2^56 is exact enough.
    let threshold = (ratio * (1_u64 << RANDOM_BITS) as f64) as u64;
    random < threshold
}

impl fmt::Debug for Sampler {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Sampler")
            .field("ratio", &self.ratio)
            .field("by_tenant", &self.by_tenant.is_some())
            .field("by_agent", &self.by_agent.is_some())
            .field("always_failures", &self.failures)
            .finish()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn count(sampler: &Sampler) -> usize {
        (0..10_000).filter(|_| sampler.samples(TraceId::random(), None, "bot")).count()
    }

    #[test]
    fn a_ratio_is_that_part_of_traces_and_the_same_ones_everywhere() {
        assert_eq!(count(&Sampler::ratio(0.0)), 0);
        assert_eq!(count(&Sampler::ratio(1.0)), 10_000);
        assert_eq!(count(&Sampler::ratio(f64::NAN)), 10_000);
        let some = count(&Sampler::ratio(0.25));
        assert!((2_200..2_800).contains(&some), "{some}");
        for _ in 0..1_000 {
            let id = TraceId::random();
            let at = |ratio| Sampler::ratio(ratio).samples(id, None, "bot");
            assert!(!at(0.2) || at(0.5), "who samples more has all that others have");
        }
    }

    #[test]
    fn a_tenants_ratio_wins_over_its_agents_and_that_over_the_rest() {
        let sampler = Sampler::ratio(0.0)
            .by_tenant(|tenant| (tenant?.as_str() == "bank").then_some(1.0))
            .by_agent(|agent| (agent == "bot").then_some(1.0));
        let acme = TenantId::try_from("acme").unwrap();
        let bank = TenantId::try_from("bank").unwrap();
        let id = TraceId::random();
        assert!(sampler.samples(id, Some(&bank), "other"));
        assert!(sampler.samples(id, Some(&acme), "bot"));
        assert!(!sampler.samples(id, Some(&acme), "other"));
        assert!(Sampler::ratio(0.0).by_tenant(|_| panic!("the user's")).samples(id, None, "bot"));
    }
}
