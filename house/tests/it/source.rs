//! A Rust file apart into code, comments and string literals. A lexer, no parser: enough for what the house asks.

/// A comment or a string literal, with the number of its first line.
pub(crate) struct Piece {
    pub(crate) line: usize,
    pub(crate) text: String,
}

pub(crate) struct Source {
    pub(crate) path: String,
    pub(crate) text: String,
    /// A test, an example, or of a module for tests.
    pub(crate) is_test: bool,
    /// The text with comments, literals and test modules blanked; lines stay where they are.
    pub(crate) code: String,
    pub(crate) comments: Vec<Piece>,
    pub(crate) strings: Vec<Piece>,
}

/// A function with the number of its first line and of its lines.
pub(crate) struct Function {
    pub(crate) name: String,
    pub(crate) line: usize,
    pub(crate) lines: usize,
}

impl Source {
    pub(crate) fn new(path: &str, text: &str) -> Self {
        let mut lexer = Lexer::new(text);
        lexer.run();
        let code = without_test_modules(&String::from_utf8(lexer.code).unwrap());
        let ends = ["_tests.rs", "/tests.rs"];
        let is_test = path.contains("/tests/")
            || path.contains("/examples/")
            || ends.iter().any(|end| path.ends_with(end));
        Self {
            path: path.to_owned(),
            text: text.to_owned(),
            is_test,
            code,
            comments: lexer.comments,
            strings: lexer.strings,
        }
    }

    /// The modules in files of their own that are compiled for tests alone, as paths without their ending.
    pub(crate) fn test_modules(&self) -> Vec<String> {
        let (folder, file) = self.path.rsplit_once('/').unwrap_or(("", &self.path));
        let is_folders_own = ["mod.rs", "lib.rs", "main.rs"].contains(&file);
        let inside = if is_folders_own {
            folder.to_owned()
        } else {
            format!("{folder}/{}", file.trim_end_matches(".rs"))
        };
        let items = self.code.split("#[cfg(test)]").skip(1).map(str::trim_start);
        let declared = items.filter_map(|item| {
            item.strip_prefix("pub(crate) ")
                .unwrap_or(item)
                .strip_prefix("mod ")
        });
        let names = declared.filter_map(|rest| rest.split_once(';').map(|(name, _)| name));
        names
            .filter(|name| !name.contains('{'))
            .map(|name| format!("{inside}/{name}"))
            .collect()
    }

    /// The words of the code, each with the number of its line.
    pub(crate) fn words(&self) -> impl Iterator<Item = (usize, &str)> {
        self.code.lines().enumerate().flat_map(|(index, line)| {
            let words = line.split(|c: char| !c.is_alphanumeric() && c != '_');
            words
                .filter(|word| !word.is_empty())
                .map(move |word| (index + 1, word))
        })
    }

    /// The functions with a body.
    pub(crate) fn functions(&self) -> Vec<Function> {
        let mut found = Vec::new();
        let mut from = 0;
        while let Some(at) = self.code[from..].find("fn ").map(|at| at + from) {
            from = at + 3;
            let before = self.code[..at].chars().next_back();
            let name: String = self.code[from..]
                .chars()
                .take_while(|c| c.is_alphanumeric() || *c == '_')
                .collect();
            if name.is_empty() || before.is_some_and(|c| c.is_alphanumeric() || c == '_') {
                continue;
            }
            let Some(end) = body(&self.code, from) else {
                continue;
            };
            let line = self.code[..at].matches('\n').count() + 1;
            let lines = self.code[at..end].matches('\n').count() + 1;
            found.push(Function { name, line, lines });
        }
        found
    }
}

/// Where the body of the function whose name begins at `from` ends; none for a declaration.
fn body(code: &str, from: usize) -> Option<usize> {
    let mut depth = 0usize;
    for (at, byte) in code.bytes().enumerate().skip(from) {
        match byte {
            b'(' | b'[' => depth += 1,
            b')' | b']' => depth = depth.saturating_sub(1),
            b';' if depth == 0 => return None,
            b'{' if depth == 0 => return Some(block_end(code, at)),
            _ => {}
        }
    }
    None
}

/// Where the block that begins at `from` ends.
fn block_end(code: &str, from: usize) -> usize {
    let mut depth = 0usize;
    for (at, byte) in code.bytes().enumerate().skip(from) {
        match byte {
            b'{' => depth += 1,
            b'}' if depth == 1 => return at + 1,
            b'}' => depth -= 1,
            _ => {}
        }
    }
    code.len()
}

fn without_test_modules(code: &str) -> String {
    let mut bytes = code.as_bytes().to_vec();
    for (at, mark) in code.match_indices("#[cfg(test)]") {
        let rest = &code[at + mark.len()..];
        let item = rest.trim_start();
        let Some(open) = rest.find('{') else { continue };
        let declared = rest.find(';').is_some_and(|end| end < open);
        if (item.starts_with("mod ") || item.starts_with("pub(crate) mod ")) && !declared {
            let open = at + mark.len() + open;
            let end = block_end(code, open);
            blank(&mut bytes[at..end]);
        }
    }
    String::from_utf8(bytes).unwrap()
}

fn blank(bytes: &mut [u8]) {
    for byte in bytes {
        if *byte != b'\n' {
            *byte = b' ';
        }
    }
}

struct Lexer<'a> {
    text: &'a str,
    at: usize,
    line: usize,
    code: Vec<u8>,
    comments: Vec<Piece>,
    strings: Vec<Piece>,
}

impl<'a> Lexer<'a> {
    fn new(text: &'a str) -> Self {
        Self {
            text,
            at: 0,
            line: 1,
            code: Vec::with_capacity(text.len()),
            comments: Vec::new(),
            strings: Vec::new(),
        }
    }

    fn run(&mut self) {
        while self.at < self.text.len() {
            let rest = &self.text[self.at..];
            if rest.starts_with("//") {
                let end = rest.find('\n').unwrap_or(rest.len());
                self.comment(end);
            } else if rest.starts_with("/*") {
                self.comment(block_comment(rest));
            } else if rest.starts_with('"') {
                self.string(1, plain_string(rest), 1);
            } else if let Some((open, end)) = self.raw_string(rest) {
                self.string(open, end, open - 1);
            } else if let Some(end) = char_literal(rest) {
                self.skip(end);
            } else {
                let next = rest.chars().next().unwrap();
                self.line += usize::from(next == '\n');
                self.at += next.len_utf8();
                self.code
                    .extend_from_slice(next.encode_utf8(&mut [0; 4]).as_bytes());
            }
        }
    }

    fn comment(&mut self, end: usize) {
        let text = self.text[self.at..self.at + end].to_owned();
        self.comments.push(Piece {
            line: self.line,
            text,
        });
        self.skip(end);
    }

    fn string(&mut self, open: usize, end: usize, close: usize) {
        let text = self.text[self.at..self.at + end]
            .get(open..end.saturating_sub(close))
            .unwrap_or("")
            .to_owned();
        self.strings.push(Piece {
            line: self.line,
            text,
        });
        self.skip(end);
    }

    /// Blanks the next `end` bytes.
    fn skip(&mut self, end: usize) {
        let skipped = &self.text.as_bytes()[self.at..self.at + end];
        self.line += skipped.iter().filter(|byte| **byte == b'\n').count();
        let from = self.code.len();
        self.code.extend_from_slice(skipped);
        blank(&mut self.code[from..]);
        self.at += end;
    }

    /// The length of what opens a raw string here, and of the whole string.
    fn raw_string(&self, rest: &str) -> Option<(usize, usize)> {
        let inside_word = self
            .code
            .last()
            .is_some_and(|byte| byte.is_ascii_alphanumeric() || *byte == b'_');
        let hashes_and_on = rest
            .strip_prefix("br")
            .or_else(|| rest.strip_prefix('r'))
            .filter(|_| !inside_word)?;
        let hashes = hashes_and_on.len() - hashes_and_on.trim_start_matches('#').len();
        hashes_and_on[hashes..].strip_prefix('"')?;
        let open = rest.len() - hashes_and_on.len() + hashes + 1;
        let close = format!("\"{}", "#".repeat(hashes));
        let end = rest[open..]
            .find(&close)
            .map_or(rest.len(), |at| open + at + close.len());
        Some((open, end))
    }
}

fn block_comment(rest: &str) -> usize {
    let mut depth = 0;
    let mut at = 0;
    while at < rest.len() {
        let here = &rest.as_bytes()[at..];
        if here.starts_with(b"/*") {
            depth += 1;
            at += 2;
        } else if here.starts_with(b"*/") {
            depth -= 1;
            at += 2;
            if depth == 0 {
                return at;
            }
        } else {
            at += 1;
        }
    }
    rest.len()
}

fn plain_string(rest: &str) -> usize {
    let mut escaped = false;
    for (at, byte) in rest.bytes().enumerate().skip(1) {
        match byte {
            _ if escaped => escaped = false,
            b'\\' => escaped = true,
            b'"' => return at + 1,
            _ => {}
        }
    }
    rest.len()
}

/// The length of the character literal that begins here; none for a lifetime.
fn char_literal(rest: &str) -> Option<usize> {
    let inside = rest.strip_prefix('\'')?;
    if let Some(escape) = inside.strip_prefix('\\') {
        let end = escape.get(1..).unwrap_or("").find('\'')?;
        return Some(2 + 1 + end + 1);
    }
    let first = inside.chars().next()?;
    inside[first.len_utf8()..]
        .starts_with('\'')
        .then(|| 1 + first.len_utf8() + 1)
}

#[test]
fn comments_strings_and_test_modules_are_no_code() {
    let text = "// why\nfn a<'l>(x: &'l str) -> char {\n    let _ = (r#\"fn \"b\" {\"#, \"}\\\"\"); /* { */\n    '}'\n}\n\
                #[cfg(test)]\nmod tests {\n    fn c() {}\n}\n";
    let source = Source::new("x/src/a.rs", text);
    let functions: Vec<(String, usize, usize)> = source
        .functions()
        .into_iter()
        .map(|found| (found.name, found.line, found.lines))
        .collect();
    assert_eq!(functions, [("a".to_owned(), 2, 4)]);
    assert_eq!(
        source.comments.iter().map(|piece| piece.line).collect::<Vec<_>>(),
        [1, 3]
    );
    assert_eq!(source.strings[0].text, "fn \"b\" {");
    assert!(!source.code.contains("fn c"));
}

#[test]
fn a_module_for_tests_alone_is_named() {
    let source = Source::new("x/src/a/mod.rs", "mod b;\n#[cfg(test)]\nmod scripts;\n");
    assert_eq!(source.test_modules(), ["x/src/a/scripts"]);
    let source = Source::new("x/src/a.rs", "#[cfg(test)]\nmod scripts;\n");
    assert_eq!(source.test_modules(), ["x/src/a/scripts"]);
}
