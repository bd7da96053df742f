//! What is recognized, by its spelling.

use proc_macro2::{Delimiter, TokenTree};

/// A call that is known, by what it is given.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Call {
    Future,
    Closure,
    RayonJoin,
    RayonScope,
    /// `.spawn` on the scope.
    RayonScopeSpawn,
}

const CALLS: &[(&[&str], Call)] = &[
    (&["tokio", "spawn"], Call::Future),
    (&["tokio", "task", "spawn"], Call::Future),
    (&["tokio", "task", "spawn_local"], Call::Future),
    (&["tokio", "task", "spawn_blocking"], Call::Closure),
    (&["std", "thread", "spawn"], Call::Closure),
    (&["rayon", "spawn"], Call::Closure),
    (&["rayon", "join"], Call::RayonJoin),
    (&["rayon", "scope"], Call::RayonScope),
];

/// Whether the identifier at `at` is the first of a path: `tokio` in `tokio::spawn` and in `::tokio::spawn`, but not
/// in `my::tokio::spawn`.
pub(super) fn begins_path(trees: &[TokenTree], at: usize) -> bool {
    const KEYWORDS: &[&str] =
        &["await", "break", "else", "if", "in", "match", "move", "return", "unsafe", "while", "yield"];
    match &trees[..at] {
        [before @ .., TokenTree::Punct(first), TokenTree::Punct(second)]
            if first.as_char() == ':' && second.as_char() == ':' =>
        {
            match before.last() {
                Some(TokenTree::Ident(ident)) => KEYWORDS.iter().any(|keyword| ident == keyword),
                Some(TokenTree::Punct(punct)) => punct.as_char() != '>',
                _ => true,
            }
        }
        [.., TokenTree::Punct(punct)] => punct.as_char() != '.' && punct.as_char() != '\'',
        [.., TokenTree::Ident(ident)] => KEYWORDS.iter().any(|keyword| ident == keyword),
        _ => true,
    }
}

/// The known call that begins here, and how many tokens are before its arguments.
pub(super) fn known_call(trees: &[TokenTree]) -> Option<(Call, usize)> {
    CALLS.iter().find_map(|(path, call)| {
        let length = path_length(trees, path)?;
        Some((*call, length + after_turbofish(&trees[length..])?))
    })
}

/// The tokens of `path`, where these begin with it.
fn path_length(trees: &[TokenTree], path: &[&str]) -> Option<usize> {
    let mut at = 0;
    for (number, name) in path.iter().enumerate() {
        if number > 0 {
            is_double_colon(trees.get(at..)?).then_some(())?;
            at += 2;
        }
        matches!(trees.get(at)?, TokenTree::Ident(ident) if ident == name).then_some(())?;
        at += 1;
    }
    Some(at)
}

fn is_double_colon(trees: &[TokenTree]) -> bool {
    matches!(trees, [TokenTree::Punct(first), TokenTree::Punct(second), ..]
        if first.as_char() == ':' && second.as_char() == ':')
}

/// How many tokens are before the parentheses of a call: none, or `::<..>`.
pub(super) fn after_turbofish(trees: &[TokenTree]) -> Option<usize> {
    let mut at = 0;
    if is_double_colon(trees) {
        let mut depth = 0;
        let mut before = ' ';
        at = 2;
        loop {
            let punct = match trees.get(at)? {
                TokenTree::Punct(punct) => punct.as_char(),
                _ => ' ',
            };
            match punct {
                '<' => depth += 1,
                '>' if before != '-' => depth -= 1,
                _ => {}
            }
            before = punct;
            at += 1;
            if depth == 0 {
                break;
            }
        }
    }
    matches!(trees.get(at)?, TokenTree::Group(group) if group.delimiter() == Delimiter::Parenthesis).then_some(at)
}

/// The length of the item that begins here, if one does: what it does is not the body's work.
pub(super) fn item(trees: &[TokenTree]) -> Option<usize> {
    let TokenTree::Ident(keyword) = trees.first()? else { return None };
    let named = matches!(trees.get(1), Some(TokenTree::Ident(_)));
    match keyword.to_string().as_str() {
        "fn" | "mod" | "trait" if named => through(trees, true),
        "impl" => through(trees, true),
        // Not `const { .. }`, nor `static || { .. }`.
        "const" | "static" if named && has_type(trees) => through(trees, false),
        _ => None,
    }
}

/// `NAME: ..`
fn has_type(trees: &[TokenTree]) -> bool {
    matches!(trees.get(2..4), Some([TokenTree::Punct(punct), ..]) if punct.as_char() == ':')
        || matches!(trees.get(2..4), Some([TokenTree::Ident(_), TokenTree::Punct(punct)]) if punct.as_char() == ':')
}

/// How many tokens there are through the first `;`, or the first braces where those end it too.
fn through(trees: &[TokenTree], braces: bool) -> Option<usize> {
    let end = trees.iter().position(|tree| match tree {
        TokenTree::Punct(punct) => punct.as_char() == ';',
        TokenTree::Group(group) => braces && group.delimiter() == Delimiter::Brace,
        _ => false,
    });
    end.map(|end| end + 1)
}

/// The length of a call that runs its argument once for whoever comes later: that is nobody's own work.
pub(super) fn run_once(trees: &[TokenTree]) -> Option<usize> {
    const METHODS: &[&str] = &["call_once", "call_once_force", "get_or_init", "get_or_try_init"];
    let TokenTree::Ident(ident) = trees.first()? else { return None };
    let length = if METHODS.iter().any(|method| ident == method) {
        1
    } else {
        path_length(trees, &["LazyLock", "new"]).or_else(|| path_length(trees, &["LazyCell", "new"]))?
    };
    Some(length + after_turbofish(&trees[length..])? + 1)
}

/// The length of `name!(..)`, where the macro is not one whose arguments are expressions for certain.
pub(super) fn last_macro(trees: &[TokenTree]) -> Option<usize> {
    const ENTERED: &[&str] = &["join", "select", "try_join", "vec"];
    let [TokenTree::Ident(name), TokenTree::Punct(bang), rest @ ..] = trees else { return None };
    if bang.as_char() != '!' || ENTERED.iter().any(|entered| name == entered) {
        return None;
    }
    match rest {
        [TokenTree::Group(_), ..] => Some(3),
        // `macro_rules! name { .. }`
        [TokenTree::Ident(_), TokenTree::Group(_), ..] => Some(4),
        _ => None,
    }
}

/// Whether what follows a variable's name in `let` declares it as a `JoinSet`.
pub(super) fn join_set_declared(rest: &[TokenTree]) -> bool {
    let [TokenTree::Punct(first), rest @ ..] = rest else { return false };
    if !matches!(first.as_char(), ':' | '=') {
        return false;
    }
    // The first path: `&mut tokio::task::JoinSet` and `JoinSet::<T>::new`, but not `Vec<JoinSet>`.
    let path = rest.iter().take_while(|tree| match tree {
        TokenTree::Ident(_) => true,
        TokenTree::Punct(punct) => matches!(punct.as_char(), ':' | '&' | '\''),
        _ => false,
    });
    path.into_iter().any(|tree| matches!(tree, TokenTree::Ident(ident) if ident == "JoinSet"))
}
