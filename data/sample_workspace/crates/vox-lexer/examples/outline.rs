//! Prints the token outline of a file given on the command line, or of a
//! built-in sample.

use vox_lexer::{Lexer, LineIndex};

fn main() -> std::io::Result<()> {
    let source = match std::env::args().nth(1) {
        Some(path) => std::fs::read_to_string(path)?,
        None => String::from("let area = width * height\n"),
    };
    let index = LineIndex::new(&source);
    for token in Lexer::new(&source) {
        let at = index.position(&source, token.span.start);
        let text = token.span.text_in(&source);
        println!("{:>3}:{:<3} {:?} {text:?}", at.line, at.column, token.kind);
    }
    Ok(())
}
