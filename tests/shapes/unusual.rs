//! `unsafe`, foreign ABIs, `#[track_caller]`, `#[must_use]`.

#![allow(unsafe_code)]

use crate::wait;
use std::panic::Location;

each_attribute!(
    mod not_safe {
        /// # Safety
        /// `number` points to a number.
        pub unsafe fn f(number: *const u8) -> Result<u8, String> {
            // SAFETY: promised by the caller.
            let number = unsafe { *number };
            number.checked_add(1).ok_or_else(String::new)
        }
    }
);

each_attribute!(
    mod async_not_safe {
        /// # Safety
        /// None needed.
        pub async unsafe fn f(text: &str) -> Result<usize, String> {
            std::future::ready(()).await;
            if text.is_empty() { Err(String::new()) } else { Ok(text.len()) }
        }
    }
);

each_attribute!(
    mod foreign_abi {
        pub extern "C" fn f(number: u8) -> u8 {
            number
        }
    }
);

each_attribute!(
    mod tracked {
        #[track_caller]
        pub fn f() -> Result<u32, String> {
            let line = Location::caller().line();
            if line == 0 { Err(String::new()) } else { Ok(line) }
        }
    }
);

each_attribute!(
    mod to_be_used {
        #[must_use]
        pub fn f(number: u8) -> u8 {
            number
        }
    }
);

#[test]
fn the_caller_is_still_known() {
    let line = line!() + 1;
    let lines = [tracked::traced::f(), tracked::spanned::f(), tracked::scoped::f(), tracked::stacked::f()];
    assert_eq!(lines, [(); 4].map(|()| Ok(line)));
}

#[test]
fn unsafe_functions_do_what_they_did() {
    // SAFETY: a reference points to its number.
    assert_eq!(unsafe { not_safe::stacked::f(&1) }, Ok(2));
    // SAFETY: it needs nothing.
    assert_eq!(wait(unsafe { async_not_safe::stacked::f("a") }), Ok(1));
}
