//! An agent that answers questions of several tenants, at once, from text files.
//!
//! ```text
//! cargo run --example quickstart
//! cargo run --example quickstart -- notes.txt minutes.md "Who is invited?"
//! ```
//!
//! Arguments that name a file are what it reads, all others are questions. Without any it reads this crate's own
//! documents. There is no network in it: retrieval is BM25 over paragraphs, and the model, `extractive-1`, answers with
//! the one or two sentences that share the most with the question. Its tokens are an estimate: four characters are one.
//!
//! The answers are on standard output. The traces and the tokens per tenant are on standard error, or, with
//! `TRACIUM_API_KEY` set, in Tracium: nothing below is about either.

mod library;

use std::collections::HashSet;
use std::env;
use std::path::Path;
use std::sync::Arc;

use anyhow::Context as _;
use serde::Serialize;
use tracium::TokenUsage;

use library::{Library, NoMatch, Passage, terms};

const MODEL: &str = "extractive-1";

#[tracium::main]
#[tokio::main]
async fn main() -> anyhow::Result<()> {
    let (library, questions) = arguments()?;
    let library = Arc::new(library);
    let mut answers = Vec::new();
    for (tenant, question) in questions {
        let request = Request { tenant: tenant.map(str::to_owned), question: question.clone() };
        // The task needs no context of its own: the trace brings its tenant along.
        answers.push((tenant, question, tokio::spawn(answer(Arc::clone(&library), request))));
    }
    for (tenant, question, answer) in answers {
        println!("{}: {question}", tenant.unwrap_or("(no tenant)"));
        match answer.await? {
            Ok(answer) => println!("    {answer}"),
            Err(error) => println!("    no answer: {error:#}"),
        }
    }
    Ok(())
}

struct Request {
    tenant: Option<String>,
    question: String,
}

/// The agent. Every call is a trace, and all that it does is done for the request's tenant.
#[tracium::trace(agent = "docs-bot", tags = ["quickstart"], input = request.question, output)]
#[tracium::tenant_scope(from = request.tenant)]
async fn answer(library: Arc<Library>, request: Request) -> anyhow::Result<String> {
    let passages = match library.file_to_measure(&request.question) {
        Some(file) => vec![measure(&library, file)],
        None => search(library, &request.question).await.context("the documents do not say")?,
    };
    tracium::current_trace().add_metadata("passages", &passages.len());
    complete(&request.question, &passages).await
}

#[tracium::retrieval(capture(question), output)]
async fn search(library: Arc<Library>, question: &str) -> anyhow::Result<Vec<Passage>> {
    let question = question.to_owned();
    // Ranking takes a processor for a while, so it leaves the tasks' threads; it is still this tenant's work.
    Ok(tracium::spawn_blocking(move || rank(&library, &question)).await??)
}

#[tracium::span(kind = "ranking", metadata(paragraphs = library.paragraphs.len()))]
fn rank(library: &Library, question: &str) -> Result<Vec<Passage>, NoMatch> {
    library.rank(question)
}

#[tracium::tool(capture(file), output)]
fn measure(library: &Library, file: &str) -> Passage {
    let text = &library.files[file];
    let (words, lines) = (text.split_whitespace().count(), text.lines().count());
    Passage { file: file.to_owned(), score: 1.0, text: format!("{file} has {words} words in {lines} lines.") }
}

#[tracium::llm(model = MODEL)]
async fn complete(question: &str, passages: &[Passage]) -> anyhow::Result<String> {
    let texts: Vec<&str> = passages.iter().map(|passage| &*passage.text).collect();
    let messages = [
        Message { role: "system", content: "Answer with sentences of the passages, word for word.".to_owned() },
        Message { role: "user", content: format!("{}\n\n{question}", texts.join("\n")) },
    ];
    let reply = extractive(question.to_owned(), texts.join("\n")).await?;

    let read = messages.iter().map(|message| estimate_tokens(&message.content)).sum();
    tracium::current_span()
        .record_input(&messages)
        .record_output(&Message { role: "assistant", content: reply.clone() })
        .set_token_usage(TokenUsage::new(read, estimate_tokens(&reply)));
    Ok(reply)
}

#[derive(Serialize)]
struct Message {
    role: &'static str,
    content: String,
}

/// The model: at most two sentences, those with most of the question's words, in the order of the passages.
async fn extractive(question: String, passages: String) -> anyhow::Result<String> {
    let reply = tracium::spawn_blocking(move || {
        let asked: HashSet<String> = terms(&question).into_iter().collect();
        let shared = |text: &str| terms(text).into_iter().collect::<HashSet<_>>().intersection(&asked).count();
        let sentences = passages.lines().flat_map(|line| line.split_inclusive(". ")).map(str::trim);
        let mut best: Vec<_> = sentences.enumerate().map(|(place, text)| (shared(text), place, text)).collect();
        best.sort_by_key(|(shared, ..)| std::cmp::Reverse(*shared));
        let most = best.first().map_or(0, |(shared, ..)| *shared);
        // A second sentence only where it says about as much as the first.
        best.retain(|(shared, ..)| shared * 2 > most);
        best.truncate(2);
        best.sort_by_key(|(_, place, _)| *place);
        best.into_iter().map(|(.., text)| text).collect::<Vec<_>>().join(" ")
    });
    Ok(reply.await?)
}

fn estimate_tokens(text: &str) -> u64 {
    text.chars().count().div_ceil(4) as u64
}

type Question = (Option<&'static str>, String);

/// The files to read, and who asks what: as the arguments say, or this crate's own documents and questions on them.
fn arguments() -> anyhow::Result<(Library, Vec<Question>)> {
    const OURS: [(Option<&str>, &str); 6] = [
        (Some("acme"), "Which characters may a tenant id have?"),
        (Some("globex"), "What is lost when the process is killed?"),
        (Some("initech"), "How many words are in README.md?"),
        (Some("acme"), "Where do penguins hibernate?"),
        (Some("globex"), "Which crates does a library pull without default features?"),
        (None, "May the calls of an exporter block?"),
    ];
    let (files, questions): (Vec<String>, Vec<String>) =
        env::args().skip(1).partition(|argument| Path::new(argument).is_file());
    let mut library = Library::default();
    for file in &files {
        library.add(Path::new(file))?;
    }
    if files.is_empty() {
        let ours = ["README.md", "CONTRIBUTING.md", "CHANGELOG.md", "src/lib.rs"];
        let ours = ours.map(|file| Path::new(env!("CARGO_MANIFEST_DIR")).join(file));
        // A packaged crate has not all of them.
        for file in ours.iter().filter(|file| file.is_file()) {
            library.add(file)?;
        }
    }
    if files.is_empty() && questions.is_empty() {
        return Ok((library, OURS.map(|(tenant, question)| (tenant, question.to_owned())).to_vec()));
    }
    let questions = if questions.is_empty() {
        library.files.keys().map(|file| format!("How many words are in {file}?")).collect()
    } else {
        questions
    };
    let tenants = [Some("acme"), Some("globex"), Some("initech"), None].into_iter().cycle();
    Ok((library, tenants.zip(questions).collect()))
}
