//! Arguments that are called as our variables are.

use crate::wait;

each_attribute!(
    mod sync {
        pub fn f(span: u8, guard: u8, result: u8, __span: u8, returned: u8, from: u8, input: u8) -> Result<u8, String> {
            let options = span + guard + result;
            options.checked_add(__span + returned + from + input).ok_or_else(String::new)
        }
    }
);

each_attribute!(
    mod asynchronous {
        pub async fn f(
            span: u8,
            future: u8,
            result: u8,
            this: u8,
            returned: String,
            from: String,
        ) -> Result<u8, String> {
            std::future::ready(()).await;
            span.checked_add(future + result + this).ok_or(returned + &from)
        }
    }
);

/// Names of the arguments in the options, one of which hides another in a closure.
#[tracium::trace(agent = "support-bot", name = options.map_or("none", |from| from), tenant = from, metadata(returned = returned))]
#[tracium::tenant_scope(from = from.trim(), missing = "anonymous")]
fn in_options(options: Option<&str>, from: &str, returned: u8) -> Result<u8, String> {
    if options.is_some() { Err(from.to_owned()) } else { Ok(returned) }
}

#[test]
fn names_are_the_functions_own() {
    assert_eq!(sync::stacked::f(1, 2, 3, 4, 5, 6, 7), Ok(28));
    assert_eq!(wait(asynchronous::stacked::f(1, 2, 3, 4, String::new(), String::new())), Ok(10));
    assert_eq!(in_options(None, "acme", 3), Ok(3));
}
