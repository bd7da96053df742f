//! Answers that are a text and the reason of its end, beside each other: of Cohere's first version, of Ollama's
//! `generate`, and of the families of models on Bedrock (Titan, Llama, Mistral, Command, Claude's first).

use serde_json::Value;

/// The text of such an answer, and why it ended.
pub(super) fn text(value: &Value) -> Option<(&Value, Option<String>)> {
    // A text may be under any of these names in anybody's JSON: the other member tells that it is a model's.
    let shapes: [(&Value, &[&Value]); 8] = [
        (&value["results"][0]["outputText"], &[&value["results"][0]["completionReason"]]),
        (&value["outputText"], &[&value["completionReason"], &value["inputTextTokenCount"]]),
        (&value["outputs"][0]["text"], &[&value["outputs"][0]["stop_reason"], &value["stop_reason"]]),
        (&value["generations"][0]["text"], &[&value["generations"][0]["finish_reason"]]),
        (&value["generation"], &[&value["stop_reason"], &value["generation_token_count"]]),
        (&value["completion"], &[&value["stop_reason"], &value["stop"]]),
        (&value["response"], &[&value["done_reason"], &value["done"]]),
        (&value["text"], &[&value["finish_reason"], &value["generation_id"], &value["chat_history"]]),
    ];
    let known = |(text, marks): &(&Value, &[&Value])| text.is_string() && marks.iter().any(|mark| !mark.is_null());
    let (text, marks) = shapes.into_iter().find(known)?;
    let reason = marks.first().and_then(|reason| reason.as_str()).map(str::to_owned);
    Some((text, reason))
}
