//! Files of the spool: what is found on disk is read, or is none.
#![no_main]

use libfuzzer_sys::fuzz_target;
use tracium_runtime::private::fuzz;

fuzz_target!(|data: &[u8]| {
    let _ = fuzz::spool(data);
});
