//! Which call of a model a request is, and what it asks.

use std::collections::BTreeMap;
use std::fmt;

use serde_json::{Map, Value};

use super::framing::json;
use super::{definitions, provider};
use crate::content::{self, Json, Limits};
use crate::trace::details::CallFacts;

/// A request on its way out, as an adapter sees it.
#[derive(Clone, Copy)]
pub struct Request<'a> {
    method: &'a str,
    host: &'a str,
    path: &'a str,
    content_type: Option<&'a str>,
    body: Option<&'a [u8]>,
}

impl<'a> Request<'a> {
    /// A request of `method` to `host` (which may have a port) for `path` (which may have a query).
    pub fn new(method: &'a str, host: &'a str, path: &'a str) -> Self {
        Self { method, host, path, content_type: None, body: None }
    }

    /// Its content type; without one, a body is taken for JSON.
    #[must_use]
    pub fn content_type(mut self, content_type: &'a str) -> Self {
        self.content_type = Some(content_type);
        self
    }

    /// Its body, where that lies in memory. Without one, what the host and the path say is all that is known.
    #[must_use]
    pub fn body(mut self, body: &'a [u8]) -> Self {
        self.body = Some(body);
        self
    }
}

/// Without the body, and without the query, which may hold a key.
impl fmt::Debug for Request<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Request")
            .field("method", &self.method)
            .field("host", &self.host)
            .field("path", &without_query(self.path))
            .finish_non_exhaustive()
    }
}

fn without_query(path: &str) -> &str {
    path.split(['?', '#']).next().unwrap_or_default()
}

/// The API that a request speaks.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Api {
    /// Of `OpenAI` and all who speak it.
    Chat,
    Completions,
    Responses,
    Embeddings,
    Images,
    Speech,
    Transcription,
    Moderation,
    /// Anthropic's messages, at Vertex as well.
    Messages,
    /// Google's, at Gemini or Vertex.
    Generate,
    GoogleEmbed,
    Converse,
    /// Bedrock's call of a model in the shape of its family.
    Invoke,
    CohereChat,
    CohereEmbed,
    OllamaChat,
    OllamaGenerate,
    OllamaEmbed,
}

impl Api {
    /// The operation, as the GenAI conventions name it; by a word of our own where they have none.
    fn operation(self) -> &'static str {
        match self {
            Self::Chat
            | Self::Responses
            | Self::Messages
            | Self::Converse
            | Self::Invoke
            | Self::CohereChat
            | Self::OllamaChat => "chat",
            Self::Generate => "generate_content",
            Self::Completions | Self::OllamaGenerate => "text_completion",
            Self::Embeddings | Self::GoogleEmbed | Self::CohereEmbed | Self::OllamaEmbed => "embeddings",
            Self::Images => "image_generation",
            Self::Speech => "speech",
            Self::Transcription => "transcription",
            Self::Moderation => "moderation",
        }
    }
}

/// Where a request goes: what is known before its body is looked at.
#[derive(Clone, Debug)]
pub(super) struct Route {
    api: Api,
    provider: Option<&'static str>,
    /// The model, where the path names it.
    model: Option<String>,
    /// Others have paths like this one: only the body tells whether it is a model's.
    needs_body: bool,
}

impl Route {
    /// The route of a request that may be a call of a model.
    pub(super) fn of(request: &Request<'_>) -> Option<Self> {
        if !request.method.eq_ignore_ascii_case("POST") {
            return None;
        }
        let path = without_query(request.path).trim_end_matches('/');
        let (api, model, telling) = api_of(path)?;
        let ours = provider::of_host(request.host);
        // A path that only Ollama has, at a host that is nobody's.
        let ollama = matches!(api, Api::OllamaChat | Api::OllamaGenerate | Api::OllamaEmbed).then_some("ollama");
        let bedrock = matches!(api, Api::Converse | Api::Invoke).then_some("aws.bedrock");
        Some(Self {
            api,
            provider: ours.or(ollama).or(bedrock),
            model: model.map(|model| content::percent_decode(model).unwrap_or_else(|| model.to_owned())),
            needs_body: ours.is_none() && !telling,
        })
    }

    pub(super) fn needs_body(&self) -> bool {
        self.needs_body
    }
}

/// The API, the model that the path names, and whether no other service has such a path.
fn api_of(path: &str) -> Option<(Api, Option<&str>, bool)> {
    let last = path.rsplit('/').next()?;
    let before = |tail: &str| path.strip_suffix(tail).and_then(|path| path.strip_suffix('/'));
    let segment_before = |tail: &str| before(tail)?.rsplit('/').next();
    // Google's: `models/{model}:generateContent`.
    if let Some((model, verb)) = last.rsplit_once(':') {
        let api = match verb {
            "generateContent" | "streamGenerateContent" => Api::Generate,
            "rawPredict" | "streamRawPredict" if path.contains("/publishers/anthropic/") => Api::Messages,
            "rawPredict" | "streamRawPredict" => Api::Chat,
            "embedContent" | "batchEmbedContents" => Api::GoogleEmbed,
            _ => return None,
        };
        return Some((api, Some(model), true));
    }
    // Azure's: `deployments/{name}/chat/completions`.
    let deployment = || {
        let (_, rest) = path.split_once("/deployments/")?;
        rest.split('/').next().filter(|name| !name.is_empty())
    };
    let bedrock = || segment_before(last).filter(|_| path.contains("/model/"));
    Some(match last {
        "completions" if path.ends_with("/chat/completions") => (Api::Chat, deployment(), true),
        "completions" => (Api::Completions, deployment(), false),
        "responses" => (Api::Responses, None, false),
        "embeddings" if path.ends_with("/api/embeddings") => (Api::OllamaEmbed, None, false),
        "embeddings" => (Api::Embeddings, deployment(), false),
        "generations" | "edits" | "variations" if path.contains("/images/") => (Api::Images, deployment(), false),
        "speech" if path.ends_with("/audio/speech") => (Api::Speech, deployment(), false),
        "transcriptions" | "translations" if path.contains("/audio/") => (Api::Transcription, deployment(), false),
        "moderations" => (Api::Moderation, None, false),
        "messages" if path.ends_with("/v1/messages") => (Api::Messages, None, false),
        "converse" | "converse-stream" => (Api::Converse, Some(bedrock()?), true),
        "invoke" | "invoke-with-response-stream" => (Api::Invoke, Some(bedrock()?), true),
        "chat" if path.ends_with("/api/chat") => (Api::OllamaChat, None, false),
        "chat" if path.ends_with("/v2/chat") || path.ends_with("/v1/chat") => (Api::CohereChat, None, false),
        "embed" if path.ends_with("/api/embed") => (Api::OllamaEmbed, None, false),
        "embed" if path.ends_with("/v2/embed") || path.ends_with("/v1/embed") => (Api::CohereEmbed, None, false),
        "generate" if path.ends_with("/api/generate") => (Api::OllamaGenerate, None, false),
        _ => return None,
    })
}

/// What a request asks.
pub(super) struct Asked {
    api: Api,
    facts: CallFacts,
    model: Option<String>,
    input: Option<Json>,
    tools: Option<Json>,
}

/// Members of a request that say what is asked, rather than how.
const CONTENT: [&str; 24] = [
    "messages",
    "system",
    "instructions",
    "contents",
    "systemInstruction",
    "system_instruction",
    "input",
    "prompt",
    "suffix",
    "message",
    "preamble",
    "chat_history",
    "documents",
    "texts",
    "inputs",
    "inputText",
    "content",
    "requests",
    "images",
    "variables",
    "functions_history",
    "previous_response_id",
    "conversation",
    "context",
];
/// Those that any model's request has one of: by one of these and `model` it is known at a host that is nobody's.
const ASKS: [&str; 5] = ["messages", "input", "prompt", "message", "texts"];
/// Bytes kept of a model's name.
const LONGEST_MODEL: usize = 256;

impl Asked {
    /// Reads what `request` asks; `None` where only its body could have said that it is a model's, and does not. Without
    /// `captures`, nothing of its content is kept.
    pub(super) fn read(route: &Route, request: &Request<'_>, captures: bool) -> Option<Self> {
        let is_json = request.content_type.is_none_or(|kind| kind.to_ascii_lowercase().contains("json"));
        let body = request.body.filter(|_| is_json).and_then(json::read);
        let fields = body.as_ref().and_then(Value::as_object);
        let text = |name: &str| fields.and_then(|fields| fields.get(name)?.as_str());
        if route.needs_body {
            let asks = ASKS.iter().any(|name| fields.is_some_and(|fields| fields.contains_key(*name)));
            if text("model").is_none() || !asks {
                return None;
            }
        }
        let in_form = request.body.filter(|_| !is_json).and_then(model_in_form);
        let model = text("model").or_else(|| text("modelId")).or(in_form).or(route.model.as_deref());
        let model = model.map(|model| content::scrub_text(model, LONGEST_MODEL)).filter(|model| !model.is_empty());
        let stream = fields.is_some_and(|fields| fields.get("stream") == Some(&Value::Bool(true)));
        let facts = CallFacts {
            operation: route.api.operation(),
            provider: route.provider,
            asked: model.as_deref().map(Into::into),
            stream: stream || without_query(request.path).to_ascii_lowercase().contains("stream"),
            ..CallFacts::default()
        };
        let (input, tools) = match fields {
            Some(fields) if captures => (input_of(fields), tools_of(fields)),
            _ => (None, None),
        };
        Some(Self { api: route.api, facts, model, input, tools })
    }

    pub(super) fn operation(&self) -> &'static str {
        self.facts.operation
    }

    pub(super) fn is_embedding(&self) -> bool {
        self.api.operation() == "embeddings"
    }

    pub(super) fn is_transcription(&self) -> bool {
        self.api == Api::Transcription
    }

    /// Whether the model is asked to say something: a call that does not is none of those that a span of kind `llm`
    /// around it stands for.
    pub(super) fn is_generation(&self) -> bool {
        !self.is_embedding() && self.api != Api::Moderation
    }

    pub(super) fn model(&self) -> Option<&str> {
        self.model.as_deref()
    }

    /// The span's name: the operation and the model.
    pub(super) fn name(&self) -> Box<str> {
        match &self.model {
            Some(model) => format!("{} {model}", self.operation()).into(),
            None => self.operation().into(),
        }
    }

    pub(super) fn facts(&self) -> CallFacts {
        self.facts.clone()
    }

    /// What was asked, and the tools that were offered; once.
    pub(super) fn take_content(&mut self) -> (Option<Json>, Option<Json>) {
        (self.input.take(), self.tools.take())
    }
}

/// The model that a form names, which stands at its beginning or at its end: what is between is a file.
fn model_in_form(form: &[u8]) -> Option<&str> {
    const NAME: &[u8] = b"name=\"model\"";
    const LOOKED_AT: usize = 4096;
    let (head, tail) = (&form[..form.len().min(LOOKED_AT)], &form[form.len().saturating_sub(LOOKED_AT)..]);
    [head, tail].into_iter().find_map(|part| {
        let at = part.windows(NAME.len()).position(|window| window == NAME)? + NAME.len();
        let rest = &part[at..];
        let begin = rest.windows(4).position(|window| window == b"\r\n\r\n")? + 4;
        let value = &rest[begin..];
        std::str::from_utf8(&value[..value.iter().position(|byte| *byte == b'\r')?]).ok()
    })
}

/// What was asked, in the provider's own shape: a list of messages alone where there is nothing beside it.
fn input_of(fields: &Map<String, Value>) -> Option<Json> {
    let asked: Vec<_> = CONTENT.iter().filter_map(|name| Some((*name, fields.get(*name)?))).collect();
    Some(match asked.as_slice() {
        [] => return None,
        [("messages" | "prompt" | "input" | "inputText", only)] => content::to_json(only, &Limits::CAPTURE),
        _ => content::to_json(&asked.into_iter().collect::<BTreeMap<_, _>>(), &Limits::CAPTURE),
    })
}

/// The tools that were offered, as the conventions define them.
fn tools_of(fields: &Map<String, Value>) -> Option<Json> {
    let config = fields.get("toolConfig").or_else(|| fields.get("tool_config")).and_then(|config| config.get("tools"));
    let tools = definitions(fields.get("tools").or_else(|| fields.get("functions")).or(config)?);
    (!tools.is_empty()).then(|| content::to_json(&tools, &Limits::CAPTURE))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn asked(path: &str, content_type: &str, body: &[u8]) -> Option<(&'static str, Option<String>)> {
        let request = Request::new("POST", "api.openai.com", path).content_type(content_type).body(body);
        let asked = Asked::read(&Route::of(&request)?, &request, true)?;
        Some((asked.operation(), asked.model))
    }

    #[test]
    fn calls_are_told_by_their_paths_and_so_is_the_model_where_they_name_it() {
        for (path, operation, model) in [
            ("/v1/chat/completions", "chat", None),
            ("/openai/deployments/prod-4o/chat/completions?api-version=2024-06-01", "chat", Some("prod-4o")),
            ("/openai/deployments/ada/embeddings", "embeddings", Some("ada")),
            ("/openai/v1/responses/", "chat", None),
            ("/v1beta/models/gemini-2.5-flash:generateContent", "generate_content", Some("gemini-2.5-flash")),
            (
                "/v1/projects/p/locations/l/publishers/google/models/gemini-2.5-pro:streamGenerateContent?alt=sse",
                "generate_content",
                Some("gemini-2.5-pro"),
            ),
            (
                "/v1/projects/p/locations/l/publishers/anthropic/models/claude-opus-4@20250514:streamRawPredict",
                "chat",
                Some("claude-opus-4@20250514"),
            ),
            ("/v1beta/models/text-embedding-004:embedContent", "embeddings", Some("text-embedding-004")),
            ("/model/amazon.nova-pro-v1%3A0/converse", "chat", Some("amazon.nova-pro-v1:0")),
            (
                "/model/arn%3Aaws%3Abedrock%3Aus-east-1%3A1%3Ainference-profile%2Fx/invoke",
                "chat",
                Some("arn:aws:bedrock:us-east-1:1:inference-profile/x"),
            ),
            ("/v1/images/edits", "image_generation", None),
            ("/v1/audio/translations", "transcription", None),
            ("/api/generate", "text_completion", None),
        ] {
            let expected = Some((operation, model.map(str::to_owned)));
            assert_eq!(asked(path, "application/json", b"{}"), expected, "{path}");
        }
        for path in ["/", "", "/v1/models", "/v1/chat/completions/7", "/invoke", "/v1beta/models/m:countTokens"] {
            assert_eq!(asked(path, "application/json", b"{}"), None, "{path}");
        }
    }

    #[test]
    fn a_form_names_its_model_before_or_behind_its_file() {
        let model = b"--x\r\nContent-Disposition: form-data; name=\"model\"\r\n\r\nwhisper-1\r\n".to_vec();
        let mut file = b"--x\r\nContent-Disposition: form-data; name=\"file\"; filename=\"a.mp3\"\r\n\r\n".to_vec();
        file.extend(vec![0xFF; 100_000]);
        file.extend_from_slice(b"\r\n");
        for form in [[model.clone(), file.clone()].concat(), [file.clone(), model].concat()] {
            let asked = asked("/v1/audio/transcriptions", "multipart/form-data; boundary=x", &form);
            assert_eq!(asked, Some(("transcription", Some("whisper-1".to_owned()))));
        }
        let without = asked("/v1/audio/transcriptions", "multipart/form-data; boundary=x", &file);
        assert_eq!(without, Some(("transcription", None)));
    }
}
