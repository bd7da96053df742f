//! Plain functions that return a future: the scope begins when it is first polled.

// The lints named here are about the plain functions.
#![allow(clippy::manual_async_fn, clippy::unused_async)]

use crate::wait;
use futures::future::{BoxFuture, FutureExt as _, LocalBoxFuture};
use std::future::Future;
use std::num::ParseIntError;
use std::pin::Pin;
use std::rc::Rc;

async fn elsewhere(text: String) -> Result<String, String> {
    Ok(text)
}

each_attribute!(
    mod implied {
        pub fn f(text: &str) -> impl Future<Output = Result<String, ParseIntError>> + Send + '_ {
            let doubled = text.repeat(2);
            async move {
                let number: u32 = doubled.parse()?;
                Ok(format!("{number}{text}"))
            }
        }
    }
);

each_attribute!(
    mod made_elsewhere {
        pub fn f(text: String) -> impl Future<Output = Result<String, String>> + Send {
            elsewhere(text)
        }
    }
);

each_attribute!(
    mod unpinned {
        pub fn f(number: u8) -> impl Future<Output = u8> + Unpin {
            std::future::ready(number)
        }
    }
);

each_attribute!(
    mod pinned {
        pub fn f(text: &str) -> Pin<Box<dyn Future<Output = Result<u8, ParseIntError>> + Send + '_>> {
            Box::pin(async move {
                let number = text.parse()?;
                std::future::ready(()).await;
                Ok(number)
            })
        }
    }
);

each_attribute!(
    mod returned_early {
        pub fn f(number: u8) -> Pin<Box<dyn Future<Output = Result<u8, String>> + Send>> {
            if number == 0 {
                return Box::pin(async { Err("zero".to_owned()) });
            }
            Box::pin(async move { Ok(number) })
        }
    }
);

each_attribute!(
    mod branches {
        pub fn f(number: u8) -> BoxFuture<'static, Result<u8, String>> {
            if number == 0 { Box::pin(async { Err("zero".to_owned()) }) } else { async move { Ok(number) }.boxed() }
        }
    }
);

each_attribute!(
    mod coerced {
        pub fn f(text: &str) -> BoxFuture<'_, Box<dyn std::fmt::Display + Send>> {
            async move { Box::new(text.len()) as _ }.boxed()
        }
    }
);

each_attribute!(
    mod local {
        pub fn f(shared: Rc<u8>) -> LocalBoxFuture<'static, u8> {
            Box::pin(async move { *shared })
        }
    }
);

each_attribute!(
    mod boxed_without_pin {
        pub fn f(number: u8) -> Box<dyn Future<Output = u8> + Unpin> {
            Box::new(std::future::ready(number))
        }
    }
);

each_attribute!(
    mod borrowing_block {
        pub fn f(text: &str) -> impl Future<Output = usize> + '_ {
            async { text.len() }
        }
    }
);

each_attribute!(
    mod shared_between_threads {
        pub fn f(number: u8) -> impl Future<Output = u8> + Send + Sync {
            async move { number }
        }
    }
);

each_attribute!(
    mod of_more_than_a_future {
        pub fn f(number: u8) -> impl Future<Output = u8> + Clone {
            std::future::ready(number)
        }
    }
);

each_attribute!(
    mod recursive_and_boxed {
        pub fn f(number: u8) -> Pin<Box<dyn Future<Output = u8> + Send>> {
            Box::pin(async move { if number == 0 { 0 } else { f(number - 1).await + 1 } })
        }
    }
);

each_attribute!(
    mod recursive {
        pub async fn f(number: u8) -> Result<u8, String> {
            if number == 0 { Ok(0) } else { Ok(Box::pin(f(number - 1)).await? + 1) }
        }
    }
);

pub struct Service {
    suffix: String,
}

impl Service {
    /// The request is gone when the future is polled.
    #[tracium::tenant_scope(from = request.tenant)]
    #[tracium::trace(agent = "support-bot")]
    fn call(&mut self, request: Request) -> BoxFuture<'static, Result<String, String>> {
        let reply = elsewhere(request.text + &self.suffix);
        Box::pin(reply)
    }
}

pub struct Request {
    tenant: String,
    text: String,
}

#[test]
fn futures_come_to_what_they_did() {
    fn is_send<T: Send>(future: T) -> T {
        future
    }
    assert_eq!(wait(is_send(implied::stacked::f("7"))), Ok("777".to_owned()));
    assert_eq!(wait(is_send(made_elsewhere::stacked::f("a".to_owned()))), Ok("a".to_owned()));
    assert_eq!(wait(pinned::stacked::f("7")), Ok(7));
    assert_eq!(wait(returned_early::stacked::f(0)), Err("zero".to_owned()));
    assert_eq!(wait(branches::stacked::f(1)), Ok(1));
    assert_eq!(wait(coerced::stacked::f("abc")).to_string(), "3");
    assert_eq!(wait(recursive::stacked::f(3)), Ok(3));
    assert_eq!(wait(recursive_and_boxed::stacked::f(3)), 3);
    assert_eq!(wait(shared_between_threads::stacked::f(3)), 3);
    assert_eq!(wait(of_more_than_a_future::stacked::f(3).clone()), 3);
    let request = Request { tenant: "acme".to_owned(), text: "a".to_owned() };
    assert_eq!(wait(Service { suffix: "b".to_owned() }.call(request)), Ok("ab".to_owned()));
}
