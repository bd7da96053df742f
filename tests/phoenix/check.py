"""Checks through Phoenix's API that the traces of `examples/otlp.rs` are there with all they have."""

import json
import sys
import time
import urllib.request

base, tenant = sys.argv[1], sys.argv[2]


def spans():
    with urllib.request.urlopen(f"{base}/v1/projects/default/spans?limit=100") as answer:
        return json.load(answer)["data"]


def expect(what, seen, wanted):
    if seen != wanted:
        sys.exit(f"{what}: {seen!r}, and not {wanted!r}")


# Phoenix writes what it took a moment later.
for _ in range(100):
    found = spans()
    if len(found) >= 13:
        break
    time.sleep(0.2)
expect("spans", len(found), 13)

roots = {span["context"]["span_id"]: span for span in found if span["parent_id"] is None}
expect("traces", len(roots), 2)
for span in found:
    if span["parent_id"] is not None:
        expect(f"the parent of {span['name']}", span["parent_id"] in roots, True)
        root = roots[span["parent_id"]]
        expect("its trace", span["context"]["trace_id"], root["context"]["trace_id"])
    attributes = span["attributes"]
    expect("the tenant", attributes["tenant.id"], tenant)
    metered = attributes["tracium.user.id"]
    expect("the metered tenant", (len(metered), metered[:96]), (128, tenant[:95] + "~"))
    expect("the session", attributes["session.id"], "visit-7")
    expect("the agent", attributes["gen_ai.agent.name"], "critic" if "critic" in span["name"] else "zoo-guide")

kinds = sorted((span["name"], span["span_kind"]) for span in found)
both = [
    ("chat claude-sonnet-4-5", "LLM"),
    ("embeddings text-embedding-3-small", "EMBEDDING"),
    ("execute_tool look_up", "TOOL"),
    ("invoke_agent zoo-guide", "AGENT"),
    ("plan", "CHAIN"),
    ("search", "RETRIEVER"),
]
expect("kinds", kinds, sorted(both + both + [("invoke_agent critic", "AGENT")]))

for span in found:
    attributes = span["attributes"]
    if span["span_kind"] == "LLM":
        counts = {name: attributes[f"llm.token_count.{name}"] for name in ["prompt", "completion"]}
        # Inclusive of what came from the cache and went into it.
        expect("tokens", counts, {"prompt": 1240, "completion": 25})
        expect("cached tokens", attributes["llm.token_count.prompt_details.cache_read"], 1000)
        expect("tokens into the cache", attributes["llm.token_count.prompt_details.cache_write"], 200)
        expect("instructions", attributes["llm.input_messages.0.message.role"], "system")
        expect("the question's role", attributes["llm.input_messages.1.message.role"], "user")
        expect("the answer", attributes["llm.output_messages.0.message.content"], "Let me look that up.")
        call = "llm.output_messages.0.message.tool_calls.0.tool_call"
        expect("the called tool", attributes[f"{call}.function.name"], "look_up")
        expect("its call", attributes[f"{call}.id"], "call_1")
        expect("the offered tool", "look_up" in attributes["llm.tools.0.tool.json_schema"], True)
        expect("the model", attributes["llm.model_name"], "claude-sonnet-4-5")
        expect("the model that answered", attributes["gen_ai.response.model"], "claude-sonnet-4-5-20250929")
        expect("how it ended", attributes["gen_ai.response.finish_reasons"], ["tool_use"])

failed = sorted(span["name"] for span in found if span["status_code"] == "ERROR")
expect("failures", failed, ["execute_tool look_up", "invoke_agent zoo-guide"])
for span in found:
    if span["status_code"] == "ERROR":
        expect("the failure", span["status_message"], '"dragon" is not in the book')
        expect("its event", [event["name"] for event in span["events"]], ["exception"])
print("Phoenix shows 2 traces of 13 spans with their tree, kinds, messages, tokens, failures and tenant")
