//! What happens again and again is one line of the audit log and a count: the first is written at once, and at the end of each
//! minute how many more there were.

use std::{
    collections::HashMap,
    sync::{Mutex, PoisonError},
};

use chrono::{DateTime, SecondsFormat, TimeDelta, Utc};
use model::access::Outcome;

use super::audit::{Actor, Deed};

const WINDOW: TimeDelta = TimeDelta::minutes(1);
/// So many are told apart; further ones are counted together.
const MOST: usize = 10_000;
/// How those are called.
const SEVERAL: &str = "several";

#[derive(Default)]
pub(super) struct Repeats(Mutex<HashMap<Told, Seen>>);

/// One caller doing one thing at one place.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
struct Told {
    actor: Actor,
    action: &'static str,
    target: String,
    outcome: Outcome,
    detail: String,
}

#[derive(Clone, Copy, Debug)]
struct Seen {
    since: DateTime<Utc>,
    /// Since then, without the one that was written.
    more: u64,
}

/// A line that says how often something happened.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Counted {
    pub(super) actor: Actor,
    action: &'static str,
    target: String,
    outcome: Outcome,
    detail: String,
}

impl Counted {
    pub(super) fn deed(&self) -> Deed<'_> {
        Deed { action: self.action, target: &self.target, outcome: self.outcome, detail: &self.detail }
    }
}

impl Repeats {
    /// Counts it. `true`: it has not been told within the last minute.
    pub(super) fn is_news(&self, actor: &Actor, deed: &Deed<'_>, now: DateTime<Utc>) -> bool {
        let Deed { action, target, outcome, detail } = *deed;
        let mut told =
            Told { actor: actor.clone(), action, target: target.to_owned(), outcome, detail: detail.to_owned() };
        let mut all = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if all.len() >= MOST && !all.contains_key(&told) {
            told.actor = Actor { id: None, name: SEVERAL.to_owned(), address: String::new() };
            SEVERAL.clone_into(&mut told.target);
            told.detail.clear();
        }
        if let Some(seen) = all.get_mut(&told) {
            seen.more += 1;
            return false;
        }
        all.insert(told, Seen { since: now, more: 0 });
        true
    }

    /// The counts of the minutes that are over, or with `all` of those under way as well. What did not happen again is
    /// forgotten: the next time is news.
    pub(super) fn take(&self, now: DateTime<Utc>, all: bool) -> Vec<Counted> {
        let mut counted = Vec::new();
        let mut seen = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        seen.retain(|told, seen| {
            if !all && now - seen.since < WINDOW {
                return true;
            }
            if seen.more == 0 {
                return false;
            }
            let time = |time: DateTime<Utc>| time.to_rfc3339_opts(SecondsFormat::Secs, true);
            let count = format!("{} more from {} to {}", seen.more, time(seen.since), time(now));
            let detail = if told.detail.is_empty() { count } else { format!("{}; {count}", told.detail) };
            let (actor, target) = (told.actor.clone(), told.target.clone());
            counted.push(Counted { actor, action: told.action, target, outcome: told.outcome, detail });
            *seen = Seen { since: now, more: 0 };
            true
        });
        counted
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn actor(address: &str) -> Actor {
        Actor { id: None, name: "ann@example.com".to_owned(), address: address.to_owned() }
    }

    #[test]
    fn repeats_are_counted_by_the_minute() {
        let repeats = Repeats::default();
        let begin = DateTime::UNIX_EPOCH;
        let refused = Deed::refused("access", "/pipeline", "");
        let told = (0..500).filter(|_| repeats.is_news(&actor("192.0.2.1"), &refused, begin)).count();
        assert_eq!(told, 1);
        assert!(repeats.is_news(&actor("192.0.2.2"), &refused, begin), "another address");
        assert!(repeats.is_news(&actor("192.0.2.1"), &Deed::refused("access", "/sql", ""), begin), "another route");
        assert_eq!(repeats.take(begin + TimeDelta::seconds(59), false), []);

        let end = begin + WINDOW;
        let counted = repeats.take(end, false);
        assert_eq!(counted.len(), 1);
        assert_eq!(counted[0].deed().detail, "499 more from 1970-01-01T00:00:00Z to 1970-01-01T00:01:00Z");
        assert_eq!((counted[0].deed().target, &counted[0].actor), ("/pipeline", &actor("192.0.2.1")));
        // As long as it goes on it is a count a minute, and then news again.
        assert!(!repeats.is_news(&actor("192.0.2.1"), &refused, end));
        assert_eq!(repeats.take(end + WINDOW, false)[0].deed().detail.split(' ').next(), Some("1"));
        assert_eq!(repeats.take(end + WINDOW * 2, false), []);
        assert!(repeats.is_news(&actor("192.0.2.1"), &refused, end + WINDOW * 2));
    }

    #[test]
    fn what_is_counted_at_the_end_is_not_lost_and_many_callers_take_no_more_room() {
        let repeats = Repeats::default();
        let now = DateTime::UNIX_EPOCH;
        let refused = Deed::failure("token", "/api/v1/ledger", "a token or key that is not good");
        let news = (0..20_000).filter(|number| repeats.is_news(&actor(&number.to_string()), &refused, now)).count();
        assert_eq!(news, MOST + 1);
        let last = repeats.take(now, true);
        assert_eq!(last.len(), 1);
        assert!(last[0].actor.name == SEVERAL && last[0].deed().detail.starts_with("9999 more"), "{last:?}");
    }
}
