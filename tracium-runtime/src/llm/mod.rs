//! Calls of models, whoever's API they are made by: requests and responses as the GenAI conventions have them.
//!
//! Pure functions over JSON. What has a shape that none of the known APIs has is shown as it is, and never left out.

mod input;
mod message;
mod model;
mod output;
mod parts;
#[cfg(test)]
mod tests;
mod tools;

pub(crate) use self::input::Input;
pub(crate) use self::model::{inclusive_input, provider};
pub(crate) use self::output::Output;
pub(crate) use self::tools::definitions;
