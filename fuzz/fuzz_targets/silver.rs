//! What Silver does with an event of each topic: it reads all of its fields, and never panics.
#![no_main]

use libfuzzer_sys::fuzz_target;
use model::{
    check,
    event::{Customer, Product, Transaction},
    read::{self, Head},
};

fuzz_target!(|text: &str| {
    let _ = check::whole::<Customer<'_>>(text);
    let _ = check::whole::<Product<'_>>(text);
    let checked = check::whole::<Transaction<'_>>(text);
    let Some((head, sale)) = read::plainly::<Transaction<'_>>(text) else { return };
    let (envelope, other) = checked.expect("a sale");
    assert_eq!(head, Head::from(envelope));
    assert_eq!(format!("{sale:?}"), format!("{other:?}"));
});
