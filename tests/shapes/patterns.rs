//! Patterns for arguments: taken apart, by reference, reassigned, configured out, under raw names.

// The lints named here are about the plain functions.
#![allow(clippy::needless_pass_by_value, clippy::toplevel_ref_arg, clippy::trivially_copy_pass_by_ref)]

use crate::wait;

pub struct Pair {
    text: String,
    number: u8,
}

pub struct Node {
    next: Option<Box<Node>>,
    value: u8,
}

each_attribute!(
    mod tuples_and_slices {
        pub fn f((text, number): (&str, u8), [first, .., last]: [u8; 4]) -> Result<usize, String> {
            if number == 0 { Err(text.to_owned()) } else { Ok(text.len() + usize::from(number + first + last)) }
        }
    }
);

each_attribute!(
    mod structs {
        pub fn f(Pair { text, number: ref at }: Pair) -> Result<String, String> {
            if *at == 3 {
                return Err(text);
            }
            Ok(text)
        }
    }
);

each_attribute!(
    mod async_structs {
        pub async fn f(Pair { text, number: ref at }: Pair) -> Result<String, String> {
            std::future::ready(()).await;
            if *at == 3 {
                return Err(text);
            }
            Ok(text)
        }
    }
);

each_attribute!(
    mod bindings {
        pub fn f(all @ 0..=255: u8, ref mut text: String, _: u8) -> Result<u8, String> {
            text.push('x');
            if all == 0 { Err(text.clone()) } else { Ok(all) }
        }
    }
);

each_attribute!(
    mod references {
        pub fn f(&(first, second): &(u8, u8), &mut ref mut text: &mut String) -> Result<u8, String> {
            text.push('x');
            first.checked_add(second).ok_or_else(|| text.clone())
        }
    }
);

each_attribute!(
    mod reassigned {
        pub fn f(mut text: &str, mut count: u32) -> Result<u32, String> {
            while let Some(rest) = text.strip_prefix('a') {
                text = rest;
                count += 1;
            }
            if text.is_empty() { Err(text.to_owned()) } else { Ok(count) }
        }
    }
);

each_attribute!(
    mod walked {
        pub fn f(mut node: &mut Node) -> Result<&mut u8, String> {
            while node.next.is_some() {
                let Some(next) = &mut node.next else { return Err("just seen".to_owned()) };
                node = next;
            }
            Ok(&mut node.value)
        }
    }
);

each_attribute!(
    mod async_walked {
        pub async fn f(mut node: &mut Node) -> &mut u8 {
            while node.next.is_some() {
                let Some(next) = &mut node.next else { break };
                node = next;
            }
            std::future::ready(()).await;
            &mut node.value
        }
    }
);

each_attribute!(
    mod configured {
        pub fn f(#[cfg(any())] _gone: String, #[cfg(all())] kept: &str, _more: String) -> Result<usize, String> {
            if kept.is_empty() { Err(String::new()) } else { Ok(kept.len()) }
        }
    }
);

each_attribute!(
    mod async_configured {
        pub async fn f(#[cfg(any())] _gone: String, #[cfg(all())] _kept: String, _more: String) {
            std::future::ready(()).await;
        }
    }
);

each_attribute!(
    mod raw_names {
        pub fn r#match(r#type: String, r#fn: String) -> Result<String, String> {
            if r#type.is_empty() { Err(r#fn) } else { Ok(r#type) }
        }
    }
);

each_attribute!(
    mod partly_moved {
        pub async fn f(left: Pair, right: Pair) -> Result<String, String> {
            let (text, number) = (left.text, left.number);
            std::future::ready(()).await;
            if number == right.number { Err(text) } else { Ok(right.text) }
        }
    }
);

#[test]
fn arguments_are_what_they_were() {
    assert_eq!(reassigned::stacked::f("aab", 0), Ok(2));
    let mut list = Node { next: Some(Box::new(Node { next: None, value: 2 })), value: 1 };
    assert_eq!(walked::stacked::f(&mut list), Ok(&mut 2));
    assert_eq!(wait(async_walked::stacked::f(&mut list)), &mut 2);
    assert_eq!(raw_names::stacked::r#match("a".to_owned(), "b".to_owned()), Ok("a".to_owned()));
    assert_eq!(tuples_and_slices::stacked::f(("a", 1), [1, 2, 3, 4]), Ok(7));
}
