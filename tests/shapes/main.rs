//! An annotated function compiles wherever the plain one does, without a warning, and means the same.
//!
//! This is compiled in two editions: here in that of the root package, and by `tests/crates/edition-2021`.
//!
//! Most modules are shapes of functions: that they compile under this crate's lints is the test. A shape that has a
//! meaning to lose, such as an order of drops, is called as well and compared with the plain function.

// The shapes are there to be compiled: many are not called, and the compiler knows that nobody else can.
#![allow(dead_code, unreachable_pub)]
#![deny(warnings)]

// Edition 2021 has it not in its prelude.
use std::future::Future;

/// The item plain, and under each attribute.
macro_rules! each_attribute {
    (mod $name:ident { $($item:tt)* }) => {
        mod $name {
            pub mod plain {
                #[allow(unused_imports)]
                use super::super::*;
                $($item)*
            }
            pub mod traced {
                #[allow(unused_imports)]
                use super::super::*;
                #[::tracium::trace(agent = "support-bot")]
                $($item)*
            }
            pub mod spanned {
                #[allow(unused_imports)]
                use super::super::*;
                #[::tracium::span(kind = "tool")]
                $($item)*
            }
            pub mod scoped {
                #[allow(unused_imports)]
                use super::super::*;
                #[::tracium::tenant_scope(from = "acme")]
                $($item)*
            }
            pub mod stacked {
                #[allow(unused_imports)]
                use super::super::*;
                #[::tracium::tenant_scope(from = "acme")]
                #[::tracium::trace(agent = "support-bot")]
                #[::tracium::span(kind = "tool")]
                $($item)*
            }
        }
    };
}

mod awaitable_values;
mod bodies;
mod diverging;
mod drop_order;
mod futures_returned;
mod generics;
mod impl_blocks;
mod macro_made;
mod mains;
mod methods;
mod moved_arguments;
mod names;
mod options;
mod order;
mod patterns;
mod receivers;
mod redefined;
mod results;
mod sizes;
mod spawned;
mod streams;
mod trait_boxed;
mod trait_native;
mod unusual;

/// Runs a future to its end on this thread.
fn wait<F: Future>(future: F) -> F::Output {
    let runtime = tokio::runtime::Builder::new_current_thread().build();
    runtime.expect("a runtime on this thread").block_on(future)
}
