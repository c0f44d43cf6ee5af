//! Path normalisation.

/// Removes `.` and `..` segments and repeated slashes from an absolute path.
///
/// A `..` drops the segment before it. `None` signals a path that would climb
/// above the root, which a server must not serve, or one that does not start
/// with a slash. A trailing slash (also one implied by a final dot segment) is
/// preserved.
#[must_use]
pub fn normalise(path: &str) -> Option<String> {
    let body = path.strip_prefix('/')?;
    let mut kept: Vec<&str> = Vec::new();
    let mut directory = true;
    for segment in body.split('/') {
        directory = matches!(segment, "" | "." | "..");
        match segment {
            "" | "." => {}
            ".." => {
                kept.pop()?;
            }
            name => kept.push(name),
        }
    }
    let mut out = format!("/{}", kept.join("/"));
    if directory && !kept.is_empty() {
        out.push('/');
    }
    Some(out)
}

/// Writes the shortest relative link from one normalised path to another.
///
/// Both paths are absolute. Everything after the last slash of `from` is a
/// page name and does not count as a directory. A link to the directory that
/// contains `from` is `./`, so the result is never empty.
#[must_use]
pub fn relative(from: &str, to: &str) -> String {
    let base: Vec<&str> = from.split('/').collect();
    let base = &base[..base.len().saturating_sub(1)];
    let target: Vec<&str> = to.split('/').collect();
    let (folders, page) = target.split_at(target.len().saturating_sub(1));
    let shared = base
        .iter()
        .zip(folders)
        .take_while(|(left, right)| left == right)
        .count();
    let mut link = "../".repeat(base.len() - shared);
    for folder in &folders[shared..] {
        link.push_str(folder);
        link.push('/');
    }
    link.push_str(page.first().copied().unwrap_or(""));
    if link.is_empty() {
        link.push_str("./");
    }
    link
}

/// Yields a path's ancestors from the nearest directory up to the root.
///
/// Every item ends with a slash: `/a/b/c` gives `/a/b/`, `/a/`, `/`. A path
/// that already ends with a slash starts with its parent. Relative paths give
/// only the directories they spell out.
pub fn ancestors(path: &str) -> impl Iterator<Item = &str> {
    let mut rest = Some(path.strip_suffix('/').unwrap_or(path));
    std::iter::from_fn(move || {
        let current = rest?;
        match current.rfind('/') {
            Some(at) => {
                rest = Some(&current[..at]);
                Some(&current[..=at])
            }
            None => {
                rest = None;
                None
            }
        }
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn dots_cannot_escape_the_root() {
        assert_eq!(normalise("/a//b/./c/../d").as_deref(), Some("/a/b/d"));
        assert_eq!(normalise("/a/b/..").as_deref(), Some("/a/"));
        assert_eq!(normalise("/./").as_deref(), Some("/"));
        assert_eq!(normalise("/a/../../b"), None);
        assert_eq!(normalise("a"), None);
    }

    #[test]
    fn links_are_short() {
        assert_eq!(relative("/a/b/page", "/a/c/other"), "../c/other");
        assert_eq!(relative("/a/page", "/a/other"), "other");
        assert_eq!(relative("/a/page", "/a/"), "./");
        assert_eq!(relative("/page", "/x/y/"), "x/y/");
    }

    #[test]
    fn ancestors_end_at_the_root() {
        let found: Vec<&str> = ancestors("/a/b/c").collect();
        assert_eq!(found, ["/a/b/", "/a/", "/"]);
        assert_eq!(ancestors("/a/").collect::<Vec<_>>(), ["/"]);
        assert_eq!(ancestors("name").count(), 0);
    }
}
