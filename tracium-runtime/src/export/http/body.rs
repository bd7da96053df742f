//! Buffers for the bodies of requests, which come back when the request is done.

use std::sync::{Arc, Mutex, PoisonError};

use bytes::Bytes;

/// As many as fly at once, and what is ahead of them.
const MOST: usize = 64;
/// A larger one was an exception.
const LARGEST: usize = 1 << 20;

#[derive(Clone, Debug, Default)]
pub(crate) struct Bodies(Arc<Mutex<Vec<Vec<u8>>>>);

impl Bodies {
    /// An empty buffer, with room from its last use where there was one.
    pub(crate) fn take(&self) -> Vec<u8> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).pop().unwrap_or_default()
    }

    /// `body` for a request, which gives it back.
    pub(crate) fn lend(&self, body: Vec<u8>) -> Bytes {
        Bytes::from_owner(Lent { body, home: self.clone() })
    }
}

struct Lent {
    body: Vec<u8>,
    home: Bodies,
}

impl AsRef<[u8]> for Lent {
    fn as_ref(&self) -> &[u8] {
        &self.body
    }
}

impl Drop for Lent {
    fn drop(&mut self) {
        if self.body.capacity() > LARGEST {
            return;
        }
        let mut home = self.home.0.lock().unwrap_or_else(PoisonError::into_inner);
        if home.len() < MOST {
            self.body.clear();
            home.push(std::mem::take(&mut self.body));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_body_comes_back_empty_and_with_its_room_when_the_last_of_its_request_is_gone() {
        let bodies = Bodies::default();
        let mut body = bodies.take();
        body.extend_from_slice(&[7; 1_000]);
        let sent = bodies.lend(body);
        let again = sent.clone();
        drop(sent);
        assert_eq!(bodies.take().capacity(), 0, "somebody still sends it");
        assert_eq!(again.len(), 1_000);
        drop(again);
        let body = bodies.take();
        assert!(body.is_empty() && body.capacity() >= 1_000);
    }

    #[test]
    fn a_body_that_was_too_large_is_freed() {
        let bodies = Bodies::default();
        drop(bodies.lend(Vec::with_capacity(LARGEST + 1)));
        assert_eq!(bodies.take().capacity(), 0);
    }
}
