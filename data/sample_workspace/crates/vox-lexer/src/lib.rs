//! Lexical analysis for Vox source files.
//!
//! The crate turns text into [`Token`]s that carry byte [`Span`]s, checks the
//! bracket structure, derives indentation blocks, and offers spelling
//! suggestions when a later phase meets an unknown name.

pub mod brackets;
pub mod cursor;
pub mod keyword;
pub mod layout;
pub mod scan;
pub mod span;
pub mod suggest;
pub mod token;
pub mod unicode_table;

pub use keyword::Keyword;
pub use scan::Lexer;
pub use span::{LineIndex, Position, Span};
pub use token::{Token, TokenKind};
