//! The promises, each told once and run on every IRC server.
//!
//! `tell!` makes three tests of one story. A story takes its turn on the shared world of its server, uses channels
//! and names of its own, and leaves the bridge running.

mod admin;
mod admission;
mod answers;
mod api;
mod duty;
mod faults;
mod gate;
mod getting_started;
mod heal;
mod heard;
mod ident;
mod life;
mod login;
mod media;
mod members;
mod messages;
mod moderation;
mod operators;
mod plumbing;
mod power;
mod private;
mod removed;
mod rooms;
mod shared;
mod space;
mod storm;
mod talk;
mod tls;
mod told;
mod typing;
mod watched;
mod widget;
mod widget_links;

/// One story, a test for each IRC server: `tell!(story)` gives `story::inspircd`, `story::ngircd`, `story::hybrid`.
macro_rules! tell {
    ($($story:ident),+ $(,)?) => {
        $(
            mod $story {
                use crate::support::ircd::IrcdKind;
                use crate::support::world::Story;

                #[tokio::test]
                async fn inspircd() {
                    super::$story(Story::begin(IrcdKind::InspIrcd).await).await;
                }

                #[tokio::test]
                async fn ngircd() {
                    super::$story(Story::begin(IrcdKind::NgIrcd).await).await;
                }

                #[tokio::test]
                async fn hybrid() {
                    super::$story(Story::begin(IrcdKind::Hybrid).await).await;
                }
            }
        )+
    };
}

use tell;
