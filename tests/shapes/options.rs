//! Every option, as a literal and as an expression.

use crate::wait;

const KIND: &str = "embedding";

pub struct Request {
    tenant: Option<String>,
    question: String,
}

#[tracium::trace(
    agent = "support-bot",
    name = "answer",
    model = "gpt-4o",
    version = env!("CARGO_PKG_VERSION"),
    workspace = "main",
    tags = ["prod", request.question.as_str()],
    metadata(length = request.question.len(), "app.build" = 3, kind = "chat"),
    tenant = request.tenant,
    session = "session",
    user = request.question,
    trace_id = "trace-1",
    new_trace,
    capture(?retries),
    output,
    bind = trace,
    propagate = false,
)]
async fn everything(request: &Request, retries: Vec<u8>) -> Result<usize, String> {
    trace.add_tags(["seen"]);
    std::future::ready(()).await;
    if retries.is_empty() { Err(request.question.clone()) } else { Ok(retries.len()) }
}

#[tracium::span(kind = KIND, name = format!("embed {text}"), model = model.unwrap_or_default(), tags = ["a"], input = text.len(), output)]
fn expressions(text: &str, model: Option<&str>) -> usize {
    text.len() + model.map_or(0, str::len)
}

#[tracium::llm(model = "gpt-4o", bind = span)]
fn llm(question: &str) -> usize {
    span.set_model("gpt-4o-mini");
    question.len()
}

#[tracium::tool(capture(city), output)]
fn tool(city: String) -> Result<String, std::fmt::Error> {
    if city.is_empty() { Err(std::fmt::Error) } else { Ok(city) }
}

#[tracium::retrieval]
fn retrieval() {}

#[tracium::tenant_scope(from = request.tenant, missing = reject)]
async fn rejecting(request: Request) -> Result<String, tracium::TenantError> {
    std::future::ready(()).await;
    Ok(request.question)
}

#[tracium::tenant_scope(from = lookup(&request).await, missing = none)]
async fn awaiting(request: Request) -> String {
    request.question
}

async fn lookup(request: &Request) -> Option<String> {
    std::future::ready(request.tenant.clone()).await
}

#[tracium::span(output)]
#[track_caller]
fn tracked() -> Result<u32, String> {
    Ok(std::panic::Location::caller().line())
}

#[test]
fn options_leave_the_arguments_to_the_body() {
    let request = |tenant: Option<&str>| Request { tenant: tenant.map(str::to_owned), question: "?".to_owned() };
    assert_eq!(wait(everything(&request(None), vec![1])), Ok(1));
    assert_eq!(expressions("abc", Some("d")), 4);
    assert_eq!(llm("?"), 1);
    assert_eq!(tool("Oslo".to_owned()), Ok("Oslo".to_owned()));
    assert_eq!(wait(rejecting(request(Some("acme")))).ok().as_deref(), Some("?"));
    assert!(wait(rejecting(request(None))).is_err());
    assert_eq!(wait(awaiting(request(None))), "?");
    assert!(tracked().is_ok());
    retrieval();
}
