//! `async_trait`: the attribute on a method sees what `async_trait` made of it.

use crate::wait;

#[async_trait::async_trait]
pub trait Tool {
    async fn call(&self, city: &str) -> Result<String, String>;

    #[tracium::tool(capture(city, days))]
    async fn forecast(&self, (city, days): (String, u8)) -> Result<usize, String>
    where
        Self: Sync,
    {
        if days == 0 { Err(city) } else { Ok(city.len()) }
    }

    async fn update(&mut self, mut values: Vec<u8>, (low, high): (u8, u8));

    async fn consume(self: Box<Self>) -> u8;
}

pub struct Weather {
    tenant: String,
    days: u8,
}

#[async_trait::async_trait]
impl Tool for Weather {
    #[tracium::tenant_scope(from = self.tenant.as_str())]
    #[tracium::trace(agent = "support-bot", capture(city), output)]
    async fn call(&self, city: &str) -> Result<String, String> {
        if self.days == 0 {
            return Err(city.to_owned());
        }
        Ok(city.to_uppercase())
    }

    #[tracium::span(kind = "tool", bind = span, capture(low), metadata(tenant = self.tenant))]
    #[tracium::tenant_scope(from = self.tenant)]
    async fn update(&mut self, mut values: Vec<u8>, (low, high): (u8, u8)) {
        values.push(low);
        span.add_tags(["updated"]);
        self.days = high;
    }

    #[tracium::tenant_scope(from = self.tenant)]
    async fn consume(self: Box<Self>) -> u8 {
        self.days
    }
}

/// The attribute above `async_trait`'s marks the methods before that expands.
#[tracium::span(kind = "tool")]
#[async_trait::async_trait]
impl Tool for u8 {
    async fn call(&self, city: &str) -> Result<String, String> {
        Err(city.to_owned())
    }

    async fn update(&mut self, _values: Vec<u8>, (low, high): (u8, u8)) {
        *self = low + high;
    }

    async fn consume(self: Box<Self>) -> u8 {
        *self
    }
}

/// The attribute below `async_trait`'s marks what that has made.
#[async_trait::async_trait]
#[tracium::span(kind = "tool")]
impl Tool for u16 {
    async fn call(&self, city: &str) -> Result<String, String> {
        Err(city.to_owned())
    }

    async fn update(&mut self, _values: Vec<u8>, (low, high): (u8, u8)) {
        *self = u16::from(low) + u16::from(high);
    }

    async fn consume(self: Box<Self>) -> u8 {
        0
    }
}

#[async_trait::async_trait]
pub trait Search {
    async fn find<'a, K>(&'a self, key: K, (first, second): (&'a str, u8)) -> Result<&'a str, Failure>
    where
        K: AsRef<str> + Send + 'static;

    async fn only_for_the_tenant(&self, tenant: String, (other, _): (String, u8)) -> Result<u8, Failure>;

    async fn only_outside(self: Box<Self>, tenant: String);
}

type Failure = Box<dyn std::error::Error + Send + Sync>;

/// Generic, takes a pattern, returns what it borrowed.
#[async_trait::async_trait]
impl Search for Weather {
    #[tracium::trace(agent = "support-bot", capture(first, second), metadata(key = key.as_ref()), output)]
    #[tracium::tenant_scope(from = self.tenant.as_str(), missing = reject)]
    async fn find<'a, K>(&'a self, key: K, (first, second): (&'a str, u8)) -> Result<&'a str, Failure>
    where
        K: AsRef<str> + Send + 'static,
    {
        std::future::ready(()).await;
        match second {
            0 => Err(format!("no {}", key.as_ref()).into()),
            1 => Ok(&self.tenant),
            _ => Ok(first),
        }
    }

    #[tracium::tenant_scope(from = tenant)]
    async fn only_for_the_tenant(&self, tenant: String, (_, _number): (String, u8)) -> Result<u8, Failure> {
        Ok(self.days)
    }

    #[tracium::span(kind = "tool")]
    #[tracium::tenant_scope(from = tenant.as_str())]
    #[tracium::span(kind = "tool")]
    async fn only_outside(self: Box<Self>, tenant: String) {}
}

#[test]
fn boxed_generic_methods_do_what_they_did() {
    let weather = Weather { tenant: "acme".to_owned(), days: 3 };
    let found = |number| wait(weather.find("key".to_owned(), ("first", number))).map_err(|error| error.to_string());
    assert_eq!([found(0), found(1), found(2)], [Err("no key".to_owned()), Ok("acme"), Ok("first")]);
    assert_eq!(wait(weather.only_for_the_tenant(String::new(), (String::new(), 1))).unwrap(), 3);
    wait(Box::new(weather).only_outside("acme".to_owned()));
}

#[test]
fn boxed_methods_do_what_they_did() {
    let mut weather = Weather { tenant: "acme".to_owned(), days: 0 };
    assert_eq!(wait(weather.call("Oslo")), Err("Oslo".to_owned()));
    wait(weather.update(vec![1], (2, 3)));
    assert_eq!(wait(weather.call("Oslo")), Ok("OSLO".to_owned()));
    assert_eq!(wait(weather.forecast(("Oslo".to_owned(), 0))), Err("Oslo".to_owned()));
    assert_eq!(wait(Box::new(weather).consume()), 3);
}
