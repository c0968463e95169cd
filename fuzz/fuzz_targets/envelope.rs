//! What Bronze does with the bytes of a message: it looks at the envelope, and never panics.
#![no_main]

use libfuzzer_sys::fuzz_target;
use model::{check, read};

fuzz_target!(|payload: &[u8]| {
    let plain = std::str::from_utf8(payload).ok().and_then(read::plainly);
    let checked = check::envelope(payload, 1 << 20);
    // The short way accepts nothing that the other refuses.
    if let Some(head) = plain {
        assert_eq!(head, checked.expect("an event").into());
    }
});
