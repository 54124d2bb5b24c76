//! The realname of a puppet: where people on IRC read whom they talk to, so what stands there must never point
//! at somebody else.
//!
//! A realname has a limit of the server's. A user id that is too long for it loses the middle of its localpart
//! behind ` ... ` and keeps its whole server name; where even that has no room, words say so. Both hold a space,
//! which no user id can, so neither can be taken for another id. Display names give way first.

use super::irc_codes;
use super::template::{Piece, TemplateError, pieces};
use crate::ids::UserId;

/// What stands for what was left out of a text. Holds a space: see above.
const GAP: &str = " ... ";

/// What stands for a user id that has no room, the longest that fits.
const NO_ROOM: &[&str] = &["(Matrix id too long to show)", "(id too long)", "(long)", "?"];

/// Realnames of puppets, for example `$USERID` or `$DISPLAY ($REVERSEDID)`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RealnameTemplate(Vec<Part>);

#[derive(Clone, Debug, PartialEq, Eq)]
enum Part {
    Text(String),
    Display,
    Id(Order),
}

/// In which order an id's two halves stand.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Order {
    /// `@localpart:server.org`
    Plain,
    /// `org.server:localpart`: sorts by homeserver, so that a ban mask can end in `*`.
    Reversed,
}

impl RealnameTemplate {
    /// Takes text with `$USERID` or `$REVERSEDID`, and perhaps `$DISPLAY`, without control characters: who reads a
    /// realname has to learn whom they talk to.
    pub fn new(text: &str) -> Result<Self, TemplateError> {
        let mut parts = Vec::new();
        for piece in pieces(text) {
            parts.push(match piece {
                Piece::Text(text) => match text.chars().find(|&c| is_unseen(c)) {
                    Some(c) => return Err(TemplateError::Character(c)),
                    None => Part::Text(text.to_owned()),
                },
                Piece::Variable("$DISPLAY") => Part::Display,
                Piece::Variable("$USERID") => Part::Id(Order::Plain),
                Piece::Variable("$REVERSEDID") => Part::Id(Order::Reversed),
                Piece::Variable(name) => return Err(TemplateError::Unknown(name.to_owned())),
            });
        }
        if !parts.iter().any(|part| matches!(part, Part::Id(_))) {
            return Err(TemplateError::Missing("$USERID"));
        }
        Ok(Self(parts))
    }

    /// True where a display name stands in it.
    pub fn has_display(&self) -> bool {
        self.0.contains(&Part::Display)
    }

    /// The realname of a user, at most `bytes_max` bytes, never empty unless `bytes_max` is 0.
    ///
    /// A missing display name is the user id. What does not fit is shortened in this order: display names, then
    /// the localparts of ids, then the text of the template goes and the id stands alone.
    pub fn render(&self, user: &UserId, display: Option<&str>, bytes_max: usize) -> String {
        let display = display.map(shown_name).filter(|name| !name.is_empty());
        let parts: Vec<Part> = self.0.iter().map(|part| part.or_id(display.is_some())).collect();
        let texts = parts.iter().map(Part::text_bytes).sum::<usize>();
        let orders: Vec<Order> = parts.iter().filter_map(Part::order).collect();
        let ids = orders.iter().map(|&order| full_id(user, order).len()).sum::<usize>();
        let displays = parts.len() - orders.len() - parts.iter().filter(|part| part.text_bytes() > 0).count();

        let (each_display, each_id) = match bytes_max.checked_sub(texts + ids) {
            Some(room) => (room / displays.max(1), usize::MAX),
            None => (0, bytes_max.saturating_sub(texts) / orders.len().max(1)),
        };
        let mut out = String::new();
        for part in &parts {
            match part {
                Part::Text(text) => out.push_str(text),
                Part::Display => out.push_str(&cut(display.as_deref().unwrap_or_default(), each_display)),
                Part::Id(order) => match short_id(user, *order, each_id) {
                    Some(id) => out.push_str(&id),
                    None => return alone(user, orders[0], bytes_max),
                },
            }
        }
        let (short, text) = (out.len() <= bytes_max, out.trim());
        if short && !text.is_empty() { text.to_owned() } else { alone(user, Order::Plain, bytes_max) }
    }
}

impl Part {
    /// This part, with the id in the place of a display name that is not there.
    fn or_id(&self, has_display: bool) -> Self {
        match self {
            Self::Display if !has_display => Self::Id(Order::Plain),
            Self::Display | Self::Text(_) | Self::Id(_) => self.clone(),
        }
    }

    fn text_bytes(&self) -> usize {
        match self {
            Self::Text(text) => text.len(),
            Self::Display | Self::Id(_) => 0,
        }
    }

    fn order(&self) -> Option<Order> {
        match self {
            Self::Id(order) => Some(*order),
            Self::Text(_) | Self::Display => None,
        }
    }
}

/// The id with nothing around it, or words that say that it has no room.
fn alone(user: &UserId, order: Order, bytes_max: usize) -> String {
    short_id(user, order, bytes_max).unwrap_or_else(|| {
        let fits = NO_ROOM.iter().find(|words| words.len() <= bytes_max);
        fits.map_or_else(String::new, |words| (*words).to_owned())
    })
}

/// The id, whole or with the middle of its localpart left out; `None` when that leaves no letter of it.
fn short_id(user: &UserId, order: Order, bytes_max: usize) -> Option<String> {
    let whole = full_id(user, order);
    if whole.len() <= bytes_max {
        return Some(whole);
    }
    let local = seen(user.localpart());
    let around = whole.len() - local.len();
    let room = bytes_max.checked_sub(around + GAP.len()).filter(|&room| room > 0)?;
    let front = &local[..local.floor_char_boundary(room.div_ceil(2))];
    let back = &local[local.ceil_char_boundary(local.len() - (room - room.div_ceil(2)))..];
    (!front.is_empty()).then(|| put_together(&format!("{front}{GAP}{back}"), user, order))
}

fn full_id(user: &UserId, order: Order) -> String {
    put_together(&seen(user.localpart()), user, order)
}

fn put_together(local: &str, user: &UserId, order: Order) -> String {
    match order {
        Order::Plain => format!("@{local}:{}", seen(user.server())),
        Order::Reversed => format!("{}:{local}", seen(&reversed(user.server()))),
    }
}

/// A server name from its last label to its first, the port behind it. Addresses stay as they are. No two
/// servers become one: the reverse of a name is a name, and of an address is an address.
fn reversed(server: &str) -> String {
    if server.contains(['[', ']']) {
        return server.to_owned();
    }
    let (host, port) = server.split_once(':').unwrap_or((server, ""));
    if host.bytes().all(|byte| byte.is_ascii_digit() || byte == b'.') {
        return server.to_owned();
    }
    let labels: Vec<&str> = host.rsplit('.').collect();
    let colon = if port.is_empty() { "" } else { ":" };
    format!("{}{colon}{port}", labels.join("."))
}

/// A display name as people may see it: without codes and unseen characters, and never an id of somebody.
fn shown_name(name: &str) -> String {
    let plain = irc_codes::strip(name);
    let looks_like_id = plain.contains('@') && plain.contains(':');
    let kept = plain.chars().filter(|&c| !is_unseen(c));
    let name: String = kept.map(|c| if looks_like_id && c == '@' { '_' } else { c }).collect();
    name.trim().to_owned()
}

/// A part of an id with its unseen characters written out (` U+202E `): they could make it look like another.
fn seen(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    for c in text.chars() {
        if is_unseen(c) {
            out.push_str(&format!(" U+{:04X} ", u32::from(c)));
        } else {
            out.push(c);
        }
    }
    out
}

/// True for characters that show nothing themselves or change the order of others.
fn is_unseen(c: char) -> bool {
    c.is_control()
        || matches!(c, '\u{ad}' | '\u{61c}' | '\u{180e}' | '\u{200b}'..='\u{200f}' | '\u{2028}'..='\u{202e}'
            | '\u{2060}'..='\u{206f}' | '\u{feff}' | '\u{fff9}'..='\u{fffb}' | '\u{e0000}'..='\u{e007f}')
}

/// At most so many bytes of a display name, with a sign where it is cut; empty when not even that fits.
fn cut(name: &str, bytes_max: usize) -> String {
    if name.len() <= bytes_max {
        return name.to_owned();
    }
    let sign = GAP.trim_end();
    match bytes_max.checked_sub(sign.len()).map(|room| &name[..name.floor_char_boundary(room)]) {
        Some(front) if !front.is_empty() => format!("{front}{sign}"),
        Some(_) | None => String::new(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn render(template: &str, id: &str, display: Option<&str>, bytes_max: usize) -> String {
        RealnameTemplate::new(template).unwrap().render(&UserId::new(id).unwrap(), display, bytes_max)
    }

    #[test]
    fn a_template_says_who_it_is() {
        assert_eq!(render("$USERID", "@alice:h.org", None, 50), "@alice:h.org");
        assert_eq!(render("$REVERSEDID", "@alice:matrix.h.org", None, 50), "org.h.matrix:alice");
        assert_eq!(render("$REVERSEDID", "@alice:h.org:8448", None, 50), "org.h:8448:alice");
        assert_eq!(render("$REVERSEDID", "@alice:10.0.0.1", None, 50), "10.0.0.1:alice");
        assert_eq!(render("$REVERSEDID", "@alice:[::1]:80", None, 50), "[::1]:80:alice");
        assert_eq!(render("$DISPLAY ($USERID)", "@a:h.org", Some("Al"), 50), "Al (@a:h.org)");
        assert_eq!(render("$DISPLAY $USERID", "@a:h.org", None, 50), "@a:h.org @a:h.org");
        assert_eq!(render("$USERID $DISPLAY", "@a:h.org", Some("\u{2}\u{202e} "), 50), "@a:h.org @a:h.org");
        let has_display = |template| RealnameTemplate::new(template).unwrap().has_display();
        assert!(has_display("$DISPLAY ($USERID)") && !has_display("by $USERID"));
    }

    #[test]
    fn templates_say_what_is_wrong_with_them() {
        assert_eq!(RealnameTemplate::new("$DISPLAY"), Err(TemplateError::Missing("$USERID")));
        assert_eq!(RealnameTemplate::new("Matrix"), Err(TemplateError::Missing("$USERID")));
        assert_eq!(RealnameTemplate::new("$NICK"), Err(TemplateError::Unknown("$NICK".into())));
        assert_eq!(RealnameTemplate::new("a\u{2}$USERID"), Err(TemplateError::Character('\u{2}')));
    }

    #[test]
    fn a_long_id_is_cut_where_all_can_see_it_and_keeps_its_server() {
        let long = "@abcdefghijklmnopqrstuvwxyz:h.org";
        assert_eq!(render("$USERID", long, None, 33), long);
        assert_eq!(render("$USERID", long, None, 20), "@abcd ... wxyz:h.org");
        assert_eq!(render("$REVERSEDID", long, None, 20), "org.h:abcde ... wxyz");
        assert_eq!(render("$USERID", long, None, 13), "@a ... :h.org");
        assert_eq!(render("by $USERID", long, None, 16), "by @a ... :h.org");
        assert_eq!(render("bridged for $USERID", long, None, 16), "@ab ... yz:h.org");
    }

    #[test]
    fn an_id_without_room_says_so() {
        let far = format!("@alice:{}.org", "x".repeat(60));
        assert_eq!(render("$USERID", &far, None, 50), "(Matrix id too long to show)");
        assert_eq!(render("$USERID", &far, None, 20), "(id too long)");
        assert_eq!(render("$USERID", &far, None, 1), "?");
        assert_eq!(render("$USERID", &far, None, 0), "");
    }

    #[test]
    fn a_display_name_gives_way_and_is_never_an_id() {
        let template = "$DISPLAY $USERID";
        assert_eq!(render(template, "@a:h.org", Some("Alexandrina"), 20), "Alexandrina @a:h.org");
        assert_eq!(render(template, "@a:h.org", Some("Alexandrina"), 18), "Alexa ... @a:h.org");
        assert_eq!(render(template, "@a:h.org", Some("Alexandrina"), 10), "@a:h.org");
        assert_eq!(render(template, "@a:h.org", Some("@boss:h.org"), 40), "_boss:h.org @a:h.org");
        assert_eq!(render("$DISPLAY $USERID", "@a:h.org", Some("$USERID"), 40), "$USERID @a:h.org");
    }

    #[test]
    fn letters_that_turn_others_around_are_written_out() {
        assert_eq!(render("$USERID", "@a\u{202e}b:h.org", None, 50), "@a U+202E b:h.org");
    }

    proptest! {
        #[test]
        fn it_fits_and_never_names_somebody_else(
            local in "[a-z0-9._=/+-]{1,40}|[^:\\s\\p{Cc}]{1,20}",
            server in "[a-z0-9-]{1,20}\\.[a-z]{2,9}(:[0-9]{2,4})?|[0-9]{1,3}(\\.[0-9]{1,3}){3}",
            display in prop::option::of("\\PC{0,30}|[\u{0}-\u{20}a@:.]{0,20}"),
            bytes_max in 0_usize..90,
        ) {
            let Some(user) = UserId::new(&format!("@{local}:{server}")) else { return Ok(()) };
            for text in ["$USERID", "$REVERSEDID", "$DISPLAY $USERID", "$DISPLAY [$REVERSEDID] on Matrix", "$USERID$USERID"] {
                let name = RealnameTemplate::new(text).unwrap().render(&user, display.as_deref(), bytes_max);
                prop_assert!(name.len() <= bytes_max && (bytes_max == 0 || !name.is_empty()), "{}", name);
                prop_assert!(!name.chars().any(is_unseen));
                if text == "$USERID" {
                    let says_so = name.is_empty() || NO_ROOM.contains(&name.as_str());
                    prop_assert!(name == user.as_str() || name.contains(' ') || says_so);
                    prop_assert!(says_so || name.ends_with(&server));
                }
            }
        }

        #[test]
        fn no_two_servers_read_alike_when_reversed(
            one in "[a-b0-1.]{1,5}(:[0-1])?|\\[[a:.]{0,3}\\]",
            two in "[a-b0-1.]{1,5}(:[0-1])?|\\[[a:.]{0,3}\\]",
        ) {
            prop_assert_eq!(one == two, reversed(&one) == reversed(&two));
        }
    }
}
