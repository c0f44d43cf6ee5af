//! Plays a short exchange between a client and the tool server.

use vox_mcp_tools::args::{args_from_words, split_words};
use vox_mcp_tools::cursor::{page_of, query_fingerprint};
use vox_mcp_tools::json::{parse, to_compact, Kind, Schema};
use vox_mcp_tools::registry::Tool;
use vox_mcp_tools::rpc::{encode_frame, FrameDecoder, Request};
use vox_mcp_tools::{Registry, Value};

fn registry() -> Registry {
    let rate: Schema = Kind::Number {
        min: Some(1.0),
        max: None,
        integer: true,
    }
    .into();
    let input: Schema = Kind::Record {
        fields: vec![("rate".into(), rate, true)],
        open: false,
    }
    .into();
    let mut registry = Registry::default();
    for name in ["audio.resample", "audio.trim", "text.wrap"] {
        let tool = Tool {
            name: name.into(),
            summary: String::new(),
            input: input.clone(),
        };
        registry.register(tool).expect("new name");
    }
    registry
}

#[test]
fn a_framed_call_is_answered() {
    let body = r#"{"jsonrpc":"2.0","id":"q1","method":"audio.re","params":{"rate":"8k"}}"#;
    let mut decoder = FrameDecoder::new(1 << 16);
    decoder.feed(&encode_frame(body));
    let text = decoder
        .next_message()
        .expect("well formed")
        .expect("complete");
    let request = Request::from_value(&parse(&text).expect("valid JSON")).expect("valid request");
    let registry = registry();
    let tool = registry.resolve(&request.method).expect("unique prefix");
    let args = tool
        .prepare(request.params.clone())
        .expect("valid arguments");
    let reply = request.respond(Ok(args)).expect("has an id");
    assert_eq!(
        to_compact(&reply),
        r#"{"jsonrpc":"2.0","id":"q1","result":{"rate":8000}}"#
    );
}

#[test]
fn a_command_line_becomes_arguments() {
    let words = split_words("audio.trim rate='16k'").expect("closed quotes");
    let (args, rest) = args_from_words(&words);
    let registry = registry();
    let tool = registry.resolve(&rest[0]).expect("registered");
    let args = tool.prepare(args).expect("valid arguments");
    assert_eq!(args.get("rate"), Some(&Value::from(16000.0)));
}

#[test]
fn listings_come_in_pages() {
    let registry = registry();
    let query = query_fingerprint(&["tools/list"]);
    let (page, next) = page_of(registry.tools(), 2, None, query).expect("first page");
    assert_eq!(page.len(), 2);
    let (page, next) = page_of(registry.tools(), 2, next.as_deref(), query).expect("own cursor");
    assert_eq!((page[0].name.as_str(), next), ("text.wrap", None));
}
