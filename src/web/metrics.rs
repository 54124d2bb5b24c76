//! The figures, and how they are written down for Prometheus (OpenMetrics text).
//!
//! Everything is read when somebody asks: a registry is made, filled and written. Labels name networks, directions,
//! states and codes, all of which are few; never a person, a room or a nick.

use std::collections::BTreeMap;

use prometheus_client::encoding::text::encode;
use prometheus_client::metrics::counter::Counter;
use prometheus_client::metrics::family::Family;
use prometheus_client::metrics::gauge::Gauge;
use prometheus_client::metrics::histogram::Histogram;
use prometheus_client::registry::Registry;

use super::Meter;
use super::media::Served;

/// Label names and values.
pub(super) type Labels = Vec<(&'static str, String)>;

/// Everything that is counted.
#[derive(Clone, Debug, Default)]
pub struct Figures {
    /// `None` while the database does not answer.
    pub messages: Option<Vec<Messages>>,
    pub bridge: Bridge,
    pub policy_lists: PolicyLists,
    pub networks: Vec<Network>,
    /// How long commits took, in seconds.
    pub commits: Option<Histogram>,
    pub transactions: Meter,
    /// What the media proxy answered; `None` where there is none.
    pub media: Option<Served>,
}

/// What became of the messages of one network in one direction, since the first start.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Messages {
    pub network: String,
    /// `to_irc`, `to_matrix`, or `notices` for the bridge's own.
    pub direction: &'static str,
    pub accepted: u64,
    pub delivered: u64,
    pub failed: u64,
    pub expired: u64,
    pub in_flight: u64,
    /// Accepted messages whose end is not known; 0 unless something is wrong.
    pub missing: i64,
}

/// What all networks share.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Bridge {
    /// Events accepted and not settled, messages or not.
    pub inbox_open: u64,
    /// Lines that wait for the homeserver or are on their way to it.
    pub outbox_waiting: u64,
    /// Rooms whose lines wait because the last attempt there failed.
    pub outbox_rooms_parked: u64,
    /// Lines that wait because somebody is in the room who cannot be removed.
    pub outbox_withheld: u64,
    /// Lines given up because too many waited, since the start.
    pub outbox_dropped: u64,
    /// Reports the database was too slow for, since the start.
    pub reports_dropped: u64,
}

/// One network.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Network {
    pub network: String,
    /// Inputs that wait for its machine.
    pub mailbox_waiting: u64,
    pub puppets: Puppets,
    /// Connections made since the start, and those of puppets that had one before.
    pub connects: u64,
    pub reconnects: u64,
    /// What its servers refused, by numeric or code; few.
    pub refusals: BTreeMap<String, u64>,
    pub duty_moves: DutyMoves,
    pub ghosts: Ghosts,
    pub gate: Gate,
    pub limited: Limited,
    pub errands: Errands,
}

/// What was refused since the start because the people of one homeserver had or did as much as they may.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Limited {
    pub connections: u64,
    pub contacts: u64,
    pub joins: u64,
}

/// Rules of policy lists, over all networks.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct PolicyLists {
    pub in_force: u64,
    /// Too long, or more than are kept.
    pub left_out: u64,
    /// They mean everybody, or all of the bridge's own homeserver.
    pub too_wide: u64,
    /// Lists that were not read since the start, or that the bot was put out of.
    pub unread: u64,
}

/// What people asked of the network, by how that ended.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Errands {
    pub done: u64,
    pub refused: u64,
    pub unknown: u64,
}

/// People in rooms whose puppets are not in the channel.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Gate {
    pub waiting: u64,
    /// Removed since the start, and attempts that the homeserver refused.
    pub removed: u64,
    pub refused: u64,
}

/// Ghosts that come and go with their people.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Ghosts {
    /// Joins and leaves that wait or are with the homeserver.
    pub waiting: u64,
    pub joined: u64,
    pub left: u64,
    pub refused: u64,
}

/// How many puppets are in which state.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Puppets {
    pub dialing: u64,
    pub registering: u64,
    pub ready: u64,
    pub closing: u64,
    pub waiting: u64,
    pub held: u64,
    pub asleep: u64,
    pub excluded: u64,
}

/// How often the duty for a channel moved to another connection, by why.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct DutyMoves {
    pub by_silence: u64,
    pub by_leave: u64,
    pub by_preference: u64,
}

/// All figures as text.
pub(super) fn render(figures: &Figures) -> String {
    let mut page = Page(Registry::with_prefix("bunraku"));
    page.messages(figures.messages.as_deref());
    page.bridge(&figures.bridge);
    page.policy_lists(figures.policy_lists);
    page.networks(&figures.networks);
    if let Some(commits) = &figures.commits {
        page.0.register("commit_seconds", "How long commits of the database took", commits.clone());
    }
    let transactions = figures.transactions.0.clone();
    page.0.register("transaction_seconds", "How long the homeserver waited for our answers", transactions);
    if let Some(media) = &figures.media {
        page.0.register("media_answers", "What the media proxy answered", media.answers.clone());
        page.0.register("media_bytes", "Bytes of files fetched for the media proxy", media.bytes.clone());
    }
    let mut text = String::new();
    // Writing into a String does not fail.
    encode(&mut text, &page.0).unwrap_or_default();
    text
}

struct Page(Registry);

impl Page {
    fn messages(&mut self, messages: Option<&[Messages]>) {
        self.gauge("database_up", "1 while the database answers", u64::from(messages.is_some()));
        let totals = self.counters("messages", "Messages by what became of them, since the first start");
        let in_flight = self.gauges("messages_in_flight", "Messages on their way");
        let missing = self.gauges("messages_missing", "Accepted messages whose end is not known: 0 is right");
        for row in messages.unwrap_or_default() {
            let labels = vec![("network", row.network.clone()), ("direction", row.direction.to_owned())];
            let outcomes = [
                ("accepted", row.accepted),
                ("delivered", row.delivered),
                ("failed", row.failed),
                ("expired", row.expired),
            ];
            for (outcome, count) in outcomes {
                add(&totals, [labels.clone(), vec![("outcome", outcome.to_owned())]].concat(), count);
            }
            set(&in_flight, labels.clone(), row.in_flight);
            missing.get_or_create(&labels).set(row.missing);
        }
    }

    fn bridge(&mut self, bridge: &Bridge) {
        let gauges = [
            ("inbox_open", "Events accepted and not settled", bridge.inbox_open),
            ("outbox_waiting", "Lines that wait for the homeserver", bridge.outbox_waiting),
            ("outbox_rooms_parked", "Rooms where the last attempt failed", bridge.outbox_rooms_parked),
            ("outbox_withheld", "Lines that wait because somebody cannot be removed", bridge.outbox_withheld),
        ];
        for (name, help, count) in gauges {
            self.gauge(name, help, count);
        }
        let counters = [
            ("outbox_dropped", "Lines given up because too many waited", bridge.outbox_dropped),
            ("reports_dropped", "Reports the database was too slow for", bridge.reports_dropped),
        ];
        for (name, help, count) in counters {
            let counter = Counter::<u64>::default();
            counter.inc_by(count);
            self.0.register(name, help, counter);
        }
    }

    fn policy_lists(&mut self, lists: PolicyLists) {
        let rules = self.gauges("policy_rules", "Rules of policy lists, by whether they are in force");
        let states =
            [("in_force", lists.in_force), ("left_out", lists.left_out), ("too_wide", lists.too_wide)];
        for (state, count) in states {
            set(&rules, vec![("state", state.to_owned())], count);
        }
        self.gauge(
            "policy_lists_unread",
            "Policy lists that were not read since the start, or no longer can be",
            lists.unread,
        );
    }

    fn networks(&mut self, networks: &[Network]) {
        let mailbox = self.gauges("mailbox_waiting", "Inputs that wait for a network's machine");
        let puppets = self.gauges("puppets", "Puppets by state of their connection");
        let connects = self.counters("connects", "Connections made");
        let reconnects = self.counters("reconnects", "Connections of puppets that had one before");
        let refusals = self.counters("refusals", "What servers refused, by numeric or code");
        let waiting = self.gauges("ghost_steps_waiting", "Ghosts that are to join or to leave a room");
        let steps = self.counters(
            "ghost_steps",
            "Ghosts that joined or left because people came or went, by how that ended",
        );
        let moves = self.counters("duty_moves", "How often another connection took over a channel, by why");
        let unseen = self.gauges("unseen", "People in a room whose puppet is not in its channel");
        let removals = self.counters("removals", "People removed from a room, by how that ended");
        let limited = self.counters("limited", "What was refused because of a homeserver's limits, by limit");
        let errands = self.counters("errands", "What people asked of a network, by how that ended");
        for row in networks {
            let with = |name, value: &str| vec![("network", row.network.clone()), (name, value.to_owned())];
            let alone = || vec![("network", row.network.clone())];
            set(&mailbox, alone(), row.mailbox_waiting);
            add(&connects, alone(), row.connects);
            add(&reconnects, alone(), row.reconnects);
            for (state, count) in states(&row.puppets) {
                set(&puppets, with("state", state), count);
            }
            for (code, count) in &row.refusals {
                add(&refusals, with("code", code), *count);
            }
            let Ghosts { waiting: count, joined, left, refused } = row.ghosts;
            set(&waiting, alone(), count);
            for (end, count) in [("joined", joined), ("left", left), ("refused", refused)] {
                add(&steps, with("end", end), count);
            }
            let Gate { waiting: count, removed, refused } = row.gate;
            set(&unseen, alone(), count);
            for (end, count) in [("removed", removed), ("refused", refused)] {
                add(&removals, with("end", end), count);
            }
            let Limited { connections, contacts, joins } = row.limited;
            for (limit, count) in [("connections", connections), ("contacts", contacts), ("joins", joins)] {
                add(&limited, with("limit", limit), count);
            }
            let Errands { done, refused, unknown } = row.errands;
            for (end, count) in [("done", done), ("refused", refused), ("unknown", unknown)] {
                add(&errands, with("end", end), count);
            }
            let DutyMoves { by_silence, by_leave, by_preference } = row.duty_moves;
            for (why, count) in [("silence", by_silence), ("leave", by_leave), ("preference", by_preference)]
            {
                add(&moves, with("why", why), count);
            }
        }
    }

    fn gauge(&mut self, name: &str, help: &str, count: u64) {
        let gauge = Gauge::<i64>::default();
        gauge.set(i64::try_from(count).unwrap_or(i64::MAX));
        self.0.register(name, help, gauge);
    }

    fn gauges(&mut self, name: &str, help: &str) -> Family<Labels, Gauge> {
        let family = Family::default();
        self.0.register(name, help, family.clone());
        family
    }

    fn counters(&mut self, name: &str, help: &str) -> Family<Labels, Counter> {
        let family = Family::default();
        self.0.register(name, help, family.clone());
        family
    }
}

fn states(puppets: &Puppets) -> [(&'static str, u64); 8] {
    let Puppets { dialing, registering, ready, closing, waiting, held, asleep, excluded } = *puppets;
    [
        ("dialing", dialing),
        ("registering", registering),
        ("ready", ready),
        ("closing", closing),
        ("waiting", waiting),
        ("held", held),
        ("asleep", asleep),
        ("excluded", excluded),
    ]
}

fn set(family: &Family<Labels, Gauge>, labels: Labels, count: u64) {
    family.get_or_create(&labels).set(i64::try_from(count).unwrap_or(i64::MAX));
}

fn add(family: &Family<Labels, Counter>, labels: Labels, count: u64) {
    family.get_or_create(&labels).inc_by(count);
}
