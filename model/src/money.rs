//! Decimal amounts. An amount is read from the characters of its JSON literal and never passes through a float.

use std::str::FromStr;

use rust_decimal::Decimal;
use serde::{Deserialize, Deserializer, de::Error};
use serde_json::value::RawValue;

/// Decimal places that the lake keeps; enough for every currency of ISO 4217.
pub const SCALE: u32 = 4;
/// Significant digits that the lake keeps, places included: amounts below 10^14.
pub const PRECISION: u8 = 18;

/// Reads an amount: a JSON number (`12.34`) or a string holding one (`"12.34"`).
///
/// # Errors
/// Says what is wrong with it: not a decimal number, more than [`SCALE`] places, or too large for [`PRECISION`] digits.
pub fn parse(text: &str) -> Result<Decimal, String> {
    if let Some(amount) = plain(text) {
        return Ok(amount);
    }
    let shown = || text.chars().take(40).collect::<String>();
    let parsed = if text.contains(['e', 'E']) { Decimal::from_scientific(text) } else { Decimal::from_str(text) };
    let amount = parsed.map_err(|_| format!("`{}` is not a decimal number", shown()))?.normalize();
    if amount.scale() > SCALE {
        return Err(format!("`{}` has more than {SCALE} decimal places", shown()));
    }
    if amount.abs() >= Decimal::from(10_i64.pow(u32::from(PRECISION) - SCALE)) {
        return Err(format!(
            "`{}` is too large: at most {} digits before the point",
            shown(),
            u32::from(PRECISION) - SCALE
        ));
    }
    Ok(amount)
}

/// An amount as nearly all are written, `-12.34`: digits within the lake's precision, and nothing else.
fn plain(text: &str) -> Option<Decimal> {
    let (negative, digits) = text.strip_prefix('-').map_or((false, text), |digits| (true, digits));
    let (whole, places) = digits.split_once('.').map_or((digits, None), |(whole, places)| (whole, Some(places)));
    let most = usize::from(PRECISION) - SCALE as usize;
    if whole.is_empty()
        || whole.len() > most
        || places.is_some_and(|places| places.is_empty() || places.len() > SCALE as usize)
    {
        return None;
    }
    let places = places.unwrap_or_default();
    let mut mantissa: i64 = 0;
    for byte in whole.bytes().chain(places.bytes()) {
        mantissa = mantissa * 10 + i64::from(byte.is_ascii_digit().then(|| byte - b'0')?);
    }
    let mut scale = u32::try_from(places.len()).ok()?;
    while scale > 0 && mantissa % 10 == 0 {
        mantissa /= 10;
        scale -= 1;
    }
    Some(Decimal::new(if negative { -mantissa } else { mantissa }, scale))
}

/// The amount in units of 10^-[`SCALE`], as a decimal column of the lake stores it.
pub fn to_units(mut amount: Decimal) -> i128 {
    amount.rescale(SCALE);
    amount.mantissa()
}

fn literal<'de, D: Deserializer<'de>>(deserializer: D) -> Result<&'de RawValue, D::Error> {
    <&'de RawValue>::deserialize(deserializer)
}

fn from_literal<E: Error>(raw: &RawValue) -> Result<Decimal, E> {
    let text = raw.get();
    match text.as_bytes().first() {
        Some(b'"') => parse(text.trim_matches('"')).map_err(E::custom),
        Some(b'-' | b'0'..=b'9') => parse(text).map_err(E::custom),
        _ => Err(E::custom(format!("expected an amount, found `{}`", text.chars().take(40).collect::<String>()))),
    }
}

/// For `#[serde(deserialize_with)]` on a required amount.
pub fn required<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Decimal, D::Error> {
    from_literal(literal(deserializer)?)
}

/// For `#[serde(default, deserialize_with)]` on an amount that may be absent or null.
pub fn optional<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Option<Decimal>, D::Error> {
    let raw = literal(deserializer)?;
    if raw.get() == "null" { Ok(None) } else { from_literal(raw).map(Some) }
}

/// For `#[serde(default, deserialize_with)]` on an amount that is zero where absent or null.
pub fn or_zero<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Decimal, D::Error> {
    Ok(optional(deserializer)?.unwrap_or_default())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn plain_amounts_are_read_as_any_other() {
        for text in ["0", "-0", "0.00", "-0.5", "12.3400", "007.10", "99999999999999.9999", "-99999999999999"] {
            let other = Decimal::from_str(text).expect("a decimal").normalize();
            let read = plain(text).expect("a plain amount");
            assert_eq!((read, read.scale(), read.to_string()), (other, other.scale(), other.to_string()), "{text}");
        }
        for text in ["", "-", ".5", "5.", "1.00000", "100000000000000", "1e2", "+1", "1 ", "--1", "1.2.3"] {
            assert_eq!(plain(text), None, "{text}");
        }
    }

    #[test]
    fn amounts_are_exact_or_refused() {
        assert_eq!(to_units(parse("12.34").expect("an amount")), 123_400);
        assert_eq!(to_units(parse("-0.0001").expect("an amount")), -1);
        assert_eq!(to_units(parse("1e2").expect("an amount")), 1_000_000);
        assert_eq!(to_units(parse("1.50000000").expect("trailing zeros say nothing")), 15_000);
        assert!(parse("0.00001").expect_err("too fine").contains("decimal places"));
        assert!(parse("100000000000000").expect_err("too large").contains("too large"));
        for nonsense in ["", "NaN", "1,5", "abc", "0x10", "--1"] {
            assert!(parse(nonsense).is_err(), "{nonsense} was taken for an amount");
        }
    }
}
