//! How numbers, sizes and times are written. Always English, always UTC: the server and the browser must agree.

use chrono::{DateTime, TimeDelta, Utc};
use model::{metric::Unit, range::Granularity};
use rust_decimal::{Decimal, RoundingStrategy};

/// The sign of the currency the data are in.
const CURRENCY: &str = "$";

/// To the cent: `$4,596,039.58`.
pub fn money(amount: Decimal) -> String {
    let cents = format!("{:.2}", rounded(amount.abs(), 2));
    let sign = if amount.is_sign_negative() && cents != "0.00" { "-" } else { "" };
    format!("{sign}{CURRENCY}{}", grouped(&cents))
}

/// `155,848`; where the data have parts of a unit, up to two places.
pub fn count(number: Decimal) -> String {
    let text = rounded(number.abs(), 2).normalize().to_string();
    let sign = if number.is_sign_negative() && text != "0" { "-" } else { "" };
    format!("{sign}{}", grouped(&text))
}

pub fn whole(number: u64) -> String {
    grouped(&number.to_string())
}

pub fn by_unit(unit: Unit, number: Decimal) -> String {
    match unit {
        Unit::Money => money(number),
        Unit::Count => count(number),
    }
}

/// Events per second: one place while it is small.
pub fn rate(per_second: f64) -> String {
    if !per_second.is_finite() {
        "–".to_owned()
    } else if per_second < 99.95 {
        format!("{per_second:.1}")
    } else {
        grouped(&format!("{per_second:.0}"))
    }
}

pub fn percent(share: Decimal) -> String {
    format!("{}%", grouped(&format!("{:.1}", rounded(share.abs(), 1))))
}

/// `+12.3%`, `-0.4%`, `0.0%`.
pub fn change(percent: Decimal) -> String {
    let sign = match rounded(percent, 1) {
        rounded if rounded.is_zero() => "",
        rounded if rounded.is_sign_negative() => "-",
        _ => "+",
    };
    format!("{sign}{}", self::percent(percent))
}

/// A share (0 to 1) of what passed: `100%` of all alone, and else never more than `99.999%`.
pub fn pass_rate(share: Option<f64>) -> String {
    match share {
        None => "–".to_owned(),
        Some(share) if share >= 1.0 => "100%".to_owned(),
        Some(share) => format!("{:.3}%", (share * 100_000.0).floor() / 1000.0),
    }
}

/// What a change in percent is called in attributes.
pub fn direction(percent: Option<Decimal>) -> &'static str {
    match percent {
        Some(percent) if percent.round_dp(1).is_zero() => "same",
        Some(percent) if percent.is_sign_negative() => "down",
        Some(_) => "up",
        None => "none",
    }
}

/// `12.3 MB`, in powers of a thousand.
#[expect(clippy::cast_precision_loss, reason = "three digits are shown")]
pub fn bytes(bytes: u64) -> String {
    let units = ["B", "kB", "MB", "GB", "TB", "PB"];
    let mut value = bytes as f64;
    let mut unit = 0;
    while value >= 999.5 && unit + 1 < units.len() {
        value /= 1000.0;
        unit += 1;
    }
    let places = usize::from(unit > 0 && value < 99.95);
    format!("{value:.places$} {}", units[unit])
}

/// `8 ms`, `2.4 s`, `3 min 20 s`.
pub fn milliseconds(milliseconds: f64) -> String {
    match milliseconds {
        ..0.0 => "0 ms".to_owned(),
        ..999.5 => format!("{milliseconds:.0} ms"),
        ..59_950.0 => format!("{:.1} s", milliseconds / 1000.0),
        ..1e15 => {
            #[expect(clippy::cast_possible_truncation, reason = "far below i64::MAX")]
            let whole = milliseconds as i64;
            duration(TimeDelta::milliseconds(whole))
        }
        _ => "–".to_owned(),
    }
}

/// The two greatest units: `3 min 20 s`, `2 h 5 min`, `4 d 3 h`.
pub fn duration(duration: TimeDelta) -> String {
    let seconds = duration.num_seconds().max(0);
    let (minutes, hours, days) = (seconds / 60, seconds / 3_600, seconds / 86_400);
    if days > 0 {
        format!("{days} d {} h", hours % 24)
    } else if hours > 0 {
        format!("{hours} h {} min", minutes % 60)
    } else if minutes > 0 {
        format!("{minutes} min {} s", seconds % 60)
    } else {
        format!("{seconds} s")
    }
}

/// `16 Nov 2025, 10:05:09 UTC`.
pub fn instant(time: DateTime<Utc>) -> String {
    time.format("%-d %b %Y, %H:%M:%S UTC").to_string()
}

/// `16 Nov 2025, 10:05 UTC`, where seconds say nothing.
pub fn minute(time: DateTime<Utc>) -> String {
    time.format("%-d %b %Y, %H:%M UTC").to_string()
}

pub fn day(time: DateTime<Utc>) -> String {
    time.format("%-d %b %Y").to_string()
}

/// Text for a part of a URL: everything but letters, digits and `-._~` as `%` and two digits.
pub fn percent_encoded(text: &str) -> String {
    let mut encoded = String::with_capacity(text.len() + text.len() / 2);
    for byte in text.bytes() {
        match byte {
            b'A'..=b'Z' | b'a'..=b'z' | b'0'..=b'9' | b'-' | b'.' | b'_' | b'~' => encoded.push(char::from(byte)),
            _ => encoded.push_str(&format!("%{byte:02X}")),
        }
    }
    encoded
}

/// The start of a bucket of a chart.
pub fn bucket(granularity: Granularity, time: DateTime<Utc>) -> String {
    let pattern = match granularity {
        Granularity::Hour => "%-d %b, %H:%M",
        Granularity::Day => "%a %-d %b %Y",
        Granularity::Week => "Week of %-d %b %Y",
        Granularity::Month => "%b %Y",
    };
    time.format(pattern).to_string()
}

/// The same, as short as an axis needs it.
pub fn bucket_short(granularity: Granularity, time: DateTime<Utc>) -> String {
    let pattern = match granularity {
        Granularity::Hour => "%-d %b, %H:%M",
        Granularity::Day => "%a %-d %b",
        Granularity::Week => "%-d %b %Y",
        Granularity::Month => "%b %Y",
    };
    time.format(pattern).to_string()
}

fn rounded(number: Decimal, places: u32) -> Decimal {
    number.round_dp_with_strategy(places, RoundingStrategy::MidpointAwayFromZero)
}

/// Puts a comma between thousands of an unsigned decimal number.
fn grouped(number: &str) -> String {
    let (whole, fraction) = number.split_once('.').map_or((number, None), |(whole, fraction)| (whole, Some(fraction)));
    let mut text = String::with_capacity(number.len() + number.len() / 3);
    for (index, digit) in whole.chars().enumerate() {
        if index > 0 && (whole.len() - index) % 3 == 0 {
            text.push(',');
        }
        text.push(digit);
    }
    if let Some(fraction) = fraction {
        text.push('.');
        text.push_str(fraction);
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    fn decimal(text: &str) -> Decimal {
        text.parse().expect("a decimal")
    }

    #[test]
    fn money_is_exact_to_the_cent() {
        assert_eq!(money(decimal("4596039.58")), "$4,596,039.58");
        assert_eq!(money(decimal("29.4905")), "$29.49");
        assert_eq!(money(decimal("0.005")), "$0.01");
        assert_eq!(money(decimal("-1234.5")), "-$1,234.50");
        assert_eq!(money(decimal("-0.001")), "$0.00");
    }

    #[test]
    fn counts_are_grouped() {
        assert_eq!(count(decimal("155848.0000")), "155,848");
        assert_eq!(count(decimal("0.5")), "0.5");
        assert_eq!(count(decimal("100")), "100");
        assert_eq!(whole(1_469_307), "1,469,307");
        assert_eq!(rate(12.34), "12.3");
        assert_eq!(rate(1_234_567.0), "1,234,567");
        assert_eq!([None, Some(1.0), Some(0.999_999_9), Some(0.5)].map(pass_rate), ["–", "100%", "99.999%", "50.000%"]);
        assert_eq!(percent(decimal("-1234.56")), "1,234.6%");
        assert_eq!(["12.34", "-0.36", "-0.04"].map(|text| change(decimal(text))), ["+12.3%", "-0.4%", "0.0%"]);
    }

    #[test]
    fn text_is_safe_in_a_url() {
        assert_eq!(percent_encoded("a-b_c.d~9"), "a-b_c.d~9");
        assert_eq!(percent_encoded("<é&%"), "%3C%C3%A9%26%25");
    }

    #[test]
    fn sizes_and_durations_read_well() {
        assert_eq!(bytes(0), "0 B");
        assert_eq!(bytes(999), "999 B");
        assert_eq!(bytes(12_345_678), "12.3 MB");
        assert_eq!(milliseconds(7.8), "8 ms");
        assert_eq!(milliseconds(2_440.0), "2.4 s");
        assert_eq!(milliseconds(200_000.0), "3 min 20 s");
        assert_eq!(duration(TimeDelta::seconds(-3)), "0 s");
        assert_eq!(duration(TimeDelta::hours(99)), "4 d 3 h");
    }
}
