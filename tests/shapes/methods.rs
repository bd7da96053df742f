//! Methods and functions as services have them, each with a combination of its own: that they compile as they would
//! without the attribute, and without a warning more, is the test.

// The lints named here are about the plain functions.
#![allow(
    unsafe_code,
    clippy::elidable_lifetime_names,
    clippy::manual_async_fn,
    clippy::missing_errors_doc,
    clippy::missing_safety_doc,
    clippy::needless_pass_by_value,
    clippy::type_complexity,
    clippy::unnecessary_wraps,
    clippy::unused_async,
    clippy::unused_self
)]

use futures::stream::{self, BoxStream, Stream, StreamExt};
use std::future::Future;
use std::pin::Pin;
use std::rc::Rc;
use std::sync::Arc;

mod lending {
    pub trait Lend {
        type Item<'a>
        where
            Self: 'a;
        fn next<'a>(&'a mut self) -> Option<Self::Item<'a>>;
    }

    pub struct Window(pub Vec<u8>);
    impl Lend for Window {
        type Item<'a>
            = &'a mut [u8]
        where
            Self: 'a;
        #[tracium::trace(agent = "x")]
        fn next<'a>(&'a mut self) -> Option<Self::Item<'a>> {
            if self.0.is_empty() {
                return None;
            }
            Some(&mut self.0)
        }
    }
}

#[tracium::tenant_scope(from = tenant)]
#[tracium::trace(agent = "a", capture(tenant), output)]
pub async fn borrowed_mutably<'a, T>(
    tenant: &'a str,
    items: &'a mut Vec<T>,
    mut cur: &'a str,
) -> Result<&'a mut T, std::fmt::Error>
where
    T: Default + serde::Serialize,
{
    while let Some(rest) = cur.strip_prefix('x') {
        cur = rest;
        items.push(T::default());
    }
    std::future::ready(()).await;
    items.last_mut().ok_or(std::fmt::Error)
}

#[tracium::tenant_scope(from = named_like_self)]
async fn selfish(named_like_self: String) -> ! {
    loop {
        std::future::ready(&named_like_self).await;
    }
}

#[tracium::trace(agent = "a")]
pub fn two_closures(x: bool) -> Box<dyn Fn(u8) -> u8> {
    if x { Box::new(|y| y) } else { Box::new(|y| y + 1) }
}

#[tracium::trace(agent = "a")]
pub fn two_closures_in_a_result(x: bool) -> Result<Box<dyn Fn(u8) -> u8>, Box<dyn std::error::Error>> {
    if x {
        return Ok(Box::new(|y| y));
    }
    let z: u8 = "1".parse()?;
    Ok(Box::new(move |y| y + z))
}

#[tracium::tenant_scope(from = "x")]
pub async fn closure_in_an_option(x: Option<u8>) -> Option<Box<dyn Fn() -> u8 + Send>> {
    let y = x?;
    std::future::ready(()).await;
    Some(Box::new(move || y))
}

#[tracium::span]
pub fn borrowed_iterator_item<'a>(x: &'a mut dyn Iterator<Item = &'a str>) -> Result<&'a str, &'static str> {
    x.next().ok_or("none")
}

#[tracium::span]
pub async fn not_send(x: Rc<u8>) -> Rc<u8> {
    std::future::ready(()).await;
    x
}

#[tracium::span]
pub fn gen_future<T: Send + 'static>(x: T) -> impl Future<Output = T> + Send + use<T> {
    async move {
        std::future::ready(()).await;
        x
    }
}

#[tracium::trace(agent = "a")]
pub fn borrowed_by_both<'a>(x: &'a str, y: &'a [u8]) -> impl Future<Output = Result<&'a str, &'a [u8]>> + Send + 'a {
    async move { if y.is_empty() { Ok(x) } else { Err(y) } }
}

#[tracium::trace(agent = "a")]
pub fn either_future(x: u8) -> impl Future<Output = u8> {
    let y = x + 1;
    if y > 3 { futures::future::Either::Left(async { 1 }) } else { futures::future::Either::Right(async move { y }) }
}

#[tracium::span]
pub fn boxed_match(x: u8) -> Pin<Box<dyn Future<Output = u8> + Send>> {
    match x {
        0 => Box::pin(async { 1 }),
        1 => {
            let z = 3;
            Box::pin(async move { z })
        }
        _ => Box::pin(std::future::ready(2)),
    }
}

#[tracium::span]
pub fn boxed_question(x: &str) -> Result<Pin<Box<dyn Future<Output = u8> + Send>>, std::num::ParseIntError> {
    let y: u8 = x.parse()?;
    Ok(Box::pin(async move { y }))
}

#[tracium::span]
pub fn stream_question(x: &str) -> Result<Pin<Box<dyn Stream<Item = u8> + Send>>, std::num::ParseIntError> {
    let y: u8 = x.parse()?;
    Ok(Box::pin(stream::iter(0..y)))
}

#[tracium::span]
pub fn stream_ref<'a>(xs: &'a [String]) -> impl Stream<Item = &'a str> + 'a {
    stream::iter(xs).map(String::as_str)
}

#[tracium::span]
pub fn stream_res<'a>(xs: &'a [String]) -> BoxStream<'a, Result<&'a str, Box<dyn std::error::Error + Send + Sync>>> {
    stream::iter(xs)
        .map(|x| {
            if x.is_empty() {
                Err("empty")?;
            }
            Ok(x.as_str())
        })
        .boxed()
}

#[tracium::span]
pub async fn stream_async_ref<'a>(
    xs: &'a [String],
    n: &usize,
) -> impl Stream<Item = Result<&'a str, std::fmt::Error>> + use<'a> {
    let n = *n;
    std::future::ready(()).await;
    stream::iter(xs.iter().take(n)).map(|x| Ok(x.as_str()))
}

#[tracium::span]
pub fn stream_generic<S: Stream<Item = T> + Send + 'static, T: Send + 'static>(
    s: S,
) -> impl Stream<Item = Vec<T>> + Send {
    s.chunks(2)
}

#[tracium::span]
pub fn stream_dyn_item(n: u8) -> BoxStream<'static, Box<dyn Fn() -> u8 + Send>> {
    stream::iter(0..n).map(|x| Box::new(move || x) as Box<dyn Fn() -> u8 + Send>).boxed()
}

struct Service {
    inner: Arc<u8>,
    tenant: String,
}

#[tracium::span(kind = "tool")]
impl Service {
    const K: u8 = 1;
    fn shared(self: &Arc<Self>) -> Arc<Self> {
        Arc::clone(self)
    }

    fn counted<'s>(self: &'s Rc<Self>, _x: &str) -> Result<&'s u8, String> {
        Ok(&self.inner)
    }

    fn pinned(self: Pin<&mut Self>) -> Result<Pin<&mut Self>, ()> {
        Ok(self)
    }

    async fn boxed(self: Box<Self>) -> Arc<u8> {
        Arc::clone(&self.inner)
    }

    async fn async_closure(&self, f: impl AsyncFn(&str) -> u8) -> u8 {
        f(&self.tenant).await
    }

    fn borrowed_iterator(&self) -> impl Iterator<Item = u8> + '_ {
        (0..*self.inner).filter(move |x| *x != *self.inner)
    }

    async fn two_borrows(&mut self, x: &mut u8) -> &mut String {
        *x += 1;
        std::future::ready(()).await;
        &mut self.tenant
    }

    fn patterns(mut self, (a, b): (u8, u8), [c, ..]: [u8; 3]) -> Result<Self, String> {
        self.tenant.push('x');
        if a + b + c == 0 {
            return Err(self.tenant.clone());
        }
        Ok(self)
    }

    #[tracium::skip]
    fn left_out(&self) -> u8 {
        Self::K
    }

    fn constructor() -> Result<Self, String>
    where
        Self: Sized,
    {
        Err(String::new())
    }

    fn stream(&self) -> BoxStream<'_, u8> {
        stream::iter(0..*self.inner).boxed()
    }

    fn labelled(&self, n: u8) -> Result<u8, String> {
        'a: loop {
            for i in 0.. {
                if i == n {
                    break 'a Ok(i);
                }
                if i > 100 {
                    continue 'a;
                }
            }
        }
    }

    fn let_else(&self, n: Option<u8>) -> Result<u8, String> {
        let Some(n) = n else {
            return Err("x".to_owned());
        };
        Ok(n)
    }

    unsafe fn not_safe(&self, p: *const u8) -> u8 {
        // SAFETY: callers pass the address of a byte that lives.
        unsafe { *p }
    }

    extern "C" fn foreign_abi(&self) -> u8 {
        1
    }

    #[must_use = "x"]
    fn to_be_used(&self) -> Result<u8, ()> {
        Ok(1)
    }

    #[inline]
    #[cold]
    fn inlined(&self) {}
    async fn configured(&self, #[cfg(any())] _x: Nope, #[cfg(not(any()))] y: u8) -> u8 {
        y
    }

    fn r#async(&self, r#in: u8) -> Result<u8, u8> {
        Ok(r#in)
    }

    fn with_where(&self) -> Result<u8, String>
    where
        String: Clone,
    {
        Ok(2)
    }

    #[allow(clippy::unused_self)]
    fn with_allow(&self) -> Result<(), ()> {
        Ok(())
    }

    #[expect(unused_variables)]
    async fn with_expect_for_an_argument(&self, x: u8) -> Result<(), ()> {
        let y = self.inner.clone();
        drop(y);
        Ok(())
    }

    async fn both(&self) -> Result<u8, String> {
        Ok(1)
    }

    fn shadow_box(&self) -> Result<u8, String> {
        enum Ok {
            A,
        }
        let _ = Ok::A;
        Result::Ok(1)
    }

    fn opt_try(&self) -> Option<u8> {
        let x = self.tenant.chars().next()?;
        u8::try_from(x).ok()
    }

    fn never(&self) -> Result<std::convert::Infallible, String> {
        Err(self.tenant.clone())
    }

    fn closure_in_result(&self) -> Result<impl Fn(u8) -> u8 + use<>, String> {
        let k = *self.inner;
        Ok(move |x| x + k)
    }

    fn nested(&self) -> Result<Result<u8, String>, std::fmt::Error> {
        Ok(Err(String::new()))
    }

    async fn in_loop(&self) -> u8 {
        let mut n = 0;
        for i in 0..3 {
            n += Box::pin(self.recursive_method(i)).await;
        }
        n
    }

    async fn recursive_method(&self, i: u8) -> u8 {
        if i == 0 { 0 } else { Box::pin(self.recursive_method(i - 1)).await }
    }

    fn async_block(&self) -> impl Future<Output = Result<(), String>> + use<'_> {
        async { self.opt_try().map(drop).ok_or_else(|| self.tenant.clone()) }
    }
}

#[tracium::trace(agent = "a")]
impl<'a, T: Clone + 'a, const N: usize> From<[&'a T; N]> for Service {
    fn from(x: [&'a T; N]) -> Self {
        Self { inner: Arc::new(u8::try_from(x.len()).unwrap_or(0)), tenant: String::new() }
    }
}

#[tracium::trace(agent = "a")]
impl std::str::FromStr for Service {
    type Err = std::num::ParseIntError;
    fn from_str(s: &str) -> Result<Self, Self::Err> {
        Ok(Self { inner: Arc::new(s.parse()?), tenant: s.to_owned() })
    }
}

#[tracium::trace(agent = "a")]
impl Drop for Service {
    fn drop(&mut self) {
        self.tenant.clear();
    }
}

#[tracium::trace(agent = "a")]
impl Iterator for Service {
    type Item = Result<u8, String>;
    fn next(&mut self) -> Option<Self::Item> {
        self.tenant.pop().map(|c| u8::try_from(c).map_err(|e| e.to_string()))
    }
}

impl Future for Service {
    type Output = Result<u8, String>;
    #[tracium::span]
    fn poll(self: Pin<&mut Self>, _: &mut std::task::Context<'_>) -> std::task::Poll<Self::Output> {
        std::task::Poll::Ready(Ok(1))
    }
}

#[tracium::trace(agent = "a")]
impl PartialEq for Service {
    fn eq(&self, other: &Self) -> bool {
        self.inner == other.inner
    }
}
