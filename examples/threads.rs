//! Context on threads, without an async runtime.
//!
//! ```text
//! cargo run --example threads
//! ```
//!
//! An agent classifies support tickets of two tenants. A thread knows nothing of the code that started it: what it does
//! has no tenant and no trace unless the context is taken along. Three ways to do that:
//!
//! 1. `tracium::thread::spawn`, in place of `std::thread::spawn`;
//! 2. `Context::wrap`, for a closure that somebody else runs: scoped threads, a pool, a callback;
//! 3. `Context::run`, where data and context arrive together, as on a channel.

use std::sync::mpsc::{self, Sender};
use std::thread;

use tracium::{Context, current_span, current_tenant};

#[tracium::main]
fn main() {
    let pool = Pool::start(2);
    // Two tenants at once on one pool: none of its threads ever mixes them up.
    thread::scope(|scope| {
        scope.spawn(|| triage("acme", &["the invoice is wrong", "login fails"], &pool));
        scope.spawn(|| triage("globex", &["cancel my account", "the app crashes at login"], &pool));
    });
    assert_eq!(current_tenant(), None, "a tenant ends with its scope");
}

#[tracium::trace(agent = "triage", tags = ["example"])]
#[tracium::tenant_scope(from = tenant)]
fn triage(tenant: &str, tickets: &[&'static str], pool: &Pool) {
    // 1. A thread of its own.
    let first = tickets[0];
    let longest = tracium::thread::spawn(move || word_count(first));

    // 2. Scoped threads: they may borrow, and `wrap` lets them.
    let context = Context::current();
    thread::scope(|scope| {
        for ticket in tickets {
            scope.spawn(context.wrap(move || println!("{tenant}: {ticket:?} is about {}", classify(ticket))));
        }
    });

    // 2. A pool, whose threads were there before the trace: the job brings the context along.
    let (answers, answered) = mpsc::channel();
    for ticket in tickets.iter().copied() {
        let answers = answers.clone();
        pool.run(context.wrap(move || {
            // Whoever waits may be gone; that is no concern of this thread.
            let _ = answers.send((current_tenant(), urgency(ticket)));
        }));
    }
    drop(answers);
    for (worked_for, _) in answered {
        assert_eq!(worked_for, current_tenant());
    }

    // 3. Context and data side by side.
    let (sender, receiver) = mpsc::channel::<(Context, &'static str)>();
    let writer = thread::spawn(move || {
        for (context, ticket) in receiver {
            context.run(|| archive(ticket));
        }
    });
    for ticket in tickets.iter().copied() {
        let _ = sender.send((Context::current(), ticket));
    }
    drop(sender);

    let words = longest.join().expect("counting words does not panic");
    tracium::current_trace().add_metadata("words_of_first", &words);
    writer.join().expect("archiving does not panic");
}

#[tracium::tool(capture(ticket), output)]
fn word_count(ticket: &str) -> usize {
    ticket.split_whitespace().count()
}

#[tracium::span(kind = "plan", capture(ticket), output)]
fn classify(ticket: &str) -> &'static str {
    let topics = [("invoice", "billing"), ("cancel", "billing"), ("login", "access"), ("crash", "bugs")];
    topics.iter().find(|(word, _)| ticket.contains(word)).map_or("something else", |(_, topic)| topic)
}

#[tracium::span(kind = "plan", output)]
fn urgency(ticket: &str) -> u8 {
    let urgency = if ticket.contains("crash") { 9 } else { 3 };
    current_span().add_tags([if urgency > 5 { "urgent" } else { "can wait" }]);
    urgency
}

#[tracium::span(kind = "action", capture(ticket))]
fn archive(ticket: &str) {
    // A span's tenant is that of the context, on whatever thread.
    current_span().add_metadata("shelf", &format!("{}/{}", current_tenant().expect("sent along"), ticket.len()));
}

type Job = Box<dyn FnOnce() + Send>;

/// A thread pool like any other: it has never heard of tenants.
struct Pool(Sender<Job>);

impl Pool {
    fn start(threads: usize) -> Self {
        let (sender, receiver) = mpsc::channel::<Job>();
        let receiver = std::sync::Arc::new(std::sync::Mutex::new(receiver));
        for _ in 0..threads {
            let receiver = std::sync::Arc::clone(&receiver);
            thread::spawn(move || {
                loop {
                    let job = receiver.lock().expect("no job runs under the lock").recv();
                    let Ok(job) = job else { break };
                    job();
                    assert_eq!(current_tenant(), None, "a tenant does not stay behind on the thread");
                }
            });
        }
        Self(sender)
    }

    fn run(&self, job: impl FnOnce() + Send + 'static) {
        self.0.send(Box::new(job)).expect("the pool's threads live as long as it does");
    }
}
