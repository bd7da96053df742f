//! How answers are framed: each reader takes bytes in any cuts, keeps a bounded part of them, and never fails; what it
//! cannot read it passes over.

pub(super) mod aws;
pub(super) mod base64;
pub(super) mod json;
pub(super) mod sse;
