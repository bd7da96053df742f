//! What the threads and the collector share their state with: std's types; where the models are checked, loom's.

#[cfg(all(test, tracium_loom))]
pub(crate) mod model;

#[cfg(all(test, tracium_loom))]
pub(crate) use self::model::{Mutex, MutexGuard, atomic, thread_local};
#[cfg(not(all(test, tracium_loom)))]
pub(crate) use std::{
    sync::{Mutex, MutexGuard, atomic},
    thread_local,
};
