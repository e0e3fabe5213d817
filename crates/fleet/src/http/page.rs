//! The page: its files, as they lie beside this one, and what a browser may do with them.

use std::borrow::Cow;

use axum::extract::Path;
use axum::http::{StatusCode, header};
use axum::response::{IntoResponse, Response};

/// The page may load its own scripts and styles and ask for its own data; nothing inline runs, and nothing foreign loads.
pub(super) const POLICY: &str = "default-src 'none'; script-src 'self'; style-src 'self'; connect-src 'self'; \
                                 img-src data:; base-uri 'none'; form-action 'none'; frame-ancestors 'none'";

const INDEX: &str = include_str!("page/index.html");
const HTML: &str = "text/html; charset=utf-8";
const SCRIPT: &str = "text/javascript; charset=utf-8";

/// Name, kind, text.
const FILES: [(&str, &str, &str); 10] = [
    ("style.css", "text/css; charset=utf-8", include_str!("page/style.css")),
    ("main.js", SCRIPT, include_str!("page/main.js")),
    ("dom.js", SCRIPT, include_str!("page/dom.js")),
    ("words.js", SCRIPT, include_str!("page/words.js")),
    ("verdict.js", SCRIPT, include_str!("page/verdict.js")),
    ("tiles.js", SCRIPT, include_str!("page/tiles.js")),
    ("plots.js", SCRIPT, include_str!("page/plots.js")),
    ("waiting.js", SCRIPT, include_str!("page/waiting.js")),
    ("fleet.js", SCRIPT, include_str!("page/fleet.js")),
    ("events.js", SCRIPT, include_str!("page/events.js")),
];

/// The page itself.
pub(super) async fn index() -> Response {
    text(HTML, INDEX)
}

/// One of its files.
pub(super) async fn file(Path(name): Path<Cow<'static, str>>) -> Response {
    match FILES.iter().find(|(known, _, _)| *known == name) {
        Some((_, kind, body)) => text(kind, body),
        None => (StatusCode::NOT_FOUND, "the page has no such file\n").into_response(),
    }
}

fn text(kind: &'static str, body: &'static str) -> Response {
    ([(header::CONTENT_TYPE, kind)], body).into_response()
}

/// All scripts in one text.
#[cfg(test)]
pub(super) fn scripts() -> String {
    FILES.iter().filter(|(_, kind, _)| *kind == SCRIPT).map(|(_, _, body)| *body).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use runner_fleet_engine::NoteKind;
    use strum::VariantArray as _;

    #[test]
    fn the_page_sets_what_comes_from_outside_as_text_only() {
        let script = scripts();
        for forbidden in
            ["innerHTML", "outerHTML", "insertAdjacentHTML", "document.write", "eval(", "http://", "https://", ".style"]
        {
            assert!(!script.contains(forbidden), "a script holds {forbidden}");
            assert!(!INDEX.contains(forbidden) || forbidden == ".style", "index.html holds {forbidden}");
        }
        assert!(
            !INDEX.contains("<script>") && !INDEX.contains("style="),
            "inline code is refused by the page's own policy"
        );
    }

    #[test]
    fn the_page_offers_every_kind_of_event() {
        let script = scripts();
        for kind in NoteKind::VARIANTS {
            assert!(script.contains(&format!("\"{}\"", kind.as_str())), "events.js lacks {}", kind.as_str());
        }
    }

    #[test]
    fn every_file_that_the_page_asks_for_is_there() {
        let asked = |text: &str, before: &str| -> Vec<String> {
            text.split(before).skip(1).map(|rest| rest.split('"').next().unwrap().to_owned()).collect()
        };
        let names = [asked(INDEX, "\"/page/"), asked(&scripts(), "from \"./")].concat();
        assert!(names.len() > 10);
        for name in names {
            assert!(FILES.iter().any(|(known, _, _)| *known == name), "{name} is not served");
        }
    }
}
