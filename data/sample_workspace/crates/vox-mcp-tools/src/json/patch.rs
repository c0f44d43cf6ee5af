//! Merge patches: a change written as the members that change.

use super::Value;

/// Applies a merge patch to a document in place.
///
/// Members of an object patch are merged one by one: null removes the member, an
/// object is merged recursively, anything else replaces it. A patch that is not
/// an object replaces the whole target; an object patch turns a target of
/// another type into an object first.
///
/// # Examples
///
/// ```
/// use vox_mcp_tools::json::{merge_patch, parse, to_compact};
/// let mut doc = parse(r#"{"a":1,"b":{"c":2,"d":3}}"#).unwrap();
/// merge_patch(&mut doc, &parse(r#"{"a":null,"b":{"c":9}}"#).unwrap());
/// assert_eq!(to_compact(&doc), r#"{"b":{"c":9,"d":3}}"#);
/// ```
pub fn merge_patch(target: &mut Value, patch: &Value) {
    let Value::Object(changes) = patch else {
        *target = patch.clone();
        return;
    };
    if !matches!(target, Value::Object(_)) {
        *target = Value::Object(Vec::new());
    }
    let Value::Object(members) = target else {
        return;
    };
    for (name, change) in changes {
        let slot = members.iter().position(|(key, _)| key == name);
        match (slot, change) {
            (Some(at), Value::Null) => {
                members.remove(at);
            }
            (None, Value::Null) => {}
            (Some(at), _) => merge_patch(&mut members[at].1, change),
            (None, _) => {
                let mut fresh = Value::Null;
                merge_patch(&mut fresh, change);
                members.push((name.clone(), fresh));
            }
        }
    }
}

/// Computes a merge patch that leads from one document to another.
///
/// Returns `None` when nothing changes. Since null means removal in a patch,
/// nulls inside objects of `new` cannot be expressed; the patch then removes
/// those members instead. Arrays are always replaced as a whole.
#[must_use]
pub fn merge_diff(old: &Value, new: &Value) -> Option<Value> {
    if old == new {
        return None;
    }
    let (Value::Object(before), Value::Object(after)) = (old, new) else {
        return Some(new.clone());
    };
    let mut changes = Vec::new();
    for (name, _) in before {
        if new.get(name).is_none() {
            changes.push((name.clone(), Value::Null));
        }
    }
    for (name, value) in after {
        match old.get(name) {
            None => changes.push((name.clone(), value.clone())),
            Some(previous) => {
                if let Some(change) = merge_diff(previous, value) {
                    changes.push((name.clone(), change));
                }
            }
        }
    }
    (!changes.is_empty()).then_some(Value::Object(changes))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::json::parse;

    fn doc(text: &str) -> Value {
        parse(text).expect("valid JSON")
    }

    #[test]
    fn replacement_and_nesting() {
        let cases = [
            (r#"{"a":"b"}"#, r#"["c"]"#, r#"["c"]"#),
            (r#"["a"]"#, r#"{"a":{"b":null,"c":1}}"#, r#"{"a":{"c":1}}"#),
            (r#"{"e":null}"#, r#"{"a":1}"#, r#"{"e":null,"a":1}"#),
        ];
        for (target, patch, want) in cases {
            let mut value = doc(target);
            merge_patch(&mut value, &doc(patch));
            assert_eq!(value, doc(want));
        }
    }

    #[test]
    fn diffs_apply() {
        let old = doc(r#"{"a":1,"b":{"x":1,"y":2},"c":[1]}"#);
        let new = doc(r#"{"b":{"x":1,"y":3},"c":[1,2],"d":"n"}"#);
        let patch = merge_diff(&old, &new).expect("documents differ");
        assert_eq!(patch, doc(r#"{"a":null,"b":{"y":3},"c":[1,2],"d":"n"}"#));
        let mut value = old.clone();
        merge_patch(&mut value, &patch);
        assert_eq!(value, new);
        assert_eq!(merge_diff(&old, &old), None);
        // Same members in another order: nothing a patch could express.
        assert_eq!(
            merge_diff(&doc(r#"{"a":1,"b":2}"#), &doc(r#"{"b":2,"a":1}"#)),
            None
        );
    }
}
