//! What the application allows to be captured and to be sent.

use std::fmt;
use std::sync::Arc;

use super::room::OnFull;
use super::sampler::Sampler;
use crate::panics::contained;
use crate::tenant::TenantId;

type PerTenant = Arc<dyn Fn(Option<&TenantId>) -> bool + Send + Sync>;

#[derive(Clone, Default)]
pub(crate) struct Policy {
    /// Content is captured where code asks for it.
    pub(crate) content: bool,
    pub(crate) per_tenant: Option<PerTenant>,
    /// Which traces are sent; all without.
    pub(crate) sampler: Option<Sampler>,
    /// What a thread does whose spans the buffers have no room for.
    pub(crate) on_full: OnFull,
}

impl Policy {
    pub(crate) fn captures(&self, tenant: Option<&TenantId>) -> bool {
        self.content
            && self.per_tenant.as_ref().is_none_or(|allows| {
                // A hook of the user's that panics withholds the content; it breaks nothing.
                contained(|| allows(tenant)).unwrap_or(false)
            })
    }
}

impl fmt::Debug for Policy {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Policy")
            .field("content", &self.content)
            .field("per_tenant", &self.per_tenant.is_some())
            .field("sampler", &self.sampler)
            .field("on_full", &self.on_full)
            .finish()
    }
}
