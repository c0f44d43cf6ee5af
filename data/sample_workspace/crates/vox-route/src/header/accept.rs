//! Content negotiation.

/// One entry of an `Accept` header.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Preference {
    /// Type before the slash, or `*`.
    pub kind: String,
    /// Subtype after the slash, or `*`.
    pub subtype: String,
    /// Quality in thousandths, 0 to 1000.
    pub quality: u16,
}

/// Reads a quality value with at most three decimals as thousandths.
///
/// `0.5` gives 500 and `1` gives 1000. Values above one, signs, and any other
/// text give `None`.
#[must_use]
pub fn parse_quality(text: &str) -> Option<u16> {
    let (whole, decimals) = text.split_once('.').unwrap_or((text, ""));
    if decimals.len() > 3 || !decimals.bytes().all(|byte| byte.is_ascii_digit()) {
        return None;
    }
    let thousandths: u16 = format!("{decimals:0<3}").parse().ok()?;
    match (whole, thousandths) {
        ("0", _) => Some(thousandths),
        ("1", 0) => Some(1000),
        _ => None,
    }
}

/// Parses an `Accept` header, skipping entries that make no sense.
///
/// Entries are separated by commas, parameters by semicolons; only the
/// parameter `q` is read, and it defaults to full quality. An entry without a
/// slash, with a wildcard type but a concrete subtype, or with a malformed
/// quality is dropped instead of failing the request.
#[must_use]
pub fn parse_accept(header: &str) -> Vec<Preference> {
    let entry = |text: &str| {
        let mut parts = text.split(';').map(str::trim);
        let (kind, subtype) = parts.next()?.split_once('/')?;
        if kind.is_empty() || subtype.is_empty() || (kind == "*" && subtype != "*") {
            return None;
        }
        let mut quality = 1000;
        for parameter in parts {
            if let Some((name, value)) = parameter.split_once('=') {
                if name.trim().eq_ignore_ascii_case("q") {
                    quality = parse_quality(value.trim())?;
                }
            }
        }
        Some(Preference {
            kind: kind.to_ascii_lowercase(),
            subtype: subtype.to_ascii_lowercase(),
            quality,
        })
    };
    header.split(',').filter_map(entry).collect()
}

/// Chooses the offered media type that the client likes best.
///
/// For each offer the most exact preference decides (full type, then
/// `kind/*`, then `*/*`); a quality of zero forbids it. Among equal qualities
/// the earlier offer wins, so servers list their favourite first. An empty
/// preference list accepts everything.
#[must_use]
pub fn negotiate<'o>(preferences: &[Preference], offers: &[&'o str]) -> Option<&'o str> {
    if preferences.is_empty() {
        return offers.first().copied();
    }
    let mut best: Option<(u16, &str)> = None;
    for &offer in offers {
        let (kind, subtype) = offer.split_once('/')?;
        let quality = preferences
            .iter()
            .filter_map(|preference| {
                let exactness = match (preference.kind.as_str(), preference.subtype.as_str()) {
                    ("*", _) => 0,
                    (k, "*") if k == kind => 1,
                    (k, s) if k == kind && s == subtype => 2,
                    _ => return None,
                };
                Some((exactness, preference.quality))
            })
            .max()
            .map_or(0, |(_, quality)| quality);
        if quality > best.map_or(0, |(highest, _)| highest) {
            best = Some((quality, offer));
        }
    }
    best.map(|(_, offer)| offer)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn qualities_are_thousandths() {
        let read = ["1", "1.0", "0.25", "0", "1.1", "0.1234", "-1", "x"].map(parse_quality);
        assert_eq!(
            read,
            [
                Some(1000),
                Some(1000),
                Some(250),
                Some(0),
                None,
                None,
                None,
                None
            ]
        );
    }

    #[test]
    fn the_exact_preference_decides() {
        let preferences = parse_accept("text/*;q=0.3, text/html;q=0, */*;q=0.2, junk");
        assert_eq!(preferences.len(), 3);
        assert_eq!(
            negotiate(&preferences, &["text/html", "image/png", "text/plain"]),
            Some("text/plain")
        );
        assert_eq!(negotiate(&preferences, &["text/html"]), None);
        assert_eq!(negotiate(&[], &["a/b", "c/d"]), Some("a/b"));
    }
}
