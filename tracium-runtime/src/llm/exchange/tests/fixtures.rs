//! Requests and answers, in the shapes that the providers' references give them. Whatever is content says `marzipan`.

use super::Seen;
use crate::llm::framing::aws::crc32;

const SSE: &str = "text/event-stream; charset=utf-8";
const JSON: &str = "application/json";
const AWS: &str = "application/vnd.amazon.eventstream";

/// A call, and all the ways in which its answer may come; they say the same.
pub(super) struct Fixture {
    pub(super) seen: Seen<'static>,
    /// Content types and bodies, the whole answer first.
    pub(super) answers: Vec<(&'static str, Vec<u8>)>,
}

macro_rules! file {
    ($name:literal) => {
        include_bytes!(concat!("../../fixtures/", $name)).as_slice()
    };
}

fn fixture(
    host: &'static str,
    path: &'static str,
    request: &'static [u8],
    answers: impl IntoIterator<Item = (&'static str, Vec<u8>)>,
) -> Fixture {
    let seen = Seen { host, path, request, status: 200, content_type: JSON };
    Fixture { seen, answers: answers.into_iter().collect() }
}

pub(super) fn openai_chat() -> Fixture {
    let answers = [(JSON, file!("openai_chat.json").to_vec()), (SSE, file!("openai_chat.sse").to_vec())];
    fixture("api.openai.com", "/v1/chat/completions", file!("openai_chat.request.json"), answers)
}

pub(super) fn openai_tools() -> Fixture {
    let answers = [(JSON, file!("openai_tools.json").to_vec()), (SSE, file!("openai_tools.sse").to_vec())];
    fixture("api.openai.com", "/v1/chat/completions", file!("openai_chat.request.json"), answers)
}

pub(super) fn openai_responses() -> Fixture {
    let answers = [(JSON, file!("openai_responses.json").to_vec()), (SSE, file!("openai_responses.sse").to_vec())];
    fixture("api.openai.com", "/v1/responses", file!("openai_responses.request.json"), answers)
}

pub(super) fn anthropic() -> Fixture {
    let answers = [(JSON, file!("anthropic.json").to_vec()), (SSE, file!("anthropic.sse").to_vec())];
    fixture("api.anthropic.com", "/v1/messages", file!("anthropic.request.json"), answers)
}

pub(super) fn gemini() -> Fixture {
    let path = "/v1beta/models/gemini-2.5-pro:streamGenerateContent?alt=sse&key=marzipan";
    let answers = [
        (JSON, file!("gemini.json").to_vec()),
        (SSE, file!("gemini.sse").to_vec()),
        (JSON, file!("gemini.list.json").to_vec()),
    ];
    fixture("generativelanguage.googleapis.com", path, file!("gemini.request.json"), answers)
}

pub(super) fn converse() -> Fixture {
    let path = "/model/us.anthropic.claude-sonnet-4-5-20250929-v1%3A0/converse-stream";
    let lines = std::str::from_utf8(file!("converse.events")).unwrap().lines();
    let messages = lines.flat_map(|line| {
        let (name, payload) = line.split_once(' ').unwrap();
        message(&[(":message-type", "event"), (":event-type", name)], payload.as_bytes())
    });
    let answers = [(JSON, file!("converse.json").to_vec()), (AWS, messages.collect())];
    fixture("bedrock-runtime.us-east-1.amazonaws.com", path, file!("converse.request.json"), answers)
}

/// Anthropic's events, as Bedrock wraps those of a model's family.
pub(super) fn invoke() -> Fixture {
    let path = "/model/anthropic.claude-sonnet-4-5-20250929-v1%3A0/invoke-with-response-stream";
    let events = std::str::from_utf8(file!("anthropic.sse")).unwrap().lines();
    let messages = events.filter_map(|line| line.strip_prefix("data: ")).flat_map(|event| {
        let payload = format!("{{\"bytes\":\"{}\",\"p\":\"abcdef\"}}", base64(event.as_bytes()));
        message(&[(":message-type", "event"), (":event-type", "chunk")], payload.as_bytes())
    });
    let answers = [(JSON, file!("anthropic.json").to_vec()), (AWS, messages.collect())];
    fixture("bedrock-runtime.us-east-1.amazonaws.com", path, file!("anthropic.request.json"), answers)
}

pub(super) fn cohere() -> Fixture {
    let answers = [(JSON, file!("cohere.json").to_vec()), (SSE, file!("cohere.sse").to_vec())];
    fixture("api.cohere.com", "/v2/chat", file!("cohere.request.json"), answers)
}

pub(super) fn ollama() -> Fixture {
    let answers = [(JSON, file!("ollama.json").to_vec()), ("application/x-ndjson", file!("ollama.lines").to_vec())];
    fixture("localhost:11434", "/api/chat", file!("ollama.request.json"), answers)
}

pub(super) fn all() -> Vec<Fixture> {
    vec![
        openai_chat(),
        openai_tools(),
        openai_responses(),
        anthropic(),
        gemini(),
        converse(),
        invoke(),
        cohere(),
        ollama(),
    ]
}

/// A message of an AWS event stream.
pub(super) fn message(headers: &[(&str, &str)], payload: &[u8]) -> Vec<u8> {
    let mut encoded = Vec::new();
    for (name, value) in headers {
        encoded.push(name.len() as u8);
        encoded.extend_from_slice(name.as_bytes());
        encoded.push(7);
        encoded.extend_from_slice(&(value.len() as u16).to_be_bytes());
        encoded.extend_from_slice(value.as_bytes());
    }
    let total = 16 + encoded.len() + payload.len();
    let mut out = Vec::new();
    out.extend_from_slice(&(total as u32).to_be_bytes());
    out.extend_from_slice(&(encoded.len() as u32).to_be_bytes());
    out.extend_from_slice(&crc32(&out).to_be_bytes());
    out.extend_from_slice(&encoded);
    out.extend_from_slice(payload);
    out.extend_from_slice(&crc32(&out).to_be_bytes());
    out
}

fn base64(bytes: &[u8]) -> String {
    const LETTERS: &[u8] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    let mut out = String::new();
    for chunk in bytes.chunks(3) {
        let word = chunk.iter().fold(0_u32, |word, byte| word << 8 | u32::from(*byte)) << (8 * (3 - chunk.len()));
        for at in 0..4 {
            let letter = LETTERS[(word >> (18 - 6 * at) & 63) as usize];
            out.push(if at <= chunk.len() { char::from(letter) } else { '=' });
        }
    }
    out
}
