//! Calls of models through the AWS SDK's Bedrock client, seen without being asked.
//!
//! ```
//! use aws_smithy_runtime_api::client::interceptors::SharedInterceptor;
//! use tracium::bedrock::LlmInterceptor;
//!
//! // `aws_sdk_bedrockruntime::config::Builder::from(&shared).interceptor(LlmInterceptor::new()).build()`, or, where
//! // interceptors are kept in a list of their own:
//! let interceptor = SharedInterceptor::new(LlmInterceptor::new());
//! # drop(interceptor);
//! ```
//!
//! Each attempt of `Converse`, `ConverseStream`, `InvokeModel` and `InvokeModelWithResponseStream` is a span of kind `llm`
//! in the current trace, under its tenant, retries included: see [`llm`](mod@crate::llm) for what it records. Every other
//! operation passes untouched, and so does a call outside any trace; the interceptor may be in the configuration that all
//! clients share.
//!
//! The SDK has no hook for the events of a stream. They are seen in the response's body, before the SDK takes them apart,
//! and each chunk reaches it in the poll that received it. Credentials and signatures are not looked at, nor are headers,
//! but for the content type and the answer's request id.

use std::error::Error;

use aws_smithy_runtime_api::box_error::BoxError;
use aws_smithy_runtime_api::client::interceptors::Intercept;
use aws_smithy_runtime_api::client::interceptors::context::{
    BeforeDeserializationInterceptorContextMut, BeforeTransmitInterceptorContextRef, FinalizerInterceptorContextRef,
};
use aws_smithy_runtime_api::client::runtime_components::RuntimeComponents;
use aws_smithy_types::body::SdkBody;
use aws_smithy_types::config_bag::{ConfigBag, Storable, StoreReplace};

use crate::calls::{self, Causes, Observed};
use crate::llm::Exchange;

/// Makes each call of a model a span. See the [module](self).
#[derive(Clone, Copy, Debug, Default)]
#[non_exhaustive]
pub struct LlmInterceptor;

impl LlmInterceptor {
    /// Sees calls, and changes nothing of them.
    pub fn new() -> Self {
        Self
    }
}

impl Intercept for LlmInterceptor {
    fn name(&self) -> &'static str {
        "tracium::bedrock::LlmInterceptor"
    }

    fn read_before_transmit(
        &self,
        context: &BeforeTransmitInterceptorContextRef<'_>,
        _components: &RuntimeComponents,
        config: &mut ConfigBag,
    ) -> Result<(), BoxError> {
        if let Some(exchange) = begin(context.request()) {
            config.interceptor_state().store_put(Attempt(Some(exchange)));
        }
        Ok(())
    }

    fn modify_before_deserialization(
        &self,
        context: &mut BeforeDeserializationInterceptorContextMut<'_>,
        _components: &RuntimeComponents,
        config: &mut ConfigBag,
    ) -> Result<(), BoxError> {
        if let Some(mut exchange) = attempt(config) {
            let response = context.response_mut();
            let headers = response.headers();
            let header = |name: &str| headers.get(name).map(str::to_owned);
            exchange.answered(response.status().as_u16(), headers.get("content-type"), header);
            let body = Observed::new(response.take_body(), exchange, |error| -> &(dyn Error + 'static) { &**error });
            *response.body_mut() = SdkBody::from_body_1_x(body);
        }
        Ok(())
    }

    /// Where no response came.
    fn read_after_attempt(
        &self,
        context: &FinalizerInterceptorContextRef<'_>,
        _components: &RuntimeComponents,
        config: &mut ConfigBag,
    ) -> Result<(), BoxError> {
        if let Some(exchange) = attempt(config) {
            match context.output_or_error() {
                Some(Err(error)) => exchange.failed(&Causes(error)),
                _ => exchange.end(),
            }
        }
        Ok(())
    }
}

/// The attempt that has had no answer yet.
#[derive(Debug)]
struct Attempt(Option<Exchange>);

impl Storable for Attempt {
    type Storer = StoreReplace<Self>;
}

fn attempt(config: &mut ConfigBag) -> Option<Exchange> {
    config.get_mut_from_interceptor_state::<Attempt>()?.0.take()
}

fn begin(request: &aws_smithy_runtime_api::http::Request) -> Option<Exchange> {
    let uri: http::Uri = request.uri().parse().ok()?;
    let host = uri.authority().map_or("", |authority| authority.as_str());
    calls::begin(request.method(), host, uri.path(), request.headers().get("content-type"), request.body().bytes())
}
