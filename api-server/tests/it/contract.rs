//! Every answer that any test gets is one that the OpenAPI document has: its status, its form, the word of its refusal.

use std::{path::PathBuf, sync::OnceLock};

use parking_lot::Mutex;
use serde_json::{Value, json};

use crate::schema::{fits, form, resolve};

/// The document.
pub fn document() -> &'static Value {
    static DOCUMENT: OnceLock<Value> = OnceLock::new();
    DOCUMENT.get_or_init(api_server::document)
}

/// The operation of a request; none when the document has none for it.
pub fn operation(method: &str, path: &str) -> Option<&'static Value> {
    let paths = document()["paths"].as_object().unwrap();
    let given: Vec<&str> = path.split('/').collect();
    let is_it = |template: &&String| {
        let parts: Vec<&str> = template.split('/').collect();
        let fits =
            |(given, part): (&&str, &&str)| given == part || (part.starts_with('{') && !given.is_empty());
        parts.len() == given.len() && given.iter().zip(&parts).all(fits)
    };
    // A path without parameters comes before one with them, as in the router.
    let template = paths
        .keys()
        .filter(is_it)
        .min_by_key(|template| template.matches('{').count())?;
    paths[template].get(method.to_ascii_lowercase())
}

/// Checks an answer.
#[track_caller]
pub fn check(method: &str, path: &str, status: u16, text: &str) {
    let Some(operation) = operation(method, path) else {
        return;
    };
    // A head that is too long is refused before it is a request.
    if status == 431 {
        return;
    }
    let name = format!("{method} {path} was answered {status} {text}");
    let response = &operation["responses"][status.to_string()];
    assert!(response.is_object(), "{name}: the document has no such status");
    let response = match response["$ref"].as_str() {
        Some(reference) => resolve(document(), reference),
        None => response,
    };
    // Tables, pages to print, and the bytes of media.
    let shown = response["content"].as_object();
    let is_json = shown.is_some_and(|shown| shown.contains_key("application/json"));
    let is_page = shown.is_some_and(|shown| shown.keys().any(|kind| kind.starts_with("text/")));
    if status < 400 && (!is_json || is_page && !text.starts_with('{')) {
        return;
    }
    let answer: Value = serde_json::from_str(text).unwrap_or_else(|_| panic!("{name}: this is not JSON"));
    let mut wrong = Vec::new();
    let schema = &response["content"]["application/json"]["schema"];
    fits(document(), "answer", schema, &answer, &mut wrong);
    assert!(wrong.is_empty(), "{name}: {}", wrong.join("\n"));
    if status >= 400 {
        let word = answer["error"].as_str().unwrap();
        let words = response["description"].as_str().unwrap();
        assert!(
            words.split(", ").any(|known| known.trim_matches('`') == word),
            "{name}: the document has only {words}"
        );
        record_refusal(word, &answer);
    }
}

/// Whether the recorded answers are to be written.
pub fn is_update() -> bool {
    std::env::var_os("UPDATE_OPENAPI").is_some()
}

fn file() -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("src/http/docs/recorded.json")
}

/// Changes the recorded answers; a change that changes nothing writes nothing.
fn update(change: impl FnOnce(&mut Value)) {
    static WRITING: Mutex<()> = Mutex::new(());
    let _one = WRITING.lock();
    let before: Value = serde_json::from_str(&std::fs::read_to_string(file()).unwrap()).unwrap();
    let mut after = before.clone();
    change(&mut after);
    if after != before {
        let text = serde_json::to_string_pretty(&after).unwrap();
        std::fs::write(file(), text + "\n").unwrap();
    }
}

fn record_refusal(word: &str, refusal: &Value) {
    if is_update() {
        update(|recorded| {
            let known = &mut recorded["refusals"][word];
            if known.is_null() {
                *known = refusal.clone();
            }
        });
    }
}

/// Holds the recorded answers of operations against those that came now; `UPDATE_OPENAPI` writes those that are missing or
/// have another form.
pub fn hold_recorded(answers: &[(String, Value)]) {
    let forms: Vec<(&str, Value)> = answers
        .iter()
        .map(|(id, answer)| (id.as_str(), form(answer)))
        .collect();
    let came = |id: &str, recorded: &Value| forms.contains(&(id, form(recorded)));
    if is_update() {
        update(|recorded| {
            for (id, answer) in answers {
                let known = &mut recorded["answers"][id.as_str()];
                let is_richer =
                    known.to_string().len() < answer.to_string().len() && form(known) != form(answer);
                if !came(id, known) || is_richer {
                    *known = answer.clone();
                }
            }
        });
        return;
    }
    let recorded: Value = serde_json::from_str(&std::fs::read_to_string(file()).unwrap()).unwrap();
    for (path, item) in document()["paths"].as_object().unwrap() {
        for (method, operation) in item.as_object().unwrap() {
            if !is_json(operation) {
                continue;
            }
            let id = operation["operationId"].as_str().unwrap();
            let known = &recorded["answers"][id];
            assert!(
                came(id, known),
                "{method} {path}: no request of docs/http is answered in the form of the recorded answer {known}; \
                 UPDATE_OPENAPI=1 cargo test -p api-server --test it examples records one"
            );
        }
    }
    let known = recorded["answers"].as_object().unwrap().len();
    assert_eq!(
        known,
        answers_of_operations(),
        "{}",
        json!("an answer of no operation is recorded")
    );
}

fn answers_of_operations() -> usize {
    let items = document()["paths"].as_object().unwrap().values();
    let operations = items.flat_map(|item| item.as_object().unwrap().values());
    operations.filter(|operation| is_json(operation)).count()
}

/// Whether its answer is JSON.
fn is_json(operation: &Value) -> bool {
    operation["responses"]["200"]["content"]["application/json"].is_object()
}
