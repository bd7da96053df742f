//! Which tokens may follow each other, and what each one is to its surroundings.

use super::token::{Kind, Tokens};

/// What a token is where it stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Role {
    /// A string before a colon.
    Key,
    /// A string, number or literal.
    Leaf,
    /// The beginning of an array or object.
    Open,
    /// The end of one.
    Close,
    /// A comma or colon.
    Between,
}

/// What may come next.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Expect {
    Value,
    ValueOrClose,
    Key,
    KeyOrClose,
    Colon,
    CommaOrClose,
    /// A whole value was read.
    End,
}

/// Follows a stream of tokens. It keeps its own stack, so that no depth of text can overflow ours.
#[derive(Debug)]
pub(super) struct Grammar {
    /// The open brackets: true for an object.
    open: Vec<bool>,
    expect: Expect,
}

impl Grammar {
    /// Before the first token.
    pub(super) fn new() -> Self {
        Self { open: Vec::new(), expect: Expect::Value }
    }

    /// How many brackets are open.
    pub(super) fn depth(&self) -> usize {
        self.open.len()
    }

    /// The open brackets, outermost first: true for an object.
    pub(super) fn open(&self) -> &[bool] {
        &self.open
    }

    /// True when a whole value was read and nothing is open.
    pub(super) fn is_complete(&self) -> bool {
        self.expect == Expect::End
    }

    /// Allows another value after a complete one, as in lines of JSON.
    pub(super) fn restart(&mut self) {
        self.expect = Expect::Value;
    }

    /// Takes the next token, or `None` when it may not stand here.
    pub(super) fn step(&mut self, kind: Kind) -> Option<Role> {
        use Expect as E;
        let role = match (self.expect, kind) {
            (E::Value | E::ValueOrClose, Kind::Open(object)) => {
                self.open.push(object);
                self.expect = if object { E::KeyOrClose } else { E::ValueOrClose };
                return Some(Role::Open);
            }
            (E::Value | E::ValueOrClose, Kind::Text(_) | Kind::Scalar) => Role::Leaf,
            (E::Key | E::KeyOrClose, Kind::Text(_)) => {
                self.expect = E::Colon;
                return Some(Role::Key);
            }
            (E::Colon, Kind::Colon) => {
                self.expect = E::Value;
                return Some(Role::Between);
            }
            (E::CommaOrClose, Kind::Comma) => {
                self.expect = if self.open.last() == Some(&true) { E::Key } else { E::Value };
                return Some(Role::Between);
            }
            (E::ValueOrClose | E::KeyOrClose | E::CommaOrClose, Kind::Close(object))
                if self.open.last() == Some(&object) =>
            {
                self.open.pop();
                Role::Close
            }
            _ => return None,
        };
        self.expect = if self.open.is_empty() { E::End } else { E::CommaOrClose };
        Some(role)
    }
}

/// True when `text` is one JSON value, nested at most `depth` deep.
pub(super) fn is_json(text: &str, depth: usize) -> bool {
    let mut grammar = Grammar::new();
    Tokens::new(text).all(|token| grammar.step(token.kind).is_some() && grammar.depth() <= depth)
        && grammar.is_complete()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn accepts_what_serde_json_accepts() {
        for text in [
            "{}",
            "[]",
            "[1,]",
            "[,1]",
            "{\"a\":1}",
            "{\"a\" 1}",
            "{\"a\":}",
            "{\"a\":1,}",
            "{1:2}",
            "[1 2]",
            "[[],{}]",
            "[}",
            "{]",
            "",
            " ",
            "1 2",
            "\"a\"",
            "{\"a\":[1,{\"b\":null}]}",
            "[1",
            "{\"a\"",
            "{\"a\":",
            "]",
            "[]]",
            "{\"a\":1 \"b\":2}",
            "[{},[],\"\"]",
            "{\"a\":{}}",
            ":",
            ",",
        ] {
            let parses = serde_json::from_str::<serde_json::Value>(text).is_ok();
            assert_eq!(is_json(text, 10), parses, "{text}");
        }
    }

    #[test]
    fn depth_is_bounded_without_recursion() {
        let deep = "[".repeat(1_000_000) + &"]".repeat(1_000_000);
        assert!(is_json(&deep, usize::MAX));
        assert!(!is_json(&deep, 64));
    }
}
