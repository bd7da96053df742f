//! Which tenant a request is for: what names it, and what happens where nothing does.
//!
//! A [`Resolver`] looks for the tenant in one place or in several, in order. [`Policies`] say, separately, what becomes of
//! a request that names no tenant and of one that names an invalid or unknown one. Both together are [`Tenants`], which
//! the layers of the frameworks take: `tracium::tower`, `tracium::actix`, `tracium::rocket`.
//!
//! # What to trust
//!
//! **Resolve the tenant from what the request proves.** That is [`claim`]: a claim of a token that your identity provider
//! signed, verified here; or [`extension`]: what your own authentication found out before.
//!
//! Everything else is a hint that the client chose. Whoever can reach the service can send any [`header`], any
//! [host](subdomain) and any [path](path_segment), and would read and write as that tenant. They are for services behind
//! a gateway that sets them itself and removes what clients send, and for data that is no secret between tenants.
//!
#![cfg_attr(feature = "jwt", doc = "```")]
#![cfg_attr(not(feature = "jwt"), doc = "```ignore")]
//! use jsonwebtoken::{Algorithm, DecodingKey, Validation};
//! use tracium::tenant::{self, Policies, Policy, Tenants};
//!
//! let key = DecodingKey::from_secret(b"the secret of whoever signs");
//! let tenants = Tenants::new(
//!     tenant::claim("tenant_id", key, Validation::new(Algorithm::HS256)),
//!     Policies { missing: Policy::reject(401), invalid: Policy::reject(403) },
//! )
//! .exempt("/health");
//!
//! let (request, ()) = http::Request::builder().uri("/chat").body(()).unwrap().into_parts();
//! let decision = tenants.decide(&tenant::Parts::new(&request));
//! assert!(matches!(decision, tenant::Decision::Reject(rejection) if rejection.status() == 401));
//! ```
//!
//! # Order
//!
//! [`Resolver::or`] asks the next place only where the one before found *nothing*. What is there and wrong (a token that
//! does not verify, a token without the claim, an id that is none, a header sent twice) ends the search: a forged token
//! must not be made good by a header beside it.
//!
//! # Ids
//!
//! An id is taken as a whole or refused: see [`TenantId`](crate::TenantId). Headers and path segments are percent-decoded, so that `%` in an
//! id must be sent as `%25`; a line break is refused in either spelling.

#[cfg(feature = "jwt")]
mod jwt;
mod parts;
mod policy;
mod resolver;

#[cfg(feature = "jwt")]
#[cfg_attr(docsrs, doc(cfg(feature = "jwt")))]
pub use self::jwt::{claim, claim_with, unverified_claim};
pub use self::parts::Parts;
pub use self::policy::{Decision, Policies, Policy, Rejection, Tenants};
pub use self::resolver::{Found, Resolver, baggage, extension, fixed, from_fn, header, path_segment, subdomain};
