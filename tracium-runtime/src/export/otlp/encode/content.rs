//! What was captured: messages of a model's call, values of everything else.

use serde_json::Value;

use super::super::super::View;
use super::super::super::mask::Masked;
use super::super::names::{Kind, gen_ai, openinference, traceloop};
use super::super::wire::{put_text, put_texts};
use super::ATTRIBUTE;
use crate::content::{Json, fit};
use crate::llm::{Input, Output, definitions, normal_reason};

/// What one value may have, as JSON.
const MOST_BYTES: usize = 100_000;

/// Appends the attributes of what `view` has captured; `asked` is the model that was.
pub(super) fn put(out: &mut Vec<u8>, view: View<'_>, kind: Kind, mask: &Masked, asked: Option<&str>) {
    if !view.has_details() {
        return;
    }
    if kind == Kind::Llm {
        put_input(out, view, mask);
        put_output(out, view, mask, asked);
        return;
    }
    if let Some(input) = view.input() {
        let names = [traceloop::INPUT, openinference::INPUT, openinference::INPUT_TYPE];
        let input = text(mask, "input", input);
        put_value(out, names, &input);
        if kind == Kind::Tool && !view.has_metadata(gen_ai::TOOL_CALL_ID) {
            put_call_id(out, &input);
        }
    }
    if let Some(output) = view.output() {
        let names = [traceloop::OUTPUT, openinference::OUTPUT, openinference::OUTPUT_TYPE];
        put_value(out, names, &text(mask, "output", output));
    }
    if let Some(tools) = view.tools() {
        put_list(out, gen_ai::TOOL_DEFINITIONS, &definitions(&value(mask, "tools", tools)));
    }
    if let Some(calls) = view.tool_calls() {
        put_list(out, gen_ai::OUTPUT_MESSAGES, &Output::of(None, Some(&value(mask, "tool_calls", calls))).messages);
    }
}

fn put_input(out: &mut Vec<u8>, view: View<'_>, mask: &Masked) {
    let input = view.input().map(|input| Input::of(&value(mask, "input", input))).unwrap_or_default();
    put_list(out, gen_ai::SYSTEM_INSTRUCTIONS, &input.system);
    put_list(out, gen_ai::INPUT_MESSAGES, &input.messages);
    let tools = view.tools().map(|tools| definitions(&value(mask, "tools", tools)));
    put_list(out, gen_ai::TOOL_DEFINITIONS, &tools.unwrap_or(input.tools));
}

fn put_output(out: &mut Vec<u8>, view: View<'_>, mask: &Masked, asked: Option<&str>) {
    let answer = view.output().map(|output| value(mask, "output", output));
    let calls = view.tool_calls().map(|calls| value(mask, "tool_calls", calls));
    let mut output = Output::of(answer.as_ref(), calls.as_ref());
    let call = view.call();
    // A call that was read says its reasons apart from its messages.
    let reasons = call.map_or(&[][..], |call| &call.finish_reasons);
    for (message, reason) in output.messages.iter_mut().zip(reasons) {
        message["finish_reason"] = normal_reason(reason).into();
    }
    put_list(out, gen_ai::OUTPUT_MESSAGES, &output.messages);
    if reasons.is_empty() && !output.finish_reasons.is_empty() {
        put_texts(out, ATTRIBUTE, gen_ai::FINISH_REASONS, &output.finish_reasons);
    }
    if let Some(id) = &output.id
        && call.is_none_or(|call| call.response_id.is_none())
    {
        put_text(out, ATTRIBUTE, gen_ai::RESPONSE_ID, id);
    }
    // Said by the body, or by the response itself.
    let answered = view.model().filter(|model| Some(*model) != asked).or(output.model.as_deref());
    if let Some(model) = answered
        && call.is_none_or(|call| call.answered.is_none())
    {
        put_text(out, ATTRIBUTE, gen_ai::RESPONSE_MODEL, model);
    }
}

fn put_list(out: &mut Vec<u8>, name: &str, list: &[Value]) {
    if !list.is_empty() {
        let json = serde_json::to_string(list).unwrap_or_default();
        put_text(out, ATTRIBUTE, name, &json);
    }
}

/// The call that the tool was run for, where its arguments say so.
fn put_call_id(out: &mut Vec<u8>, input: &str) {
    let Ok(input) = serde_json::from_str::<Value>(input) else { return };
    let call = input.as_object().and_then(|fields| if fields.len() == 1 { fields.values().next() } else { None });
    let found = [Some(&input), call].into_iter().flatten().find_map(|value| {
        ["tool_call_id", "call_id", "tool_use_id"].iter().find_map(|name| value.get(*name)?.as_str())
    });
    if let Some(id) = found {
        put_text(out, ATTRIBUTE, gen_ai::TOOL_CALL_ID, id);
    }
}

/// A value as the mask leaves it, in its bounds.
fn text(mask: &Masked, field: &str, value: &Json) -> String {
    fit(&mask.json(field, value), MOST_BYTES).into_owned()
}

fn value(mask: &Masked, field: &str, json: &Json) -> Value {
    let text = text(mask, field, json);
    // It is JSON by construction; were it not, it is a text.
    serde_json::from_str(&text).unwrap_or(Value::String(text))
}

/// A value under the names of both conventions. A text stands for itself, everything else as JSON.
fn put_value(out: &mut Vec<u8>, [traceloop, openinference, mime_type]: [&str; 3], json: &str) {
    let plain = json.starts_with('"').then(|| serde_json::from_str::<String>(json).ok()).flatten();
    let value = plain.as_deref().unwrap_or(json);
    put_text(out, ATTRIBUTE, traceloop, value);
    put_text(out, ATTRIBUTE, openinference, value);
    put_text(out, ATTRIBUTE, mime_type, if plain.is_some() { "text/plain" } else { "application/json" });
}
