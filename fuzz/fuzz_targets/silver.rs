//! What Silver does with an event of each topic: it reads all of its fields, and never panics.
#![no_main]

use libfuzzer_sys::fuzz_target;
use model::{
    check,
    event::{Customer, Product, Transaction},
};

fuzz_target!(|text: &str| {
    let _ = check::whole::<Customer<'_>>(text);
    let _ = check::whole::<Product<'_>>(text);
    let _ = check::whole::<Transaction<'_>>(text);
});
