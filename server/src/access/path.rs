//! The one way in which a path is written. The policy is looked up by it, and so is every route: another way of writing the
//! same path is no way around either.

/// How a path is written.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Written {
    Canonically,
    /// The same path as it should be written.
    Otherwise(String),
    /// It means nothing here; why, in words for whoever sent it.
    Badly(&'static str),
}

/// Judges a path as it stands in a request, without the query.
///
/// Canonical: no empty segments, neither between nor at the end; percent codes in capital letters, and only where a character
/// needs one. Refused: what other programs read in more than one way, which are dot segments, `;parameters`, slashes and
/// backslashes behind a percent code, and codes that are no UTF-8 or control characters.
pub fn judge(path: &str) -> Written {
    if !path.starts_with('/') {
        return Written::Badly("A path begins with a slash.");
    }
    let mut canonical = String::with_capacity(path.len());
    for segment in path.split('/').filter(|segment| !segment.is_empty()) {
        let Some(bytes) = decoded(segment) else {
            return Written::Badly("This path has a percent sign that no two hexadecimal digits follow.");
        };
        let Ok(text) = str::from_utf8(&bytes) else {
            return Written::Badly("This path has percent codes that are no UTF-8.");
        };
        if text == "." || text == ".." {
            return Written::Badly("This path has dot segments.");
        }
        if text.chars().any(|c| c.is_control() || ['/', '\\', ';'].contains(&c)) {
            return Written::Badly("This path has a character that no path here has.");
        }
        canonical.push('/');
        bytes.iter().for_each(|byte| encode(*byte, &mut canonical));
    }
    if canonical.is_empty() {
        canonical.push('/');
    }
    if canonical == path { Written::Canonically } else { Written::Otherwise(canonical) }
}

/// `None`: a percent sign without two digits.
fn decoded(segment: &str) -> Option<Vec<u8>> {
    let mut bytes = Vec::with_capacity(segment.len());
    let mut rest = segment.as_bytes();
    while let Some((first, after)) = rest.split_first() {
        if *first == b'%' {
            let (digits, after) = after.split_at_checked(2)?;
            let digit = |byte: u8| char::from(byte).to_digit(16).and_then(|digit| u8::try_from(digit).ok());
            bytes.push(digit(digits[0])? * 16 + digit(digits[1])?);
            rest = after;
        } else {
            bytes.push(*first);
            rest = after;
        }
    }
    Some(bytes)
}

/// A character of a segment stands for itself (RFC 3986, 3.3), all others as percent codes.
fn encode(byte: u8, path: &mut String) {
    if byte.is_ascii_alphanumeric() || b"-._~!$&'()*+,=:@".contains(&byte) {
        path.push(char::from(byte));
    } else {
        const DIGITS: &[u8; 16] = b"0123456789ABCDEF";
        path.push('%');
        path.extend([byte >> 4, byte & 15].map(|digit| char::from(DIGITS[usize::from(digit)])));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_path_is_written_in_one_way_only() {
        for path in
            ["/", "/admin/users", "/tables/gold/hourly", "/a'b", "/caf%C3%A9", "/a%20b", "/a%25b", "/.well-known"]
        {
            assert_eq!(judge(path), Written::Canonically, "{path}");
        }
        for (path, canonical) in [
            ("//", "/"),
            ("/admin/users/", "/admin/users"),
            ("//admin//users//", "/admin/users"),
            ("/%61dmin/users", "/admin/users"),
            ("/admin/users%2d", "/admin/users-"),
            ("/caf%c3%a9", "/caf%C3%A9"),
            ("/a|b", "/a%7Cb"),
            ("//evil.example/", "/evil.example"),
        ] {
            assert_eq!(judge(path), Written::Otherwise(canonical.to_owned()), "{path}");
            assert_eq!(judge(canonical), Written::Canonically, "{path} is not led in circles");
        }
        for path in [
            "",
            "*",
            "admin",
            "/../Cargo.toml",
            "/admin/./users",
            "/admin/%2e%2E/admin/users",
            "/.%2e",
            "/admin%2Fusers",
            "/admin%2fusers",
            "/admin%5Cusers",
            "/admin\\users",
            "/admin/users;x=1",
            "/admin/users%3B",
            "/admin/users%",
            "/admin/users%2",
            "/admin/users%zz",
            "/admin/users%ff",
            "/admin/users%C3",
            "/admin/users%00",
            "/admin/users%0d%0a",
            "/admin/users%C2%85",
        ] {
            assert!(matches!(judge(path), Written::Badly(_)), "{path}");
        }
    }
}
