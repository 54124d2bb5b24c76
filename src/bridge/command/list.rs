//! `list`: the channels that a network shows.

use crate::bridge::effect::CommandAnswer;
use crate::bridge::errand::Errand;
use crate::bridge::policy::Permission;
use crate::text::irc_codes::strip;

use super::args::{Args, Bad};
use super::reply::{Cell, ROWS_MAX, Reply};
use super::tell::{Told, counted, cut, with_code};
use super::{Act, Command, Place, Scope, Words};

pub static LIST: Command = Command {
    name: "list",
    also: &["channels"],
    takes: "[word] [page N]",
    help: "Lists the channels of the network, those with most people first.",
    more: "With a word, only channels that have it in their name. A long list comes in pages.",
    examples: &["list", "list linux", "list linux page 2"],
    who: Permission::User,
    scope: Scope::Network,
    place: Place::AdminRoom,
    words: Words::Open,
    read,
    tell,
};

fn read(args: &mut Args<'_>) -> Result<Act, Bad> {
    let (mut word, mut page) = (None, page_of(args)?);
    if page.is_none() && args.peek().is_some() {
        word = Some(args.param()?.trim_matches('*')).filter(|word| !word.is_empty());
        page = page_of(args)?;
    }
    args.end()?;
    let line = word.map_or_else(|| "LIST".to_owned(), |word| format!("LIST *{word}*"));
    Ok(Act::Page { errand: Errand::Line(line), page: page.unwrap_or(1) })
}

/// `page` and a number, if that comes next; `page` alone is a word to look for.
fn page_of(args: &mut Args<'_>) -> Result<Option<usize>, Bad> {
    let mut ahead = args.clone();
    let is_page = ahead.word()?.is_some_and(|word| word.eq_ignore_ascii_case("page"));
    let is_number = |word: &&str| word.bytes().all(|byte| byte.is_ascii_digit());
    let Some(number) = ahead.word()?.filter(is_number).filter(|_| is_page) else { return Ok(None) };
    let page = number.parse().ok().filter(|page| *page > 0).ok_or(Bad)?;
    *args = ahead;
    Ok(Some(page))
}

fn tell(told: &Told<'_>) -> Reply {
    told.accepted(|answer| shown(told, answer))
}

fn shown(told: &Told<'_>, answer: &CommandAnswer) -> Reply {
    let mut channels: Vec<(&str, usize, String)> = with_code(answer, "322")
        .map(|line| (line.param(1), line.param(2).parse().unwrap_or(0), strip(line.param(3))))
        .collect();
    channels.sort_by(|a, b| b.1.cmp(&a.1).then_with(|| a.0.cmp(b.0)));
    let (count, page) = (channels.len(), told.page());
    let pages = count.div_ceil(ROWS_MAX);
    if count == 0 {
        return Reply::text(format!("{} shows no channel of that kind.", told.network));
    }
    if page > pages {
        return Reply::text(format!("There is no page {page}: the last one is `page {pages}`."));
    }
    let rows = channels.into_iter().skip((page - 1) * ROWS_MAX).take(ROWS_MAX);
    let rows = rows.map(|(name, people, topic)| {
        vec![Cell::Code(name.to_owned()), people.to_string().into(), topic.into()]
    });
    let reply = Reply::text(head(told, count, pages)).table(&["channel", "people", "topic"], rows.collect());
    let reply = match page < pages {
        true => reply.and(format!("For more say the same with `page {}` behind it.", page + 1)),
        false => reply,
    };
    match cut(answer) {
        "" => reply,
        cut => reply.and(format!("{cut} Say `list` with a word that is in the name.")),
    }
}

fn head(told: &Told<'_>, count: usize, pages: usize) -> String {
    let of = format!("{} of {}", counted(count, "channel"), told.network);
    if pages == 1 { format!("{of}:") } else { format!("{of}, page {} of {pages}:", told.page()) }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::bridge::command::tell::{Came, Ears};
    use crate::bridge::effect::{Extent, Verdict};
    use crate::bridge::errand::Report;
    use crate::ids::Time;
    use crate::text::line::Line;

    fn page(line: &str, page: usize) -> Result<Act, Bad> {
        Ok(Act::Page { errand: Errand::Line(line.to_owned()), page })
    }

    #[test]
    fn a_word_and_a_page_may_be_named() {
        let read = |words| read(&mut Args::new(words, None));
        assert_eq!((read(""), read("*")), (page("LIST", 1), page("LIST", 1)));
        assert_eq!(
            (read("linux"), read("*linux* page 2")),
            (page("LIST *linux*", 1), page("LIST *linux*", 2))
        );
        assert_eq!((read("PAGE 3"), read("page")), (page("LIST", 3), page("LIST *page*", 1)));
        assert_eq!(read("page page 2"), page("LIST *page*", 2));
        for bad in
            ["page 0", "page 99999999999999999999", "page -1", "linux page", "linux two", "a,b", "a page 1 2"]
        {
            assert_eq!(read(bad), Err(Bad), "{bad:?}");
        }
    }

    /// What somebody is told of so many channels.
    fn told_of(channels: usize, page: usize, extent: Extent) -> String {
        let line = |n| Line::parse(&format!(":srv 322 ada #c{n:03} {n} :about {n}")).expect("a line");
        let lines = (0..channels).map(line).collect();
        let report = Report::Line(CommandAnswer { verdict: Verdict::Accepted, lines, extent });
        let act = Act::Page { errand: Errand::Line("LIST".into()), page };
        let (came, ears) = (Came::Report(&report), Ears::Theirs);
        tell(&Told { act: &act, came, network: "Net", now: Time(0), ears }).plain()
    }

    #[test]
    fn a_long_list_comes_in_pages_those_with_most_people_first() {
        let first = told_of(120, 1, Extent::Whole);
        assert!(
            first.starts_with("120 channels of Net, page 1 of 3:\n- #c119 · 119 · about 119\n"),
            "{first}"
        );
        assert!(first.contains("- #c070 ") && !first.contains("#c069"), "{first}");
        assert!(first.ends_with("For more say the same with `page 2` behind it."), "{first}");
        let last = told_of(120, 3, Extent::Whole);
        assert!(last.contains("- #c019 ") && last.ends_with("- #c000 · 0 · about 0"), "{last}");
        assert_eq!(told_of(120, 4, Extent::Whole), "There is no page 4: the last one is `page 3`.");
        assert_eq!(told_of(0, usize::MAX, Extent::Whole), "Net shows no channel of that kind.");
        assert!(told_of(2, 1, Extent::Whole).starts_with("2 channels of Net:\n"));
        let cut = told_of(60, 2, Extent::Cut);
        assert!(
            cut.ends_with("The server said more than I keep. Say `list` with a word that is in the name."),
            "{cut}"
        );
    }
}
