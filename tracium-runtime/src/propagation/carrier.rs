//! What a context travels in: headers of a request, attributes of a message.

use std::collections::{BTreeMap, HashMap};
use std::hash::BuildHasher;

/// What a context is read from: a request's headers, a message's attributes.
///
/// Implemented for maps and lists of strings, and with the feature `http` for `http::HeaderMap`.
pub trait Extractor {
    /// Calls `each` with every value of `name`, in their order. Names are compared regardless of case.
    fn each_value(&self, name: &str, each: &mut dyn FnMut(&[u8]));
}

/// What a context is written into. It is read as well: what it has of an earlier context is replaced, not repeated.
pub trait Injector: Extractor {
    /// Replaces all values of `name`, which is in lower case, by one.
    fn set(&mut self, name: &'static str, value: String);

    /// Takes all values of `name`, which is in lower case, away.
    fn remove(&mut self, name: &'static str);
}

impl<S: BuildHasher> Extractor for HashMap<String, String, S> {
    fn each_value(&self, name: &str, each: &mut dyn FnMut(&[u8])) {
        of_pairs(self.iter(), name, each);
    }
}

impl<S: BuildHasher> Injector for HashMap<String, String, S> {
    fn set(&mut self, name: &'static str, value: String) {
        self.remove(name);
        self.insert(name.to_owned(), value);
    }

    fn remove(&mut self, name: &'static str) {
        self.retain(|key, _| !key.eq_ignore_ascii_case(name));
    }
}

impl Extractor for BTreeMap<String, String> {
    fn each_value(&self, name: &str, each: &mut dyn FnMut(&[u8])) {
        of_pairs(self.iter(), name, each);
    }
}

impl Injector for BTreeMap<String, String> {
    fn set(&mut self, name: &'static str, value: String) {
        Injector::remove(self, name);
        self.insert(name.to_owned(), value);
    }

    fn remove(&mut self, name: &'static str) {
        self.retain(|key, _| !key.eq_ignore_ascii_case(name));
    }
}

impl Extractor for Vec<(String, String)> {
    fn each_value(&self, name: &str, each: &mut dyn FnMut(&[u8])) {
        of_pairs(self.iter().map(|(key, value)| (key, value)), name, each);
    }
}

impl Injector for Vec<(String, String)> {
    fn set(&mut self, name: &'static str, value: String) {
        Injector::remove(self, name);
        self.push((name.to_owned(), value));
    }

    fn remove(&mut self, name: &'static str) {
        self.retain(|(key, _)| !key.eq_ignore_ascii_case(name));
    }
}

fn of_pairs<'a>(pairs: impl Iterator<Item = (&'a String, &'a String)>, name: &str, each: &mut dyn FnMut(&[u8])) {
    pairs.filter(|(key, _)| key.eq_ignore_ascii_case(name)).for_each(|(_, value)| each(value.as_bytes()));
}

#[cfg(feature = "http")]
#[cfg_attr(docsrs, doc(cfg(feature = "http")))]
impl Extractor for http::HeaderMap {
    fn each_value(&self, name: &str, each: &mut dyn FnMut(&[u8])) {
        self.get_all(name).iter().for_each(|value| each(value.as_bytes()));
    }
}

#[cfg(feature = "http")]
#[cfg_attr(docsrs, doc(cfg(feature = "http")))]
impl Injector for http::HeaderMap {
    fn set(&mut self, name: &'static str, value: String) {
        // Everything that is set here is printable ASCII, which every header takes.
        if let Ok(value) = http::HeaderValue::try_from(value) {
            self.insert(http::HeaderName::from_static(name), value);
        }
    }

    fn remove(&mut self, name: &'static str) {
        http::HeaderMap::remove(self, name);
    }
}
