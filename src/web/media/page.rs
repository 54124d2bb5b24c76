//! Pages for people: a long message, and why there is nothing. They read well in any browser, with text alone too;
//! without script, and without anything from elsewhere.

use std::sync::LazyLock;

use axum::http::header::{CONTENT_SECURITY_POLICY, CONTENT_TYPE};
use axum::http::{HeaderName, HeaderValue};
use axum::response::{IntoResponse, Response};
use base64::Engine;
use base64::engine::general_purpose::STANDARD as BASE64;
use sha2::{Digest, Sha256};

use crate::bridge::media::PageText;
use crate::ids::Time;
use crate::text::html::escape;

const STYLE: &str = "\
:root{color-scheme:light dark;--ink:#1c1e21;--paper:#fff;--quiet:#5f6670;--line:#d9dce1;--block:#f3f4f6;--link:#0b57d0}\
@media(prefers-color-scheme:dark){:root{--ink:#e4e6ea;--paper:#16181b;--quiet:#9aa2ad;--line:#34383e;--block:#212429;--link:#8ab4f8}}\
html{background:var(--paper);color:var(--ink);font:17px/1.55 system-ui,sans-serif;-webkit-text-size-adjust:100%}\
body{max-width:46rem;margin:0 auto;padding:1.5rem 1rem 3rem;overflow-wrap:anywhere}\
header{border-bottom:1px solid var(--line);margin-bottom:1.2rem}\
h1,h2,h3,h4,h5,h6{font-size:1.1rem;line-height:1.3;margin:1.2em 0 .4em}\
header h1{font-size:1.3rem;margin:0 0 .25rem}\
header p,footer{color:var(--quiet);font-size:.9rem;margin:0 0 .8rem}\
footer{border-top:1px solid var(--line);margin-top:2rem;padding-top:.8rem}\
a{color:var(--link)}\
pre,code{font-family:ui-monospace,Menlo,Consolas,monospace;font-size:.9em}\
code{background:var(--block);border-radius:.25em;padding:.1em .3em}\
pre{background:var(--block);border-radius:.4em;padding:.8em 1em;overflow-x:auto;overflow-wrap:normal;tab-size:4}\
pre code{background:none;padding:0}\
blockquote{border-left:.2em solid var(--line);color:var(--quiet);margin:.8em 0;padding-left:.9em}\
hr{border:0;border-top:1px solid var(--line);margin:1.2em 0}\
[data-mx-spoiler]{background:var(--ink);color:var(--ink);border-radius:.2em}\
[data-mx-spoiler]:hover,[data-mx-spoiler]:focus{background:var(--block)}";

/// Nothing is loaded from anywhere, and the one style is this one.
static POLICY: LazyLock<String> = LazyLock::new(|| {
    let style = BASE64.encode(Sha256::digest(STYLE));
    format!(
        "default-src 'none'; style-src 'sha256-{style}'; base-uri 'none'; form-action 'none'; \
         frame-ancestors 'none'; sandbox allow-popups allow-popups-to-escape-sandbox"
    )
});

/// A whole page.
pub(super) struct Page(String);

impl IntoResponse for Page {
    fn into_response(self) -> Response {
        let mut answer = (headers("text/html; charset=utf-8"), self.0).into_response();
        let policy = HeaderValue::from_str(&POLICY).expect("printable ASCII");
        answer.headers_mut().insert(CONTENT_SECURITY_POLICY, policy);
        answer
    }
}

/// The headers that say what an answer is.
pub(super) fn headers(content_type: &'static str) -> [(HeaderName, &'static str); 1] {
    [(CONTENT_TYPE, content_type)]
}

/// A message.
pub(super) fn text(page: &PageText, until: Time) -> Page {
    let (title, author) = (escape(&page.title), escape(&page.author));
    let (said, day) = (&page.html, day(until));
    // Said once.
    let by = if title.contains(&author) { String::new() } else { format!("\n<p dir=\"auto\">{author}</p>") };
    let body = format!(
        "<header><h1 dir=\"auto\">{title}</h1>{by}</header>\n\
         <main dir=\"auto\">\n{said}\n</main>\n\
         <footer>This page ends on {day}, or when its message is removed. <a href=\"?raw\">Plain text</a></footer>"
    );
    whole(&title, &body)
}

/// Why there is something else than what was asked for.
pub(super) fn problem(heading: &str, words: &str) -> Page {
    let (heading, words) = (escape(heading), escape(words));
    whole(&heading, &format!("<header><h1>{heading}</h1></header>\n<main><p>{words}</p></main>"))
}

fn whole(title: &str, body: &str) -> Page {
    Page(format!(
        "<!DOCTYPE html>\n<html lang=\"en\">\n<head>\n<meta charset=\"utf-8\">\n\
         <meta name=\"viewport\" content=\"width=device-width, initial-scale=1\">\n\
         <meta name=\"robots\" content=\"noindex, nofollow\">\n\
         <title>{title}</title>\n<style>{STYLE}</style>\n</head>\n<body>\n{body}\n</body>\n</html>\n"
    ))
}

/// `2026-11-23`, in UTC.
fn day(time: Time) -> String {
    // Days are counted from the first of March of the year 0, so that a leap day is a year's last
    // ("chrono-Compatible Low-Level Date Algorithms", civil_from_days).
    let days = time.0 / 86_400_000 + 719_468;
    let (era, of_era) = (days / 146_097, days % 146_097);
    let year_of_era = (of_era - of_era / 1_460 + of_era / 36_524 - of_era / 146_096) / 365;
    let of_year = of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
    let month = (5 * of_year + 2) / 153;
    let day = of_year - (153 * month + 2) / 5 + 1;
    let month = if month < 10 { month + 3 } else { month - 9 };
    let year = era * 400 + year_of_era + u64::from(month <= 2);
    format!("{year:04}-{month:02}-{day:02}")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn days_are_those_of_the_calendar() {
        let check = |seconds: u64, expected| assert_eq!(day(Time(seconds * 1_000)), expected);
        check(0, "1970-01-01");
        check(951_782_400, "2000-02-29");
        check(951_868_799, "2000-02-29");
        check(951_868_800, "2000-03-01");
        check(1_795_392_000, "2026-11-23");
        check(4_107_542_400, "2100-03-01");
        day(Time(u64::MAX));
    }

    #[test]
    fn nothing_of_a_text_is_markup() {
        let title = "</title><script>\"&".to_owned();
        let page = PageText { title, author: "<b>".into(), html: "<p>said</p>".into(), plain: String::new() };
        let Page(html) = text(&page, Time(0));
        assert!(!html.contains("<script>") && !html.contains("<b>"), "{html}");
        assert!(html.contains("<title>&lt;/title&gt;&lt;script&gt;&quot;&amp;</title>"), "{html}");
        assert!(html.contains("<p>said</p>"));
        let Page(html) = problem("a & b", "<i>");
        assert!(html.contains("<h1>a &amp; b</h1>") && html.contains("<p>&lt;i&gt;</p>"), "{html}");
    }
}
