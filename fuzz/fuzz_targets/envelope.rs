//! What Bronze does with the bytes of a message: it looks at the envelope, and never panics.
#![no_main]

use libfuzzer_sys::fuzz_target;
use model::{check, topic::Topic};

fuzz_target!(|payload: &[u8]| {
    let envelope = check::envelope(payload, 1 << 20);
    // What the door lets in has an envelope.
    for topic in Topic::ALL {
        assert!(envelope.is_ok() || check::event(topic, payload, 1 << 20).is_err());
    }
});
