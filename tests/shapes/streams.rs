//! Functions that return a stream, in every form in which they can.

// The lints named here are about the plain functions.
#![allow(clippy::needless_pass_by_value, clippy::unnecessary_wraps, clippy::unused_async)]

use crate::wait;
use futures::stream::{self, BoxStream, LocalBoxStream, Stream, StreamExt as _};
use std::future::Future;
use std::num::ParseIntError;
use std::pin::Pin;
use std::rc::Rc;

each_attribute!(
    mod implied {
        pub fn f(text: &str) -> impl Stream<Item = usize> + Send + '_ {
            stream::iter(0..text.len())
        }
    }
);

each_attribute!(
    mod unpinned {
        pub fn f(count: u8) -> impl Stream<Item = u8> + Unpin + Send + Sync {
            stream::iter(0..count)
        }
    }
);

each_attribute!(
    mod pinned {
        pub fn f<'a>(texts: &'a [&str]) -> Pin<Box<dyn Stream<Item = Result<u8, ParseIntError>> + Send + 'a>> {
            if texts.is_empty() {
                return Box::pin(stream::empty());
            }
            Box::pin(stream::iter(texts).map(|text| text.parse()))
        }
    }
);

each_attribute!(
    mod boxed {
        pub fn f(text: String) -> BoxStream<'static, char> {
            stream::iter(text.chars().collect::<Vec<_>>()).boxed()
        }
    }
);

each_attribute!(
    mod local {
        pub fn f(shared: Rc<u8>) -> LocalBoxStream<'static, Rc<u8>> {
            stream::iter([shared]).boxed_local()
        }
    }
);

each_attribute!(
    mod boxed_without_pin {
        pub fn f(count: u8) -> Box<dyn Stream<Item = u8> + Unpin> {
            Box::new(stream::iter(0..count))
        }
    }
);

each_attribute!(
    mod in_result {
        pub fn f(text: &str) -> Result<impl Stream<Item = u8> + use<>, ParseIntError> {
            let count = text.parse::<u8>()?;
            Ok(stream::iter(0..count))
        }
    }
);

each_attribute!(
    mod boxed_in_result {
        pub fn f(text: &str) -> Result<BoxStream<'_, Result<char, String>>, String> {
            if text.is_empty() {
                return Err("empty".to_owned());
            }
            Ok(Box::pin(stream::iter(text.chars()).map(Ok)))
        }
    }
);

each_attribute!(
    mod later {
        pub async fn f(text: &str) -> impl Stream<Item = char> + '_ {
            std::future::ready(()).await;
            stream::iter(text.chars())
        }
    }
);

each_attribute!(
    mod later_in_result {
        pub async fn f<E: From<ParseIntError>>(text: &str) -> Result<impl Stream<Item = Result<u8, E>> + use<E>, E> {
            let count = text.parse::<u8>()?;
            std::future::ready(()).await;
            Ok(stream::iter(0..count).map(Ok))
        }
    }
);

each_attribute!(
    mod later_boxed {
        pub fn f(count: u8) -> Pin<Box<dyn Future<Output = anyhow::Result<BoxStream<'static, u8>>> + Send>> {
            Box::pin(async move {
                anyhow::ensure!(count > 0, "none");
                Ok(stream::iter(0..count).boxed())
            })
        }
    }
);

each_attribute!(
    mod made_later_elsewhere {
        pub fn f(count: u8) -> impl Future<Output = Result<BoxStream<'static, u8>, anyhow::Error>> {
            later_boxed::plain::f(count)
        }
    }
);

each_attribute!(
    mod of_more_than_a_stream {
        pub fn f(count: u8) -> impl Stream<Item = u8> + Clone {
            stream::iter(0..count)
        }
    }
);

#[async_trait::async_trait]
trait Model {
    async fn tokens(&self, prompt: &str) -> Result<BoxStream<'static, Result<String, String>>, String>;
}

struct Echo(String);

#[async_trait::async_trait]
impl Model for Echo {
    #[tracium::tenant_scope(from = self.0)]
    #[tracium::llm(capture(prompt))]
    async fn tokens(&self, prompt: &str) -> Result<BoxStream<'static, Result<String, String>>, String> {
        let words: Vec<_> = prompt.split(' ').map(|word| Ok(word.to_owned())).collect();
        Ok(Box::pin(stream::iter(words)))
    }
}

fn all<S: Stream>(stream: S) -> Vec<S::Item> {
    wait(stream.collect())
}

#[test]
fn streams_have_the_items_that_they_had() {
    fn is_send<T: Send>(stream: T) -> T {
        stream
    }
    assert_eq!(all(is_send(implied::stacked::f("abc"))), [0, 1, 2]);
    assert_eq!(all(unpinned::stacked::f(2)), [0, 1]);
    assert_eq!(all(is_send(pinned::stacked::f(&["1", "2"]))), [Ok(1), Ok(2)]);
    assert_eq!(all(boxed::stacked::f("ab".to_owned())), ['a', 'b']);
    assert_eq!(all(local::stacked::f(Rc::new(1))).len(), 1);
    assert_eq!(all(boxed_without_pin::stacked::f(2)), [0, 1]);
    assert_eq!(in_result::stacked::f("2").map(all), Ok(vec![0, 1]));
    assert!(in_result::stacked::f("x").is_err());
    assert_eq!(boxed_in_result::stacked::f("a").map(all), Ok(vec![Ok('a')]));
    assert_eq!(all(wait(later::stacked::f("ab"))), ['a', 'b']);
    let parsed: Result<_, anyhow::Error> = wait(later_in_result::stacked::f("2"));
    assert_eq!(parsed.map(all).unwrap().len(), 2);
    assert_eq!(wait(is_send(later_boxed::stacked::f(2))).map(all).unwrap(), [0, 1]);
    assert!(wait(later_boxed::stacked::f(0)).is_err());
    assert_eq!(wait(made_later_elsewhere::stacked::f(2)).map(all).unwrap(), [0, 1]);
    assert_eq!(all(of_more_than_a_stream::stacked::f(2).clone()), [0, 1]);
    let words = wait(Echo("acme".to_owned()).tokens("a b")).map(all);
    assert_eq!(words, Ok(vec![Ok("a".to_owned()), Ok("b".to_owned())]));
}
