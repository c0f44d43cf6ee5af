//! Reserved words, declared once through a macro.

/// Declares the keyword enum together with its lookup and its word list.
macro_rules! keywords {
    ($($variant:ident => $word:literal),+ $(,)?) => {
        /// A reserved word of the language.
        #[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
        pub enum Keyword {
            $(#[doc = concat!("The word `", $word, "`.")] $variant,)+
        }

        impl Keyword {
            /// Every keyword with its spelling, in declaration order.
            pub const ALL: &'static [(Keyword, &'static str)] =
                &[$((Keyword::$variant, $word)),+];
        }
    };
}

keywords! {
    Let => "let",
    Fn => "fn",
    If => "if",
    Then => "then",
    Else => "else",
    Match => "match",
    With => "with",
    For => "for",
    In => "in",
    Return => "return",
    Unit => "unit",
    Table => "table",
    Route => "route",
    Pipeline => "pipeline",
    True => "true",
    False => "false",
}

impl Keyword {
    /// Looks up a reserved word by its exact spelling.
    ///
    /// Case matters: `Let` is an ordinary identifier. The length test rejects
    /// most identifiers before any comparison of bytes takes place.
    ///
    /// # Examples
    ///
    /// ```
    /// use vox_lexer::Keyword;
    /// assert_eq!(Keyword::parse("match"), Some(Keyword::Match));
    /// assert_eq!(Keyword::parse("Match"), None);
    /// ```
    #[must_use]
    pub fn parse(word: &str) -> Option<Keyword> {
        if !(2..=8).contains(&word.len()) || !word.bytes().all(|b| b.is_ascii_lowercase()) {
            return None;
        }
        Keyword::ALL
            .iter()
            .find(|(_, spelling)| *spelling == word)
            .map(|(keyword, _)| *keyword)
    }

    /// Decides whether a line break after this keyword ends the statement.
    ///
    /// Words that still wait for an operand (`let`, `then`, `in`, ...) continue
    /// onto the next line; `true`, `false` and a bare `return` are complete and
    /// allow the statement to stop.
    #[must_use]
    pub const fn may_end_statement(self) -> bool {
        match self {
            Keyword::True | Keyword::False | Keyword::Return => true,
            Keyword::Let
            | Keyword::Fn
            | Keyword::If
            | Keyword::Then
            | Keyword::Else
            | Keyword::Match
            | Keyword::With
            | Keyword::For
            | Keyword::In
            | Keyword::Unit
            | Keyword::Table
            | Keyword::Route
            | Keyword::Pipeline => false,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_spelling_parses_back() {
        for (keyword, word) in Keyword::ALL {
            assert_eq!(Keyword::parse(word), Some(*keyword));
        }
        assert_eq!(Keyword::parse("pipelines"), None);
    }
}
