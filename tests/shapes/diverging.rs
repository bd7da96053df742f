//! Functions that never return.

each_attribute!(
    mod exits {
        pub fn f(code: i32) -> ! {
            std::process::exit(code)
        }
    }
);

each_attribute!(
    mod async_exits {
        pub async fn f(code: i32) -> ! {
            std::future::ready(()).await;
            std::process::exit(code)
        }
    }
);

each_attribute!(
    mod async_loops {
        pub async fn f(text: &str) -> ! {
            loop {
                std::future::ready(text).await;
            }
        }
    }
);

each_attribute!(
    mod async_waits_for_another {
        pub async fn f() -> ! {
            async_loops::stacked::f("again").await
        }
    }
);
