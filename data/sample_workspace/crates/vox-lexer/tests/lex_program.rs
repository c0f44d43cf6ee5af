//! Lexes a small program through the public interface only.

use vox_lexer::brackets::match_brackets;
use vox_lexer::token::significant;
use vox_lexer::{Keyword, Lexer, LineIndex, Token, TokenKind};

const PROGRAM: &str = "\
## Speed of a trip.
fn speed(distance, time)
  let pace = distance / time  # may divide by zero
  pace |> round(2)

let trip = speed(12.5km, 45min)
";

#[test]
fn tokens_cover_the_program_in_order() {
    let tokens: Vec<Token> = Lexer::new(PROGRAM).collect();
    assert!(tokens
        .windows(2)
        .all(|pair| pair[0].span.end <= pair[1].span.start));
    assert!(tokens.iter().all(|t| t.kind != TokenKind::Error));
    let (pairs, faults) = match_brackets(&tokens);
    assert_eq!(pairs.len(), 3);
    assert!(faults.is_empty());
}

#[test]
fn statements_are_separated_once() {
    let tokens: Vec<Token> = Lexer::new(PROGRAM).collect();
    let kept = significant(&tokens);
    assert_eq!(kept[0].kind, TokenKind::Keyword(Keyword::Fn));
    let breaks = kept.iter().filter(|t| t.kind == TokenKind::Newline).count();
    assert_eq!(breaks, 3);
}

#[test]
fn positions_point_at_the_unit_literal() {
    let index = LineIndex::new(PROGRAM);
    let token = Lexer::new(PROGRAM)
        .find(|t| t.span.text_in(PROGRAM) == "12.5km")
        .expect("the literal is in the program");
    let at = index.position(PROGRAM, token.span.start);
    assert_eq!((at.line, at.column), (6, 18));
}
