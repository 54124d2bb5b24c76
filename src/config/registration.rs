//! The registration file: what the homeserver and the bridge both hold to know each other.
//!
//! Writes a new one that fits a configuration, and reads one and says where it does not fit. Settings of the
//! homeserver's that the bridge does not use may stand in it. Makes no tokens itself: chance comes in from
//! outside. Fields: Application Service API, "Registration".

use std::fmt::Write;
use std::path::Path;

use regex::Regex;
use serde::Deserialize;

use super::problem::{Findings, Problem, Problems, place};
use super::types::Config;
use crate::ids::{NetworkId, UserId};
use crate::secret::Secret;
use crate::text::template::{AliasTemplate, GhostTemplate};

/// Longest registration file read, in bytes.
const FILE_BYTES_MAX: u64 = 1_048_576;

/// Shortest token taken, in bytes.
const TOKEN_BYTES_MIN: usize = 16;

/// What the tokens of the example file begin with.
const EXAMPLE: &str = "EXAMPLE";

/// What the bridge uses of the registration, checked.
#[derive(Clone, Debug)]
pub struct Registration {
    /// The homeserver's name for the bridge; part of the ping's path.
    pub id: String,
    /// Shown to the homeserver by us.
    pub as_token: Secret,
    /// Shown to us by the homeserver.
    pub hs_token: Secret,
    /// The bridge's own user.
    pub bot: UserId,
}

/// The file as it is written.
#[derive(Debug, Deserialize)]
struct File {
    id: String,
    #[serde(default)]
    url: Option<String>,
    as_token: Secret,
    hs_token: Secret,
    sender_localpart: String,
    /// The homeserver's default is true.
    #[serde(default = "yes")]
    rate_limited: bool,
    #[serde(default, rename = "io.element.msc4190")]
    device_management: bool,
    #[serde(default)]
    receive_ephemeral: bool,
    /// The same for older homeservers.
    #[serde(default, rename = "de.sorunome.msc2409.push_ephemeral")]
    push_ephemeral: bool,
    #[serde(default)]
    namespaces: Namespaces,
}

fn yes() -> bool {
    true
}

#[derive(Debug, Default, Deserialize)]
#[serde(default)]
struct Namespaces {
    users: Vec<Namespace>,
    aliases: Vec<Namespace>,
}

#[derive(Debug, Deserialize)]
struct Namespace {
    exclusive: bool,
    regex: String,
}

/// What a new registration needs besides the configuration.
#[derive(Debug)]
pub struct Draft {
    /// Localpart of the bridge's own user.
    pub bot: String,
    pub as_token: Secret,
    pub hs_token: Secret,
}

/// Reads the registration that the configuration names and holds the two against each other. With it come
/// warnings.
pub fn load(config: &Config) -> Result<(Registration, Problems), Problems> {
    let file = &config.appservice.registration;
    let text = read(file).map_err(|sentence| Problem::of_file(file, sentence))?;
    let (registration, mut problems) = parse(&text, file, config)?;
    problems.0.extend(readable_by_all(file));
    Ok((registration, problems))
}

fn read(file: &Path) -> Result<String, String> {
    let cannot = |fault: std::io::Error| match fault.kind() {
        std::io::ErrorKind::NotFound => {
            "there is no such file; make it with: bunraku registration --config FILE".to_owned()
        }
        _ => format!("cannot be read: {fault}"),
    };
    if std::fs::metadata(file).map_err(cannot)?.len() > FILE_BYTES_MAX {
        return Err(format!("is longer than {FILE_BYTES_MAX} bytes; is it the registration?"));
    }
    std::fs::read_to_string(file).map_err(cannot)
}

/// A registration lets its holder act as every ghost.
#[cfg(unix)]
fn readable_by_all(file: &Path) -> Option<Problem> {
    use std::os::unix::fs::PermissionsExt;
    let mode = std::fs::metadata(file).ok()?.permissions().mode();
    let sentence = "every user of this computer can read the tokens in it; try: chmod o= on the file";
    let level = super::Level::Warning;
    (mode & 0o004 != 0).then(|| Problem { level, ..Problem::of_file(file, sentence) })
}

#[cfg(not(unix))]
fn readable_by_all(_: &Path) -> Option<Problem> {
    None
}

/// As [`load`], from the file's text.
pub fn parse(text: &str, path: &Path, config: &Config) -> Result<(Registration, Problems), Problems> {
    let file = serde_path_to_error::deserialize::<_, File>(serde_yaml::Deserializer::from_str(text))
        .map_err(|fault| unreadable(path, &fault))?;
    let mut findings = Findings::default();
    let bot = own_settings(&file, config, &mut findings);
    namespaces(&file, config, bot.as_ref(), &mut findings);
    let problems = super::locate(findings, text, path);
    match bot {
        Some(bot) if !problems.has_errors() => {
            let File { id, as_token, hs_token, .. } = file;
            Ok((Registration { id, as_token, hs_token, bot }, problems))
        }
        Some(_) | None => Err(problems),
    }
}

fn unreadable(path: &Path, fault: &serde_path_to_error::Error<serde_yaml::Error>) -> Problem {
    let line = fault.inner().location().map(|at| at.line());
    let sentence = format!("this is no registration: {}", fault.inner());
    Problem { line, ..Problem::of_file(path, sentence) }
}

fn own_settings(file: &File, config: &Config, findings: &mut Findings) -> Option<UserId> {
    const ANEW: &str = "make the registration anew, or change one of the two, then restart the homeserver";
    if file.id.is_empty() || file.id.contains('/') {
        findings.error(place!["id"], "must not be empty nor hold a slash");
    }
    match &file.url {
        Some(url) if url.trim_end_matches('/') == config.appservice.url.trim_end_matches('/') => {}
        Some(url) => {
            let ours = &config.appservice.url;
            findings.error(place!["url"], format!("is {url}, and appservice.url is {ours}; {ANEW}"));
        }
        None => findings.error(place!["url"], "missing, so the homeserver would never send anything"),
    }
    tokens(file, findings);
    if file.rate_limited {
        findings.warning(
            place!["rate_limited"],
            "must be false, or the homeserver lets ghosts say one message in five seconds; change it and restart the homeserver",
        );
    }
    if !file.device_management {
        findings.warning(
            place!["io.element.msc4190"],
            "should be true, or messages on their way while the homeserver restarts may come twice",
        );
    }
    typing(file, config, findings);
    let bot = bot_user(&file.sender_localpart, config);
    if bot.is_none() {
        let bot = &file.sender_localpart;
        findings.error(place!["sender_localpart"], format!("\"{bot}\" is no localpart of a Matrix user id"));
    }
    bot
}

/// Without it the homeserver tells us of nobody who types.
fn typing(file: &File, config: &Config, findings: &mut Findings) {
    let wanted = config.networks.iter().find(|(_, network)| network.typing.to_irc);
    if let Some((key, _)) = wanted.filter(|_| !file.receive_ephemeral && !file.push_ephemeral) {
        findings.warning(
            place!["receive_ephemeral"],
            format!("must be true, or nobody on {key} sees people of Matrix type (typing.to_irc); make the registration anew, then restart the homeserver"),
        );
    }
}

fn tokens(file: &File, findings: &mut Findings) {
    for (key, token) in [("as_token", &file.as_token), ("hs_token", &file.hs_token)] {
        if token.expose().starts_with(EXAMPLE) {
            findings.error(
                place![key],
                "is the example's, which everybody knows; make your own: bunraku registration --force",
            );
        } else if token.expose().len() < TOKEN_BYTES_MIN {
            findings
                .error(place![key], format!("is shorter than {TOKEN_BYTES_MIN} bytes, so it can be guessed"));
        }
    }
    if file.as_token == file.hs_token {
        findings.error(place!["hs_token"], "is the same as as_token; they must differ");
    }
}

/// The bridge's own user; `None` when the localpart is not in the grammar of Matrix user ids.
fn bot_user(localpart: &str, config: &Config) -> Option<UserId> {
    let legal = |c: char| matches!(c, 'a'..='z' | '0'..='9' | '.' | '_' | '-' | '/' | '+' | '=');
    let user = UserId::new(&format!("@{localpart}:{}", config.homeserver.domain))?;
    localpart.chars().all(legal).then_some(user)
}

fn namespaces(file: &File, config: &Config, bot: Option<&UserId>, findings: &mut Findings) {
    let namespaces = &file.namespaces;
    for (kind, listed) in [("users", &namespaces.users), ("aliases", &namespaces.aliases)] {
        for (nth, namespace) in listed.iter().enumerate() {
            let place = place!["namespaces", kind, nth];
            if Regex::new(&namespace.regex).is_err() {
                findings
                    .error(place.with("regex"), format!("\"{}\" is no regular expression", namespace.regex));
            } else if !namespace.exclusive {
                findings.warning(place.with("exclusive"), "should be true, or others can take these names");
            }
        }
    }
    for names in all_names(config) {
        let Names { network, user, user_regex, alias, alias_regex } = &names;
        if !covers(&namespaces.users, user_regex, user) {
            findings.error(place!["namespaces", "users"], lacking("ghosts", network, user_regex));
        }
        if !covers(&namespaces.aliases, alias_regex, alias) {
            findings.error(place!["namespaces", "aliases"], lacking("aliases", network, alias_regex));
        }
        if let Some(bot) = bot.filter(|bot| is_match(user_regex, bot.as_str())) {
            let sentence = format!("{bot} would be a ghost of {network}; choose another name for the bot");
            findings.error(place!["sender_localpart"], sentence);
        }
    }
}

fn lacking(what: &str, network: &str, regex: &str) -> String {
    format!(
        "the {what} of {network} are not in it, {regex}; make the registration anew, then restart the homeserver"
    )
}

/// Whether one of the listed namespaces is `regex`, or at least holds the sample.
fn covers(listed: &[Namespace], regex: &str, sample: &str) -> bool {
    listed.iter().any(|namespace| namespace.regex == regex || is_match(&namespace.regex, sample))
}

/// Matches as the homeserver does: from the start, not to the end.
fn is_match(regex: &str, text: &str) -> bool {
    Regex::new(&format!("^(?:{regex})")).is_ok_and(|regex| regex.is_match(text))
}

/// The names of one network: the patterns, and one name of each.
struct Names {
    network: String,
    user: String,
    user_regex: String,
    alias: String,
    alias_regex: String,
}

fn all_names(config: &Config) -> Vec<Names> {
    let names = config.networks.iter().map(|(key, network)| {
        let id = NetworkId::new(key)?;
        let domain = &config.homeserver.domain;
        let ghosts = GhostTemplate::new(&network.ghosts.user, &id).ok()?;
        let aliases = AliasTemplate::new(&network.portals.alias, &id).ok()?;
        let (user_regex, alias_regex) = (ghosts.regex(domain), aliases.regex(domain));
        let (user, alias) = (sample(&user_regex), sample(&alias_regex));
        Some(Names { network: key.clone(), user, user_regex, alias, alias_regex })
    });
    names.map(|names| names.expect("a checked configuration has good templates")).collect()
}

/// A name that this pattern of ours matches: its escapes taken off, `x` for what may vary.
fn sample(regex: &str) -> String {
    regex.trim_matches(['^', '$']).replace(".+", "x").replace('\\', "")
}

/// The text of a new registration for `config`, or the sentences on why it cannot be.
pub fn write(config: &Config, draft: &Draft, path: &Path) -> Result<String, Problems> {
    let text = lay_out(config, draft).expect("writing to a string cannot fail");
    let (_, warnings) = parse(&text, path, config).map_err(without_lines)?;
    debug_assert!(warnings.is_empty(), "what we write has nothing to look at: {warnings}");
    Ok(text)
}

/// There is no file yet whose lines could be looked at.
fn without_lines(mut problems: Problems) -> Problems {
    problems.0.iter_mut().for_each(|problem| problem.line = None);
    problems
}

fn lay_out(config: &Config, draft: &Draft) -> Result<String, std::fmt::Error> {
    let mut out = String::new();
    let bot = format!("@{}:{}", draft.bot, config.homeserver.domain);
    let names = all_names(config);
    writeln!(
        out,
        "# Registration of the bunraku bridge, made by `bunraku registration`. The homeserver and the bridge"
    )?;
    writeln!(out, "# must have the same file. Who can read it can act as every IRC user of the bridge.")?;
    writeln!(out, "id: bunraku")?;
    writeln!(out, "url: {}", quoted(&config.appservice.url))?;
    writeln!(out, "as_token: {}", quoted(draft.as_token.expose()))?;
    writeln!(out, "hs_token: {}", quoted(draft.hs_token.expose()))?;
    writeln!(out, "sender_localpart: {}", quoted(&draft.bot))?;
    writeln!(out, "rate_limited: false")?;
    writeln!(out, "receive_ephemeral: true")?;
    writeln!(out, "de.sorunome.msc2409.push_ephemeral: true")?;
    writeln!(out, "io.element.msc4190: true")?;
    writeln!(out, "protocols:\n  - irc")?;
    writeln!(out, "namespaces:\n  users:")?;
    lay_out_namespace(&mut out, &format!("^{}$", regex::escape(&bot)))?;
    names.iter().try_for_each(|names| lay_out_namespace(&mut out, &names.user_regex))?;
    writeln!(out, "  aliases:")?;
    names.iter().try_for_each(|names| lay_out_namespace(&mut out, &names.alias_regex))?;
    writeln!(out, "  rooms: []")?;
    Ok(out)
}

fn lay_out_namespace(out: &mut String, regex: &str) -> std::fmt::Result {
    writeln!(out, "    - exclusive: true\n      regex: {}", quoted(regex))
}

/// A YAML double-quoted scalar: JSON's strings are some of them (YAML 1.2 section 1.2).
fn quoted(text: &str) -> String {
    serde_json::Value::from(text).to_string()
}
