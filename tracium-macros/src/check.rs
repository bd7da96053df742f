//! What a literal may be. The limits are those of the REST API, checked while compiling.

use crate::errors::Errors;
use syn::LitStr;

/// The limit of one kind of text.
pub(crate) struct Limit {
    /// What the text is, as a message says it: "an agent name".
    what: &'static str,
    longest: usize,
    may_be_empty: bool,
    allowed: Allowed,
}

#[derive(Clone, Copy)]
enum Allowed {
    Anything,
    NoControl,
    /// Letters, digits, space, `-`, `_`, `.`.
    AgentName,
}

pub(crate) const AGENT: Limit = Limit::new("an agent name", 256, Allowed::AgentName);
pub(crate) const KIND: Limit = Limit::new("a kind", 128, Allowed::NoControl);
pub(crate) const NAME: Limit = Limit::new("a name", 512, Allowed::Anything);
pub(crate) const TAG: Limit = Limit::new("a tag", 128, Allowed::NoControl);
pub(crate) const MODEL: Limit = Limit::new("a model", 256, Allowed::Anything);
pub(crate) const VERSION: Limit = Limit::new("a version", 128, Allowed::Anything);
pub(crate) const WORKSPACE: Limit = Limit::new("a workspace", 256, Allowed::Anything);
pub(crate) const TENANT: Limit = Limit::new("a tenant id", 255, Allowed::NoControl);
/// Tags of one trace or span.
pub(crate) const TAGS: usize = 100;

impl Limit {
    const fn new(what: &'static str, longest: usize, allowed: Allowed) -> Self {
        let may_be_empty = matches!(allowed, Allowed::Anything);
        Self { what, longest, may_be_empty, allowed }
    }

    /// Reports at the literal what of it is outside the limit.
    pub(crate) fn check(&self, literal: &LitStr, errors: &mut Errors) {
        if let Some(found) = self.violation(&literal.value()) {
            let Self { what, longest, .. } = self;
            let least = usize::from(!self.may_be_empty);
            let characters = match self.allowed {
                Allowed::AgentName => "letters, digits, space, `-`, `_` and `.`",
                Allowed::NoControl => "characters that are no control characters",
                Allowed::Anything => "characters",
            };
            errors.at(literal.span(), format!("{what} is {least} to {longest} {characters}; this one {found}"));
        }
    }

    fn violation(&self, text: &str) -> Option<String> {
        let length = text.chars().count();
        if length == 0 && !self.may_be_empty {
            return Some("is empty".to_owned());
        }
        if length > self.longest {
            return Some(format!("has {length}"));
        }
        let illegal = |c: &char| match self.allowed {
            Allowed::Anything => false,
            Allowed::NoControl => c.is_control(),
            Allowed::AgentName => !(c.is_ascii_alphanumeric() || " -_.".contains(*c)),
        };
        text.chars().find(illegal).map(|c| format!("has {c:?}"))
    }
}

#[cfg(test)]
mod tests {
    use super::{AGENT, KIND, NAME, TAG, TENANT};

    #[test]
    fn agent_names_take_the_characters_of_the_api_only() {
        assert_eq!(AGENT.violation("support bot-2_b.c"), None);
        assert_eq!(AGENT.violation("a/b").as_deref(), Some("has '/'"));
        assert_eq!(AGENT.violation("größe").as_deref(), Some("has 'ö'"));
        assert_eq!(AGENT.violation("").as_deref(), Some("is empty"));
    }

    #[test]
    fn lengths_count_characters() {
        assert_eq!(TAG.violation(&"ö".repeat(128)), None);
        assert_eq!(TAG.violation(&"ö".repeat(129)).as_deref(), Some("has 129"));
        assert_eq!(KIND.violation(&"k".repeat(129)).as_deref(), Some("has 129"));
        assert_eq!(TENANT.violation(&"t".repeat(255)), None);
    }

    #[test]
    fn control_characters_are_refused_where_two_values_could_look_alike() {
        assert_eq!(TENANT.violation("a\nb").as_deref(), Some("has '\\n'"));
        assert_eq!(NAME.violation("a\nb"), None);
    }
}
