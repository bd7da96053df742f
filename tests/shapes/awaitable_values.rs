//! Async functions whose value is a future itself.

// The lints named here are about the plain functions.
#![allow(clippy::unused_async)]

use crate::wait;
use futures::future::BoxFuture;
use std::future::Future;
use tokio::task::JoinHandle;

each_attribute!(
    mod handle {
        pub async fn f(number: u8) -> JoinHandle<u8> {
            tokio::spawn(async move { number })
        }
    }
);

each_attribute!(
    mod boxed {
        pub async fn f(number: u8) -> BoxFuture<'static, u8> {
            Box::pin(async move { number })
        }
    }
);

each_attribute!(
    mod generic {
        pub async fn f<F: Future + Clone>(future: &F) -> F {
            future.clone()
        }
    }
);

#[test]
fn the_value_is_what_it_was() {
    wait(async {
        assert_eq!(handle::stacked::f(1).await.await.unwrap(), 1);
        assert_eq!(boxed::stacked::f(2).await.await, 2);
        assert_eq!(generic::stacked::f(&std::future::ready(3)).await.await, 3);
    });
}
