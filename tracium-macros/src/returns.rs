//! What a return type tells by its spelling.

use crate::params::is_primitive;
use proc_macro2::Span;
use syn::punctuated::Punctuated;
use syn::visit_mut::{self, VisitMut};
use syn::{GenericArgument, Path, PathArguments, PathSegment, ReturnType, Token, Type, TypeInfer, TypeParamBound};

/// A future that a function returns, by its spelling.
pub(crate) struct ReturnedFuture {
    pub(crate) wrapping: Wrapping,
    /// What it resolves to, where that can be read.
    pub(crate) output: Option<Type>,
}

/// How a future of ours becomes one of the returned type.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum Wrapping {
    /// `impl Future`
    Bare,
    /// `Pin<Box<dyn Future>>`, `BoxFuture`, `impl Future + Unpin`
    Pinned,
    /// `Box<dyn Future + Unpin>`
    Boxed,
}

pub(crate) fn is_never(output: &ReturnType) -> bool {
    matches!(declared(output), Some(Type::Never(_)))
}

/// The return type without the invisible groups of macros.
pub(crate) fn declared(output: &ReturnType) -> Option<&Type> {
    match output {
        ReturnType::Default => None,
        ReturnType::Type(_, ty) => Some(peel(ty)),
    }
}

fn peel(ty: &Type) -> &Type {
    match ty {
        Type::Group(group) => peel(&group.elem),
        Type::Paren(paren) => peel(&paren.elem),
        other => other,
    }
}

/// Whether a value of the type may be a `Result`. An alias may, so that only types that spell something else are out.
pub(crate) fn may_be_result(ty: Option<&Type>) -> bool {
    match ty.map(peel) {
        Some(Type::Path(_)) => ty.is_some_and(|ty| !is_primitive(ty)),
        Some(Type::Macro(_) | Type::Verbatim(_) | Type::Infer(_)) => true,
        None | Some(_) => false,
    }
}

/// Whether `return Err(..)` certainly does not fit the type; broader than the above, since the compiler's own error
/// would be about tokens that the user did not write.
pub(crate) fn is_no_result(ty: Option<&Type>) -> bool {
    let std_type = |path: &Path| {
        const OTHERS: &[&str] = &["Option", "String", "Vec"];
        path.segments.last().is_some_and(|last| OTHERS.iter().any(|name| last.ident == name))
    };
    match ty.map(peel) {
        Some(Type::Path(path)) if path.qself.is_none() && std_type(&path.path) => true,
        _ => !may_be_result(ty),
    }
}

/// Whether a value of the type may be a future, as far as its spelling tells.
pub(crate) fn may_be_future(ty: &Type) -> bool {
    const OTHERS: &[&str] = &["HashMap", "Option", "Result", "Self", "String", "Vec"];
    match peel(ty) {
        Type::Path(path) if path.qself.is_none() => {
            let other = |last: &PathSegment| OTHERS.iter().any(|name| last.ident == name);
            !is_primitive(ty) && !path.path.segments.last().is_some_and(other)
        }
        Type::Tuple(_) | Type::Array(_) | Type::Slice(_) | Type::Never(_) | Type::FnPtr(_) | Type::Ptr(_) => false,
        _ => true,
    }
}

/// The type with every `impl Trait` left to inference, for use in a body.
pub(crate) fn erase(ty: &Type) -> Type {
    struct Eraser;
    impl VisitMut for Eraser {
        fn visit_type_mut(&mut self, ty: &mut Type) {
            if let Type::ImplTrait(implied) = ty {
                let span = Span::mixed_site().located_at(implied.impl_token.span);
                *ty = Type::Infer(TypeInfer { attrs: Vec::new(), underscore_token: Token![_](span) });
            } else {
                visit_mut::visit_type_mut(self, ty);
            }
        }
    }
    let mut erased = ty.clone();
    Eraser.visit_type_mut(&mut erased);
    erased
}

/// Whether the type is wholly left to inference.
pub(crate) fn is_inferred(ty: &Type) -> bool {
    matches!(ty, Type::Infer(_))
}

/// The future that the type is, if it is one.
pub(crate) fn returned_future(ty: &Type) -> Option<ReturnedFuture> {
    let Wrapped { wrapping, output } = wrapped(ty, &FUTURE)?;
    Some(ReturnedFuture { wrapping, output })
}

/// A stream that a function returns, by its spelling.
pub(crate) struct ReturnedStream {
    pub(crate) wrapping: Wrapping,
    /// The type of its items, where that can be read.
    pub(crate) item: Option<Type>,
    /// The stream's type.
    pub(crate) ty: Type,
    /// It is what a `Result` has in `Ok`.
    pub(crate) in_result: bool,
}

/// The stream that the type is, or that it has in `Ok`.
pub(crate) fn returned_stream(ty: &Type) -> Option<ReturnedStream> {
    let ty = peel(ty);
    if let Some(Wrapped { wrapping, output: item }) = wrapped(ty, &STREAM) {
        return Some(ReturnedStream { wrapping, item, ty: ty.clone(), in_result: false });
    }
    let Type::Path(path) = ty else { return None };
    let last = path.path.segments.last().filter(|last| last.ident == "Result")?;
    let ok = types(last)?.next()?;
    let Wrapped { wrapping, output: item } = wrapped(ok, &STREAM)?;
    Some(ReturnedStream { wrapping, item, ty: ok.clone(), in_result: true })
}

/// A trait whose values are wrapped, in the forms in which functions return them.
struct Poll {
    name: &'static str,
    output: &'static str,
    /// Names for `Pin<Box<dyn ..>>`.
    aliases: [&'static str; 2],
}

const FUTURE: Poll = Poll { name: "Future", output: "Output", aliases: ["BoxFuture", "LocalBoxFuture"] };
const STREAM: Poll = Poll { name: "Stream", output: "Item", aliases: ["BoxStream", "LocalBoxStream"] };

struct Wrapped {
    wrapping: Wrapping,
    output: Option<Type>,
}

fn wrapped(ty: &Type, poll: &Poll) -> Option<Wrapped> {
    match peel(ty) {
        Type::ImplTrait(implied) => {
            let output = poll.bound(&implied.bounds)?;
            let wrapping = if has_bound(&implied.bounds, "Unpin") { Wrapping::Pinned } else { Wrapping::Bare };
            Some(Wrapped { wrapping, output })
        }
        Type::Path(path) if path.qself.is_none() => {
            let last = path.path.segments.last()?;
            if last.ident == "Pin" {
                let pointee = boxed(only_type(last)?)?;
                return Some(Wrapped { wrapping: Wrapping::Pinned, output: poll.object(pointee)? });
            }
            if last.ident == "Box" {
                return Some(Wrapped { wrapping: Wrapping::Boxed, output: poll.object(only_type(last)?)? });
            }
            let alias = poll.aliases.iter().any(|alias| last.ident == alias);
            alias.then(|| Wrapped { wrapping: Wrapping::Pinned, output: only_type(last).cloned() })
        }
        _ => None,
    }
}

impl Poll {
    /// `Some(output)` where one of the bounds is the trait, as in `Future<Output = output>`, and ours has the others too.
    #[allow(clippy::option_option)] // No such thing; one of an output that is not said; one of this output.
    fn bound(&self, bounds: &Punctuated<TypeParamBound, Token![+]>) -> Option<Option<Type>> {
        const AUTO: &[&str] = &["Send", "Sync", "Unpin"];
        let found = last_segments(bounds).find(|last| last.ident == self.name)?;
        let ours = |last: &PathSegment| last.ident == self.name || AUTO.iter().any(|auto| last.ident == auto);
        if !last_segments(bounds).all(ours) {
            return None;
        }
        let PathArguments::AngleBracketed(arguments) = &found.arguments else { return Some(None) };
        let output = arguments.args.iter().find_map(|argument| match argument {
            GenericArgument::AssocType(assoc) if assoc.ident == self.output => Some(assoc.ty.clone()),
            _ => None,
        });
        Some(output)
    }

    #[allow(clippy::option_option)] // As above.
    fn object(&self, ty: &Type) -> Option<Option<Type>> {
        match peel(ty) {
            Type::TraitObject(object) => self.bound(&object.bounds),
            Type::ImplTrait(implied) => self.bound(&implied.bounds),
            _ => None,
        }
    }
}

fn boxed(ty: &Type) -> Option<&Type> {
    match peel(ty) {
        Type::Path(path) => path.path.segments.last().filter(|last| last.ident == "Box").and_then(only_type),
        _ => None,
    }
}

/// The one type among a segment's generic arguments.
fn only_type(segment: &PathSegment) -> Option<&Type> {
    let mut types = types(segment)?;
    let first = types.next()?;
    types.next().is_none().then_some(first)
}

fn types(segment: &PathSegment) -> Option<impl Iterator<Item = &Type>> {
    let PathArguments::AngleBracketed(arguments) = &segment.arguments else { return None };
    let types = arguments.args.iter().filter_map(|argument| match argument {
        GenericArgument::Type(ty) => Some(ty),
        _ => None,
    });
    Some(types)
}

fn has_bound(bounds: &Punctuated<TypeParamBound, Token![+]>, name: &str) -> bool {
    last_segments(bounds).any(|last| last.ident == name)
}

fn last_segments(bounds: &Punctuated<TypeParamBound, Token![+]>) -> impl Iterator<Item = &PathSegment> {
    bounds.iter().filter_map(|bound| match bound {
        TypeParamBound::Trait(bound) => bound.path.segments.last(),
        _ => None,
    })
}
