//! What is set aside for one request.

use std::fmt;
use std::sync::PoisonError;

use testsmith_crash::point;
use testsmith_domain::{Reservation, Spent, Usage};

use super::{Tally, UsageMeter};
use crate::figures::Figures;
use crate::journal::Line;
use crate::money::{Price, Tokens};

/// What is set aside for one request, until it is known what that took.
pub(super) struct Held {
    meter: UsageMeter,
    /// `None` once settled.
    id: Option<u64>,
    price: Option<Price>,
    /// Where whoever asked keeps count.
    tally: Option<Tally>,
}

impl Held {
    pub(super) fn new(
        meter: UsageMeter,
        id: u64,
        price: Option<Price>,
        tally: Option<Tally>,
    ) -> Self {
        Self {
            meter,
            id: Some(id),
            price,
            tally,
        }
    }

    /// Takes back what was set aside, and books what was used in its place.
    fn end(&mut self, spent: Spent) {
        let Some(id) = self.id.take() else { return };
        let mut state = self.meter.state();
        let Some(open) = state.open.remove(&id) else {
            return;
        };
        let mut notices = Vec::new();
        if open.sent {
            let mut entry = open.entry;
            entry.figures = actual(&entry.figures, spent, self.price);
            state.book.record(&entry);
            if let Some(tally) = &self.tally {
                let mut tally = tally.lock().unwrap_or_else(PoisonError::into_inner);
                tally.add(&entry.figures);
            }
            let day = entry.day();
            let line = Line::Ended {
                id,
                entry: entry.clone(),
            };
            notices.extend(state.write(&line, day));
            point("usage.ended");
            notices.extend(state.look_at(&entry));
        }
        drop(state);
        self.meter.shared.room.notify_waiters();
        self.meter.shared.written.notify_waiters();
        notices.into_iter().for_each(super::Notice::tell);
    }
}

impl Reservation for Held {
    fn sent(&mut self) {
        let Some(id) = self.id else { return };
        let mut state = self.meter.state();
        let Some(open) = state.open.get_mut(&id) else {
            return;
        };
        open.sent = true;
        // Only a budget needs to know of it after a kill.
        if !state.settings.limits.any() {
            return;
        }
        let Some(entry) = state.open.get(&id).map(|open| open.entry.clone()) else {
            return;
        };
        let day = entry.day();
        let notice = state.write(&Line::Sent { id, entry }, day);
        point("usage.sent");
        drop(state);
        notice.into_iter().for_each(super::Notice::tell);
    }

    fn settle(mut self: Box<Self>, spent: Spent) {
        self.end(spent);
    }
}

impl Drop for Held {
    fn drop(&mut self) {
        self.end(Spent::Unknown);
    }
}

impl fmt::Debug for Held {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Held")
            .field("id", &self.id)
            .finish_non_exhaustive()
    }
}

/// What a request came to, where `worst` is what was set aside for it.
fn actual(worst: &Figures, spent: Spent, price: Option<Price>) -> Figures {
    let Figures {
        calls, requests, ..
    } = *worst;
    let estimated = Figures {
        estimated_requests: 1,
        ..*worst
    };
    match spent {
        Spent::Nothing => Figures {
            calls,
            requests,
            ..Figures::default()
        },
        Spent::Used(Usage {
            input_tokens: Some(input),
            cached_input_tokens,
            cache_write_tokens,
            output_tokens: Some(output),
        }) => {
            let cached = cached_input_tokens.unwrap_or(0);
            let tokens = Tokens {
                input,
                cached,
                written: cache_write_tokens,
                output,
            };
            Figures {
                calls,
                requests,
                input_tokens: input,
                cached_input_tokens: cached.min(input),
                output_tokens: output,
                cost: price.map(|price| price.of(tokens)).unwrap_or_default(),
                unpriced_requests: u64::from(price.is_none()),
                estimated_requests: 0,
            }
        }
        Spent::Used(_) | Spent::Unknown => estimated,
    }
}
