//! Functions that `macro_rules!` writes, wholly or in parts.

use crate::wait;
use std::future::Future;
use std::pin::Pin;

macro_rules! function {
    (
        $(#[$attribute:meta])*
        $vis:vis fn $name:ident($($argument:ident: $type:ty),*) -> $returned:ty $body:block
    ) => {
        $(#[$attribute])*
        $vis fn $name($($argument: $type),*) -> $returned $body
    };
    (written $name:ident) => {
        #[tracium::trace(agent = "support-bot", capture(first, ?second), metadata(length = first.len()))]
        #[tracium::tenant_scope(from = first)]
        pub fn $name(first: String, second: String) -> Result<String, String> {
            if first.is_empty() { Err(second) } else { Ok(first) }
        }
    };
    (agent $agent:literal $name:ident) => {
        #[tracium::trace(agent = $agent, name = $agent)]
        pub async fn $name(number: u8) -> Result<u8, String> {
            std::future::ready(()).await;
            if number == 0 { Err(String::new()) } else { Ok(number) }
        }
    };
}

function! {
    /// Documented.
    #[tracium::span(kind = "tool", capture(text))]
    #[tracium::tenant_scope(from = text.as_str())]
    pub fn parts(text: String, number: u8) -> Result<String, u8> {
        if number == 1 {
            return Err(number);
        }
        Ok(text)
    }
}

function! {
    #[tracium::span(kind = "tool")]
    pub fn boxed(number: u8) -> Pin<Box<dyn Future<Output = u8>>> {
        Box::pin(async move { number })
    }
}

function!(written whole);
function!(agent "support-bot" literal);

#[test]
fn macro_made_functions_do_what_they_did() {
    assert_eq!(parts("a".to_owned(), 0), Ok("a".to_owned()));
    assert_eq!(wait(boxed(3)), 3);
    assert_eq!(whole(String::new(), "b".to_owned()), Err("b".to_owned()));
    assert_eq!(wait(literal(3)), Ok(3));
}
