//! The IRC parser tests that many clients share (`irc-parser-tests` on PyPI), run against our text leaves.
//!
//! `BUNRAKU_PARSER_TESTS` names the folder with the YAML files. This target is built for `real-parts` only,
//! and there a missing folder is a failure, never a silent pass.

use std::collections::BTreeMap;
use std::path::PathBuf;

use bunraku::text::casemap::CaseMap;
use bunraku::text::line::{Line, Source, Tag};
use bunraku::text::mask;
use serde::Deserialize;
use serde::de::DeserializeOwned;

#[derive(Deserialize)]
struct Suite<T> {
    tests: Vec<T>,
}

/// A line taken apart, as the files spell it.
#[derive(Debug, Default, Deserialize, PartialEq)]
#[serde(default)]
struct Atoms {
    tags: BTreeMap<String, String>,
    source: Option<String>,
    verb: String,
    params: Vec<String>,
}

#[derive(Deserialize)]
struct SplitTest {
    input: String,
    atoms: Atoms,
}

#[derive(Deserialize)]
struct JoinTest {
    atoms: Atoms,
    matches: Vec<String>,
}

#[derive(Debug, Default, Deserialize, PartialEq)]
#[serde(default)]
struct SourceAtoms {
    nick: String,
    user: String,
    host: String,
}

#[derive(Deserialize)]
struct SourceTest {
    source: String,
    atoms: SourceAtoms,
}

#[derive(Deserialize)]
struct MaskTest {
    mask: String,
    matches: Vec<String>,
    fails: Vec<String>,
}

/// All tests of one file; at least `at_least`, so that an empty file is no success.
fn suite<T: DeserializeOwned>(file: &str, at_least: usize) -> Vec<T> {
    let folder = std::env::var_os("BUNRAKU_PARSER_TESTS")
        .expect("BUNRAKU_PARSER_TESTS names the folder with the YAML files");
    let path = PathBuf::from(folder).join(file);
    let text = std::fs::read_to_string(&path).unwrap_or_else(|e| panic!("{}: {e}", path.display()));
    let suite: Suite<T> = serde_yaml::from_str(&text).unwrap_or_else(|e| panic!("{}: {e}", path.display()));
    assert!(suite.tests.len() >= at_least, "{file} holds {} tests", suite.tests.len());
    suite.tests
}

/// A source in one piece again.
fn source_text(source: &Source) -> String {
    let part = |sign: &str, part: &Option<String>| {
        part.as_ref().map(|part| format!("{sign}{part}")).unwrap_or_default()
    };
    format!("{}{}{}", source.name, part("!", &source.user), part("@", &source.host))
}

#[test]
fn lines_are_split_as_everybody_splits_them() {
    for SplitTest { input, mut atoms } in suite("msg-split.yaml", 30) {
        let line = Line::parse(&input).unwrap_or_else(|| panic!("refused {input:?}"));
        // We hold commands in capitals; the files keep the letters of the input.
        atoms.verb = atoms.verb.to_ascii_uppercase();
        let value = |tag: &Tag| line.tag(&tag.key).unwrap_or_default().to_owned();
        let read = Atoms {
            tags: line.tags.iter().map(|tag| (tag.key.clone(), value(tag))).collect(),
            source: line.source.as_ref().map(source_text),
            verb: line.command.clone(),
            params: line.params.clone(),
        };
        assert_eq!(read, atoms, "{input:?}");
    }
}

#[test]
fn lines_are_joined_in_one_of_the_right_ways() {
    for JoinTest { atoms, matches } in suite("msg-join.yaml", 15) {
        let tag = |(key, value): (String, String)| Tag { key, value: Some(value) };
        let line = Line {
            tags: atoms.tags.into_iter().map(tag).collect(),
            source: atoms.source.as_deref().map(Source::parse),
            command: atoms.verb,
            params: atoms.params,
        };
        assert!(matches.contains(&line.build()), "{:?} is none of {matches:?}", line.build());
    }
}

#[test]
fn sources_fall_into_their_parts() {
    for SourceTest { source, atoms } in suite("userhost-split.yaml", 9) {
        let read = Source::parse(&source);
        let read = SourceAtoms {
            nick: read.name,
            user: read.user.unwrap_or_default(),
            host: read.host.unwrap_or_default(),
        };
        assert_eq!(read, atoms, "{source:?}");
    }
}

#[test]
fn masks_fit_who_they_should() {
    for MaskTest { mask, matches, fails } in suite("mask-match.yaml", 6) {
        for text in matches {
            assert!(mask::matches(&mask, &text, CaseMap::Rfc1459), "{mask} should fit {text}");
        }
        for text in fails {
            assert!(!mask::matches(&mask, &text, CaseMap::Rfc1459), "{mask} should not fit {text}");
        }
    }
}
