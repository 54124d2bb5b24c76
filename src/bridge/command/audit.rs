//! `audit`: what became of all messages, for an admin of the bridge.

use crate::bridge::policy::Permission;

use super::args::{Args, Bad};
use super::reply::{Cell, Reply};
use super::tell::Told;
use super::{Act, AuditRow, Command, Place, Scope, Upkeep, UpkeepReport, Words};

pub static AUDIT: Command = Command {
    name: "audit",
    also: &[],
    takes: "",
    help: "Tells how many messages were accepted and what became of them, in both directions.",
    more: "Accepted is what was delivered, failed, expired or is still on its way. `bunraku audit` on the bridge's machine tells more.",
    examples: &["audit"],
    who: Permission::Admin,
    scope: Scope::Bridge,
    place: Place::AdminRoom,
    words: Words::Open,
    read,
    tell,
};

const HEAD: [&str; 7] =
    ["network", "direction", "accepted", "delivered", "failed", "expired", "on their way"];

fn read(args: &mut Args<'_>) -> Result<Act, Bad> {
    args.end().map(|()| Act::Upkeep(Upkeep::Audit))
}

fn tell(told: &Told<'_>) -> Reply {
    match told.upkept() {
        Some(UpkeepReport::Audit(rows)) => shown(rows),
        Some(UpkeepReport::Reloaded(_) | UpkeepReport::Failed) | None => {
            Reply::text("The bridge's database cannot be read now. Its log says why.")
        }
    }
}

fn shown(rows: &[AuditRow]) -> Reply {
    let is_balanced =
        rows.iter().all(|row| row.accepted == row.delivered + row.failed + row.expired + row.in_flight);
    let words = if is_balanced {
        "Every message that was accepted is accounted for:"
    } else {
        "The figures do not balance: messages are missing, or some ended twice. `bunraku audit` on the bridge's machine tells more."
    };
    Reply::text(words).table(&HEAD, rows.iter().map(row).collect())
}

fn row(row: &AuditRow) -> Vec<Cell> {
    let counts = [row.accepted, row.delivered, row.failed, row.expired, row.in_flight];
    let mut cells: Vec<Cell> = vec![row.network.clone().into(), row.direction.into()];
    cells.extend(counts.into_iter().map(|count| Cell::Text(count.to_string())));
    cells
}
