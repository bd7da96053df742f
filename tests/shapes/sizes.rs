//! A future grows by what its scope needs, and not with what the function holds.

use std::future::Future;
use std::hint::black_box;

/// Bytes that an attribute may add.
const MOST: usize = 64;

/// Functions that call each other four deep; each holds a local and an argument over an `.await`.
macro_rules! four_deep {
    ($name:ident, $bytes:literal, $(#[$attribute:meta])?) => {
        mod $name {
            use super::black_box;

            $(#[$attribute])?
            pub async fn one(kept: [u8; $bytes], text: &str) -> Result<usize, String> {
                let local = black_box([0_u8; $bytes]);
                std::future::ready(()).await;
                Ok(black_box(&local).len() + black_box(&kept).len() + text.len())
            }

            $(#[$attribute])?
            pub async fn two(kept: [u8; $bytes], text: &str) -> Result<usize, String> {
                let local = black_box([0_u8; $bytes]);
                let inner = one(local, text).await?;
                Ok(inner + black_box(&local).len() + black_box(&kept).len())
            }

            $(#[$attribute])?
            pub async fn three(kept: [u8; $bytes], text: &str) -> Result<usize, String> {
                let local = black_box([0_u8; $bytes]);
                let inner = two(local, text).await?;
                Ok(inner + black_box(&local).len() + black_box(&kept).len())
            }

            $(#[$attribute])?
            pub async fn four(kept: [u8; $bytes], text: &str) -> Result<usize, String> {
                let local = black_box([0_u8; $bytes]);
                let inner = three(local, text).await?;
                Ok(inner + black_box(&local).len() + black_box(&kept).len())
            }

            $(#[$attribute])?
            pub async fn moved_away(moved: Vec<[u8; $bytes]>) -> usize {
                let length = black_box(moved).len();
                std::future::ready(()).await;
                length
            }
        }
    };
}

macro_rules! sizes {
    ($($test:ident, $bytes:literal: $plain:ident, $traced:ident, $spanned:ident, $scoped:ident;)*) => { $(
        four_deep!($plain, $bytes,);
        four_deep!($traced, $bytes, #[tracium::trace(agent = "support-bot")]);
        four_deep!($spanned, $bytes, #[tracium::span(kind = "tool")]);
        four_deep!($scoped, $bytes, #[tracium::tenant_scope(from = "acme")]);

        #[test]
        fn $test() {
            fn size<F: Future>(future: F) -> usize {
                size_of_val(&future)
            }
            macro_rules! check {
                ($attributed:ident) => {
                    let one = size($plain::one([0; $bytes], ""));
                    assert!(size($attributed::one([0; $bytes], "")) <= one + MOST);
                    let four = size($plain::four([0; $bytes], ""));
                    assert!(size($attributed::four([0; $bytes], "")) <= four + 4 * MOST);
                    let moved_away = size($plain::moved_away(Vec::new()));
                    let largest = moved_away + MOST + size_of::<Vec<[u8; $bytes]>>();
                    assert!(size($attributed::moved_away(Vec::new())) <= largest);
                };
            }
            check!($traced);
            check!($spanned);
            check!($scoped);
        }
    )* };
}

sizes! {
    futures_of_16_bytes_grow_by_at_most_64, 16: plain_16, traced_16, spanned_16, scoped_16;
    futures_of_256_bytes_grow_by_at_most_64, 256: plain_256, traced_256, spanned_256, scoped_256;
    futures_of_1024_bytes_grow_by_at_most_64, 1024: plain_1024, traced_1024, spanned_1024, scoped_1024;
}
