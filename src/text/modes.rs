//! Channel modes, read: which of them have a parameter is the network's to say (ISUPPORT CHANMODES and PREFIX).
//!
//! A line such as `+ov-k+b ada bob key *!*@spam` is no more than letters in one word and parameters in others; which
//! belongs to which is known only from the network's own list of modes. Never panics on any text, never gives a
//! parameter to two modes, and knows no channel.

/// Modes of one type, at most; what a server lists beyond that is not believed.
const MODES_MAX: usize = 128;

/// The network's channel modes by type (ISUPPORT CHANMODES): `lists,always,when_set,never`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ChannelModes {
    /// Type A: lists, such as bans. Without a parameter they only ask for the list.
    lists: String,
    /// Type B: a parameter always, such as the key.
    always: String,
    /// Type C: a parameter only when it is set, such as the limit.
    when_set: String,
}

impl Default for ChannelModes {
    /// Those of RFC 2811 section 4, for a network without the token: all others have no parameter.
    fn default() -> Self {
        Self { lists: "beI".into(), always: "k".into(), when_set: "l".into() }
    }
}

/// When a mode has a parameter.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Takes {
    /// It is a list, and the parameter an entry of it.
    Entry,
    Always,
    WhenSet,
    Never,
    /// A member's nick (ISUPPORT PREFIX).
    Member,
}

/// Whether a mode is given or taken.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Sign {
    Plus,
    Minus,
}

/// One mode that changed, or is set.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Change {
    pub sign: Sign,
    pub mode: char,
    pub takes: Takes,
    /// `None` for a mode without one, and where the server left it out: it hides keys from who is not in.
    pub param: Option<String>,
}

impl Change {
    /// True when this sets `mode`.
    pub fn sets(&self, mode: char) -> bool {
        self.sign == Sign::Plus && self.mode == mode
    }
}

impl ChannelModes {
    /// Reads the value of CHANMODES; types beyond the fourth are of no known meaning and left out. `None` for less
    /// than four, and where something is in it that is no letter or digit.
    pub fn parse(value: &str) -> Option<Self> {
        let types: Vec<&str> = value.split(',').collect();
        let is_good =
            |modes: &&str| modes.len() <= MODES_MAX && modes.chars().all(|c| c.is_ascii_alphanumeric());
        let [lists, always, when_set, _] = *types.first_chunk::<4>()?;
        let own = |modes: &str| modes.to_owned();
        types.iter().all(is_good).then(|| Self {
            lists: own(lists),
            always: own(always),
            when_set: own(when_set),
        })
    }

    /// Whether this mode is a list of its own.
    pub fn is_list(&self, mode: char) -> bool {
        self.lists.contains(mode)
    }

    /// When `mode` has a parameter; `is_member` says which modes are given to members. A mode that the network
    /// did not list has none.
    fn takes(&self, mode: char, is_member: &impl Fn(char) -> bool) -> Takes {
        match mode {
            _ if is_member(mode) => Takes::Member,
            _ if self.lists.contains(mode) => Takes::Entry,
            _ if self.always.contains(mode) => Takes::Always,
            _ if self.when_set.contains(mode) => Takes::WhenSet,
            _ => Takes::Never,
        }
    }

    /// What `words` change: letters first, then their parameters, as in a MODE line behind the channel and in the
    /// numeric 324. What can mean nothing without its parameter is left out where that is missing.
    pub fn changes(&self, words: &[String], is_member: impl Fn(char) -> bool) -> Vec<Change> {
        let Some((letters, params)) = words.split_first() else { return Vec::new() };
        let mut params = params.iter();
        let mut sign = Sign::Plus;
        let mut changes = Vec::new();
        for mode in letters.chars() {
            match mode {
                '+' => sign = Sign::Plus,
                '-' => sign = Sign::Minus,
                _ => {
                    let takes = self.takes(mode, &is_member);
                    let param = has_param(takes, sign).then(|| params.next().cloned()).flatten();
                    if param.is_some() || !matches!(takes, Takes::Member | Takes::Entry) {
                        changes.push(Change { sign, mode, takes, param });
                    }
                }
            }
        }
        changes
    }
}

fn has_param(takes: Takes, sign: Sign) -> bool {
    match takes {
        Takes::Entry | Takes::Always | Takes::Member => true,
        Takes::WhenSet => sign == Sign::Plus,
        Takes::Never => false,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn words(text: &str) -> Vec<String> {
        text.split(' ').map(str::to_owned).collect()
    }

    fn is_member(mode: char) -> bool {
        "qaohv".contains(mode)
    }

    /// As people write changes down: `+o ada -k key`.
    fn shown(modes: &ChannelModes, text: &str) -> String {
        let changes = modes.changes(&words(text), is_member);
        changes.iter().map(show).collect::<Vec<_>>().join(" ")
    }

    fn show(change: &Change) -> String {
        let sign = if change.sign == Sign::Plus { '+' } else { '-' };
        let param = change.param.as_ref().map(|param| format!(" {param}")).unwrap_or_default();
        format!("{sign}{}{param}", change.mode)
    }

    #[test]
    fn each_mode_gets_its_own_parameter() {
        let modes = ChannelModes::parse("beIg,k,lfjF,imnpst").unwrap();
        for (line, meant) in [
            ("+ov-k+b ada bob key *!*@spam", "+o ada +v bob -k key +b *!*@spam"),
            ("+lk-l 10 key", "+l 10 +k key -l"),
            ("+nt", "+n +t"),
            ("m", "+m"),
            ("+f-f+i 5:10", "+f 5:10 -f +i"),
            ("+Zl 5", "+Z +l 5"),
        ] {
            assert_eq!(shown(&modes, line), meant, "{line}");
        }
        assert_eq!(modes.changes(&[], is_member), []);
    }

    #[test]
    fn what_is_left_out_is_not_made_up() {
        let modes = ChannelModes::default();
        assert_eq!(shown(&modes, "+kn"), "+k +n", "a key that is hidden");
        assert_eq!(shown(&modes, "+ob"), "", "nobody, and a list that is asked for");
        assert_eq!(shown(&modes, "+n spare"), "+n");
    }

    #[test]
    fn a_list_of_modes_has_four_types_of_letters_or_is_refused() {
        assert!(ChannelModes::parse("b,k,l,imnpst,Z,Y").is_some_and(|modes| modes.is_list('b')));
        assert!(ChannelModes::parse(",,,").is_some());
        for bad in ["", "b", "b,k,l", "b,k,l,i m", "b,k,+,i", "b,k,l,\u{1}"] {
            assert_eq!(ChannelModes::parse(bad), None, "{bad:?}");
        }
        assert_eq!(ChannelModes::parse(&format!("b,k,l,{}", "x".repeat(MODES_MAX + 1))), None);
    }

    /// The network of the model: each mode is of one type.
    const MODEL: [(&str, Takes); 5] = [
        ("beI", Takes::Entry),
        ("k", Takes::Always),
        ("lfj", Takes::WhenSet),
        ("imnpst", Takes::Never),
        ("ohv", Takes::Member),
    ];

    /// A change that a server may tell of.
    fn change() -> impl Strategy<Value = Change> {
        let of_type = prop::sample::select(MODEL.to_vec());
        (of_type, any::<prop::sample::Index>(), any::<bool>(), "[a-zA-Z0-9!@*.+-]{1,8}").prop_map(
            |((letters, takes), at, is_given, param)| {
                let sign = if is_given { Sign::Plus } else { Sign::Minus };
                let mode = char::from(letters.as_bytes()[at.index(letters.len())]);
                let with = match (takes, sign) {
                    (Takes::Never, _) | (Takes::WhenSet, Sign::Minus) => false,
                    (Takes::Entry | Takes::Always | Takes::Member | Takes::WhenSet, _) => true,
                };
                Change { sign, mode, takes, param: with.then_some(param) }
            },
        )
    }

    /// The words of a MODE line with these changes, as a server writes them: a sign only where it is another.
    fn written(changes: &[Change]) -> Vec<String> {
        let (mut letters, mut params, mut last) = (String::new(), Vec::new(), None);
        for change in changes {
            if last.replace(change.sign) != Some(change.sign) {
                letters.push(if change.sign == Sign::Plus { '+' } else { '-' });
            }
            letters.push(change.mode);
            params.extend(change.param.clone());
        }
        std::iter::once(letters).chain(params).collect()
    }

    proptest! {
        #[test]
        fn what_a_server_writes_is_what_is_read(changes in prop::collection::vec(change(), 0..20)) {
            let modes = ChannelModes::parse("beI,k,lfj,imnpst").unwrap();
            let read = modes.changes(&written(&changes), |mode| "ohv".contains(mode));
            prop_assert_eq!(read, changes);
        }

        #[test]
        fn any_words_are_read_and_no_parameter_twice(
            value in "([beIkln]{0,3},){0,5}|\\PC{0,20}",
            words in prop::collection::vec("[-+a-zA-Z]{0,20}|\\PC{0,10}", 0..12),
        ) {
            let modes = ChannelModes::parse(&value).unwrap_or_default();
            let changes = modes.changes(&words, is_member);
            let used: Vec<&String> = changes.iter().filter_map(|change| change.param.as_ref()).collect();
            let params: Vec<&String> = words.iter().skip(1).take(used.len()).collect();
            prop_assert!(used.len() <= words.len() && used == params, "in order, each once");
        }
    }
}
