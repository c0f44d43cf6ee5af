//! The tools on offer and how to find the right one.

use crate::json::{Schema, Value, Violation};
use std::collections::BTreeMap;
use std::fmt;

/// A tool's public description.
#[derive(Debug, Clone, PartialEq)]
pub struct Tool {
    /// Unique name such as `audio.trim`.
    pub name: String,
    /// One or two sentences.
    pub summary: String,
    /// What its arguments must look like.
    pub input: Schema,
}

impl Tool {
    /// Converts and checks the arguments of a call.
    ///
    /// The arguments are coerced toward the input schema first; missing
    /// arguments (null) count as an empty object.
    ///
    /// # Errors
    ///
    /// All violations that remain after coercion.
    pub fn prepare(&self, args: Value) -> Result<Value, Vec<Violation>> {
        let args = match args {
            Value::Null => Value::Object(Vec::new()),
            other => other,
        };
        let converted = crate::args::coerce(&self.input, args);
        let violations = self.input.check(&converted);
        if violations.is_empty() {
            Ok(converted)
        } else {
            Err(violations)
        }
    }
}

/// Why a tool was not accepted.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum RegistryError {
    /// Names have 1 to 64 letters, digits, `_`, `-` or `.`.
    BadName(String),
    /// The name is taken.
    Duplicate(String),
}

impl fmt::Display for RegistryError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            RegistryError::BadName(name) => write!(f, "{name:?} is not a tool name"),
            RegistryError::Duplicate(name) => write!(f, "{name:?} is registered twice"),
        }
    }
}

impl std::error::Error for RegistryError {}

/// Something that scores tools against a query.
pub trait Ranker {
    /// Relevance of one tool; zero or less means "not at all".
    fn score(&self, query: &[String], tool: &Tool) -> f64;

    /// Returns the best tools, most relevant first, at most `limit` of them.
    ///
    /// The query is cut into lower-case words. Irrelevant tools are left out, and
    /// tools of equal score are ordered by name so that results are stable.
    fn rank<'r>(&self, query: &str, tools: &'r [Tool], limit: usize) -> Vec<&'r Tool> {
        let words = words_of(query);
        let mut scored: Vec<(f64, &Tool)> = tools
            .iter()
            .map(|tool| (self.score(&words, tool), tool))
            .filter(|(score, _)| *score > 0.0)
            .collect();
        scored.sort_by(|a, b| b.0.total_cmp(&a.0).then_with(|| a.1.name.cmp(&b.1.name)));
        scored
            .into_iter()
            .take(limit)
            .map(|(_, tool)| tool)
            .collect()
    }
}

/// Cuts a text into lower-case alphanumeric words, dropping a plural `s`.
///
/// The plural is removed only from words of more than three letters that do not
/// end in `ss`, which is crude but the same on both sides of a comparison.
pub(crate) fn words_of(text: &str) -> Vec<String> {
    text.split(|c: char| !c.is_alphanumeric())
        .filter(|w| !w.is_empty())
        .map(|w| {
            let lower = w.to_lowercase();
            match lower.strip_suffix('s') {
                Some(stem) if stem.len() >= 3 && !stem.ends_with('s') => stem.to_owned(),
                _ => lower,
            }
        })
        .collect()
}

/// Scores tools by how rare the shared words are (BM25).
#[derive(Debug, Clone)]
pub struct WordRanker {
    documents: f64,
    mean_len: f64,
    frequency: BTreeMap<String, f64>,
}

fn tool_words(tool: &Tool) -> Vec<String> {
    let mut words = words_of(&tool.name);
    words.extend(words_of(&tool.name));
    words.extend(words_of(&tool.summary));
    words
}

impl WordRanker {
    /// Gathers the word statistics of a set of tools.
    ///
    /// For each word the number of tools that use it is counted, and the mean
    /// number of words per tool is kept for length normalisation. Words of the
    /// name count twice.
    pub fn new(tools: &[Tool]) -> Self {
        let mut frequency = BTreeMap::new();
        let mut total = 0;
        for tool in tools {
            let mut words = tool_words(tool);
            total += words.len();
            words.sort_unstable();
            words.dedup();
            for word in words {
                *frequency.entry(word).or_insert(0.0) += 1.0;
            }
        }
        let documents = tools.len() as f64;
        WordRanker {
            documents,
            mean_len: total as f64 / documents.max(1.0),
            frequency,
        }
    }
}

impl Ranker for WordRanker {
    /// Adds up the weights of the query words that the tool mentions.
    ///
    /// Repeated mentions have diminishing returns, long descriptions are
    /// discounted, and words that many tools share weigh little.
    fn score(&self, query: &[String], tool: &Tool) -> f64 {
        const SATURATION: f64 = 1.2;
        const LENGTH_SHARE: f64 = 0.75;
        let words = tool_words(tool);
        let length = words.len() as f64 / self.mean_len.max(1.0);
        let damping = SATURATION * (1.0 - LENGTH_SHARE + LENGTH_SHARE * length);
        query
            .iter()
            .map(|term| {
                let count = words.iter().filter(|w| *w == term).count() as f64;
                let users = self.frequency.get(term).copied().unwrap_or(0.0);
                let rarity = (1.0 + (self.documents - users + 0.5) / (users + 0.5)).ln();
                rarity * count * (SATURATION + 1.0) / (count + damping)
            })
            .sum()
    }
}

/// All tools of a server, sorted by name.
#[derive(Debug, Clone, Default)]
pub struct Registry {
    tools: Vec<Tool>,
}

impl Registry {
    /// Adds a tool at its place in the alphabet.
    ///
    /// # Errors
    ///
    /// [`RegistryError::BadName`] if the name is empty, longer than 64
    /// characters or has other characters than ASCII letters, digits, `_`, `-`
    /// and `.`; [`RegistryError::Duplicate`] if it is already present.
    pub fn register(&mut self, tool: Tool) -> Result<(), RegistryError> {
        let allowed = |b: u8| b.is_ascii_alphanumeric() || matches!(b, b'_' | b'-' | b'.');
        if tool.name.is_empty() || tool.name.len() > 64 || !tool.name.bytes().all(allowed) {
            return Err(RegistryError::BadName(tool.name));
        }
        match self.tools.binary_search_by(|t| t.name.cmp(&tool.name)) {
            Ok(_) => Err(RegistryError::Duplicate(tool.name)),
            Err(at) => {
                self.tools.insert(at, tool);
                Ok(())
            }
        }
    }

    /// The tools in alphabetical order.
    pub fn tools(&self) -> &[Tool] {
        &self.tools
    }

    /// Finds a tool by its name or by a prefix that only one tool has.
    ///
    /// An exact match always wins, even if it is a prefix of others.
    ///
    /// # Errors
    ///
    /// The names that share the prefix, in order; an empty list if none does.
    pub fn resolve(&self, name: &str) -> Result<&Tool, Vec<&str>> {
        let from = self.tools.partition_point(|t| t.name.as_str() < name);
        let matching: Vec<&Tool> = self.tools[from..]
            .iter()
            .take_while(|t| t.name.starts_with(name))
            .collect();
        match matching[..] {
            [first, ..] if first.name == name => Ok(first),
            [only] if !name.is_empty() => Ok(only),
            _ => Err(matching.iter().map(|t| t.name.as_str()).collect()),
        }
    }

    /// Groups the tools by the part of their names before the first dot.
    ///
    /// Tools without a dot are in the group with the empty name. Groups and
    /// their members are in alphabetical order.
    pub fn by_namespace(&self) -> BTreeMap<&str, Vec<&Tool>> {
        let mut groups: BTreeMap<&str, Vec<&Tool>> = BTreeMap::new();
        for tool in &self.tools {
            let space = tool.name.split_once('.').map_or("", |(space, _)| space);
            groups.entry(space).or_default().push(tool);
        }
        groups
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::json::{parse, Kind};

    fn registry() -> Registry {
        let mut registry = Registry::default();
        let number: Schema = Kind::Number {
            min: Some(0.0),
            max: None,
            integer: false,
        }
        .into();
        let input: Schema = Kind::Record {
            fields: vec![("seconds".into(), number, true)],
            open: false,
        }
        .into();
        for (name, summary) in [
            ("audio.trim", "Cuts silence off both ends of a recording."),
            ("audio.trim_all", "Cuts silence off many recordings."),
            ("text.wrap", "Wraps a text to a width."),
            ("help", "Explains the tools."),
        ] {
            let tool = Tool {
                name: name.into(),
                summary: summary.into(),
                input: input.clone(),
            };
            registry.register(tool).expect("new name");
        }
        registry
    }

    #[test]
    fn names() {
        let mut registry = registry();
        let again = registry.tools()[0].clone();
        assert_eq!(
            registry.register(again),
            Err(RegistryError::Duplicate("audio.trim".into()))
        );
        let bad = Tool {
            name: "a b".into(),
            ..registry.tools()[0].clone()
        };
        assert_eq!(
            registry.register(bad),
            Err(RegistryError::BadName("a b".into()))
        );
        assert_eq!(
            registry.resolve("audio.trim").map(|t| t.name.as_str()),
            Ok("audio.trim")
        );
        assert_eq!(
            registry.resolve("te").map(|t| t.name.as_str()),
            Ok("text.wrap")
        );
        assert_eq!(
            registry.resolve("audio").map(|t| t.name.as_str()),
            Err(vec!["audio.trim", "audio.trim_all"])
        );
        assert_eq!(
            registry.by_namespace().keys().copied().collect::<Vec<_>>(),
            ["", "audio", "text"]
        );
    }

    #[test]
    fn ranking() {
        let registry = registry();
        let ranker = WordRanker::new(registry.tools());
        let best = ranker.rank("wrap my texts", registry.tools(), 3);
        assert_eq!(best[0].name, "text.wrap");
        let best = ranker.rank("silence", registry.tools(), 1);
        assert_eq!(best.len(), 1);
        assert!(ranker.rank("???", registry.tools(), 3).is_empty());
    }

    #[test]
    fn calls() {
        let registry = registry();
        let tool = registry.resolve("help").expect("registered");
        let args = parse(r#"{"seconds":"1.5"}"#).expect("valid JSON");
        assert_eq!(
            tool.prepare(args).map(|v| v.get("seconds").cloned()),
            Ok(Some(Value::from(1.5)))
        );
        assert_eq!(tool.prepare(Value::Null).map_err(|v| v.len()), Err(1));
    }
}
