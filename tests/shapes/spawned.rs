//! Bodies that spawn: what the calls are given is wrapped, and types, inference and lints are those of the plain call.

// The lints named here are about the plain functions.
#![allow(clippy::must_use_candidate, clippy::needless_pass_by_value, clippy::unnecessary_wraps, clippy::unused_async)]

use crate::wait;
use std::any::Any;
use std::collections::HashMap;
use std::future::Future;
use std::num::ParseIntError;
use std::pin::Pin;
use std::sync::{Arc, Mutex};
use std::thread::JoinHandle;
use tokio::task::{JoinHandle as TaskHandle, JoinSet};

type Failure = Box<dyn std::error::Error + Send + Sync>;

each_attribute!(
    mod tasks {
        pub async fn f(shared: Arc<Mutex<Vec<u8>>>) -> Result<usize, Failure> {
            let inner = Arc::clone(&shared);
            let first = tokio::spawn(async move {
                inner.lock().map_or(0, |mut list| {
                    list.push(1);
                    list.len()
                })
            });
            let number: TaskHandle<Result<u8, ParseIntError>> = tokio::spawn(async {
                let number = "1".parse()?;
                Ok(number)
            });
            let length = tokio::task::spawn_blocking(move || shared.lock().map_or(0, |list| list.capacity())).await?;
            let same = tokio::spawn(std::future::ready(length)).await?;
            Ok(first.await? + usize::from(number.await??) + same)
        }
    }
);

each_attribute!(
    mod generic_threads {
        pub fn f<T: Send + 'static, F: FnOnce(T) -> u8 + Send + 'static>(value: T, call: F) -> JoinHandle<u8> {
            std::thread::spawn(move || call(value))
        }
    }
);

each_attribute!(
    mod closures_as_arguments {
        pub fn f(pointer: fn() -> u8, call: impl FnOnce() -> String + Send + 'static) -> (Option<u8>, Option<String>) {
            let pointer = std::thread::spawn(pointer);
            let call = std::thread::spawn(call);
            (pointer.join().ok(), call.join().ok())
        }
    }
);

each_attribute!(
    mod boxed {
        pub async fn f(number: u8) -> Result<u8, Failure> {
            let call: Box<dyn Fn() -> u8 + Send + Sync> = Box::new(move || number);
            let future: Pin<Box<dyn Future<Output = u8> + Send>> = Box::pin(async move { number });
            Ok(tokio::task::spawn_blocking(call).await? + tokio::spawn(future).await?)
        }
    }
);

each_attribute!(
    mod borrowing_joins {
        pub fn f(list: &mut [u8]) -> (usize, u64) {
            let (left, right) = list.split_at_mut(1);
            rayon::join(
                || {
                    left[0] = 1;
                    left.len()
                },
                || right.iter().map(|number| u64::from(*number)).sum(),
            )
        }
    }
);

each_attribute!(
    mod borrowing_scopes {
        pub fn f(list: &mut [u8]) -> Result<u8, String> {
            let total = rayon::scope(|scope| {
                for number in list.iter_mut() {
                    scope.spawn(move |_| *number += 1);
                }
                7_u8
            });
            let seen = Mutex::new(0);
            rayon::scope(|scope: &rayon::Scope<'_>| -> () {
                scope.spawn(|inner| {
                    inner.spawn(|_| *seen.lock().expect("nobody panicked") += 1);
                });
            });
            if list.is_empty() { Err(format!("{seen:?}")) } else { Ok(total + list[0]) }
        }
    }
);

fn in_scope(scope: &rayon::Scope<'_>) {
    scope.spawn(|_| ());
}

each_attribute!(
    mod scopes_of_functions {
        pub fn f(list: &[u8]) -> usize {
            rayon::scope(in_scope);
            rayon::spawn(|| ());
            rayon::scope(|scope| {
                in_scope(scope);
                if list.is_empty() {
                    return 0;
                }
                list.len()
            })
        }
    }
);

each_attribute!(
    mod sets {
        pub async fn f(urls: Vec<String>) -> HashMap<String, usize> {
            let mut set = JoinSet::new();
            for url in urls {
                set.spawn(async move {
                    let length = url.len();
                    (url, length)
                });
            }
            let mut lengths = HashMap::new();
            while let Some(Ok((url, length))) = set.join_next().await {
                lengths.insert(url, length);
            }
            lengths
        }
    }
);

each_attribute!(
    mod never {
        pub fn f() -> ! {
            let parked = std::thread::spawn(|| {
                loop {
                    std::thread::park();
                }
            });
            match parked.join() {
                Ok(never) => never,
                Err(payload) => std::panic::resume_unwind(payload),
            }
        }
    }
);

each_attribute!(
    mod in_closures {
        pub fn f(count: usize) -> Vec<JoinHandle<usize>> {
            (0..count).map(|number| std::thread::spawn(move || number)).collect()
        }
    }
);

each_attribute!(
    mod selected {
        pub async fn f(number: u8) -> Option<u8> {
            let mut set = JoinSet::new();
            set.spawn(async move { number });
            tokio::select! {
                biased;
                Some(Ok(joined)) = set.join_next() => Some(joined),
                Ok(spawned) = tokio::spawn(async { 2 }) => Some(spawned),
                else => None,
            }
        }
    }
);

each_attribute!(
    mod inferred_from_the_type {
        pub fn f(texts: Vec<&'static str>) -> JoinHandle<Result<Vec<u8>, ParseIntError>> {
            std::thread::spawn(move || texts.iter().map(|text| text.parse()).collect())
        }
    }
);

each_attribute!(
    mod inferred_from_the_error {
        pub fn f(text: &'static str) -> JoinHandle<Result<u8, Failure>> {
            std::thread::spawn(move || {
                let number = text.parse()?;
                Ok(number)
            })
        }
    }
);

each_attribute!(
    mod coerced_inside {
        pub fn f(number: u8) -> TaskHandle<Box<dyn Any + Send>> {
            tokio::spawn(async move { Box::new(number) as _ })
        }
    }
);

each_attribute!(
    mod expressions_of_every_kind {
        pub fn f(first: bool) -> Vec<Option<u8>> {
            let with_generics = std::thread::spawn::<_, Vec<u8>>(|| (0..3).collect());
            let of_a_block = std::thread::spawn({
                let number = 1;
                move || number
            });
            let of_a_condition = std::thread::spawn(if first { || 1 } else { || 2 });
            let of_two_generics = std::thread::spawn(|| HashMap::<u8, u8>::new().get(&1).copied());
            let with_comma = std::thread::spawn(|| 1);
            vec![
                with_generics.join().ok().and_then(|list| list.first().copied()),
                of_a_block.join().ok(),
                of_a_condition.join().ok(),
                of_two_generics.join().ok().flatten(),
                with_comma.join().ok(),
            ]
        }
    }
);

macro_rules! spawning {
    ($name:ident, $future:expr) => {
        #[tracium::span(kind = "tool")]
        pub fn $name() -> TaskHandle<u8> {
            tokio::spawn($future)
        }
    };
    ($name:ident in $body:block) => {
        #[tracium::trace(agent = "support-bot")]
        pub fn $name() -> TaskHandle<u8> $body
    };
}
spawning!(of_a_macros_argument, async { 1 });
spawning!(of_a_macros_block in { tokio::spawn(async { 2 }) });

/// The place that a task was spawned from is what the runtime says of it.
#[track_caller]
fn place() -> u32 {
    std::panic::Location::caller().line()
}

mod tokio_with_places {
    pub(super) mod tokio {
        #[track_caller]
        pub(in super::super) fn spawn<T>(_: T) -> u32 {
            super::super::place()
        }
    }
}

#[tracium::span(kind = "tool")]
fn spawned_from() -> (u32, u32) {
    use tokio_with_places::tokio;
    (line!(), tokio::spawn(async {}))
}

#[test]
fn spawned_work_comes_to_what_it_did() {
    wait(async {
        assert_eq!(boxed::stacked::f(2).await.unwrap(), 4);
        assert!(tasks::stacked::f(Arc::default()).await.unwrap() >= 2);
        assert_eq!(sets::stacked::f(vec!["ab".to_owned()]).await["ab"], 2);
        assert_eq!(selected::stacked::f(1).await, Some(1));
        assert_eq!(coerced_inside::stacked::f(1).await.unwrap().downcast_ref(), Some(&1_u8));
        assert_eq!((of_a_macros_argument().await.unwrap(), of_a_macros_block().await.unwrap()), (1, 2));
    });
    assert_eq!(generic_threads::stacked::f(1, |number| number).join().unwrap(), 1);
    assert_eq!(closures_as_arguments::stacked::f(|| 1, || "a".to_owned()), (Some(1), Some("a".to_owned())));
    assert_eq!(borrowing_joins::stacked::f(&mut [0, 1, 2]), (1, 3));
    assert_eq!(borrowing_scopes::stacked::f(&mut [1]), Ok(9));
    assert_eq!(scopes_of_functions::stacked::f(&[1]), 1);
    assert_eq!(inferred_from_the_type::stacked::f(vec!["1"]).join().unwrap(), Ok(vec![1]));
    assert!(inferred_from_the_error::stacked::f("x").join().unwrap().is_err());
    assert_eq!(expressions_of_every_kind::stacked::f(true), [Some(0), Some(1), Some(1), None, Some(1)]);
    let (here, caller) = spawned_from();
    assert_eq!(here, caller);
}
