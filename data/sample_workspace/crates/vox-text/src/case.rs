//! Identifier case: splitting, detecting and rewriting.

/// The spelling conventions that the Vox linter knows.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum CaseStyle {
    /// `words_with_underscores`
    Snake,
    /// `WORDS_WITH_UNDERSCORES`
    Screaming,
    /// `words-with-hyphens`
    Kebab,
    /// `wordsWithHumps`
    Camel,
    /// `WordsWithHumps`
    Pascal,
}

/// Cuts an identifier into its words.
///
/// Breaks fall at any character that is not alphanumeric, where a lower-case
/// letter or digit meets an upper-case letter, and before the last capital of
/// an acronym that is followed by a lower-case letter, so `HTTPServer2Go`
/// becomes `HTTP`, `Server2`, `Go`. Empty words are never produced.
///
/// # Examples
///
/// ```
/// assert_eq!(vox_text::split_words("parseHTTPLine_no"), ["parse", "HTTP", "Line", "no"]);
/// ```
#[must_use]
pub fn split_words(ident: &str) -> Vec<String> {
    let chars: Vec<char> = ident.chars().collect();
    let mut words = Vec::new();
    let mut word = String::new();
    for (i, &c) in chars.iter().enumerate() {
        if !c.is_alphanumeric() {
            if !word.is_empty() {
                words.push(std::mem::take(&mut word));
            }
            continue;
        }
        let prev = word.chars().last();
        let hump = c.is_uppercase() && prev.is_some_and(|p| !p.is_uppercase());
        let acronym_end = c.is_uppercase()
            && prev.is_some_and(char::is_uppercase)
            && chars.get(i + 1).is_some_and(|n| n.is_lowercase());
        if hump || acronym_end {
            words.push(std::mem::take(&mut word));
        }
        word.push(c);
    }
    if !word.is_empty() {
        words.push(word);
    }
    words
}

impl CaseStyle {
    /// Rewrites an identifier of any convention in this one.
    ///
    /// The words come from [`split_words`]. Acronyms are treated like other
    /// words, so `HTTPLine` turns into `HttpLine` under [`CaseStyle::Pascal`].
    /// Leading underscores survive, since they carry meaning in Vox.
    pub fn render(self, ident: &str) -> String {
        let lead = ident.len() - ident.trim_start_matches('_').len();
        let mut out = "_".repeat(lead);
        for (i, word) in split_words(ident).iter().enumerate() {
            let sep = match self {
                CaseStyle::Snake | CaseStyle::Screaming => "_",
                CaseStyle::Kebab => "-",
                CaseStyle::Camel | CaseStyle::Pascal => "",
            };
            if i > 0 {
                out.push_str(sep);
            }
            match self {
                CaseStyle::Screaming => out.push_str(&word.to_uppercase()),
                CaseStyle::Snake | CaseStyle::Kebab => out.push_str(&word.to_lowercase()),
                CaseStyle::Camel if i == 0 => out.push_str(&word.to_lowercase()),
                CaseStyle::Camel | CaseStyle::Pascal => push_capitalised(&mut out, word),
            }
        }
        out
    }

    /// Guesses which convention an identifier follows.
    ///
    /// Separators decide first; without any, the case of the first letter does.
    /// `None` is returned for an empty string, for other punctuation, and for
    /// mixtures such as `Some_Thing` or `a-b_c`. A single lower-case word is
    /// reported as snake case, a single capital as Pascal case.
    #[must_use]
    pub fn detect(ident: &str) -> Option<CaseStyle> {
        let body = ident.trim_start_matches('_');
        let first = body.chars().next()?;
        if body
            .chars()
            .any(|c| !c.is_alphanumeric() && c != '_' && c != '-')
        {
            return None;
        }
        let upper = body.chars().any(char::is_uppercase);
        let lower = body.chars().any(char::is_lowercase);
        match (body.contains('_'), body.contains('-')) {
            (true, true) => None,
            (false, true) => (!upper).then_some(CaseStyle::Kebab),
            (true, false) if upper && lower => None,
            (true, false) if upper => Some(CaseStyle::Screaming),
            (true, false) => Some(CaseStyle::Snake),
            (false, false) if !upper => Some(CaseStyle::Snake),
            (false, false) if !lower && body.chars().count() > 1 => Some(CaseStyle::Screaming),
            (false, false) if first.is_uppercase() => Some(CaseStyle::Pascal),
            (false, false) => Some(CaseStyle::Camel),
        }
    }
}

fn push_capitalised(out: &mut String, word: &str) {
    let mut chars = word.chars();
    if let Some(first) = chars.next() {
        out.extend(first.to_uppercase());
        out.push_str(&chars.as_str().to_lowercase());
    }
}

/**
Picks the name closest to `wanted` for a "did you mean" hint.

Names are compared by their words in lower case, so a wrong convention costs
nothing. The candidate with the smallest edit distance wins, the earliest one on
a tie. Nothing is suggested when the distance exceeds a third of the length of
the wanted name (rounded up).
*/
pub fn closest_name<'a, I>(wanted: &str, candidates: I) -> Option<&'a str>
where
    I: IntoIterator<Item = &'a str>,
{
    let key = split_words(wanted).concat().to_lowercase();
    let limit = key.chars().count().div_ceil(3);
    let mut best: Option<(usize, &'a str)> = None;
    for name in candidates {
        let other = split_words(name).concat().to_lowercase();
        let Some(distance) = crate::edit::bounded_distance(&key, &other, limit) else {
            continue;
        };
        if best.is_none_or(|(d, _)| distance < d) {
            best = Some((distance, name));
        }
    }
    best.map(|(_, name)| name)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn words_of_mixed_identifiers() {
        assert_eq!(split_words("HTTPServer2Go"), ["HTTP", "Server2", "Go"]);
        assert_eq!(split_words("__a--b"), ["a", "b"]);
    }

    #[test]
    fn rendering_round_trips_between_styles() {
        assert_eq!(CaseStyle::Snake.render("_maxHTTPDepth"), "_max_http_depth");
        assert_eq!(CaseStyle::Pascal.render("max_http_depth"), "MaxHttpDepth");
        assert_eq!(CaseStyle::Camel.render("Max-Depth"), "maxDepth");
        assert_eq!(CaseStyle::Screaming.render("maxDepth"), "MAX_DEPTH");
    }

    #[test]
    fn detection() {
        assert_eq!(CaseStyle::detect("a_b"), Some(CaseStyle::Snake));
        assert_eq!(CaseStyle::detect("Some_Thing"), None);
        assert_eq!(CaseStyle::detect("aB"), Some(CaseStyle::Camel));
        assert_eq!(CaseStyle::detect("X"), Some(CaseStyle::Pascal));
        assert_eq!(CaseStyle::detect(""), None);
    }

    #[test]
    fn hints() {
        let names = ["speak_now", "listen", "speakLoud"];
        assert_eq!(closest_name("SpaekNow", names), Some("speak_now"));
        assert_eq!(closest_name("zzz", names), None);
    }
}
