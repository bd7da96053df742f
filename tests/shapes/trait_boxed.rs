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

#[test]
fn boxed_methods_do_what_they_did() {
    let mut weather = Weather { tenant: "acme".to_owned(), days: 0 };
    assert_eq!(wait(weather.call("Oslo")), Err("Oslo".to_owned()));
    wait(weather.update(vec![1], (2, 3)));
    assert_eq!(wait(weather.call("Oslo")), Ok("OSLO".to_owned()));
    assert_eq!(wait(weather.forecast(("Oslo".to_owned(), 0))), Err("Oslo".to_owned()));
    assert_eq!(wait(Box::new(weather).consume()), 3);
}
