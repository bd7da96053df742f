//! Loom's types in the shape of std's, so that what is checked is the code that ships; and what runs a model.
//!
//! Loom runs a model again and again, once for each order in which its threads may take their turns and each value that
//! an atomic load may give under the C11 memory model. Its types belong to one run and cannot be made in a constant;
//! these can, and become loom's where they are first used.
//!
//! What is not here is std's in models, too, and has no turns of its own: the lock of a [`TraceCore`], the counts of those
//! who hold one, clocks, random ids. Models say nothing of their orderings; and since loom sees none of them, nothing that
//! it proves rests on them.
//!
//! [`TraceCore`]: crate::trace::TraceCore

use std::cell::{Cell, RefCell};
use std::ops::Deref;
use std::sync::OnceLock;
use std::time::Instant;

pub(crate) use loom::sync::MutexGuard;

pub(crate) mod atomic {
    pub(crate) use std::sync::atomic::Ordering;

    pub(crate) type AtomicBool = super::Atomic<bool>;
    pub(crate) type AtomicU64 = super::Atomic<u64>;
    pub(crate) type AtomicUsize = super::Atomic<usize>;
}

/// What loom has an atomic of.
pub(crate) trait Word: Copy + Default + PartialEq + std::fmt::Debug + 'static {
    type Loom: From<Self> + std::fmt::Debug;
    /// Atomics that were made before the run's threads were, and are nobody's yet: loom takes the making of one for a
    /// store, which must have happened before all else that is done to it.
    fn unused() -> &'static std::thread::LocalKey<RefCell<Vec<Self::Loom>>>;
}

macro_rules! words {
    ($($word:ty: $loom:ident,)*) => {$(
        impl Word for $word {
            type Loom = loom::sync::atomic::$loom;
            fn unused() -> &'static std::thread::LocalKey<RefCell<Vec<Self::Loom>>> {
                type Unused = RefCell<Vec<loom::sync::atomic::$loom>>;
                std::thread_local!(static UNUSED: Unused = const { RefCell::new(Vec::new()) });
                &UNUSED
            }
        }
    )*};
}
words! { bool: AtomicBool, u64: AtomicU64, usize: AtomicUsize, }

fn make_unused<T: Word>(count: usize) {
    T::unused().set((0..count).map(|_| T::default().into()).collect());
}

#[derive(Debug)]
pub(crate) struct Atomic<T: Word> {
    initial: T,
    loom: OnceLock<T::Loom>,
}

impl<T: Word> Default for Atomic<T> {
    fn default() -> Self {
        Self::new(T::default())
    }
}

impl<T: Word> Atomic<T> {
    pub(crate) const fn new(initial: T) -> Self {
        Self { initial, loom: OnceLock::new() }
    }
}

impl<T: Word> Deref for Atomic<T> {
    type Target = T::Loom;
    fn deref(&self) -> &T::Loom {
        self.loom.get_or_init(|| {
            assert_eq!(self.initial, T::default(), "what the collector counts starts at nothing");
            T::unused().with_borrow_mut(Vec::pop).expect("`check` makes enough")
        })
    }
}

#[derive(Debug)]
pub(crate) struct Mutex<T> {
    initial: std::sync::Mutex<Option<T>>,
    loom: OnceLock<loom::sync::Mutex<T>>,
}

impl<T> Mutex<T> {
    pub(crate) const fn new(initial: T) -> Self {
        Self { initial: std::sync::Mutex::new(Some(initial)), loom: OnceLock::new() }
    }
}

impl<T: Default> Default for Mutex<T> {
    fn default() -> Self {
        Self::new(T::default())
    }
}

impl<T> Deref for Mutex<T> {
    type Target = loom::sync::Mutex<T>;
    fn deref(&self) -> &loom::sync::Mutex<T> {
        self.loom.get_or_init(|| loom::sync::Mutex::new(self.initial.lock().unwrap().take().expect("made once")))
    }
}

/// A value of each of the model's threads. As std's, it is gone at the thread's end if it has something to drop, and
/// else never.
#[derive(Debug)]
pub(crate) struct LocalKey<T: 'static>(pub(crate) &'static loom::thread::LocalKey<RefCell<Option<T>>>);

#[derive(Debug)]
pub(crate) struct Gone;

loom::thread_local! {
    static AT_END: RefCell<Vec<Box<dyn FnOnce()>>> = RefCell::new(Vec::new());
    static IS_OVER: Cell<bool> = Cell::new(false);
}

impl<T> LocalKey<T> {
    pub(crate) fn with<R>(&'static self, work: impl FnOnce(&T) -> R) -> R {
        self.try_with(work).expect("it is there as long as its thread")
    }

    pub(crate) fn try_with<R>(&'static self, work: impl FnOnce(&T) -> R) -> Result<R, Gone> {
        self.0.with(|slot| slot.borrow().as_ref().map(work).ok_or(Gone))
    }

    /// Called as the value is made.
    pub(crate) fn made(&'static self, value: T) -> RefCell<Option<T>> {
        if !std::mem::needs_drop::<T>() {
            return RefCell::new(Some(value));
        }
        if IS_OVER.with(Cell::get) {
            return RefCell::new(None);
        }
        let drop_it = move || {
            let value = self.0.with(|slot| slot.borrow_mut().take());
            drop(value);
        };
        AT_END.with(|at_end| at_end.borrow_mut().push(Box::new(drop_it)));
        RefCell::new(Some(value))
    }
}

macro_rules! local {
    ($(static $name:ident: $type:ty = const $init:block;)*) => {$(
        static $name: crate::sync::model::LocalKey<$type> = {
            loom::thread_local! {
                static SLOT: std::cell::RefCell<Option<$type>> = $name.made($init);
            }
            crate::sync::model::LocalKey(&SLOT)
        };
    )*};
}
pub(crate) use local as thread_local;

/// What std does at a thread's end: whatever runs after it finds the thread's own gone.
pub(crate) fn end_thread() {
    IS_OVER.with(|is_over| is_over.set(true));
    for drop_it in AT_END.with(RefCell::take) {
        drop_it();
    }
}

/// Starts a thread of the model.
pub(crate) fn spawn<T: 'static>(work: impl FnOnce() -> T + 'static) -> loom::thread::JoinHandle<T> {
    // Loom's own asks for what is `Send`, which is about real threads; it runs all on one.
    loom::thread::spawn(move || {
        let done = work();
        end_thread();
        done
    })
}

/// Runs `model` in every order that has at most `preemptions` of a thread that could have gone on.
pub(crate) fn check(name: &str, preemptions: usize, model: impl Fn() + Send + Sync + 'static) {
    let mut builder = loom::model::Builder::new();
    builder.preemption_bound = Some(preemptions);
    builder.max_branches = 20_000;
    let (runs, began) = (std::sync::Arc::new(std::sync::atomic::AtomicUsize::new(0)), Instant::now());
    let counted = std::sync::Arc::clone(&runs);
    builder.check(move || {
        counted.fetch_add(1, std::sync::atomic::Ordering::Relaxed);
        make_unused::<bool>(16);
        make_unused::<u64>(192);
        make_unused::<usize>(48);
        model();
        end_thread();
    });
    let (runs, took) = (runs.load(std::sync::atomic::Ordering::Relaxed), began.elapsed());
    println!("{name}: {runs} runs with up to {preemptions} preemptions, {took:.1?}");
}
