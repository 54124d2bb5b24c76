//! `${NAME}` and `${file:path}` inside one text of the configuration.
//!
//! Replaces once, from left to right: what comes in is never read for further `${`. `$${` stands for `${`.
//! Error sentences name the variable or file, never what it held.

use std::path::Path;

use super::conform::beside;

/// Longest file a `${file:…}` may bring in, in bytes: a password or a token is far shorter.
const FILE_BYTES_MAX: u64 = 65_536;

/// What the configuration is read in: where it lies and which variables are set.
#[derive(Clone, Copy)]
pub struct Around<'a> {
    /// The configuration file; paths in it are relative to its folder.
    pub file: &'a Path,
    /// The value of an environment variable.
    pub variable: &'a dyn Fn(&str) -> Option<String>,
}

/// A text after substitution.
pub(super) struct Substituted {
    pub text: String,
    /// Whether something was brought in.
    pub changed: bool,
}

impl Around<'_> {
    /// Replaces every `${…}` in `text`, or says in one sentence what cannot be had.
    pub(super) fn substitute(&self, text: &str) -> Result<Substituted, String> {
        let mut done = Substituted { text: String::with_capacity(text.len()), changed: false };
        let mut rest = text;
        while let Some(at) = rest.find("${") {
            if let Some(before) = rest[..at].strip_suffix('$') {
                done.text.push_str(before);
                done.text.push_str("${");
                rest = &rest[at + 2..];
                continue;
            }
            let Some(end) = rest[at..].find('}').map(|len| at + len) else {
                return Err("\"${\" has no \"}\"; write \"$${\" if no substitution is meant".into());
            };
            done.text.push_str(&rest[..at]);
            done.text.push_str(&self.bring(&rest[at + 2..end])?);
            done.changed = true;
            rest = &rest[end + 1..];
        }
        done.text.push_str(rest);
        Ok(done)
    }

    fn bring(&self, name: &str) -> Result<String, String> {
        match name.strip_prefix("file:") {
            Some(path) => self.bring_file(path),
            None if is_variable_name(name) => (self.variable)(name).ok_or_else(|| {
                format!("the environment variable {name} is not set; set it where bunraku is started")
            }),
            None => Err(format!("\"${{{name}}}\" is neither a variable's name nor ${{file:path}}")),
        }
    }

    /// The file's text without its last line ending.
    fn bring_file(&self, path: &str) -> Result<String, String> {
        let full = beside(self.file, Path::new(path));
        let cannot = |why: String| format!("the file {} cannot be read: {why}", full.display());
        let meta = std::fs::metadata(&full).map_err(|fault| cannot(fault.to_string()))?;
        if meta.len() > FILE_BYTES_MAX {
            return Err(cannot(format!("it is longer than {FILE_BYTES_MAX} bytes")));
        }
        let text = std::fs::read_to_string(&full).map_err(|fault| cannot(fault.to_string()))?;
        let text = text.strip_suffix('\n').unwrap_or(&text);
        Ok(text.strip_suffix('\r').unwrap_or(text).to_owned())
    }
}

fn is_variable_name(name: &str) -> bool {
    !name.is_empty()
        && !name.starts_with(|c: char| c.is_ascii_digit())
        && name.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'_')
}

#[cfg(test)]
mod tests {
    use super::*;

    fn substitute(text: &str) -> Result<String, String> {
        let variable = |name: &str| (name == "SET").then(|| "a ${NOT} b".to_owned());
        let around = Around { file: Path::new("config.yaml"), variable: &variable };
        around.substitute(text).map(|done| done.text)
    }

    #[test]
    fn what_comes_in_is_not_read_again() {
        assert_eq!(substitute("<${SET}> $DISPLAY $ {x}"), Ok("<a ${NOT} b> $DISPLAY $ {x}".into()));
    }

    #[test]
    fn two_dollars_stand_for_one_without_substitution() {
        assert_eq!(substitute("$${SET} and $$ {"), Ok("${SET} and $$ {".into()));
    }

    #[test]
    fn what_cannot_be_had_is_named() {
        let sentence = "the environment variable UNSET is not set; set it where bunraku is started";
        assert_eq!(substitute("${UNSET}"), Err(sentence.into()));
        assert_eq!(
            substitute("${a b}"),
            Err("\"${a b}\" is neither a variable's name nor ${file:path}".into())
        );
        let sentence = "\"${\" has no \"}\"; write \"$${\" if no substitution is meant";
        assert_eq!(substitute("x${SET"), Err(sentence.into()));
        assert!(
            substitute("${file:no/such}")
                .is_err_and(|why| why.starts_with("the file no/such cannot be read"))
        );
    }
}
