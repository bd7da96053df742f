//! Work that an annotated body spawns by calls of others: the attributes wrap what those calls are given.
//!
//! What stands there may be a future, a closure or, where the path is another's than it looks, anything. Its type
//! decides: method lookup finds `carrier` of a [`FutureToSpawn`] only where `F` is a future, and else that of
//! [`AsItIs`], which it points to.

// Method lookup needs a value to begin with.
#![allow(clippy::unused_self)]

use std::marker::PhantomData;
use std::ops::Deref;

use super::slot::{self, Entered};
use super::{Context, InContext, Scope};
use crate::collect::Sink;

/// What may be a future.
#[derive(Debug)]
pub struct FutureToSpawn<F>(PhantomData<fn() -> F>);

/// What may be a closure.
#[derive(Debug)]
pub struct ClosureToSpawn<F>(PhantomData<fn() -> F>);

/// Carries what a call is given, as `carry` knows to.
pub fn carry_to_spawn<T, R>(work: T, carry: impl FnOnce(T) -> R) -> R {
    carry(work)
}

/// Looks at what a call that takes a future is given.
pub fn future_to_spawn<F>(_: &F) -> FutureToSpawn<F> {
    FutureToSpawn(PhantomData)
}

/// Looks at what a call that takes a closure is given.
pub fn closure_to_spawn<F>(_: &F) -> ClosureToSpawn<F> {
    ClosureToSpawn(PhantomData)
}

/// Puts futures under the context.
#[derive(Debug)]
pub struct Futures;

/// Puts closures under the context.
#[derive(Debug)]
pub struct Closures;

/// Leaves alone what is neither.
#[derive(Debug)]
pub struct AsItIs;

impl<F: Future> FutureToSpawn<F> {
    /// How it is carried.
    pub fn carrier(&self) -> Futures {
        Futures
    }
}

impl<R, F: FnOnce() -> R> ClosureToSpawn<F> {
    /// How it is carried.
    pub fn carrier(&self) -> Closures {
        Closures
    }
}

impl<F> Deref for FutureToSpawn<F> {
    type Target = AsItIs;

    fn deref(&self) -> &AsItIs {
        &AsItIs
    }
}

impl<F> Deref for ClosureToSpawn<F> {
    type Target = AsItIs;

    fn deref(&self) -> &AsItIs {
        &AsItIs
    }
}

impl Futures {
    /// The future under the current context.
    pub fn carry<F: Future>(&self, future: F) -> InContext<F> {
        InContext::within(spawning().0, future)
    }
}

impl Closures {
    /// The closure under the current context.
    pub fn carry<R, F: FnOnce() -> R>(&self, work: F) -> impl FnOnce() -> R + use<R, F> {
        let work = match spawning().0 {
            Some(context) => Work::Under(context.wrap(work)),
            None => Work::Plain(work),
        };
        move || match work {
            Work::Under(work) => work(),
            Work::Plain(work) => work(),
        }
    }
}

enum Work<W, F> {
    Under(W),
    Plain(F),
}

impl AsItIs {
    /// How it is carried.
    pub fn carrier(&self) -> Self {
        Self
    }

    /// The value.
    pub fn carry<T>(&self, value: T) -> T {
        value
    }
}

/// The context that spawned work gets; none outside any scope, where it would have none either.
#[derive(Debug)]
pub struct Spawning(Option<Context>);

/// Takes the context for work that is spawned here.
pub fn spawning() -> Spawning {
    let carried = slot::is_open() || Sink::of_thread().is_some();
    Spawning(carried.then(Context::current))
}

/// The thread runs under what was spawned, or under no scope, until this is dropped.
#[must_use]
#[derive(Debug)]
pub struct OtherWork {
    _entered: Entered,
}

impl Spawning {
    /// Puts the rest of a closure under the context.
    pub fn enter(self) -> OtherWork {
        let scope = self.0.map(Scope::new);
        OtherWork { _entered: slot::enter(scope) }
    }
}

/// Puts the thread outside any scope, while it may run the work of others.
pub fn unscoped() -> OtherWork {
    OtherWork { _entered: slot::enter(None) }
}
