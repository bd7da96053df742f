//! What a body may contain: items, labels, `let else`, inner attributes, nothing.

each_attribute!(
    mod items_first {
        pub fn f() -> u8 {
            const LIMIT: u8 = 1;
            fn helper() -> u8 {
                LIMIT
            }
            let value = helper();
            value + 1
        }
    }
);

each_attribute!(
    mod items_first_with_result {
        pub fn f(number: u8) -> Result<u8, String> {
            const LIMIT: u8 = 10;
            use std::collections::HashMap;
            let known: HashMap<u8, u8> = HashMap::from([(1, LIMIT)]);
            known.get(&number).copied().ok_or_else(String::new)
        }
    }
);

each_attribute!(
    mod labels {
        pub fn f(rows: &[Vec<u8>]) -> Result<u8, String> {
            let found = 'rows: {
                for row in rows {
                    for &cell in row {
                        if cell > 3 {
                            break 'rows cell;
                        }
                    }
                }
                0
            };
            let Some(first) = rows.first() else { return Err("empty".to_owned()) };
            Ok(found + u8::try_from(first.len()).unwrap_or(u8::MAX))
        }
    }
);

each_attribute!(
    mod inner_attributes {
        pub async fn f() -> u8 {
            #![allow(unused_variables)]
            let unused = 1;
            std::future::ready(2).await
        }
    }
);

each_attribute!(
    mod empty {
        pub fn f() {}
    }
);

each_attribute!(
    mod async_statement {
        pub async fn f() {
            std::future::ready(()).await;
        }
    }
);

each_attribute!(
    mod nested {
        pub fn f(number: u8) -> Result<u8, String> {
            #[tracium::span(kind = "tool")]
            fn inner(number: u8) -> Result<u8, String> {
                if number == 0 { Err(String::new()) } else { Ok(number) }
            }
            inner(number)
        }
    }
);

each_attribute!(
    mod returned_closure {
        pub fn f(values: Vec<u8>, limit: usize) -> Result<impl FnOnce() -> usize, String> {
            if values.len() > limit {
                return Err("too many".to_owned());
            }
            Ok(move || values.len())
        }
    }
);

#[test]
fn bodies_do_what_they_did() {
    assert_eq!(items_first::stacked::f(), 2);
    assert_eq!(items_first_with_result::stacked::f(1), Ok(10));
    assert_eq!(labels::stacked::f(&[vec![1, 5]]), Ok(7));
    assert_eq!(nested::stacked::f(2), Ok(2));
}
