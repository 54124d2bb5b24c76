//! Fits a YAML value to the table of settings: names, kinds, bounds, `${…}` substitution.
//!
//! Works on the value tree, never on text, so a substituted secret cannot change the structure of the file,
//! whatever it holds. Goes on after a fault with a stand-in, so that every fault of the file is found at
//! once; a stand-in never leaves the module's caller, which refuses a file with faults.

use std::path::Path;

use serde_yaml::{Mapping, Value};

use super::problem::{Findings, Place};
use super::shape::{Need, Setting, Shape};
use super::substitute::{Around, Substituted};

/// Fits `value` to `shape`. What does not fit is noted in `findings` and left out or stood in for.
pub(super) fn conform(value: &Value, shape: &Shape, around: &Around<'_>, findings: &mut Findings) -> Value {
    let mut fitting = Fitting { around, findings };
    fitting.fit(value, shape, &Place::default()).unwrap_or_else(|| stand_in(shape))
}

struct Fitting<'a> {
    around: &'a Around<'a>,
    findings: &'a mut Findings,
}

impl Fitting<'_> {
    /// `None` when the value does not fit and the fault is noted.
    fn fit(&mut self, value: &Value, shape: &Shape, place: &Place) -> Option<Value> {
        match shape {
            Shape::Text => self.text(value, place),
            Shape::YesNo => self.yes_no(value, place),
            Shape::Whole { min, max } => self.whole(value, (*min, *max), place),
            Shape::OneOf(names) => self.one_of(value, names, place),
            Shape::List(element) => self.list(value, element, place),
            Shape::Table(settings) => self.table(value, settings, place),
            Shape::Named(block) => self.named(value, block, place),
        }
    }

    fn text(&mut self, value: &Value, place: &Place) -> Option<Value> {
        match value {
            Value::String(text) => self.substitute(text, place).map(|done| Value::String(done.text)),
            Value::Number(_) | Value::Bool(_) => {
                self.wrong(place, format!("text is wanted here, not {}; put it in quotes", kind(value)))
            }
            other => self.wrong(place, format!("text is wanted here, not {}", kind(other))),
        }
    }

    fn yes_no(&mut self, value: &Value, place: &Place) -> Option<Value> {
        let wanted = "true or false is wanted here";
        match value {
            Value::Bool(_) => Some(value.clone()),
            Value::String(text) => match self.brought_in(text, place)?.as_deref() {
                Some("true") => Some(Value::Bool(true)),
                Some("false") => Some(Value::Bool(false)),
                Some(_) => self.wrong(place, format!("{wanted}, and {text} gives something else")),
                None => self.wrong(place, format!("{wanted}, not \"{text}\"")),
            },
            other => self.wrong(place, format!("{wanted}, not {}", kind(other))),
        }
    }

    fn whole(&mut self, value: &Value, (min, max): (u64, u64), place: &Place) -> Option<Value> {
        let wanted = format!("a whole number from {min} to {max} is wanted here");
        let within = |number: &u64| (min..=max).contains(number);
        match value {
            Value::Number(number) => match number.as_u64().filter(within) {
                Some(number) => Some(Value::from(number)),
                None => self.wrong(place, format!("{wanted}, not {number}")),
            },
            Value::String(text) => match self.brought_in(text, place)? {
                Some(given) => match given.parse().ok().filter(within) {
                    Some(number) => Some(Value::from(number)),
                    None => self.wrong(place, format!("{wanted}, and {text} gives something else")),
                },
                None => self.wrong(place, format!("{wanted}, not \"{text}\"")),
            },
            other => self.wrong(place, format!("{wanted}, not {}", kind(other))),
        }
    }

    fn one_of(&mut self, value: &Value, names: &[&str], place: &Place) -> Option<Value> {
        let Value::String(text) = value else {
            return self.wrong(place, format!("one of {} is wanted here", names.join(", ")));
        };
        let given = self.substitute(text, place)?.text;
        if names.contains(&given.as_str()) {
            return Some(Value::String(given));
        }
        self.wrong(place, format!("one of {} is wanted here, not \"{text}\"", names.join(", ")))
    }

    fn list(&mut self, value: &Value, element: &Shape, place: &Place) -> Option<Value> {
        let Value::Sequence(values) = value else {
            return self.wrong(place, format!("a list is wanted here, not {}", kind(value)));
        };
        let fitted = values.iter().enumerate().map(|(nth, value)| {
            self.fit(value, element, &place.with(nth)).unwrap_or_else(|| stand_in(element))
        });
        Some(Value::Sequence(fitted.collect()))
    }

    fn table(&mut self, value: &Value, settings: &[Setting], place: &Place) -> Option<Value> {
        let Value::Mapping(given) = value else {
            return self.wrong(place, format!("a block of settings is wanted here, not {}", kind(value)));
        };
        self.unknown(given, settings, place);
        let mut fitted = Mapping::new();
        for setting in settings {
            if let Some(value) = self.setting(given.get(setting.key), setting, &place.with(setting.key)) {
                fitted.insert(setting.key.into(), value);
            }
        }
        Some(Value::Mapping(fitted))
    }

    /// One setting of a table; an empty one counts as not given.
    fn setting(&mut self, value: Option<&Value>, setting: &Setting, place: &Place) -> Option<Value> {
        let given = value.filter(|value| !value.is_null());
        let fitted = match (given, setting.need) {
            (Some(value), Need::Required | Need::Optional) => self.fit(value, &setting.shape, place),
            (None, Need::Optional) => None,
            (None, Need::Required) => {
                self.wrong(place, "missing, and the bridge cannot run without; see config.sample.yaml")
            }
        };
        match setting.need {
            Need::Required => Some(fitted.unwrap_or_else(|| stand_in(&setting.shape))),
            Need::Optional => fitted,
        }
    }

    fn unknown(&mut self, given: &Mapping, settings: &[Setting], place: &Place) {
        for key in given.keys() {
            let Some(name) = key.as_str() else {
                self.findings.error(place.clone(), format!("{} cannot name a setting", kind(key)));
                continue;
            };
            if settings.iter().any(|setting| setting.key == name) {
                continue;
            }
            let known = settings.iter().map(|setting| setting.key);
            let sentence = match nearest(name, known) {
                Some(meant) => format!("unknown setting; did you mean \"{meant}\"?"),
                None => format!("unknown setting; known here: {}", names_of(settings)),
            };
            self.findings.error(place.with(name), sentence);
        }
    }

    fn named(&mut self, value: &Value, block: &Shape, place: &Place) -> Option<Value> {
        let Value::Mapping(given) = value else {
            return self.wrong(place, format!("named blocks are wanted here, not {}", kind(value)));
        };
        let mut fitted = Mapping::new();
        for (key, value) in given {
            let Some(name) = key.as_str() else {
                let sentence = format!("{} is no name here; put it in quotes", kind(key));
                self.findings.error(place.clone(), sentence);
                continue;
            };
            let value = self.fit(value, block, &place.with(name)).unwrap_or_else(|| stand_in(block));
            fitted.insert(name.into(), value);
        }
        Some(Value::Mapping(fitted))
    }

    fn substitute(&mut self, text: &str, place: &Place) -> Option<Substituted> {
        match self.around.substitute(text) {
            Ok(done) => Some(done),
            Err(sentence) => self.wrong(place, sentence),
        }
    }

    /// The trimmed text that substitution gave, or `Some(None)` when `text` asks for none: a number or
    /// `true` written in quotes is a slip, one from the environment can be written in no other way.
    fn brought_in(&mut self, text: &str, place: &Place) -> Option<Option<String>> {
        let done = self.substitute(text, place)?;
        Some(done.changed.then(|| done.text.trim().to_owned()))
    }

    fn wrong<T>(&mut self, place: &Place, sentence: impl Into<String>) -> Option<T> {
        self.findings.error(place.clone(), sentence);
        None
    }
}

/// The smallest value of this shape, so that reading can go on.
fn stand_in(shape: &Shape) -> Value {
    match shape {
        Shape::Text => Value::String(String::new()),
        Shape::YesNo => Value::Bool(true),
        Shape::Whole { min, max: _ } => Value::from(*min),
        Shape::OneOf(names) => Value::from(names[0]),
        Shape::List(_) => Value::Sequence(Vec::new()),
        Shape::Named(_) => Value::Mapping(Mapping::new()),
        Shape::Table(settings) => {
            let required = settings.iter().filter(|setting| setting.need == Need::Required);
            Value::Mapping(required.map(|s| (Value::from(s.key), stand_in(&s.shape))).collect())
        }
    }
}

/// What a value is, in words that follow "not".
fn kind(value: &Value) -> &'static str {
    match value {
        Value::Null => "an empty value",
        Value::Bool(_) => "true or false",
        Value::Number(_) => "a number",
        Value::String(_) => "text",
        Value::Sequence(_) => "a list",
        Value::Mapping(_) => "a block of settings",
        Value::Tagged(_) => "a tagged value",
    }
}

fn names_of(settings: &[Setting]) -> String {
    settings.iter().map(|setting| setting.key).collect::<Vec<_>>().join(", ")
}

/// The known name that differs least from `given`, if it differs little enough to be meant.
fn nearest<'a>(given: &str, known: impl Iterator<Item = &'a str>) -> Option<&'a str> {
    let given = given.to_ascii_lowercase().replace('-', "_");
    let distances = known.map(|name| (distance(&given, name), name));
    let (distance, name) = distances.min()?;
    (distance <= 1 + name.len() / 4 && distance < name.len()).then_some(name)
}

/// How many letters must be put in, left out or exchanged to turn `a` into `b` (Levenshtein). Names longer
/// than any setting are cut: they are not near to one.
fn distance(a: &str, b: &str) -> usize {
    let a: Vec<char> = a.chars().take(64).collect();
    let mut row: Vec<usize> = (0..=a.len()).collect();
    for (nth, letter) in b.chars().enumerate() {
        let mut corner = row[0];
        row[0] = nth + 1;
        for column in 0..a.len() {
            let exchanged = corner + usize::from(a[column] != letter);
            corner = row[column + 1];
            row[column + 1] = exchanged.min(corner + 1).min(row[column] + 1);
        }
    }
    row[a.len()]
}

/// Fills in the settings whose default follows from another: `appservice.url` from `listen`, a network's
/// name from its key, a port from `tls`.
pub(super) fn fill(value: &mut Value) {
    if let Some(Value::Mapping(appservice)) = value.get_mut("appservice")
        && !appservice.contains_key("url")
        && let Some(listen) = appservice.get("listen").and_then(Value::as_str)
    {
        let url = format!("http://{listen}");
        appservice.insert("url".into(), url.into());
    }
    let Some(Value::Mapping(networks)) = value.get_mut("networks") else { return };
    for (key, network) in networks {
        let Value::Mapping(network) = network else { continue };
        if !network.contains_key("name") {
            network.insert("name".into(), key.clone());
        }
        let servers = network.get_mut("servers").and_then(Value::as_sequence_mut);
        servers.into_iter().flatten().filter_map(Value::as_mapping_mut).for_each(fill_port);
    }
}

fn fill_port(server: &mut Mapping) {
    if !server.contains_key("port") {
        let tls = server.get("tls").and_then(Value::as_bool).unwrap_or(true);
        server.insert("port".into(), Value::from(if tls { 6697_u64 } else { 6667 }));
    }
}

/// `path` as seen from the folder of `file`.
pub(super) fn beside(file: &Path, path: &Path) -> std::path::PathBuf {
    file.parent().unwrap_or(Path::new("")).join(path)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_setting_that_was_meant_is_found() {
        let known = ["host", "port", "tls"];
        assert_eq!(nearest("tlss", known.into_iter()), Some("tls"));
        assert_eq!(nearest("PORT", known.into_iter()), Some("port"));
        assert_eq!(nearest("hots", known.into_iter()), Some("host"));
        assert_eq!(nearest("nickserv", known.into_iter()), None);
        assert_eq!(nearest("x", known.into_iter()), None);
        assert_eq!(
            nearest("retry-ms-max", ["retry_ms_min", "retry_ms_max"].into_iter()),
            Some("retry_ms_max")
        );
    }
}
