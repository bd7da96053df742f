//! Arguments are dropped last to first, after the body's own variables, whoever takes them over.

// A shape with a `Result` is what is tested, though the plain function needs none.
#![allow(clippy::needless_pass_by_value, clippy::unnecessary_wraps)]

use crate::wait;
use std::cell::RefCell;

thread_local! {
    static DROPPED: RefCell<Vec<&'static str>> = const { RefCell::new(Vec::new()) };
}

pub struct Noisy(&'static str);

impl Drop for Noisy {
    fn drop(&mut self) {
        DROPPED.with_borrow_mut(|dropped| dropped.push(self.0));
    }
}

fn dropped<R>(call: impl FnOnce() -> R) -> Vec<&'static str> {
    DROPPED.take();
    drop(call());
    DROPPED.take()
}

/// One test: the order under every attribute is that of the plain function.
macro_rules! same_order {
    ($test:ident: $call:expr; $($item:tt)*) => {
        each_attribute!(mod $test { $($item)* });

        #[test]
        fn $test() {
            let plain = { use $test::plain::f; dropped(|| $call(f)) };
            let traced = { use $test::traced::f; dropped(|| $call(f)) };
            let spanned = { use $test::spanned::f; dropped(|| $call(f)) };
            let scoped = { use $test::scoped::f; dropped(|| $call(f)) };
            let stacked = { use $test::stacked::f; dropped(|| $call(f)) };
            assert_eq!([&traced, &spanned, &scoped, &stacked], [&plain; 4]);
        }
    };
}

const A: fn() -> Noisy = || Noisy("a");
const B: fn() -> Noisy = || Noisy("b");
const C: fn() -> Noisy = || Noisy("c");
const D: fn() -> Noisy = || Noisy("d");
const E: fn() -> Noisy = || Noisy("e");
const F: fn() -> Noisy = || Noisy("f");

same_order! { variables_go_before_arguments: |f: fn(_, _) -> _| f(A(), B());
    pub fn f(_a: Noisy, _b: Noisy) -> Result<(), String> {
        let _variable = Noisy("variable");
        Ok(())
    }
}

same_order! { an_argument_in_use_keeps_its_place: |f: fn(_, _) -> _| f(A(), B());
    pub fn f(a: Noisy, _b: Noisy) -> Result<(), String> {
        let _used = &a;
        Ok(())
    }
}

same_order! { a_moved_argument_goes_when_it_is_moved: |f: fn(_, _, _) -> _| f(A(), B(), C());
    pub fn f(_a: Noisy, b: Noisy, _c: Noisy) -> Result<(), String> {
        drop(b);
        Ok(())
    }
}

same_order! { a_sometimes_moved_argument_keeps_its_place: |f: fn(_, _, _) -> _| f(A(), B(), false);
    pub fn f(a: Noisy, _b: Noisy, moves: bool) -> Result<(), String> {
        if moves {
            drop(a);
        }
        Ok(())
    }
}

same_order! { names_in_patterns_keep_their_places: |f: fn(_, _) -> _| f((A(), B()), C());
    pub fn f((_a, _b): (Noisy, Noisy), _c: Noisy) -> Result<(), String> {
        Ok(())
    }
}

same_order! { fields_keep_their_places: |f: fn(_, _) -> _| f((A(), B()), C());
    pub fn f(pair: (Noisy, Noisy), c: Noisy) -> Result<(), String> {
        let _used = &pair.1;
        drop(c);
        Ok(())
    }
}

same_order! { an_unnamed_argument_keeps_its_place: |f: fn(_, _, _) -> _| f(A(), B(), C());
    pub fn f(a: Noisy, _: Noisy, _c: Noisy) -> Result<(), String> {
        let _used = &a;
        Ok(())
    }
}

same_order! { nameless_parts_keep_their_places: |f: fn(_, _, _) -> _| f(A(), (B(), C()), D());
    pub fn f(_a: Noisy, (_, _c): (Noisy, Noisy), _d: Noisy) -> Result<(), String> {
        let _variable = Noisy("variable");
        Ok(())
    }
}

same_order! { nameless_parts_of_several_keep_their_places: |f: fn(_, _, _, _) -> _| f((A(), B()), (C(), D()), E(), F());
    pub fn f((_a, _): (Noisy, Noisy), (_, _d): (Noisy, Noisy), _: Noisy, mut f: Noisy) -> Result<(), String> {
        f.0 = "g";
        Ok(())
    }
}

same_order! { a_field_by_reference_keeps_its_whole_in_place: |f: fn(_, _) -> _| f(A(), (B(), C()));
    pub fn f(_a: Noisy, (ref b, ..): (Noisy, Noisy)) -> Result<usize, String> {
        Ok(b.0.len())
    }
}

same_order! { async_nameless_parts_keep_their_places: |f: fn(_, _, _) -> _| wait(f(A(), (B(), C(), D()), E()));
    pub async fn f(_a: Noisy, (_, c, _): (Noisy, Noisy, Noisy), _e: Noisy) -> Result<(), String> {
        std::future::ready(()).await;
        drop(c);
        Ok(())
    }
}

same_order! { in_place: |f: fn(_, _)| f(A(), B());
    pub fn f(_a: Noisy, _: Noisy) {
        let _variable = Noisy("variable");
    }
}

same_order! { async_variables_go_before_arguments: |f: fn(_, _) -> _| wait(f(A(), B()));
    pub async fn f(_a: Noisy, _b: Noisy) {
        let _variable = Noisy("variable");
        std::future::ready(()).await;
    }
}

same_order! { async_arguments_in_use_keep_their_places: |f: fn(_, _, _) -> _| wait(f(A(), B(), C()));
    pub async fn f(a: Noisy, _: Noisy, _c: Noisy) -> Result<(), String> {
        let _used = &a;
        std::future::ready(()).await;
        Ok(())
    }
}

same_order! { async_fields_keep_their_places: |f: fn(_) -> _| wait(f((A(), B())));
    pub async fn f(pair: (Noisy, Noisy)) {
        let _used = &pair.1;
        std::future::ready(()).await;
    }
}

same_order! { a_future_that_never_ran_drops_its_arguments: |f: fn(_, _) -> _| drop(f(A(), B()));
    pub async fn f(_a: Noisy, _b: Noisy) {
        std::future::ready(()).await;
    }
}
